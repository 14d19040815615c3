"""The simulated CRM: the same data from the same seed, a past that changes as a real one does, and every route."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import psutil
import pytest

from include.orders_sync.core import reports as wanted
from local_stack.crm import orders as life
from local_stack.crm.__main__ import main
from local_stack.crm.control import CrmControl
from local_stack.crm.faults import KINDS, RECOVERABLE, Fault, Faults, Request
from local_stack.crm.kept import keep, kept_data
from local_stack.crm.orders import Order, day_orders, local_midnight
from local_stack.crm.reports import INDIA, REPORTS, Data, report_rows
from local_stack.crm.server import LONGEST_HANG_SECONDS, RunningCrm, running
from local_stack.crm.stores import MAX_STORES, Store, find_store, store, store_master_rows
from local_stack.errors import LocalStackError
from local_stack.home import REPO, Home
from local_stack.ports import HOST, RULES
from local_stack.state import State

TODAY = date(2026, 3, 15)
NOW = datetime(2026, 3, 15, 12, tzinfo=INDIA)
DATA = Data(TODAY)
STORE = store(3, seed=DATA.seed, today=TODAY)
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def many() -> list[Order]:
    """Some ten thousand orders."""
    days = (TODAY - timedelta(days=offset) for offset in range(30, 60))
    return [order for day in days for order in day_orders(STORE, day, system="td", seed=7, volume=20)]


@pytest.fixture(scope="module")
def crm() -> Iterator[RunningCrm]:
    with running(today=TODAY, now=NOW.isoformat()) as crm:
        yield crm


def call(url: str, *, token: str = "", body: Any = None) -> tuple[int, Any, Any]:
    """Status, headers and JSON of one request."""
    content = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, content, {"Authorization": f"Bearer {token}"} if token else {})
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, json.loads(error.read())


def new_token(crm: RunningCrm, system: str) -> str:
    client_id, secret = crm.credentials(system)
    body = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    return str(json.loads(call(f"{crm.base_url(system)}/oauth/token", body=body)[2])["access_token"])


class TestStores:
    def test_they_fit_the_tables_and_are_mixed(self) -> None:
        rows = store_master_rows(48, today=TODAY)
        assert rows == store_master_rows(48, today=TODAY) != store_master_rows(48, today=TODAY, seed=8)
        assert len({row.store_code for row in rows}) == 48
        groups = [row.sync_group for row in rows]
        assert min(groups.count(group) for group in ("TD", "UC", "ALL")) > 8
        assert len(groups) > sum(row.is_active for row in rows) > 40
        ages = sorted((TODAY - row.start_date).days for row in rows)
        assert 0 <= ages[0] < 30 < 700 < ages[-1] < 731
        assert max(later - earlier for earlier, later in pairwise(ages)) < 40

    def test_the_last_of_ten_thousand_costs_no_more_than_the_first(self) -> None:
        began = time.perf_counter()
        code = store(MAX_STORES, seed=7, today=TODAY).row.store_code
        found = find_store(code, count=MAX_STORES, seed=7, today=TODAY)
        assert time.perf_counter() - began < 0.05
        assert found
        assert len(code) == 8 == len(found.row.cost_center) + 1
        assert find_store(code, count=MAX_STORES - 1, seed=7, today=TODAY) is None

    @pytest.mark.parametrize("code", ["", "BLR", "XXX0003", "COK0000", "COK-003", "COK٠٠٠٣", "COK0003 "])
    def test_another_code_is_no_store(self, code: str) -> None:
        assert find_store(code, count=48, seed=7, today=TODAY) is None


class TestOrders:
    def test_shares_are_as_documented(self, many: list[Order]) -> None:
        def share(count: int) -> float:
            return count / len(many)

        assert len({order.number for order in many}) == len(many) > 8_000
        assert share(sum(order.visible_at - order.ordered_at > 7_000 for order in many)) == pytest.approx(0.02, rel=0.3)
        assert max(order.visible_at - order.ordered_at for order in many) < 2 * 86_400
        assert share(sum(order.corrected_at is not None for order in many)) == pytest.approx(0.03, rel=0.3)
        vanished = [order.vanished_at - order.visible_at for order in many if order.vanished_at is not None]
        assert share(len(vanished)) == pytest.approx(0.003, rel=0.6)
        assert all(86_400 <= seconds <= 3 * 86_400 for seconds in vanished)

    def test_some_are_on_another_date_in_utc(self, many: list[Order]) -> None:
        local = [datetime.fromtimestamp(order.ordered_at, INDIA) for order in many]
        near = [at for at in local if at.hour == 0 or (at.hour == 23 and at.minute >= 30)]
        assert len(near) / len(many) == pytest.approx(0.04, rel=0.3)
        assert any(at.astimezone(UTC).date() != at.date() for at in near)

    def test_every_date_has_its_own_orders_and_no_other(self) -> None:
        for offset in range(5):
            day = TODAY - offset * DAY
            for order in day_orders(STORE, day, system="uc", seed=7, volume=5):
                assert local_midnight(day) <= order.ordered_at < local_midnight(day + DAY)
        assert day_orders(STORE, STORE.row.start_date - DAY, system="td", seed=7, volume=5) == []
        assert day_orders(STORE, STORE.row.start_date, system="td", seed=7, volume=5) != []

    def test_a_longest_life_is_long_enough_for_every_payment(self, many: list[Order]) -> None:
        for order in many:
            for paid_at, _, _ in order.payments:
                assert 0 <= paid_at - order.ordered_at < (life.LONGEST_LIFE_DAYS - 1) * 86_400
            assert order.discount <= order.gross
            assert order.discount_at(order.ordered_at) == order.discount

    def test_volume_weekday_and_season_count(self) -> None:
        def count(first: date, *, volume: float = 1.0, every: int = 1) -> int:
            days = [first + n * every * DAY for n in range(10)]
            return sum(len(day_orders(STORE, day, system="td", seed=7, volume=volume)) for day in days)

        assert 60 < count(TODAY) < 400
        assert count(TODAY, volume=10) > 8 * count(TODAY)
        assert count(date(2025, 12, 6), every=7) > 1.2 * count(date(2025, 12, 8), every=7)  # Saturdays, Mondays
        assert count(date(2025, 10, 10)) > 1.5 * count(date(2025, 7, 10))  # before Diwali, in the rains


class TestReports:
    def rows(
        self,
        report: str,
        as_of: datetime,
        first: date = TODAY,
        last: date = TODAY,
        of: Store = STORE,
        data: Data = DATA,
    ) -> list[Any]:
        return report_rows(REPORTS[report], data, of, first, last, as_of.timestamp())

    def test_columns_are_those_that_the_product_reads_and_more(self) -> None:
        schemas = {schema.name: schema for schemas in wanted.REPORTS.values() for schema in schemas}
        assert set(schemas) == set(REPORTS)
        for name, schema in schemas.items():
            given = REPORTS[name].columns
            assert {column.name for column in schema.columns} < set(given)
            assert given[0] == "store_code"
            assert "customer_name" in given
            assert REPORTS[name].key == schema.key

    @pytest.mark.parametrize("report", REPORTS)
    def test_a_range_is_the_sum_of_its_dates(self, report: str) -> None:
        first = TODAY - 20 * DAY
        whole = self.rows(report, NOW, first, TODAY)
        parts = [row for n in range(21) for row in self.rows(report, NOW, first + n * DAY, first + n * DAY)]
        assert whole == parts
        assert len(whole) > 100
        assert whole != self.rows(report, NOW + DAY, first, TODAY)
        assert self.rows(report, NOW, TODAY + DAY, TODAY + 9 * DAY) == []

    def test_the_past_changes_as_the_clock_goes_on(self) -> None:
        first, last, columns = TODAY - 30 * DAY, TODAY - 20 * DAY, REPORTS["orders"].columns
        status, net = columns.index("order_status"), columns.index("net_amount")
        end, data = datetime.fromtimestamp(local_midnight(last + DAY), INDIA), DATA.changed({"volume": 20})

        def seen(as_of: datetime) -> dict[str, Any]:
            return {row[1]: row for row in self.rows("orders", as_of, first, last, data=data)}

        early, late = seen(end), seen(end + 10 * DAY)
        assert set(late) - set(early), "late arrivals"
        assert set(early) - set(late), "vanished orders"
        both = set(early) & set(late)
        assert any(early[number][status] != late[number][status] for number in both)
        assert any(early[number][net] != late[number][net] for number in both)
        assert late == seen(end + 30 * DAY), "it comes to rest"

    def test_instants_have_the_offset_of_their_system_and_store(self) -> None:
        at = REPORTS["orders"].columns.index("ordered_at")
        utc_store, local_store = (store(number, seed=7, today=TODAY) for number in (3, 8))
        assert utc_store.writes_utc
        assert {row[at][-1] for row in self.rows("orders", NOW, TODAY - 9 * DAY, of=utc_store)} == {"Z"}
        assert {row[at][-6:] for row in self.rows("orders", NOW, TODAY - 9 * DAY, of=local_store)} == {"+05:30"}
        invoiced = [row[REPORTS["gst"].columns.index("invoiced_at")] for row in self.rows("gst", NOW, TODAY - 9 * DAY)]
        assert all(len(text) == len("2026-03-15T12:00:00") for text in invoiced)

    def test_taxes_and_discounts_add_up(self) -> None:
        for row in self.rows("gst", NOW, TODAY - 9 * DAY):
            taxable, central, state, total = row[6:10]
            assert total == taxable + central + state
            assert central == state == (taxable * 9 / 100).quantize(Decimal("0.01"), "ROUND_HALF_UP")
        for row in self.rows("orders", NOW, TODAY - 9 * DAY):
            assert row[9] == row[7] - row[8]


class TestFaults:
    def test_ordered_faults_wait_for_their_request(self) -> None:
        faults = Faults()
        twice = {"kind": "500", "page": 2, "times": 2}
        faults.set([twice, {"kind": "503", "on": "token"}, {"kind": "429", "report": "gst"}])
        first, second = Request("report", "orders", "S1", 1), Request("report", "orders", "S1", 2)
        assert faults.next_for(first) is None
        assert [fault and fault.kind for fault in map(faults.next_for, [second] * 3)] == ["500", "500", None]
        assert faults.next_for(Request("report", "gst", "S1", 1)) == Fault("429", report="gst", times=0)
        assert faults.next_for(Request("token")) == Fault("503", on="token", times=0)

    def test_random_faults_are_the_same_for_the_same_seed(self) -> None:
        def kinds(seed: int) -> list[str | None]:
            faults = Faults()
            faults.set({"rate": 0.3, "seed": seed})
            met = (faults.next_for(Request("report", "orders", "S1", 2)) for _ in range(1_000))
            return [fault.kind if fault else None for fault in met]

        assert kinds(1) == kinds(1) != kinds(2)
        assert set(kinds(1)) == {*RECOVERABLE, None}
        assert kinds(1).count(None) == pytest.approx(700, abs=60)

    @pytest.mark.parametrize(
        "value", ["500", 7, ["nonsense"], [{"kind": "500", "when": 1}], {"rates": 1}, [{"page": 2}]]
    )
    def test_what_is_no_fault_is_refused(self, value: Any) -> None:
        with pytest.raises(ValueError, match=r"give a list of faults|a fault has"):
            Faults().set(value)


class TestServer:
    def test_reports_need_a_living_token_of_their_own_system(self, crm: RunningCrm) -> None:
        query = f"?store_code={STORE.row.store_code}&from_date=2026-03-01&to_date=2026-03-15"
        orders, token = f"{crm.base_url('td')}/reports/orders{query}", new_token(crm, "td")
        assert call(orders, token=token)[0] == 200
        assert [call(orders, token=other)[0] for other in ("", "x", new_token(crm, "uc"))] == [401] * 3
        assert call(f"{crm.base_url('uc')}/reports/orders{query}", token=new_token(crm, "uc"))[0] == 404
        wrong = {"grant_type": "client_credentials", "client_id": "crm_td", "client_secret": "guessed"}
        assert call(f"{crm.base_url('td')}/oauth/token", body=wrong)[0] == 401

    @pytest.mark.parametrize(
        ("query", "status"),
        [
            ("from_date=2026-03-01&to_date=2026-03-15", 400), ("store_code=S&from_date=2026-03-01&to_date=soon", 400),
            ("store_code=S&from_date=2026-03-01&to_date=2026-03-02", 422),
            ("store_code=COK0003&from_date=2026-03-03&to_date=2026-03-02", 422),
            ("store_code=COK0003&from_date=2026-03-01&to_date=2026-03-02&page=0", 422),
            ("store_code=COK0003&from_date=2026-03-01&to_date=2026-03-02&page=9", 422),
            ("store_code=COK0003&from_date=2026-03-01&to_date=2026-03-02&page_size=10001", 422),
            ("store_code=COK0003&from_date=2026-03-01&to_date=2026-03-02&format=pdf", 422),
            ("store_code=COK0003&from_date=2026-03-01&to_date=2026-03-02&page=2&snapshot=x", 409),
        ],
    )  # fmt: skip
    def test_a_wrong_request_has_its_status(self, query: str, status: int, crm: RunningCrm) -> None:
        assert call(f"{crm.base_url('td')}/reports/orders?{query}", token=new_token(crm, "td"))[0] == status

    def test_any_report_in_any_format(self, crm: RunningCrm) -> None:
        query = "store_code=COK0003&from_date=2026-03-14&to_date=2026-03-15"
        for name, report in REPORTS.items():
            for report_format, begin in (("json", b"{"), ("csv", b"\xef\xbb\xbfstore_code,"), ("xlsx", b"PK")):
                address = f"{crm.base_url(report.system)}/reports/{name}?{query}&format={report_format}"
                status, headers, body = call(address, token=new_token(crm, report.system))
                assert (status, headers["X-Report"]) == (200, name)
                assert body.startswith(begin)

    def test_control_is_closed_to_others(self, crm: RunningCrm) -> None:
        for token in ("", "x", new_token(crm, "td")):
            assert call(f"{crm.url}/control/log", token=token)[0] == 401
        with pytest.raises(LocalStackError, match="status 401"):
            CrmControl(crm.url, "guessed").no_faults()
        assert call(f"{crm.url}/health")[0] == 200

    def test_clock_data_and_truth(self, crm: RunningCrm) -> None:
        control, code = crm.control, STORE.row.store_code
        before = control.truth("orders", code, TODAY, TODAY)
        assert before["as_of"] == NOW.astimezone(UTC).isoformat()
        assert before["count"] == len(before["rows"]) == len(set(before["keys"])) > 0
        assert Decimal(before["sums"]["net_amount"]) == sum(Decimal(row[9]) for row in before["rows"])
        assert control.advance(hours=6) - NOW == timedelta(hours=6)
        assert control.truth("orders", code, TODAY, TODAY)["count"] > before["count"]
        control.clock(NOW)
        assert control.data(volume=3)["volume"] == 3
        assert control.truth("orders", code, TODAY, TODAY)["count"] > 2 * before["count"]
        control.data(volume=1)
        assert control.truth("orders", code, TODAY, TODAY) == before
        real = control.clock(None)
        assert abs(real.timestamp() - time.time()) < 60
        control.clock(NOW)
        codes = [row.store_code for row in store_master_rows(today=TODAY)]
        assert [row["store_code"] for row in control.stores()] == codes

    @pytest.mark.parametrize(
        "call_it",
        [
            lambda control: control.clock("2026-03-15T12:00:00"),
            lambda control: control.faults("nonsense"),
            lambda control: control.data(stores=10_001),
            lambda control: control.truth("orders", "NIX0001", TODAY, TODAY),
            lambda control: control.truth("orders", "COK0003", "soon", TODAY),
        ],
    )
    def test_a_wrong_control_call_says_what_is_wrong(self, call_it: Any, crm: RunningCrm) -> None:
        with pytest.raises(LocalStackError, match="status 422"):
            call_it(crm.control)

    def test_a_server_that_hangs_still_stops_at_once(self) -> None:
        with running(today=TODAY) as hanging:
            hanging.control.faults({"kind": "timeout", "on": "token", "times": None})
            with pytest.raises(TimeoutError):
                urllib.request.urlopen(f"{hanging.base_url('td')}/oauth/token", b"{}", timeout=0.2)
            began = time.monotonic()
        assert time.monotonic() - began < LONGEST_HANG_SECONDS / 5


class TestStack:
    @pytest.fixture
    def home(self, tmp_path: Path) -> Home:
        home = Home.at(tmp_path / "stack")
        home.create()
        return home

    def test_data_survives_a_restart_and_another_day(self, home: Home) -> None:
        assert kept_data(home, today=TODAY) == DATA
        assert kept_data(home, today=TODAY + 9 * DAY) == DATA
        keep(home, DATA.changed({"volume": 2.5, "stores": 9}))
        assert kept_data(home, today=TODAY + 9 * DAY) == Data(TODAY, stores=9, volume=2.5)
        (home.path / "crm" / "data.json").write_text("{")
        with pytest.raises(LocalStackError, match="Delete it"):
            kept_data(home, today=TODAY)

    def test_the_server_is_small_and_starts_at_once(self, home: Home) -> None:
        state = State.load_or_create(home)
        with running(today=TODAY) as other:
            free = int(other.url.rpartition(":")[2])
        state.ports = {**{name: rule.default for name, rule in RULES.items()}, "crm": free}
        state.save(home)
        command = [sys.executable, "-m", "local_stack.crm.serve", f"--home={home.path}"]
        with subprocess.Popen(command, cwd=REPO, env={**os.environ, "PYTHONPATH": str(REPO)}) as process:
            try:
                control = CrmControl(f"http://{HOST}:{free}", state.secrets["crm_control"])
                while True:
                    try:
                        control.data(stores=MAX_STORES)
                        break
                    except LocalStackError:
                        assert process.poll() is None
                        time.sleep(0.05)
                assert len(control.stores()) == MAX_STORES
                assert psutil.Process(process.pid).memory_info().rss < 80e6
                assert not any(secret in " ".join(command) for secret in state.secrets.values())
            finally:
                process.terminate()
            assert process.wait() == 0
        assert kept_data(home, today=TODAY).stores == MAX_STORES


def test_the_command_prints_stores_and_describes_the_data(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--stores", "3", "--today", "2026-03-15"]) == 0
    assert "COK0003" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--help"])
    described = capsys.readouterr().out
    assert all(kind in described for kind in KINDS)
    assert "--seed" in described

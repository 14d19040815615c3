"""The report client against the simulated CRM over real HTTP: whole reports through every fault, or the right error."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from email.utils import formatdate
from typing import Any

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.orders_sync.adapters.http_report_client import HttpReportClient
from include.orders_sync.adapters.report_formats import PageContent
from include.orders_sync.config import HttpSettings, ReportSettings, load_config
from include.orders_sync.core.reports import REPORTS, BadReportError, check_report
from include.pipeline_framework.errors import (
    ConfigurationError,
    IncompleteExtractError,
    InvalidInputError,
    PipelineError,
    ServiceBusyError,
    ServiceUnavailableError,
)
from local_stack.crm.faults import RECOVERABLE
from local_stack.crm.server import RunningCrm, running
from local_stack.crm.service import Crm, RefusedError
from tests.orders_reports import whole_report

TODAY = date(2026, 3, 15)
NOW = "2026-03-15T12:00:00+05:30"
FROM, TO = date(2026, 3, 6), TODAY
SYSTEMS = {"orders": "td", "sales": "td", "gst": "uc"}
PATIENCE, SHORT = 600, 1.0
"""Seconds without an answer: a busy machine may take long for one; only where the server hangs, waiting ends soon."""

MakeClient = Callable[..., HttpReportClient]


def patience(kind: str) -> float:
    """Of a client that meets this fault."""
    return SHORT if kind == "timeout" else PATIENCE


@pytest.fixture(scope="module")
def server() -> Iterator[RunningCrm]:
    with running(today=TODAY, now=NOW) as crm:
        yield crm


@pytest.fixture
def crm(server: RunningCrm) -> Iterator[RunningCrm]:
    """Without faults, at its first moment."""
    yield server
    server.control.no_faults()
    server.control.clock(NOW)


@pytest.fixture
def waits() -> list[float]:
    """What clients would have waited."""
    return []


@pytest.fixture
def make(crm: RunningCrm, waits: list[float]) -> Iterator[MakeClient]:
    """Makes a client of `td` or `uc` that does not really wait."""
    clients: list[HttpReportClient] = []

    def make(system: str, *, secret: str | None = None, clock: float = 0.0, **http: Any) -> HttpReportClient:
        client_id, client_secret = crm.credentials(system)
        settings = {"page_size": 40, "timeout_seconds": PATIENCE, "max_tries": 4, "longest_wait_seconds": 60, **http}
        clients.append(
            HttpReportClient(
                base_url=crm.base_url(system),
                client_id=client_id,
                client_secret=secret or client_secret,
                reports=load_config().reports[f"{system}_orders_sync"],
                http=HttpSettings(**settings),
                sleep=waits.append,
                clock=lambda: clock,
            )
        )
        return clients[-1]

    yield make
    for client in clients:
        client.close()


@pytest.fixture(scope="module")
def stores(server: RunningCrm) -> list[str]:
    """Stores of both pipelines that have been open for long."""
    rows = server.control.stores()
    return [row["store_code"] for row in rows if row["sync_group"] == "ALL" and row["start_date"] < "2025-12-01"]


def typed(report: str, columns: Any, rows: Any, store_code: str, first: date = FROM, last: date = TO) -> list[Any]:
    """As the tables will hold it; the order of rows counts."""
    schema = next(schema for schemas in REPORTS.values() for schema in schemas if schema.name == report)
    options = {"store_code": store_code, "from_date": first, "to_date": last, "timezone": "Asia/Kolkata"}
    return check_report(schema, columns, rows, **options)


def truth(crm: RunningCrm, report: str, store_code: str, first: date = FROM, last: date = TO) -> list[Any]:
    content = crm.control.truth(report, store_code, first, last)
    return typed(report, content["columns"], content["rows"], store_code, first, last)


def fetch(client: HttpReportClient, report: str, store_code: str) -> PageContent:
    return whole_report(client, report, store_code=store_code, from_date=FROM, to_date=TO)


def pulled(client: HttpReportClient, report: str, store_code: str) -> list[Any]:
    raw = fetch(client, report, store_code)
    return typed(report, raw.columns, raw.rows, store_code)


@pytest.mark.parametrize("report", SYSTEMS)
def test_a_report_of_many_pages_is_the_truth(
    report: str, crm: RunningCrm, make: MakeClient, stores: list[str], waits: list[float]
) -> None:
    before = crm.control.last_id()
    rows = pulled(make(SYSTEMS[report]), report, stores[0])
    assert rows == truth(crm, report, stores[0])
    assert len(rows) > 80
    pages = crm.control.log(since=before)
    assert [entry["page"] for entry in pages] == [str(number) for number in range(1, -(-len(rows) // 40) + 1)]
    assert {(entry["store_code"], entry["from_date"], entry["to_date"]) for entry in pages} == {
        (stores[0], "2026-03-06", "2026-03-15")
    }
    assert waits == []


@pytest.mark.parametrize("report", SYSTEMS)
def test_dates_without_rows_are_an_empty_report(report: str, make: MakeClient, stores: list[str]) -> None:
    raw = whole_report(
        make(SYSTEMS[report]), report, store_code=stores[0], from_date=date(2020, 1, 1), to_date=date(2020, 1, 31)
    )
    assert raw.rows == []
    assert "order_number" in raw.columns


def test_pages_are_of_one_moment(crm: RunningCrm, make: MakeClient, stores: list[str]) -> None:
    client = make("td")
    wanted = truth(crm, "orders", stores[0])
    crm.control.faults({"kind": "503", "page": 2})
    client._sleep = lambda _seconds: crm.control.advance(days=1)  # type: ignore[assignment,return-value]
    assert pulled(client, "orders", stores[0]) == wanted
    assert truth(crm, "orders", stores[0]) != wanted


@pytest.mark.parametrize("page", [1, 2])
@pytest.mark.parametrize("kind", RECOVERABLE)
@pytest.mark.parametrize("report", SYSTEMS)
def test_a_report_survives_every_fault(
    report: str, kind: str, page: int, crm: RunningCrm, make: MakeClient, stores: list[str], waits: list[float]
) -> None:
    client = make(SYSTEMS[report], timeout_seconds=patience(kind))
    fetch(client, report, stores[1])  # its token is used, so it can end
    before = crm.control.last_id()
    crm.control.faults({"kind": kind, "page": page, "at": "middle"})
    assert pulled(client, report, stores[1]) == truth(crm, report, stores[1])
    met = [entry["fault"] for entry in crm.control.log(since=before)].count(kind)
    can_happen = page > 1 or kind not in ("duplicate_page", "lost_snapshot")
    assert met == can_happen
    assert len(waits) == (can_happen and kind != "token_expired")


def test_a_fault_costs_one_page_and_a_lost_snapshot_the_report(
    crm: RunningCrm, make: MakeClient, stores: list[str]
) -> None:
    client, pages = make("td", page_size=100), ["1", "2"]
    before = crm.control.last_id()
    fetch(client, "orders", stores[0])
    assert [entry["page"] for entry in crm.control.log(since=before)][:2] == pages
    for kind, wanted in (("500", ["1", "2", "2"]), ("lost_snapshot", ["1", "2", "1", "2"])):
        before = crm.control.last_id()
        crm.control.faults({"kind": kind, "page": 2})
        fetch(client, "orders", stores[0])
        assert [entry["page"] for entry in crm.control.log(since=before)][: len(wanted)] == wanted


@pytest.mark.parametrize("kind", ["429", "500", "503", "timeout", "reset", "truncated", "broken", "garbage"])
def test_getting_a_token_survives_faults(
    kind: str, crm: RunningCrm, make: MakeClient, stores: list[str], waits: list[float]
) -> None:
    crm.control.faults({"kind": kind, "on": "token"})
    assert pulled(make("uc", timeout_seconds=patience(kind)), "gst", stores[0]) == truth(crm, "gst", stores[0])
    assert len(waits) == 1


@pytest.mark.parametrize(
    ("kind", "error", "requests"),
    [
        ("429", ServiceBusyError, 4),
        ("500", ServiceUnavailableError, 4),
        ("503", ServiceUnavailableError, 4),
        ("timeout", ServiceUnavailableError, 4),
        ("reset", ServiceUnavailableError, 4),
        ("truncated", ServiceUnavailableError, 4),
        ("broken", BadReportError, 4),
        ("garbage", BadReportError, 4),
        ("wrong_page", IncompleteExtractError, 4),
        ("duplicate_page", IncompleteExtractError, 4 * (1 + 2)),
        ("lost_snapshot", IncompleteExtractError, 4 * (1 + 1)),
    ],
)
def test_a_fault_that_stays_ends_in_its_error_after_a_bounded_number_of_requests(
    kind: str, error: type[PipelineError], requests: int, crm: RunningCrm, make: MakeClient, stores: list[str]
) -> None:
    client, before = make("td", timeout_seconds=patience(kind)), crm.control.last_id()
    page = 2 if kind in ("duplicate_page", "lost_snapshot") else 1
    crm.control.faults({"kind": kind, "times": None, "page": page})
    with pytest.raises(error) as caught:
        fetch(client, "orders", stores[0])
    assert type(caught.value) is error
    assert len(crm.control.log(since=before)) == requests
    assert stores[0] in caught.value.where
    assert "/td/reports/orders" in caught.value.where
    assert caught.value.meaning
    assert caught.value.remedy
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - Airflow does so, too


@pytest.mark.parametrize("kind", ["missing_column", "bad_cell", "wrong_store"])
@pytest.mark.parametrize("report", SYSTEMS)
def test_a_report_that_is_wrong_comes_as_it_is_and_is_refused_by_its_reader(
    report: str, kind: str, crm: RunningCrm, make: MakeClient, stores: list[str]
) -> None:
    client = make(SYSTEMS[report], page_size=1000)
    crm.control.faults({"kind": kind, "times": None})
    raw = fetch(client, report, stores[0])
    with pytest.raises(BadReportError):
        typed(report, raw.columns, raw.rows, stores[0])


@pytest.mark.parametrize(
    ("given", "clock_ahead", "waited"),
    [("7", 0, 7), ("0007", 0, 7), ("3600", 0, 60), ("date:30", 0, 30), ("date:30", 20, 10), ("date:7200", 0, 60)],
)
def test_retry_after_is_honoured_in_both_forms_and_bounded(
    given: str, clock_ahead: float, waited: float, crm: RunningCrm, stores: list[str], make: MakeClient,
    waits: list[float], monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    real_now = 1_800_000_000.0
    monkeypatch.setattr("local_stack.crm.server.time.time", lambda: real_now)
    client = make("td", clock=real_now + clock_ahead)
    crm.control.faults({"kind": "429", "retry_after": given})
    fetch(client, "orders", stores[0])
    assert waits == [pytest.approx(waited, abs=1.0)]


@pytest.mark.parametrize("given", ["soon", "-5", "0", formatdate(0)])
def test_a_retry_after_that_says_nothing_leaves_the_usual_wait(
    given: str, crm: RunningCrm, stores: list[str], make: MakeClient, waits: list[float]
) -> None:
    crm.control.faults({"kind": "503", "retry_after": given})
    fetch(make("td", clock=1_000_000.0), "orders", stores[0])
    assert len(waits) == 1
    assert 0.25 <= waits[0] <= 0.5


def test_a_busy_crm_says_how_long_it_wants_to_be_left_alone(
    crm: RunningCrm, stores: list[str], make: MakeClient
) -> None:
    crm.control.faults({"kind": "429", "retry_after": 900, "times": None})
    with pytest.raises(ServiceBusyError) as caught:
        fetch(make("td"), "orders", stores[0])
    assert caught.value.retry_after_seconds == 900


def test_waits_grow_and_are_bounded(crm: RunningCrm, stores: list[str], make: MakeClient, waits: list[float]) -> None:
    crm.control.faults({"kind": "500", "times": None})
    with pytest.raises(ServiceUnavailableError):
        fetch(make("td", max_tries=9, longest_wait_seconds=20), "orders", stores[0])
    assert len(waits) == 8
    longest = [min(20, 0.5 * 2**number) for number in range(8)]
    assert all(most / 2 <= wait <= most for wait, most in zip(waits, longest, strict=True))
    assert waits != longest, "clients that failed together come back together"


def test_an_ended_token_is_renewed_once_and_the_report_goes_on(
    crm: RunningCrm, stores: list[str], make: MakeClient
) -> None:
    client, before = make("td"), crm.control.tokens_issued()
    crm.control.faults({"kind": "token_expired", "page": 2}, {"kind": "token_expired", "page": 3})
    assert pulled(client, "orders", stores[0]) == truth(crm, "orders", stores[0])
    assert crm.control.tokens_issued() == before + 3


def test_a_fresh_token_that_is_refused_is_a_matter_of_the_connection(
    crm: RunningCrm, stores: list[str], make: MakeClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> bool:
        raise RefusedError(401, "insufficient_scope")

    monkeypatch.setattr(Crm, "use_token", refuse)
    before = crm.control.last_id()
    with pytest.raises(ConfigurationError, match="refuses the token that it has just given"):
        fetch(make("td"), "orders", stores[0])
    assert len(crm.control.log(since=before)) == 2


def test_wrong_credentials_are_tried_once_and_never_shown(
    crm: RunningCrm, stores: list[str], make: MakeClient, waits: list[float]
) -> None:
    client = make("td", secret="hunter2-client-secret")
    with structlog.testing.capture_logs() as lines, pytest.raises(ConfigurationError) as caught:
        fetch(client, "orders", stores[0])
    shown = f"{caught.value} {caught.value!r} {caught.value.__cause__!r} {client!r} {vars(client)} {lines}"
    assert "hunter2" not in shown
    assert "login and password" in str(caught.value)
    assert waits == []


def test_every_retry_is_logged_with_cause_and_wait_and_without_secrets(
    crm: RunningCrm, stores: list[str], make: MakeClient, waits: list[float]
) -> None:
    kinds = ["429", "timeout", "reset", "garbage"]
    crm.control.faults(*({"kind": kind, "page": 2} for kind in kinds[:3]), {"kind": "lost_snapshot", "page": 2})
    client = make("td", max_tries=6, timeout_seconds=SHORT)
    with structlog.testing.capture_logs() as lines:
        fetch(client, "orders", stores[0])
    assert [line["log_level"] for line in lines] == ["warning"] * 4
    assert [line["event"] for line in lines] == ["request tried again"] * 3 + ["report begun again"]
    assert [line["wait_seconds"] for line in lines] == [round(wait, 3) for wait in waits]
    assert all(line["cause"] and line["store_code"] == stores[0] for line in lines)
    assert [line["tried"] for line in lines] == [1, 2, 3, 1]
    secret, token = crm.credentials("td")[1], client._session._auth.token
    assert token
    assert secret not in repr((lines, client, client._session, token))
    assert token.value not in repr((lines, client, client._session, token))


def test_unknown_stores_reports_and_dates_are_told_apart(crm: RunningCrm, stores: list[str], make: MakeClient) -> None:
    client = make("td")
    with pytest.raises(InvalidInputError, match="no such store"):
        fetch(client, "orders", "NIX0001")
    with pytest.raises(ConfigurationError, match="no report 'gst' is configured"):
        fetch(client, "gst", stores[0])
    client._reports["orders"] = ReportSettings(path="reports/moved", format="xlsx")
    with pytest.raises(ConfigurationError, match="status 404"):
        fetch(client, "orders", stores[0])


def test_a_crm_that_is_not_there_is_unavailable(stores: list[str], waits: list[float]) -> None:
    with running(today=TODAY) as gone:
        url = gone.base_url("td")
    client = HttpReportClient(
        base_url=url,
        client_id="id",
        client_secret="hunter2",
        reports=load_config().reports["td_orders_sync"],
        http=HttpSettings(max_tries=2),
        sleep=waits.append,
    )
    with client, pytest.raises(ServiceUnavailableError, match="ConnectError"):
        fetch(client, "orders", stores[0])
    assert len(waits) == 1


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    report=st.sampled_from(list(SYSTEMS)),
    seed=st.integers(0, 10_000),
    store=st.integers(0, 5),
    page_size=st.integers(20, 200),
)
def test_through_many_random_faults_a_report_is_the_truth(
    report: str, seed: int, store: int, page_size: int, crm: RunningCrm, make: MakeClient, stores: list[str]
) -> None:
    client = make(SYSTEMS[report], page_size=page_size, max_tries=20)
    crm.control.random_faults(rate=0.3, seed=seed, kinds=[kind for kind in RECOVERABLE if kind != "timeout"])
    assert pulled(client, report, stores[store]) == truth(crm, report, stores[store])


def test_many_threads_share_a_client(crm: RunningCrm, make: MakeClient, stores: list[str]) -> None:
    client, before = make("td", max_tries=20), crm.control.tokens_issued()
    crm.control.random_faults(rate=0.3, seed=5, kinds=["token_expired", "429", "reset"])
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda store: pulled(client, "sales", store), stores[:12]))
    crm.control.no_faults()
    assert found == [truth(crm, "sales", store) for store in stores[:12]]
    assert crm.control.tokens_issued() > before + 1

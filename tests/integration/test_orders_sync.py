"""The orders sync on a real Postgres and over real HTTP: what is pulled, what stands in the log, what faults do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from itertools import pairwise
from typing import Any

import pytest

from include.orders_sync.core.pipelines import PROFILER, TD, UC, SyncStatus
from include.pipeline_framework.errors import InvalidInputError
from tests.orders_world import TODAY, OrdersWorld, orders_world

pytestmark = pytest.mark.integration

RECOVERABLE = [
    "429",
    "500",
    "503",
    "reset",
    "truncated",
    "duplicate_page",
    "wrong_page",
    "token_expired",
    "lost_snapshot",
]
TERMINAL = ["timeout", "garbage", "missing_column", "bad_cell", "wrong_store"]
BOTH = "HYD0005"  # sync group ALL
TD_ONLY = "MUM0004"


@pytest.fixture
def world(orders_url: str) -> Iterator[OrdersWorld]:
    with orders_world(orders_url) as found:
        yield found


def test_from_empty_to_caught_up_and_then_only_the_overlap(world: OrdersWorld) -> None:
    result = world.run()
    assert result.status == SyncStatus.SUCCESS
    world.assert_complete()
    assert {status for *_, status in world.windows()} == {"success"}
    first = len(world.log())
    assert first > len(world.stores())
    before = world.query("SELECT * FROM td_orders ORDER BY 1, 2")

    again = world.run()
    assert again.status == SyncStatus.SUCCESS
    assert {(row["from_date"], row["to_date"]) for row in world.log()[first:]} == {(TODAY, TODAY)}
    assert world.query("SELECT * FROM td_orders ORDER BY 1, 2") == before  # a re-run changes nothing


def test_windows_of_a_store_follow_each_other_and_have_the_length_of_the_option(world: OrdersWorld) -> None:
    world.run(window_days=20, store_code=BOTH)
    for pipeline in (TD, UC):
        rows = world.log(f"p.code = '{pipeline}'")
        assert rows[0]["from_date"] == next(s["start_date"] for s in world.stores() if s["store_code"] == BOTH)
        assert rows[-1]["to_date"] == TODAY
        for one, two in pairwise(rows):
            assert two["from_date"] == one["to_date"] + timedelta(days=1)
            assert one["updated_at"] <= two["created_at"]
        assert max((row["to_date"] - row["from_date"]).days + 1 for row in rows) == 20


def test_late_changed_and_vanished_orders_of_the_overlap_are_seen(world: OrdersWorld) -> None:
    world.run()
    world.later(days=2)
    world.run(overlap_days=5)
    world.later(days=1)
    world.run(overlap_days=200)
    world.assert_complete()
    found = world.query("SELECT count(*) FILTER (WHERE is_vanished_flag) AS gone, count(*) AS all FROM td_orders")
    assert found[0]["all"] > 500
    changed = world.query("SELECT count(*) AS changed FROM td_orders WHERE updated_at > inserted_at")
    assert changed[0]["changed"] > 0


def test_an_order_that_vanished_is_flagged_and_kept(world: OrdersWorld) -> None:
    world.run(store_code=BOTH)
    world.query("INSERT INTO uc_gst SELECT store_code, 'GONE', order_number, invoice_date, invoiced_at, customer_gstin,"
                " taxable_amount, cgst_amount, sgst_amount, total_amount, FALSE, NULL, run_id, inserted_at, updated_at"
                " FROM uc_gst WHERE invoice_date < %s ORDER BY invoice_date DESC LIMIT 1", TODAY)  # fmt: skip
    world.run(store_code=BOTH, force=True)
    (row,) = world.query("SELECT is_vanished_flag, vanished_at FROM uc_gst WHERE invoice_number = 'GONE'")
    assert row["is_vanished_flag"]
    assert row["vanished_at"] is not None


# requirement 5, C: statuses -------------------------------------------------------------------------------------------


def test_td_orders_ok_sales_fail_is_partial(world: OrdersWorld) -> None:
    world.crm.control.faults({"kind": "bad_cell", "report": "sales"})
    result = world.run(TD, store_code=TD_ONLY, from_date="2026-03-01", to_date="2026-03-10")
    (row,) = world.log()
    assert (row["status"], row["sales_pulled_at"]) == ("partial", None)
    assert row["orders_pulled_at"] is not None
    assert "row " in row["error_message"]
    assert result.status == SyncStatus.PARTIAL
    assert world.query("SELECT count(*) AS n FROM td_orders")[0]["n"] > 0
    assert world.query("SELECT 1 FROM td_sales") == []


def test_td_orders_fail_and_sales_are_not_tried(world: OrdersWorld) -> None:
    world.crm.control.faults({"kind": "missing_column", "report": "orders"})
    result = world.run(TD, store_code=TD_ONLY, from_date="2026-03-01", to_date="2026-03-10")
    (row,) = world.log()
    assert (row["status"], row["orders_pulled_at"], row["sales_pulled_at"]) == ("failed", None, None)
    assert "has no column" in row["error_message"]
    assert {request["report"] for request in world.crm.control.log() if request["report"]} == {"orders"}
    assert result.status == SyncStatus.FAILED


def test_uc_counts_gst_as_orders_and_knows_no_sales(world: OrdersWorld) -> None:
    world.run(UC, store_code=BOTH, from_date="2026-03-01", to_date="2026-03-10")
    (row,) = world.log()
    assert (row["status"], row["sales_pulled_at"]) == ("success", None)
    assert row["orders_pulled_at"] is not None
    assert (row["run_env"], row["cost_center"], row["attempt_no"]) == ("dev", "CC1005", 1)
    world.crm.control.faults({"kind": "wrong_store", "report": "gst"})
    world.run(UC, store_code=BOTH, from_date="2026-03-01", to_date="2026-03-10", env="prod")
    row = world.log()[-1]
    assert (row["status"], row["orders_pulled_at"], row["run_env"], row["attempt_no"]) == ("failed", None, "prod", 2)


@pytest.mark.parametrize(("flag", "pulled", "not_pulled"), [
    ("orders_only", "orders_pulled_at", "sales_pulled_at"), ("sales_only", "sales_pulled_at", "orders_pulled_at")
])  # fmt: skip
def test_one_report_alone_is_partial_and_covers_nothing(
    world: OrdersWorld, flag: str, pulled: str, not_pulled: str
) -> None:
    dates = {"from_date": "2026-03-01", "to_date": "2026-03-15"}
    result = world.run(TD, store_code=TD_ONLY, **dates, **{flag: True})
    (row,) = world.log()
    assert row["status"] == "partial"
    assert flag in row["error_message"]
    assert row[pulled] is not None
    assert row[not_pulled] is None
    assert result.status == SyncStatus.PARTIAL
    assert "1 partial" in result.text
    assert f"{TD_ONLY} {TD}:" not in result.text  # as it was asked for: no error
    world.run(TD, store_code=TD_ONLY, **dates, **{flag: True})
    planned = world.run(store_code=TD_ONLY)  # the profiler still finds everything missing
    assert planned.status == SyncStatus.SUCCESS
    assert world.log("l.status = 'success'")[0]["from_date"] < date(2026, 3, 1)


@pytest.mark.parametrize(
    ("pipeline", "given", "told"),
    [
        (TD, {"from_date": "2026-03-10", "to_date": "2026-03-09"}, "2026-03-10 is after to_date 2026-03-09"),
        (TD, {"to_date": "2026-03-16"}, "lies in the future"),
        (TD, {"from_date": "10.03.2026"}, "is not a date"),
        (TD, {"orders_only": True, "sales_only": True}, "leave nothing to pull"),
        (UC, {"orders_only": True}, "knows neither"),
        (UC, {"sales_only": True}, "knows neither"),
        (TD, {"store_code": "nope"}, "no such active store"),
        (UC, {"store_code": TD_ONLY}, "sync group TD, which has none of uc_orders_sync"),
        (PROFILER, {"window_days": 0}, "window_days is 0"),
        (PROFILER, {"overlap_days": -1}, "overlap_days is -1"),
        (PROFILER, {"max_workers": 0}, "max_workers is 0"),
        (PROFILER, {"sync_group": "XX"}, "TD, UC or ALL"),
        (PROFILER, {"env": "x" * 33}, "1 to 32 characters"),
    ],
)
def test_senseless_requests_are_refused_and_nothing_is_written(
    world: OrdersWorld, pipeline: str, given: dict[str, Any], told: str
) -> None:
    with pytest.raises(InvalidInputError, match=told):
        world.run(pipeline, **given)
    assert world.query("SELECT 1 FROM pipeline_run_summaries") == world.log() == []


def test_dates_default_to_today_minus_89_until_today_where_the_business_is(world: OrdersWorld) -> None:
    world.run(UC, store_code=BOTH)
    assert world.windows() == [(UC, BOTH, "2025-12-16", "2026-03-15", "success")]
    world.later(hours=4, minutes=5)  # 00:05 of the 16th in Kolkata, still the 15th in UTC
    world.run(UC, store_code=BOTH)
    assert world.windows()[-1] == (UC, BOTH, "2025-12-17", "2026-03-16", "success")


# requirement 5, D 5: failures -----------------------------------------------------------------------------------------


def test_a_failed_window_stops_that_store_and_pipeline_only(world: OrdersWorld) -> None:
    world.crm.control.faults({"kind": "bad_cell", "report": "orders", "store_code": BOTH})
    result = world.run(window_days=30)
    assert result.status == SyncStatus.FAILED
    assert world.windows(f"l.store_code = '{BOTH}' AND p.code = '{TD}'")[0][-1] == "failed"
    assert len(world.windows(f"l.store_code = '{BOTH}' AND p.code = '{TD}'")) == 1
    assert {row[-1] for row in world.windows(f"l.store_code = '{BOTH}' AND p.code = '{UC}'")} == {"success"}
    assert {row[-1] for row in world.windows(f"l.store_code <> '{BOTH}'")} == {"success"}
    assert "not tried after a failure" in result.text
    assert f"{BOTH} {TD}: " in result.text
    assert world.run(window_days=30).status == SyncStatus.SUCCESS
    world.assert_complete()


def test_a_tenth_of_all_calls_fails_in_every_way_and_nothing_is_lost_or_doubled(orders_url: str) -> None:
    http = {"page_size": 15, "timeout_seconds": 0.3, "max_tries": 3, "longest_wait_seconds": 0.02}
    with orders_world(orders_url, http=http) as world:
        world.crm.control.random_faults(rate=0.1, seed=11, kinds=[*RECOVERABLE, *TERMINAL])
        missing, caught_up, rounds = {*RECOVERABLE, *TERMINAL}, False, 0
        while missing or not caught_up:  # caught up before every fault was met: everything once more
            caught_up = world.run(window_days=10, force=caught_up).status == SyncStatus.SUCCESS
            missing -= {request["fault"] for request in world.crm.control.log()}
            rounds += 1
            assert rounds < 40
        world.crm.control.no_faults()
        world.assert_complete()
        rows = world.log()
    assert {"success", "failed", "partial"} == {row["status"] for row in rows}
    for row in rows:
        orders, sales = row["orders_pulled_at"] is not None, row["sales_pulled_at"] is not None
        if row["code"] == UC:
            expected = "success" if orders else "failed"
        else:
            expected = "success" if orders and sales else "partial" if orders else "failed"
        assert row["status"] == expected, row
        assert (row["error_message"] is None) == (expected == "success"), row

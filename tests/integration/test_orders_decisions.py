"""What a dry run shows is what a pull decides at the same moment, and both are what a plain model says of the log."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.orders_sync.adapters.postgres_orders import PostgresOrders
from include.orders_sync.config import load_config
from include.orders_sync.core.dates import today_in
from include.orders_sync.core.pipelines import PROFILER, TD, UC, Store, SyncStatus
from include.orders_sync.core.runs import RunOptions
from include.orders_sync.core.windows import LogRow, OrdersWindow, plan_store_windows
from include.orders_sync.tasks.runs import parse_options, plan_run
from include.orders_sync.tasks.sync_stores import decide

pytestmark = pytest.mark.integration

ZONE = "Asia/Kolkata"
START = date(2026, 1, 1)
ZONES = [None, "America/New_York", "Pacific/Auckland", "Europe/Berlin"]
STORES = {f"S00{number}": zone for number, zone in enumerate(ZONES)}

_AT = st.integers(0, 40 * 24 * 60).map(lambda minutes: datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes))
_ROWS = st.lists(
    st.tuples(
        st.sampled_from(sorted(STORES)),
        st.sampled_from([TD, UC]),
        st.integers(-2, 38),
        st.integers(0, 12),
        st.sampled_from(["success"] * 5 + ["partial", "failed", "running"]),
        st.one_of(st.none(), _AT),
    ),
    max_size=14,
)
_REOPENED = st.lists(
    st.tuples(st.sampled_from(sorted(STORES)), st.sampled_from([TD, UC]), st.integers(0, 38), st.integers(0, 9), _AT),
    max_size=2,
)


def instant_of(first: date, length: int, at: datetime | None, now: datetime) -> datetime:
    """When a window's pull began: at any time, or as it usually is while its last day goes on; not after now."""
    usual = datetime.combine(first + timedelta(days=length), datetime.min.time(), UTC) + timedelta(hours=6)
    return min(at or usual, now)


def fill(
    url: str, rows: list[Any], reopened: list[Any], now: datetime
) -> dict[tuple[str, str], list[tuple[date, date, datetime]]]:
    """The successes by store and pipeline."""
    successes: dict[tuple[str, str], list[tuple[date, date, datetime]]] = {}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE orders_sync_log, orders_sync_reopened, store_master")
        for code, zone in STORES.items():
            connection.execute(
                "INSERT INTO store_master (store_code, start_date, store_timezone) VALUES (%s, %s, %s)",
                (code, START, zone),
            )
        for number, (code, pipeline, offset, length, status, at) in enumerate(rows):
            first = START + timedelta(days=offset)
            last, began = first + timedelta(days=length), instant_of(first, length, at, now)
            connection.execute(
                "INSERT INTO pipeline_run_summaries (run_id, pipeline_name, run_env, started_at, overall_status)"
                " VALUES (%s, 'x', 't', now(), 'success') ON CONFLICT DO NOTHING",
                (f"r{number}",),
            )
            connection.execute(
                "INSERT INTO orders_sync_log"
                " (pipeline_id, run_id, run_env, store_code, from_date, to_date, status, created_at)"
                " SELECT id, %s, 't', %s, %s, %s, %s, %s FROM pipelines WHERE code = %s",
                (f"r{number}", code, first, last, status, began, pipeline),
            )
            if status == "success":
                successes.setdefault((pipeline, code), []).append((first, last, began))
        for code, pipeline, offset, length, at in reopened:
            first = START + timedelta(days=offset)
            connection.execute(
                "INSERT INTO orders_sync_reopened (pipeline_id, store_code, from_date, to_date, reopened_at, reason)"
                " SELECT id, %s, %s, %s, %s, 'test' FROM pipelines WHERE code = %s",
                (code, first, first + timedelta(days=length), at, pipeline),
            )
    return successes


def model(
    code: str, pipeline: str, options: RunOptions, successes: list[tuple[date, date, datetime]], reopened: list[Any]
) -> list[OrdersWindow]:
    """Day by day: each success covers the days that were over in the store's zone and not reopened since."""
    zone = STORES[code] or ZONE
    rows = [LogRow(first, last, "success", pulled_on=first) for first, last, _ in successes]
    for first, last, began in successes:
        for number in range((last - first).days + 1):
            day = first + timedelta(days=number)
            is_open = any(
                (store, of) == (code, pipeline)
                and START + timedelta(days=offset) <= day <= START + timedelta(days=offset + length)
                and at >= began
                for store, of, offset, length, at in reopened
            )
            if day < today_in(zone, began) and not is_open:
                rows.append(LogRow(day, day, "success"))
    store = Store(code, START, timezone=STORES[code])
    assert options.began_at is not None
    today = today_in(zone, options.began_at)
    return plan_store_windows(store, pipeline, rows, today, options.window_days, options.overlap_days, options.force)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=_ROWS,
    reopened=_REOPENED,
    now=_AT,
    window_days=st.integers(1, 12),
    overlap_days=st.integers(0, 4),
    force=st.sampled_from([False, False, False, True]),
    is_kept=st.booleans(),
)
def test_the_plan_that_is_shown_is_the_one_that_is_pulled(
    orders_url: str, rows: list[Any], reopened: list[Any], now: datetime, window_days: int, overlap_days: int,
    force: bool, is_kept: bool,
) -> None:  # fmt: skip
    successes = fill(orders_url, rows, reopened, now)
    given = {"window_days": window_days, "overlap_days": overlap_days, "force": force}
    options = parse_options(PROFILER, given, load_config(), run_id="now", now=now)
    with closing(PostgresOrders(lambda: psycopg.connect(orders_url), "now")) as database:
        database.keep_zone(ZONE if is_kept else "Africa/Abidjan")
        shown = {
            (plan.pipeline, plan.store_code): list(plan.windows)
            for plan in plan_run(options, database, timezone=ZONE).plans
        }
        for store in database.stores():
            for pipeline in (TD, UC):
                key = (pipeline, store.store_code)
                pulled = decide(store, pipeline, options, database, ZONE)
                assert shown.get(key, []) == pulled
                assert pulled == model(store.store_code, pipeline, options, successes.get(key, []), reopened)


def test_a_run_that_goes_on_leaves_out_what_it_has_done_itself(orders_url: str) -> None:
    now = datetime(2026, 1, 10, 6, tzinfo=UTC)
    fill(orders_url, [("S000", TD, 0, 4, "success", None)], [], now)
    options = parse_options(PROFILER, {}, load_config(), run_id="now", now=now)
    with closing(PostgresOrders(lambda: psycopg.connect(orders_url), "now")) as database:
        database.start_run("now", PROFILER, "test", options.today)
        (store,) = database.stores("S000")
        (window,) = decide(store, TD, options, database, ZONE)
        log_id = database.start_window(TD, store, window.from_date, window.to_date, run_id="now", run_env="test")
        database.end_window(log_id, SyncStatus.SUCCESS, None)
        assert decide(store, TD, options, database, ZONE) == []
        database.start_run("now", PROFILER, "test", options.today)  # cleared as a whole: it begins again
        assert [each.to_date for each in decide(store, TD, options, database, ZONE)] == [options.today]

"""Rows of the ledger that nobody planned like this: none of them stops the pipeline's other windows."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from include import framework
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.records.run_requests import parse_request
from include.pipeline_framework.core.time.days import LocalDay, local_day_of
from include.pipeline_framework.core.time.durations import Granularity
from include.pipeline_framework.core.time.windows import TimeWindow, merge, tile
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.tasks.planning import insert_windows, plan_day, populate_pipeline_batches
from include.pipeline_framework.tasks.store_and_validate import store_and_validate
from tests.unit.tasks.world import PLANNER, RUN_1, RUN_2, ZONE, config, generate_records

pytestmark = pytest.mark.integration

DAY = LocalDay(date(2013, 3, 9), ZONE)
HOUR, MILLISECOND = timedelta(hours=1), timedelta(milliseconds=1)
OWN = {"source_object": "flights", "start_date": "2013-03-09", "end_date": "2013-03-11", "max_windows_per_run": 100}


@pytest.fixture
def store(ledger_url: str) -> Iterator[PostgresLifecycleStore]:
    opened = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))
    yield opened
    opened.close()


def populate(store: PostgresLifecycleStore, conf: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """The first task of a pipeline run."""
    pipeline = config(**OWN, **changes)
    return populate_pipeline_batches(
        pipeline, store, RUN_1, parse_request(conf or {}, pipeline.horizon, pipeline.source_object)
    )


def claimed(store: PostgresLifecycleStore, **changes: Any) -> list[dict[str, Any]]:
    """What the second one gets."""
    pipeline = config(**OWN, **changes)
    report = store_and_validate(pipeline, store, RUN_2, parse_request({}, pipeline.horizon, pipeline.source_object))
    return list(report["claimed"])


def live(store: PostgresLifecycleStore) -> list[TimeWindow]:
    both_days = TimeWindow(DAY.start, DAY.next().end)
    return store.live_windows("flights", both_days)


def plan(ledger_url: str, **columns: Any) -> None:
    """A row by hand, over the defaults of an hour of the day."""
    row = {
        "pipeline_id": "main", "source_name": "memory", "source_object": "flights", "target_name": "memory",
        "timezone": ZONE, "granularity": "1h", "target_day": DAY.date, "query_window_start_at": DAY.start + 5 * HOUR,
        "query_window_end_at": DAY.start + 6 * HOUR, "time_interval": "1h", "key_x": "x", "key_y": "y", "key_z": "z",
        "source_query_window_duration_minutes": 60, **columns,
    }  # fmt: skip
    names, places = ", ".join(row), ", ".join(["%s"] * len(row))
    with psycopg.connect(ledger_url, autocommit=True) as connection:
        connection.execute(f"INSERT INTO pipeline_lifecycle ({names}) VALUES ({places})", list(row.values()))


@pytest.mark.parametrize("end", ["04:59:59.999", "04:59:59.999999", "04:59:59", "04:59:59.5"])
def test_a_window_whose_end_looks_inclusive_is_planned_and_said_and_the_rest_follows(
    store: PostgresLifecycleStore, end: str
) -> None:
    report = populate(store, {"windows": [["2013-03-09T05:00:00Z", f"2013-03-10T{end}Z"]]})
    assert len(report["inserted"]) == 1
    if end == "04:59:59.5":
        assert report["hints"] == []
    else:
        (hint,) = report["hints"]
        assert "looks inclusive" in hint
        assert "write 2013-03-10T05:00:00Z" in hint
    again = populate(store)
    rest = next(window for window in live(store) if window.end == DAY.end)
    assert rest.local_label(ZONE) in again["inserted"]
    assert merge(live(store)) == [TimeWindow(DAY.start, DAY.next().end)]
    assert populate(store)["inserted"] == []
    next_day = 23 if end == "04:59:59.5" else 1  # nobody plans days of 86,399.5 seconds
    assert len(claimed(store)) == len(live(store)) == 2 + next_day


def test_a_range_that_cuts_a_live_window_by_an_inclusive_end_is_told_the_exclusive_one(
    store: PostgresLifecycleStore,
) -> None:
    plan_day(config(**OWN), DAY, store, PLANNER)
    with pytest.raises(Exception, match=r"cuts the live window .*looks inclusive.*write 2013-03-09T06:00:00Z"):
        populate(store, {"windows": [["2013-03-09T05:00:00Z", "2013-03-09T05:59:59.999Z"]]})


ODD: dict[str, dict[str, Any]] = {
    "inclusive end": {"query_window_end_at": DAY.start + 6 * HOUR - MILLISECOND},
    "a microsecond late": {"query_window_start_at": DAY.start + 5 * HOUR + MILLISECOND / 1_000},
    "a microsecond long": {"query_window_end_at": DAY.start + 5 * HOUR + MILLISECOND / 1_000},
    "crosses a day by a millisecond": {
        "query_window_start_at": DAY.start + 23 * HOUR,
        "query_window_end_at": DAY.end + MILLISECOND,
    },
    "another day": {"target_day": date(2013, 3, 12)},
    "a day outside the horizon": {"target_day": date(1999, 12, 31)},
    "no zone": {"timezone": "Mars/Olympus"},
    "another zone": {"timezone": "Asia/Kolkata"},
    "no granularity": {"granularity": "hourly"},
    "no interval": {"time_interval": ""},
    "a year long": {"query_window_end_at": DAY.start + 366 * 24 * HOUR},
    "for ever": {"query_window_end_at": "infinity"},
    "since ever": {"query_window_start_at": "-infinity"},
}


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_no_row_stops_a_pipeline(store: PostgresLifecycleStore, ledger_url: str, odd: dict[str, Any]) -> None:
    plan(ledger_url, query_window_start_at=DAY.start, query_window_end_at=DAY.start + HOUR)
    if odd.get("query_window_start_at") == "-infinity":
        odd = odd | {"query_window_end_at": DAY.start - HOUR}
    plan(ledger_url, **odd)
    populate(store)
    again = populate(store)
    assert again["inserted"] == [], again
    first, *others = claimed(store)
    assert first["start"] == "2013-03-09T05:00:00Z"
    if "infinity" in str(odd):  # no client can read it
        assert any(text.startswith("flights: ") and "infinity" in text for text in again["reported"])
    else:
        assert len(others) >= 45
        assert merge(live(store)) == [TimeWindow(DAY.start, DAY.next().end)]


def test_what_can_not_be_placed_is_reported_with_pipeline_and_window_and_left(
    store: PostgresLifecycleStore, ledger_url: str
) -> None:
    """A pipeline's own function that knows hours only; and a row that no client can read."""
    own = {"derived": {"key_x": {"callable": "tests.integration.test_odd_rows:hours_only"}}}
    plan(ledger_url, query_window_end_at=DAY.start + 6 * HOUR - MILLISECOND, time_interval="59m59.999s")
    report = populate(store, **own)
    assert len(report["inserted"]) == 23 + 23
    left = TimeWindow(DAY.start + 6 * HOUR - MILLISECOND, DAY.start + 6 * HOUR)
    (told,) = [text for text in report["reported"] if str(left) in text]
    assert f"flights: the window {left} is not planned" in told
    assert "0.001s is no number of hours" in told
    assert len(claimed(store, **own)) == 1 + 23 + 23


def hours_only(_config: Any, _day: Any, _start: Any, _end: Any, interval: str) -> str:
    """A team's function for `key_x`."""
    if not interval.removesuffix("h").isdigit():
        raise ValueError(f"{interval} is no number of hours")
    return interval


def test_a_row_of_no_zone_is_no_complete_record(store: PostgresLifecycleStore, ledger_url: str) -> None:
    plan(ledger_url, timezone="Mars/Olympus")
    plan_day(config(**OWN), DAY, store, PLANNER)
    assert len(claimed(store)) == 23
    (row,) = store.find(source_object="flights", within=[TimeWindow(DAY.start + 5 * HOUR, DAY.start + 6 * HOUR)])
    assert row.last_error == "record is not complete: timezone 'Mars/Olympus' is not a time zone"


@pytest.mark.parametrize("ahead", [0, 1], ids=["today", "tomorrow"])
def test_gaps_of_today_and_tomorrow_are_filled_in_the_days_own_granularity(
    store: PostgresLifecycleStore, ahead: int
) -> None:
    today = local_day_of(store.now(), ZONE)
    day = today.next() if ahead else today
    assert day.window
    bounds = {"start_date": str(today), "end_date": str(today.next().next())}
    hours = [window for window in tile(day.window, Granularity(0, 3_600)) if window.start != day.start + 5 * HOUR]
    insert_windows(config(**bounds), hours, store, PLANNER)
    pipeline = config(**bounds, granularity="30m", x_time_back="0d")
    report = populate_pipeline_batches(pipeline, store, RUN_1, parse_request({}, pipeline.horizon, "flights"))
    gap = TimeWindow(day.start + 5 * HOUR, day.start + 6 * HOUR)
    assert gap.local_label(ZONE) in report["inserted"]
    rows = store.find(source_object="flights", within=[day.window])
    assert {row.time_interval for row in rows} == {"1h"}
    assert merge(store.live_windows("flights", day.window)) == [day.window]


def test_a_checked_field_is_the_same_when_a_record_is_generated_and_when_its_row_is_claimed(
    store: PostgresLifecycleStore,
) -> None:
    fields = {"check_fields": ["TARGET_DAY", "WINDOW_START_TIME", "window_end_time", "TIME_INTERVAL", "owner", "key_x"]}
    own = {**fields, "metadata": {"owner": "crm"}}
    now = datetime(2013, 3, 12, tzinfo=UTC)
    report = generate_records(config(**OWN, **own), store, now=now, target_date=DAY.date, max_records=3)
    assert report["stored"] == 3
    assert len(claimed(store, **own)) == 3


def test_claimed_windows_of_which_none_is_complete_fail_with_every_reason(
    store: PostgresLifecycleStore, ledger_url: str
) -> None:
    plan(ledger_url, key_x=None, key_y=" ")
    with pytest.raises(InvalidInputError, match=r"flights 2013-03-09T10.*key_x is missing; key_y is blank") as failure:
        claimed(store)
    assert "None of the 1 claimed windows can run" in str(failure.value)


def test_a_records_window_ends_where_the_continuation_says_and_the_log_says_why(
    caplog: pytest.LogCaptureFixture,
) -> None:
    day = framework.convert_to_pendulum(datetime(2013, 3, 9, 5, tzinfo=UTC), ZONE)
    with caplog.at_level(logging.WARNING):
        window = framework.calculate_time_window(day, "2h", day.end_of("day"))
    assert window is not None
    assert (window.end_time, window.actual_interval) == (day.add(days=1), "0.000001s")
    assert "as if its end were inclusive" in caplog.text

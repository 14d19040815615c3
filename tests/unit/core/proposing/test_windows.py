"""Granularity from the volume, x_time_back from the measured lag, start_date from the days with rows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.proposing.description import (
    DayRows,
    SourceDescription,
    SourceField,
    SourceShape,
    sample_windows,
)
from include.pipeline_framework.core.proposing.windows import (
    FEWEST_ROWS,
    MOST_BYTES,
    MOST_ROWS,
    ingest_field,
    propose_granularity,
    propose_start,
    propose_time_back,
)
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.durations import parse_granularity

DAY = date(2013, 3, 9)


def days(*rows: int) -> list[DayRows]:
    return [DayRows(DAY + timedelta(days=number), count) for number, count in enumerate(rows)]


@pytest.mark.parametrize(
    ("rows", "mean_bytes", "expected"),
    [
        (700, 500, "1d"),
        (15_000, 500, "1d"),
        (20_000, 500, "12h"),
        (100_000, 500, "3h"),
        (240_000, 500, "1h"),
        (12_000_000, 100, "1h"),
        (24_000_000, 10, "30m"),
        (240_000_000, 10, "1m"),
        (5_000_000_000, 10, "1m"),
        (700, 10_000_000, "15m"),
        (5_000, 100_000, "4h"),
    ],
)
def test_a_window_has_enough_rows_and_not_too_many(rows: int, mean_bytes: float, expected: str) -> None:
    assert propose_granularity(days(rows), mean_bytes).value == expected


@given(st.lists(st.integers(1, 10**8), min_size=1, max_size=90), st.floats(0, 10_000))
def test_the_bounds_hold_wherever_they_can(rows: list[int], mean_bytes: float) -> None:
    chosen = propose_granularity(days(*rows), mean_bytes)
    seconds = parse_granularity(chosen.value).total_seconds
    recent = sorted(rows[-60:])
    busy = recent[-(-len(recent) * 95 // 100) - 1] * seconds / 86_400
    assert seconds == 60 or (busy <= MOST_ROWS and busy * mean_bytes <= MOST_BYTES)
    if seconds < 3_600:
        assert busy * 60 > MOST_ROWS or busy * 60 * mean_bytes > MOST_BYTES, "more than 24 windows only if needed"
    ordinary = recent[len(recent) // 2] * seconds / 86_400
    if ordinary < FEWEST_ROWS:
        assert seconds == 86_400 or busy * 2 > MOST_ROWS / 3 or busy * mean_bytes > MOST_BYTES / 6


def test_reasons_say_what_was_counted() -> None:
    assert propose_granularity(days(700), 500).reason.startswith("about 700 rows, 350.0 kB in a window of a busy day")
    assert "more than is wanted" in propose_granularity(days(5_000_000_000), 10).reason
    assert propose_granularity([], 0) == propose_granularity([], 10)
    assert propose_granularity([], 0).value == "1d"


@pytest.mark.parametrize(
    ("lags", "hidden", "value", "says"),
    [
        ([1.0] * 99 + [240.0], 1, "5m", "event.ingested lies at most 4m after the event, 1s for 99% of 100 documents"),
        ([301.0], 1, "10m", "at most 5m1s"),
        ([-2.0, 0.0, 3_600.0], 1, "1h", "at most 1h"),
        ([86_401.0], 1, "2d", "at most 1d1s"),
        ([10.0] * 200 + [10**8], 1, "5m", "10s for 99%"),
        ([10**8], 1, "1h", "looks like a load of old documents"),
        ([-5.0, -4.0, 1.0], 1, "1h", "lies before most events"),
        ([], 1, "1h", "none of the documents seen has event.ingested"),
        ([1.0], 1_800, "30m", "at most 1s"),
        ([], 7_200, "2h", "not less than the refresh_interval 2h"),
    ],
)
def test_time_back_is_the_measured_lag_rounded_up(lags: list[float], hidden: int, value: str, says: str) -> None:
    proposed = propose_time_back(sorted(lags), "event.ingested", timedelta(seconds=hidden), "1h")
    assert proposed.value == value
    assert says in proposed.reason


def test_without_an_ingest_field_the_default_says_so() -> None:
    proposed = propose_time_back([], "", timedelta(0), "3h")
    assert (proposed.value, "no ingest time field" in proposed.reason) == ("3h", True)


def test_the_ingest_field_is_a_time_of_a_likely_name_and_not_the_event_time() -> None:
    def field(name: str, kind: str = "timestamp") -> SourceField:
        return SourceField(tuple(name.split(".")), "date", kind, "epoch_millis")  # type: ignore[arg-type]

    def found(time_field: str, *fields: SourceField) -> object:
        return ingest_field(SourceDescription(SourceShape("x", fields, ()), time_field, "UTC", (), 0, ()))

    fields = (field("created_at"), field("event.ingested"), field("@timestamp"), field("received_at", "text"))
    assert found("@timestamp", *fields) == (("event", "ingested"), "epoch_millis")
    assert found("event.ingested", *fields) == (("created_at",), "epoch_millis")
    assert found("created_at", field("created_at"), field("other")) is None


def test_the_start_is_the_last_day_that_can_be_loaded() -> None:
    now, hour = datetime(2013, 3, 11, 0, 30, tzinfo=UTC), timedelta(hours=1)
    assert propose_start(days(5, 5, 5), "UTC", hour, now)[0] == DAY, "the tenth rests for an hour"
    day, reason = propose_start(days(5, 5, 5), "UTC", timedelta(0), now)
    assert (day, "rows begin on 2013-03-09" in reason) == (date(2013, 3, 10), True)
    assert propose_start(days(5), "UTC", hour, now)[1] == "the last whole day that has rows"
    assert propose_start([], "America/New_York", hour, now)[0] == date(2013, 3, 10), "today is a local day"


@given(st.lists(st.integers(1, 10_000), min_size=1, max_size=40))
def test_sample_windows_lie_on_days_with_rows_from_the_first_to_the_last(rows: list[int]) -> None:
    known = days(*rows)
    windows = sample_windows(known, "America/New_York")
    assert 12 <= len(windows) <= 23
    assert windows == sorted(windows)
    assert windows[0].start == LocalDay(known[0].day, "America/New_York").start
    assert windows[-1].end == LocalDay(known[-1].day, "America/New_York").end
    bounds = [
        (LocalDay(each.day, "America/New_York").start, LocalDay(each.day, "America/New_York").end) for each in known
    ]
    assert all(any(start <= window.start and window.end <= end for start, end in bounds) for window in windows)


def test_samples_are_of_other_times_on_each_day_and_of_whole_days() -> None:
    windows = sample_windows(days(*[10] * 30), "UTC")
    assert {window.start.hour for window in windows} == set(range(0, 24, 2))
    assert sum((window.duration for window in windows), timedelta(0)) == timedelta(days=12)


def test_no_rows_are_no_sample() -> None:
    assert sample_windows([], "UTC") == []

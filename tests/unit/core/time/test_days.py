"""Local days in the zones that break date arithmetic."""

# ruff: noqa: DTZ001 - naive values are what some of these are about; Hypothesis wants naive bounds
from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.pipeline_framework.core.time.days import LocalDay, days_between, first_instant, local_day_of, zone
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.core.time.windows import TimeWindow, merge, tile
from include.pipeline_framework.errors import InvalidInputError

ZONES = [
    "UTC", "America/New_York", "America/Los_Angeles", "America/Havana", "America/Sao_Paulo", "America/St_Johns",
    "America/Toronto", "Asia/Beirut", "Asia/Kolkata", "Australia/Lord_Howe", "Europe/Berlin", "Pacific/Apia",
    "Pacific/Kwajalein", "Africa/Casablanca", "Antarctica/Troll",
]  # fmt: skip
ODD_DAYS = [
    # zone, day, first instant (UTC), hours
    ("America/New_York", "2013-03-09", "2013-03-09T05:00", 24),
    ("America/New_York", "2013-03-10", "2013-03-10T05:00", 23),
    ("America/New_York", "2013-03-11", "2013-03-11T04:00", 24),
    ("America/New_York", "2013-11-02", "2013-11-02T04:00", 24),
    ("America/New_York", "2013-11-03", "2013-11-03T04:00", 25),
    ("America/New_York", "2013-11-04", "2013-11-04T05:00", 24),
    ("Australia/Lord_Howe", "2013-10-06", "2013-10-05T13:30", 23.5),
    ("Australia/Lord_Howe", "2013-04-07", "2013-04-06T13:00", 24.5),
    ("Asia/Kolkata", "2013-03-10", "2013-03-09T18:30", 24),
    # no midnight: the day starts at 01:00
    ("America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00", 23),
    ("America/Sao_Paulo", "2018-11-03", "2018-11-03T03:00", 24),
    ("Asia/Beirut", "2024-03-31", "2024-03-30T22:00", 23),
    # two midnights: the day starts at the first, clocks go back from 01:00 to 00:00
    ("America/Havana", "2024-11-03", "2024-11-03T04:00", 25),
    ("America/Havana", "2024-11-02", "2024-11-02T04:00", 24),
    ("America/Havana", "2024-03-10", "2024-03-10T05:00", 23),
    # clocks go back from midnight to 23:00: the evening before is the one that is long
    ("America/Sao_Paulo", "2018-02-17", "2018-02-17T02:00", 25),
    ("America/Sao_Paulo", "2018-02-18", "2018-02-18T03:00", 24),
    # the calendar skips a day: Apia and Kwajalein cross the date line
    ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00", 24),
    ("Pacific/Apia", "2011-12-30", "2011-12-30T10:00", 0),
    ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00", 24),
    ("Pacific/Kwajalein", "1993-08-21", "1993-08-21T12:00", 0),
    # Toronto 1919: 23:30 to 00:30, the gap straddles midnight, so both days have 23.5 hours
    ("America/Toronto", "1919-03-30", "1919-03-30T05:00", 23.5),
    ("America/Toronto", "1919-03-31", "1919-03-31T04:30", 23.5),
    # St. John's changes at 00:01: in autumn one minute of the new day, then the evening before again
    ("America/St_Johns", "2006-10-29", "2006-10-29T02:30", 25),
    ("America/St_Johns", "2006-10-28", "2006-10-28T02:30", 24),
    ("America/St_Johns", "2006-04-02", "2006-04-02T03:30", 23),
]


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def day_of(text: str, timezone: str) -> LocalDay:
    return LocalDay(date.fromisoformat(text), timezone)


@pytest.mark.parametrize(("timezone", "day", "start", "hours"), ODD_DAYS)
class TestOddDays:
    def test_first_instant_and_length(self, timezone: str, day: str, start: str, hours: float) -> None:
        found = day_of(day, timezone)
        assert found.start == utc(start)
        assert found.end - found.start == timedelta(hours=hours)
        assert found.start.tzinfo is UTC

    def test_a_day_without_time_has_no_window(self, timezone: str, day: str, start: str, hours: float) -> None:
        window = day_of(day, timezone).window
        expected = TimeWindow(utc(start), utc(start) + timedelta(hours=hours)) if hours else None
        assert window == expected

    def test_instants_on_its_boundaries(self, timezone: str, day: str, start: str, hours: float) -> None:
        found, step = day_of(day, timezone), timedelta(microseconds=1)
        if hours:
            assert local_day_of(found.start, timezone) == local_day_of(found.end - step, timezone) == found
        assert local_day_of(found.start - step, timezone).date < found.date
        assert local_day_of(found.end, timezone).date > found.date

    @pytest.mark.parametrize("granularity", ["1h", "30m", "7h", "1d"])
    def test_its_windows_tile_it(self, timezone: str, day: str, start: str, hours: float, granularity: str) -> None:
        window = day_of(day, timezone).window
        if window:
            pieces = list(tile(window, parse_granularity(granularity)))
            assert merge(pieces) == [window]
            assert all(local_day_of(piece.start, timezone) == day_of(day, timezone) for piece in pieces)


@pytest.mark.parametrize(
    ("timezone", "instant", "day"),
    [
        ("America/New_York", "2013-03-09T04:59:59", "2013-03-08"),
        ("America/New_York", "2013-03-09T05:00:00", "2013-03-09"),
        # the second midnight of Havana belongs to the day that the first one began
        ("America/Havana", "2024-11-03T04:30:00", "2024-11-03"),
        ("America/Havana", "2024-11-03T05:00:00", "2024-11-03"),
        # St. John's shows 28 October again after the 29th has begun
        ("America/St_Johns", "2006-10-29T02:30:59", "2006-10-29"),
        ("America/St_Johns", "2006-10-29T02:31:00", "2006-10-29"),
        ("America/St_Johns", "2006-10-29T03:29:59", "2006-10-29"),
        # Sao Paulo repeats 23:00 to midnight before the new day begins
        ("America/Sao_Paulo", "2018-02-18T02:30:00", "2018-02-17"),
        ("Pacific/Apia", "2011-12-30T09:59:59", "2011-12-29"),
        ("Pacific/Apia", "2011-12-30T10:00:00", "2011-12-31"),
    ],
)
def test_the_day_of_an_instant(timezone: str, instant: str, day: str) -> None:
    assert str(local_day_of(utc(instant), timezone)) == day
    assert local_day_of(utc(instant).astimezone(ZoneInfo("Asia/Tokyo")), timezone) == day_of(day, timezone)


@given(st.dates(date(1900, 1, 1), date(2037, 12, 31)), st.sampled_from(ZONES))
def test_consecutive_days_join(day: date, timezone: str) -> None:
    today = LocalDay(day, timezone)
    assert today.end == today.next().start
    assert today.start <= today.end
    assert timedelta(0) <= today.end - today.start <= timedelta(hours=26)


@pytest.mark.parametrize("timezone", ZONES)
@pytest.mark.parametrize("year", [1919, 1993, 2006, 2011, 2013, 2018, 2024])
def test_the_days_of_a_year_join_without_gap_or_overlap(timezone: str, year: int) -> None:
    days = list(days_between(date(year, 1, 1), date(year + 1, 1, 1), timezone))
    windows = [day.window for day in days if day.window]
    assert merge(windows) == [TimeWindow(days[0].start, days[-1].end)]
    assert sum((window.duration for window in windows), timedelta()) == days[-1].end - days[0].start
    skipped = {str(day) for day in days if day.window is None}
    assert skipped <= {"2011-12-30", "1993-08-21"}


@given(st.datetimes(datetime(1900, 1, 1), datetime(2037, 12, 31), timezones=st.just(UTC)), st.sampled_from(ZONES))
@example(datetime(1919, 3, 31, 4, 30, tzinfo=UTC), "America/Toronto")
@example(datetime(2006, 10, 29, 3, 0, tzinfo=UTC), "America/St_Johns")
@example(datetime(2024, 11, 3, 5, 0, tzinfo=UTC), "America/Havana")
def test_every_instant_belongs_to_exactly_one_day(instant: datetime, timezone: str) -> None:
    day = local_day_of(instant, timezone)
    near = (LocalDay(day.date + timedelta(days=offset), timezone) for offset in range(-3, 4))
    assert [other for other in near if other.window and other.window.contains(instant)] == [day]


@given(st.dates(date(1900, 1, 1), date(2037, 12, 31)), st.sampled_from(ZONES))
def test_the_first_instant_is_the_first_of_its_date(day: date, timezone: str) -> None:
    start, tz = first_instant(day, timezone), ZoneInfo(timezone)
    if LocalDay(day, timezone).window:
        assert start.astimezone(tz).date() == day
    assert (start - timedelta(microseconds=1)).astimezone(tz).date() < day


def test_days_between_excludes_the_end() -> None:
    days = days_between(date(2013, 2, 27), date(2013, 3, 2), "UTC")
    assert [str(day) for day in days] == ["2013-02-27", "2013-02-28", "2013-03-01"]
    assert list(days_between(date(2013, 3, 2), date(2013, 3, 2), "UTC")) == []
    assert list(days_between(date(2013, 3, 2), date(2013, 3, 1), "UTC")) == []


@pytest.mark.parametrize("name", ["", "Mars/Olympus", "America", "../UTC", "/etc/localtime", "UTC\0", None, 5])
def test_an_unknown_zone_is_named(name: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"is not a time zone.*Use an IANA name"):
        zone(name)

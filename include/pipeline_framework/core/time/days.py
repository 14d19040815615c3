"""Local calendar days as ranges of UTC instants, right where clocks change, days are skipped or midnight is missing.

A day runs from its first instant to the first instant of the next day, so it has 23, 24 or 25 hours, 23.5, or none.
First instants are computed from the zone's own rules in UTC; wall-clock arithmetic gets several of these days wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from include.pipeline_framework.core.time import zone_rules
from include.pipeline_framework.core.time.offsets import fixed_offset
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import InvalidInputError

_SECOND = timedelta(seconds=1)


@dataclass(frozen=True, order=True, slots=True)
class LocalDay:
    """One calendar date in one time zone: an IANA name, or a fixed offset such as `+05:30`."""

    date: date
    timezone: str

    def __str__(self) -> str:
        return self.date.isoformat()

    @property
    def start(self) -> datetime:
        """Return the first instant of the day (UTC)."""
        return first_instant(self.date, self.timezone)

    @property
    def end(self) -> datetime:
        """Return the first instant of the next day (UTC): the exclusive end of this one."""
        return first_instant(self.date + timedelta(days=1), self.timezone)

    @property
    def window(self) -> TimeWindow | None:
        """Return the whole day, or None where the calendar skips it (Apia had no 30 December 2011)."""
        return _whole_day(self.date, self.timezone)

    def next(self) -> LocalDay:
        """Return the day after this one."""
        return LocalDay(self.date + timedelta(days=1), self.timezone)


def zone(timezone: str) -> ZoneInfo:
    """Return the zone of an IANA name.

    Raises:
        InvalidInputError: There is no such zone.
    """
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError) as error:
        raise InvalidInputError(
            f"{timezone!r} is not a time zone", remedy="Use an IANA name such as UTC or America/New_York."
        ) from error


def rules(timezone: str) -> tzinfo:
    """Return the zone of an IANA name, or of a fixed offset.

    Raises:
        InvalidInputError: It is neither.
    """
    return fixed_offset(timezone) or zone(timezone)


def is_zone(timezone: str) -> bool:
    """True when there is a zone of this name."""
    try:
        zone(timezone)
    except InvalidInputError:
        return False
    return True


@lru_cache(maxsize=65_536)
def first_instant(day: date, timezone: str) -> datetime:
    """Return the first instant (UTC) whose local date is `day`; for a skipped day, the instant at which it was skipped.

    >>> first_instant(date(2011, 12, 30), "Pacific/Apia") == first_instant(date(2011, 12, 31), "Pacific/Apia")
    True
    """
    tz = rules(timezone)
    # fold=0: of two midnights the first; for a missing one, the offset before the gap, which gives the gap's instant
    instant = datetime(day.year, day.month, day.day, tzinfo=tz, fold=0).astimezone(UTC)
    if (instant - _SECOND).astimezone(tz).date() < day:
        return instant
    # The day began inside a gap that starts before midnight (Toronto 1919): look for the jump itself.
    before, after = instant - timedelta(days=1), instant
    while after - before > _SECOND:
        middle = before + (after - before) // 2
        middle -= timedelta(microseconds=middle.microsecond)
        if middle == before:
            break
        before, after = (before, middle) if middle.astimezone(tz).date() >= day else (middle, after)
    return after


@lru_cache(maxsize=65_536)
def _whole_day(day: date, timezone: str) -> TimeWindow | None:
    start, end = first_instant(day, timezone), first_instant(day + timedelta(days=1), timezone)
    return TimeWindow(start, end) if start < end else None


def local_day_of(instant: datetime, timezone: str) -> LocalDay:
    """Return the day whose `[start, end)` contains an aware instant.

    >>> str(local_day_of(datetime(2013, 3, 9, 4, 59, tzinfo=UTC), "America/New_York"))
    '2013-03-08'
    """
    day = LocalDay(instant.astimezone(rules(timezone)).date(), timezone)
    if instant >= day.end:  # a clock set back across midnight repeats the end of the day before
        return LocalDay(day.date + timedelta(days=1), timezone)
    return day


def existing_days(first: date, last: date, timezone: str) -> list[LocalDay]:
    """Return the days from `first` to `last`, both included, in order, without those that the calendar skips.

    >>> [str(day) for day in existing_days(date(2011, 12, 29), date(2011, 12, 31), "Pacific/Apia")]
    ['2011-12-29', '2011-12-31']
    """
    years = (_days_of_year(year, timezone) for year in range(first.year, last.year + 1))
    return [day for of_year in years for day in of_year if first <= day.date <= last]


@lru_cache(maxsize=1_024)
def _days_of_year(year: int, timezone: str) -> tuple[LocalDay, ...]:
    """Return a year's days, cached: sources of one zone share them, so ten years of a thousand sources stay cheap."""
    days = days_between(date(year, 1, 1), date(year + 1, 1, 1), timezone)
    return tuple(day for day in days if day.start < day.end)


def days_between(start: date, end: date, timezone: str) -> Iterator[LocalDay]:
    """Return the days from `start` to `end`, end exclusive."""
    for offset in range((end - start).days):
        yield LocalDay(start + timedelta(days=offset), timezone)


zone_rules.on_change(first_instant.cache_clear)
zone_rules.on_change(_whole_day.cache_clear)
zone_rules.on_change(_days_of_year.cache_clear)

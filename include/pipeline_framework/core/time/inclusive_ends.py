"""Find ends that look inclusive: `23:59:59`, `….999`, `….999999` just before a bound; a window's end is exclusive.

Such a window is legal. But events in the moment that it leaves out belong to another window, which is seldom meant, so
the code that gets such a window says which exclusive end was probably meant.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from include.pipeline_framework.core.time.windows import TimeWindow, iso_utc

STEPS = (timedelta(microseconds=1), timedelta(milliseconds=1), timedelta(seconds=1))
"""The distances between an end written as inclusive and the exclusive one."""


def exclusive_end(end: datetime) -> datetime | None:
    """Return the exclusive end that was meant, if this one looks inclusive: parts of a second just before a full one,
    or the last second of a minute.

    >>> from datetime import UTC
    >>> exclusive_end(datetime(2013, 3, 10, 4, 59, 59, 999_000, tzinfo=UTC)).isoformat()
    '2013-03-10T05:00:00+00:00'
    """
    for step in STEPS:
        later = end + step
        if not later.microsecond and (step < STEPS[-1] or not later.second):
            return later
    return None


def exclusive_length(length: timedelta) -> timedelta:
    """Return the length that a window, whose end may look inclusive, would have with the exclusive end.

    >>> exclusive_length(timedelta(minutes=59, seconds=59)), exclusive_length(timedelta(hours=1))
    (datetime.timedelta(seconds=3600), datetime.timedelta(seconds=3600))
    """
    start = datetime(2000, 1, 1, tzinfo=UTC)
    return (exclusive_end(start + length) or start + length) - start


def hint(window: TimeWindow) -> str:
    """Return a hint for people about a window whose end looks inclusive; empty for others.

    >>> from datetime import UTC
    >>> start = datetime(2013, 3, 9, 5, tzinfo=UTC)
    >>> hint(TimeWindow(start, datetime(2013, 3, 10, 4, 59, 59, tzinfo=UTC))).partition("; ")[2]
    'write 2013-03-10T05:00:00Z to have it in the same window'
    """
    meant = exclusive_end(window.end)
    if meant is None:
        return ""
    return (
        f"the end of {window} looks inclusive, but ends are exclusive: the last {meant - window.end} before "
        f"{iso_utc(meant)} is not in it; write {iso_utc(meant)} to have it in the same window"
    )


def is_left_by_inclusive_end(gap: TimeWindow) -> bool:
    """True when a gap is exactly the time that an end written as inclusive leaves open.

    >>> from datetime import UTC
    >>> midnight = datetime(2013, 3, 10, tzinfo=UTC)
    >>> is_left_by_inclusive_end(TimeWindow(midnight - timedelta(milliseconds=1), midnight))
    True
    """
    return gap.duration in STEPS and exclusive_end(gap.start) == gap.end

"""Cut a window with more rows than wanted into finer ones before it is extracted (adaptive windows)."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from include.pipeline_framework.core.time.durations import Granularity
from include.pipeline_framework.core.time.windows import TimeWindow, tile

MINUTE = timedelta(minutes=1)
LENGTHS = tuple(timedelta(minutes=minutes) for minutes in (720, 360, 240, 180, 120, 60, 30, 20, 15, 10, 5, 2, 1))
"""Lengths of the pieces into which a window may be cut, longest first."""


def minutes_of(window: TimeWindow) -> list[TimeWindow]:
    """Return the window minute by minute; the last piece may be shorter."""
    return list(tile(window, Granularity(0, 60)))


def split(window: TimeWindow, rows_per_minute: Sequence[int], max_rows: int) -> list[TimeWindow]:
    """Return the longest equal pieces (the last may be shorter) none of which has more rows than wanted.

    Where even a minute has more, pieces are a minute long. The pieces tile the window; a window of a minute or less
    is not cut.

    Args:
        window: The window to cut.
        rows_per_minute: The rows of each piece of `minutes_of(window)`.
        max_rows: The most rows that a piece should have.

    >>> from datetime import UTC, datetime
    >>> hour = TimeWindow(datetime(2013, 3, 9, 5, tzinfo=UTC), datetime(2013, 3, 9, 6, tzinfo=UTC))
    >>> [piece.duration.seconds // 60 for piece in split(hour, [10] * 60, 200)]
    [20, 20, 20]
    """
    if window.duration <= MINUTE:
        return [window]
    finer = [length for length in LENGTHS if length < window.duration]
    fitting = (length for length in finer if _max_rows(rows_per_minute, length) <= max_rows)
    length = next(fitting, MINUTE)
    return list(tile(window, Granularity(0, int(length.total_seconds()))))


def _max_rows(rows_per_minute: Sequence[int], length: timedelta) -> int:
    minutes = length // MINUTE
    return max(sum(rows_per_minute[first : first + minutes]) for first in range(0, len(rows_per_minute), minutes))

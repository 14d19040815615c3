"""Find empty windows whose neighbours all have rows: the source more likely shows nothing than had a quiet hour."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from include.pipeline_framework.core.time.windows import TimeWindow

DAYS_AROUND = 7
"""Number of days before and after that are looked at; with 7, the same day of the week is among them."""

FEWEST_NEIGHBOURS = 3
"""With fewer closed neighbours nothing is concluded."""


@dataclass(frozen=True, slots=True)
class UnexpectedlyEmpty:
    """A window without rows, whose neighbours all have some.

    Attributes:
        window: The empty one.
        neighbours: Closed windows of the same local time on the days around it.
        fewest_rows: The rows of the neighbour that has the fewest.
    """

    window: TimeWindow
    neighbours: int
    fewest_rows: int

    def text(self, timezone: str) -> str:
        """Return a text for people."""
        return (
            f"{self.window.local_label(timezone)} is empty, its {self.neighbours} neighbours at the same time of day "
            f"have {self.fewest_rows} rows or more"
        )


def neighbours_of(window: TimeWindow, timezone: str) -> list[TimeWindow]:
    """Return the windows of the same local time on the days around it.

    >>> from datetime import datetime, UTC
    >>> window = TimeWindow(datetime(2013, 3, 10, 9, tzinfo=UTC), datetime(2013, 3, 10, 10, tzinfo=UTC))
    >>> str(neighbours_of(window, "America/New_York")[6].start)
    '2013-03-09 10:00:00+00:00'
    """
    days = [number for number in range(-DAYS_AROUND, DAYS_AROUND + 1) if number]
    found = []
    for number in days:
        start, end = (_moved(bound, number, timezone) for bound in (window.start, window.end))
        if start < end:
            found.append(TimeWindow(start, end))
    return found


def unexpectedly_empty(
    empty: Iterable[TimeWindow], rows_of: Mapping[TimeWindow, int], timezone: str
) -> list[UnexpectedlyEmpty]:
    """Return the empty windows whose known neighbours all have rows, where enough neighbours are known.

    Args:
        empty: Closed windows without rows.
        rows_of: Rows of closed windows, as far as known.
        timezone: The pipeline's time zone.
    """
    found = []
    for window in empty:
        counts = [rows_of[other] for other in neighbours_of(window, timezone) if other in rows_of]
        if len(counts) >= FEWEST_NEIGHBOURS and min(counts) > 0:
            found.append(UnexpectedlyEmpty(window, len(counts), min(counts)))
    return found


def _moved(instant: datetime, days: int, timezone: str) -> datetime:
    """Return the same wall-clock time on another day; on a day of a clock change, the nearest that exists."""
    return (instant.astimezone(ZoneInfo(timezone)) + timedelta(days=days)).astimezone(UTC)

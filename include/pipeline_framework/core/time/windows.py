"""Time windows: half-open `[start, end)` ranges of UTC instants, and the arithmetic that tiles a day with them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from include.pipeline_framework.core.time.durations import Granularity
from include.pipeline_framework.errors import InvalidInputError


@dataclass(frozen=True, order=True, slots=True)
class TimeWindow:
    """Half-open `[start, end)`: an event on a boundary belongs to exactly one window.

    Both instants are kept in UTC whatever zone they came in. Windows are ordered by start, then end.

    >>> from datetime import datetime, UTC
    >>> print(TimeWindow(datetime(2013, 3, 9, 5, tzinfo=UTC), datetime(2013, 3, 9, 6, tzinfo=UTC)))
    2013-03-09T05:00:00Z/2013-03-09T06:00:00Z

    Raises:
        InvalidInputError: An instant has no zone, or the window would be empty.
    """

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            instant = getattr(self, name)
            if instant.tzinfo is None:
                raise InvalidInputError(
                    f"a window's {name} needs a time zone, got {instant!r}", remedy="Pass an aware instant."
                )
            object.__setattr__(self, name, _plain_utc(instant))
        if self.start >= self.end:
            raise InvalidInputError(
                f"a window must end after it starts, got {self}", remedy="Swap the bounds, or leave the window out."
            )

    def __str__(self) -> str:
        """Return the ISO 8601 interval in UTC."""
        return f"{iso_utc(self.start)}/{iso_utc(self.end)}"

    @property
    def duration(self) -> timedelta:
        """Return the elapsed time, not the wall-clock difference."""
        return self.end - self.start

    def contains(self, instant: datetime) -> bool:
        """True when the aware instant lies in `[start, end)`."""
        return self.start <= instant < self.end

    def overlaps(self, other: TimeWindow) -> bool:
        """True when both share at least one instant; touching windows don't."""
        return self.start < other.end and other.start < self.end

    def local_label(self, timezone: str) -> str:
        """Return the window in a pipeline's own time, with its UTC offset, as people see it in Airflow's grid.

        >>> from datetime import datetime, UTC
        >>> window = TimeWindow(datetime(2013, 3, 9, 5, tzinfo=UTC), datetime(2013, 3, 9, 6, tzinfo=UTC))
        >>> window.local_label("America/New_York")
        '2013-03-09 00:00-05:00 → 01:00-05:00'
        """
        start, end = (instant.astimezone(ZoneInfo(timezone)) for instant in (self.start, self.end))
        start_text, end_text = (_as_fine_as_needed(instant) for instant in (start, end))
        return f"{start_text} → {end_text if start.date() != end.date() else end_text[11:]}"


def iso_utc(instant: datetime) -> str:
    """Return ISO 8601 in UTC with a `Z`, with fractions of a second only where there are some.

    >>> from datetime import datetime, UTC
    >>> iso_utc(datetime(2013, 3, 9, 5, tzinfo=UTC))
    '2013-03-09T05:00:00Z'
    """
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat() + "Z"


def tile(window: TimeWindow, granularity: Granularity) -> Iterator[TimeWindow]:
    """Tile one local day's window from its start; the last piece is capped, so that none crosses the end.

    A granularity with a day part covers the whole (local) day, whether it has 23, 24 or 25 hours.
    """
    step = window.duration if granularity.days else timedelta(seconds=granularity.seconds)
    start = window.start
    while start < window.end:
        end = min(start + step, window.end)
        yield TimeWindow(start, end)
        start = end


def tile_count(window: TimeWindow, granularity: Granularity) -> int:
    """Return how many windows `tile` gives.

    >>> from datetime import datetime, UTC
    >>> whole = TimeWindow(datetime(2013, 3, 9, tzinfo=UTC), datetime(2013, 3, 10, tzinfo=UTC))
    >>> [tile_count(whole, step) for step in (Granularity(0, 3_600), Granularity(0, 50_000), Granularity(1, 0))]
    [24, 2, 1]
    """
    return 1 if granularity.days else -(-window.duration // timedelta(seconds=granularity.seconds))


def uncovered(window: TimeWindow, covering: Iterable[TimeWindow]) -> list[TimeWindow]:
    """Return the parts of `window` that no window of `covering` touches, in order.

    >>> from datetime import datetime, UTC
    >>> at = lambda hour: datetime(2013, 1, 1, hour, tzinfo=UTC)
    >>> [str(gap) for gap in uncovered(TimeWindow(at(0), at(4)), [TimeWindow(at(1), at(2))])]
    ['2013-01-01T00:00:00Z/2013-01-01T01:00:00Z', '2013-01-01T02:00:00Z/2013-01-01T04:00:00Z']
    """
    gaps, position = [], window.start
    for other in sorted(covering):
        if other.end <= position or other.start >= window.end:
            continue
        if other.start > position:
            gaps.append(TimeWindow(position, other.start))
        position = other.end
        if position >= window.end:
            return gaps
    gaps.append(TimeWindow(position, window.end))
    return gaps


def merge(windows: Iterable[TimeWindow]) -> list[TimeWindow]:
    """Join windows that overlap or touch; the result is sorted and has a gap between any two."""
    merged: list[TimeWindow] = []
    for window in sorted(windows):
        if merged and window.start <= merged[-1].end:
            merged[-1] = TimeWindow(merged[-1].start, max(merged[-1].end, window.end))
        else:
            merged.append(window)
    return merged


def gapless_prefix_end(window: TimeWindow, covering: Sequence[TimeWindow]) -> datetime | None:
    """Return the end of the stretch from the window's start that `covering` covers without a gap.

    None is returned when the window starts with a gap. The end is never later than the window's.
    """
    gaps = uncovered(window, covering)
    if not gaps:
        return window.end
    return gaps[0].start if gaps[0].start > window.start else None


def _plain_utc(instant: datetime) -> datetime:
    """Return a standard-library datetime in UTC; pendulum's subclass is equal but prints and pickles otherwise."""
    if type(instant) is datetime and instant.tzinfo is UTC and not instant.fold:
        return instant
    utc = instant.astimezone(UTC)
    return datetime(utc.year, utc.month, utc.day, utc.hour, utc.minute, utc.second, utc.microsecond, tzinfo=UTC)


def _as_fine_as_needed(instant: datetime) -> str:
    finest = "microseconds" if instant.microsecond % 1_000 else "milliseconds" if instant.microsecond else "seconds"
    return instant.isoformat(sep=" ", timespec=finest if instant.second or instant.microsecond else "minutes")

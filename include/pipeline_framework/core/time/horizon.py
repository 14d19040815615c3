"""Define a pipeline's horizon: the local days in which it exists."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from include.pipeline_framework.core.time.days import LocalDay, local_day_of
from include.pipeline_framework.core.time.windows import TimeWindow, iso_utc
from include.pipeline_framework.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class Horizon:
    """The local days outside of which nothing is planned, generated, claimed, counted as a gap or alarmed.

    Attributes:
        timezone: IANA name of the zone; both dates are local days in it.
        start_date: First day.
        end_date: First day after the horizon; None: it has no end.
        enabled: When False, no day is inside.
        fill_missing_days: True when days without any live row are planned without being asked for.
    """

    timezone: str
    start_date: date
    end_date: date | None = None
    enabled: bool = True
    fill_missing_days: bool = True

    def refusal(self, day: LocalDay) -> str | None:
        """Return why a day is outside; None when it is inside.

        >>> Horizon("UTC", date(2013, 1, 1)).refusal(LocalDay(date(2012, 12, 31), "UTC"))
        'it lies before start_date 2013-01-01'
        """
        if not self.enabled:
            return "the pipeline is disabled (enabled: false)"
        if day.date < self.start_date:
            return f"it lies before start_date {self.start_date}"
        if self.end_date is not None and day.date >= self.end_date:
            return f"it lies at or after end_date {self.end_date} (exclusive)"
        return None

    def require(self, day: LocalDay, source_object: str) -> None:
        """Refuse a day that somebody asked for explicitly.

        Raises:
            InvalidInputError: The day is outside; the message says why.
        """
        reason = self.refusal(day)
        if reason:
            raise InvalidInputError(
                f"{day} is outside the pipeline's horizon: {reason}",
                where=source_object,
                meaning="Nothing was planned or claimed",
                remedy="Ask for a day inside it, or change the dates in the pipeline's YAML file.",
            )

    def require_not_future(self, window: TimeWindow, now: datetime, source_object: str) -> None:
        """Refuse to plan time after local tomorrow: it is nearly always a mistake; `allow_future` permits it.

        Raises:
            InvalidInputError: The window ends after the end of tomorrow.
        """
        tomorrow = local_day_of(now, self.timezone).next()
        if window.end > tomorrow.end:
            last = local_day_of(window.end - timedelta(microseconds=1), self.timezone)
            raise InvalidInputError(
                f"{last} lies after tomorrow, {tomorrow}, which ends at {iso_utc(tomorrow.end)}",
                where=source_object,
                meaning="Nothing was planned, claimed or changed: a day that far ahead is mostly a slip of the pen",
                remedy=(
                    'Correct the date. If it is meant, say so: "allow_future": true in a conf, --allow-future on the '
                    "command line, allow_future=True in Python."
                ),
            )

    def clip(self, window: TimeWindow) -> TimeWindow | None:
        """Return the part of a window inside the horizon, or None."""
        if not self.enabled:
            return None
        start = max(window.start, LocalDay(self.start_date, self.timezone).start)
        end = window.end if self.end_date is None else min(window.end, LocalDay(self.end_date, self.timezone).start)
        return TimeWindow(start, end) if start < end else None

    def days(self, window: TimeWindow) -> list[LocalDay]:
        """Return the days inside the horizon that share time with a window, in order, without skipped days."""
        clipped = self.clip(window)
        if clipped is None:
            return []
        first, last = (local_day_of(i, self.timezone) for i in (clipped.start, clipped.end - timedelta(microseconds=1)))
        candidates = (
            LocalDay(first.date + timedelta(days=n), self.timezone) for n in range((last.date - first.date).days + 1)
        )
        return [day for day in candidates if day.window]

"""How complete a source's days are: what was planned, what is done, and what is missing of what should be there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from include.pipeline_framework.core.records.row import Status
from include.pipeline_framework.core.time.days import LocalDay, existing_days
from include.pipeline_framework.core.time.durations import Granularity
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.core.time.windows import iso_utc


class DayState(StrEnum):
    """The state of a day, the worst first."""

    FAILED = "failed"
    MISSING = "missing"
    WAITING = "waiting"
    RUNNING = "running"
    COMPLETE = "complete"
    NOT_DUE = "not due"
    NOT_ASKED = "not asked for"


@dataclass(frozen=True, slots=True)
class CompletenessScope:
    """The days of a source that are looked at.

    Attributes:
        source_object: The ledger's key.
        horizon: Days outside of it are not looked at.
        granularity: Length of a window, which tells how many a day without rows would have.
        settled_at: What ended by then is due.
        first: First local day.
        last: Last local day, inclusive.
    """

    source_object: str
    horizon: Horizon
    granularity: Granularity
    settled_at: datetime
    first: date
    last: date

    @property
    def days(self) -> list[LocalDay]:
        """Return the days inside the horizon, in order, without days that the calendar skips."""
        horizon, last = self.horizon, self.last
        if not horizon.enabled:
            return []
        if horizon.end_date is not None:
            last = min(last, horizon.end_date - timedelta(days=1))
        first = max(self.first, horizon.start_date)
        return existing_days(first, last, horizon.timezone) if first <= last else []


@dataclass(frozen=True, slots=True)
class StatusCount:
    """Live rows of one local day that have one status.

    Attributes:
        due: How many of them ended by the scope's `settled_at`.
        covered: The elapsed time of all of them together.
    """

    source_object: str
    target_day: date
    status: str
    windows: int
    due: int
    covered: timedelta


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers of windows, of a day or of several."""

    completed: int = 0
    skipped: int = 0
    running: int = 0
    failed: int = 0
    waiting: int = 0
    not_due: int = 0
    missing: int = 0

    def __add__(self, other: Figures) -> Figures:
        return Figures(*(getattr(self, name) + getattr(other, name) for name in Figures.__slots__))

    @property
    def windows(self) -> int:
        """Return the number of windows in the ledger."""
        return self.completed + self.skipped + self.running + self.failed + self.waiting + self.not_due

    def as_dict(self) -> dict[str, int]:
        """Return all numbers by name."""
        return {"windows": self.windows, **{name: getattr(self, name) for name in Figures.__slots__}}


@dataclass(frozen=True, slots=True)
class DayCompleteness:
    """One local day."""

    day: date
    state: DayState
    figures: Figures

    def as_dict(self) -> dict[str, Any]:
        """Return plain values."""
        return {"day": self.day.isoformat(), "state": self.state.value, **self.figures.as_dict()}


@dataclass(frozen=True, slots=True)
class Completeness:
    """The days of one source.

    Attributes:
        behind_since: Start of the oldest window, on any day, that is due and not finished; None: there is none.
    """

    scope: CompletenessScope
    days: tuple[DayCompleteness, ...]
    behind_since: datetime | None

    @property
    def figures(self) -> Figures:
        """Return the sums over all days."""
        return sum((day.figures for day in self.days), Figures())

    @property
    def is_whole(self) -> bool:
        """True when no window of these days has failed or is missing."""
        return not self.days_in(DayState.FAILED, DayState.MISSING)

    def days_in(self, *states: DayState) -> list[DayCompleteness]:
        """Return the days in any of these states."""
        return [day for day in self.days if day.state in states]

    def as_dict(self) -> dict[str, Any]:
        """Return plain values; instants as ISO 8601 in UTC."""
        states = {state.value: len(self.days_in(state)) for state in DayState}
        return {
            "source_object": self.scope.source_object,
            "timezone": self.scope.horizon.timezone,
            "from": self.scope.first.isoformat(),
            "to": self.scope.last.isoformat(),
            "behind_since": iso_utc(self.behind_since) if self.behind_since else None,
            "figures": self.figures.as_dict(),
            "days_by_state": states,
            "days": [day.as_dict() for day in self.days],
        }


def completeness(
    scope: CompletenessScope, counts: Iterable[StatusCount], behind_since: datetime | None = None
) -> Completeness:
    """Return every day's state and numbers, from the counts of the scope's source."""
    by_day: dict[date, list[StatusCount]] = defaultdict(list)
    for count in counts:
        by_day[count.target_day].append(count)
    days = (_day(scope, day, by_day.get(day.date, ())) for day in scope.days)
    return Completeness(scope, tuple(days), behind_since)


def by_month(days: Sequence[DayCompleteness]) -> dict[tuple[int, int], list[DayCompleteness]]:
    """Return the days by year and month, in order."""
    months: dict[tuple[int, int], list[DayCompleteness]] = defaultdict(list)
    for day in days:
        months[day.day.year, day.day.month].append(day)
    return dict(months)


def sentence(days: Sequence[DayCompleteness]) -> str:
    """Return how complete some days are, and what is not.

    >>> whole = DayCompleteness(date(2013, 3, 9), DayState.COMPLETE, Figures(completed=24))
    >>> holed = DayCompleteness(date(2013, 3, 10), DayState.MISSING, Figures(completed=20, missing=3))
    >>> sentence([whole, holed])
    '1 of 2 days, 44 windows, 3 missing'
    """
    figures = sum((day.figures for day in days), Figures())
    counted = [day for day in days if day.state not in (DayState.NOT_DUE, DayState.NOT_ASKED)]
    whole = sum(day.state is DayState.COMPLETE for day in counted)
    windows = f"{figures.windows:,} window{'' if figures.windows == 1 else 's'}"
    parts = [f"{whole:,} of {len(counted):,} days", windows]
    for name in ("missing", "failed", "waiting", "running", "not_due"):
        if number := getattr(figures, name):
            parts.append(f"{number:,} {name.replace('_', ' ')}")
    not_asked = sum(day.state is DayState.NOT_ASKED for day in days)
    if not_asked:
        parts.append(f"{not_asked:,} {'day' if not_asked == 1 else 'days'} not asked for")
    return ", ".join(parts)


def _day(scope: CompletenessScope, day: LocalDay, counts: Sequence[StatusCount]) -> DayCompleteness:
    windows, due = defaultdict[str, int](int), defaultdict[str, int](int)
    for count in counts:
        windows[count.status] += count.windows
        due[count.status] += count.due
    uncovered = (day.end - day.start) - sum((count.covered for count in counts), timedelta())
    is_due = day.end <= scope.settled_at
    is_asked = bool(counts) or scope.horizon.fill_missing_days
    figures = Figures(
        completed=windows[Status.COMPLETED],
        skipped=windows[Status.SKIPPED],
        running=windows[Status.IN_PROGRESS],
        failed=windows[Status.FAILED],
        waiting=due[Status.PENDING],
        not_due=windows[Status.PENDING] - due[Status.PENDING],
        missing=_missing(scope.granularity, day, uncovered) if is_due and is_asked else 0,
    )
    return DayCompleteness(day.date, _state(figures, is_due=is_due, is_asked=is_asked), figures)


def _missing(granularity: Granularity, day: LocalDay, uncovered: timedelta) -> int:
    """Return how many windows the time without rows would have; a part of one counts as one."""
    step = day.end - day.start if granularity.days else timedelta(seconds=granularity.seconds)
    return -(-uncovered // step)


def _state(figures: Figures, *, is_due: bool, is_asked: bool) -> DayState:
    if not is_asked:
        return DayState.NOT_ASKED
    for state in (DayState.FAILED, DayState.MISSING, DayState.WAITING, DayState.RUNNING):
        if getattr(figures, state.value):
            return state
    return DayState.COMPLETE if is_due and not figures.not_due else DayState.NOT_DUE

"""Find days that were planned with other time zone rules than the present ones, and replace their windows.

Governments change clocks, and the rules' package follows. A row keeps the version that it was planned with. When a day
now begins or ends at another instant, its windows that no run has begun give way to the present grid. The old bounds of
a day are read from its rows, because the old rules are no longer installed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from include.pipeline_framework.core.continuity.remediation import own_granularity
from include.pipeline_framework.core.continuity.state_facts import StateRow
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.planning import DayPlan, plan_day
from include.pipeline_framework.core.records.row import Status
from include.pipeline_framework.core.time.days import LocalDay, local_day_of
from include.pipeline_framework.core.time.durations import Granularity
from include.pipeline_framework.core.time.windows import TimeWindow, merge

_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)
_SHOWN = 3


@dataclass(frozen=True, slots=True)
class DayStamp:
    """Live rows of one local day that were planned with one version of the rules.

    Attributes:
        day: Their `target_day`.
        zone_rules: The version; None: the rows don't say.
        start: Start of the first of them.
        end: End of the last one.
        rows: The number of rows.
    """

    day: date
    zone_rules: str | None
    start: datetime
    end: datetime
    rows: int


@dataclass(frozen=True, slots=True)
class PlannedRow:
    """The facts of a live row that are needed before it gives way.

    Attributes:
        may_go: True when it is PENDING and the target holds nothing of it.
    """

    id: int
    window: TimeWindow
    day: date
    zone_rules: str | None
    status: str
    may_go: bool

    @classmethod
    def of(cls, row: LedgerRow) -> PlannedRow:
        """Make it from a row of the ledger."""
        known = StateRow.of(row.as_record())
        may_go = row.pipeline_final_status == Status.PENDING and not known.may_have_loaded
        return cls(row.id, row.window, row.target_day, row.zone_rules, row.pipeline_final_status, may_go)


@dataclass(frozen=True, slots=True)
class Replan:
    """Rows that give way and the windows that replace them, without a gap, in one transaction.

    Attributes:
        rows: The rows that give way.
        plans: The plan of every day that gets windows; each plan's `missing` windows are inserted.
        reason: A text for people and for the rows' events.
    """

    rows: tuple[PlannedRow, ...]
    plans: tuple[DayPlan, ...]
    reason: str

    @property
    def windows(self) -> list[TimeWindow]:
        """Return the windows to insert, in order."""
        return [window for plan in self.plans for window in plan.missing]


@dataclass(frozen=True, slots=True)
class ReplanScope:
    """A source, and the time from which its windows may be planned again.

    Attributes:
        timezone: The time zone of its days.
        granularity: The configured one; a day that was planned with another one keeps that.
        zone_rules: The present version of the rules.
        since: Windows that end by then stay unchanged.
        refusal: Returns why a day can't be planned; None when it can.
    """

    timezone: str
    granularity: Granularity
    zone_rules: str
    since: datetime
    refusal: Callable[[LocalDay], str | None]


def newest(stamps: Iterable[DayStamp]) -> str | None:
    """Return the newest version that any row was planned with; None when no row says."""
    return max((stamp.zone_rules for stamp in stamps if stamp.zone_rules), default=None)


def changed_days(stamps: Iterable[DayStamp], timezone: str) -> dict[date, str]:
    """Return days whose rows show other bounds than the present rules give, each with the difference, for people.

    Rows show a bound where they reach across the present one, and where those of two days meet. A day of which only a
    part is planned may show none: it stays unchanged.

    >>> from datetime import UTC
    >>> at = lambda day, hour: datetime(2013, 1, day, hour, tzinfo=UTC)
    >>> changed_days([DayStamp(date(2013, 1, 2), "2012a", at(2, 1), at(3, 1), 24)], "UTC")
    {datetime.date(2013, 1, 2): 'the day 2013-01-02 ends at 00:00Z, not 01:00Z'}
    """
    spans, found = _spans(stamps), {}
    for day, (start, end) in spans.items():
        _, before = spans.get(day - _DAY, (None, None))
        after, _ = spans.get(day + _DAY, (None, None))
        if what := _difference(LocalDay(day, timezone), start, end, meets=(before == start, after == end)):
            found[day] = what
    return found


def held_days(stamps: Sequence[DayStamp], timezone: str, zone_rules: str) -> dict[date, str]:
    """Return days that a process with these rules must not plan: rows of newer rules show other bounds there or beside.

    Each has the reason. With the newest rules there are none. A day that the ledger does not know yet can't be found.
    """
    newer = [stamp for stamp in stamps if stamp.zone_rules and stamp.zone_rules > zone_rules]
    spans, changed = _spans(newer), changed_days(newer, timezone)
    held = dict(changed)
    for day, what in changed.items():
        sides = [day + _DAY] + [day - _DAY] * (spans[day][0] < LocalDay(day, timezone).start)
        for beside in (side for side in sides if side not in spans):
            held[beside] = f"it lies beside a day that differs: {what}"
    return held


def replan(changed: Mapping[date, str], rows: Sequence[PlannedRow], scope: ReplanScope) -> list[Replan]:
    """Return what replaces the windows of changed days that no run has begun.

    All windows of the old grid give way, because columns derived from local time have other values now. A window that a
    person asked for, and that still lies within its day, stays; so does every window that is no longer PENDING: only
    uncovered time is planned. The days on both sides are filled, if they have any rows.

    Args:
        changed: See `changed_days`.
        rows: All live rows of these days and of the days beside them.
        scope: The source.
    """
    going = [row for day in changed for row in _leaving(day, rows, scope) if row.may_go]
    ids = {row.id for row in going}
    staying = [row.window for row in rows if row.id not in ids]
    has_rows = {row.day for row in rows}
    touched = {day for row in going for day in (LocalDay(row.day, scope.timezone), *_days_of(row.window, scope))}
    plans = [
        plan_day(day, scope.granularity, [w for w in staying if w.overlaps(day.window)], _usual(day, rows, scope))
        for day in sorted(touched)
        if day.date in has_rows and day.window and not scope.refusal(day)
    ]
    stretches = merge([*(row.window for row in going), *(window for plan in plans for window in plan.missing)])
    found = [_of_stretch(stretch, going, plans, changed, scope) for stretch in stretches]
    return [each for each in found if each.rows]


def left_as_they_are(changed: Mapping[date, str], rows: Sequence[PlannedRow], scope: ReplanScope) -> dict[date, str]:
    """Return for each changed day a text about the windows of the old grid that stay: they are begun or finished."""
    found = {}
    for day in changed:
        stuck = [row for row in _leaving(day, rows, scope) if not row.may_go]
        if stuck:
            numbers = ", ".join(f"{count} {status}" for status, count in Counter(row.status for row in stuck).items())
            found[day] = (
                f"{numbers} of its windows stay as they are, such as row {stuck[0].id} {stuck[0].window}; "
                "only what they leave open is planned"
            )
    return found


def _spans(stamps: Iterable[DayStamp]) -> dict[date, tuple[datetime, datetime]]:
    """Return from which instant to which the rows of each day reach."""
    spans: dict[date, tuple[datetime, datetime]] = {}
    for stamp in stamps:
        start, end = spans.get(stamp.day, (stamp.start, stamp.end))
        spans[stamp.day] = min(start, stamp.start), max(end, stamp.end)
    return spans


def _difference(day: LocalDay, start: datetime, end: datetime, *, meets: tuple[bool, bool]) -> str:
    if day.window is None:
        return f"the calendar has no {day} any more"
    if start < day.start or (meets[0] and start != day.start):
        return f"the day {day} starts at {day.start:%H:%MZ}, not {start:%H:%MZ}"
    if end > day.end or (meets[1] and end != day.end):
        return f"the day {day} ends at {day.end:%H:%MZ}, not {end:%H:%MZ}"
    return ""


def _leaving(day: date, rows: Iterable[PlannedRow], scope: ReplanScope) -> list[PlannedRow]:
    """Return the rows of a changed day that no longer fit: they are of its old grid, or cross its present bounds."""
    local = LocalDay(day, scope.timezone)
    old = [row for row in rows if row.day == day and row.zone_rules != scope.zone_rules]
    if not old:
        return []
    span = TimeWindow(min(row.window.start for row in old), max(row.window.end for row in old))
    step = _usual(local, old, scope)
    return [
        row
        for row in old
        if row.window.end > scope.since and (_is_of_grid(row.window, span, step) or not _is_inside(row.window, local))
    ]


def _is_inside(window: TimeWindow, day: LocalDay) -> bool:
    return day.start <= window.start and window.end <= day.end


def _is_of_grid(window: TimeWindow, span: TimeWindow, step: Granularity) -> bool:
    """True when a window is one of those that tile the span."""
    if step.days:
        return window == span
    length = timedelta(seconds=step.seconds)
    is_whole = window.duration == length or (window.end == span.end and window.duration < length)
    return is_whole and not (window.start - span.start) % length


def _usual(day: LocalDay, rows: Iterable[PlannedRow], scope: ReplanScope) -> Granularity:
    return own_granularity(day, [row.window for row in rows if row.day == day.date], scope.granularity)


def _days_of(window: TimeWindow, scope: ReplanScope) -> list[LocalDay]:
    """Return the present days that share time with a window."""
    last, days = local_day_of(window.end - _INSTANT, scope.timezone), [local_day_of(window.start, scope.timezone)]
    while days[-1] < last:
        days.append(days[-1].next())
    return days


def _of_stretch(
    stretch: TimeWindow,
    going: Sequence[PlannedRow],
    plans: Sequence[DayPlan],
    changed: Mapping[date, str],
    scope: ReplanScope,
) -> Replan:
    rows = tuple(sorted((row for row in going if row.window.overlaps(stretch)), key=lambda row: row.window))
    parts = [replace(plan, missing=tuple(w for w in plan.missing if w.overlaps(stretch))) for plan in plans]
    texts = [changed[day] for day in sorted({row.day for row in rows})]
    more = f"; and so on for {len(texts) - _SHOWN} more days" if len(texts) > _SHOWN else ""
    named = sorted({row.zone_rules or "" for row in rows})
    old = ", ".join(version or "a version that rows don't tell" for version in named)
    reason = f"zone rules changed from {old} to {scope.zone_rules}: {'; '.join(texts[:_SHOWN])}{more}"
    return Replan(rows, tuple(part for part in parts if part.missing), reason)

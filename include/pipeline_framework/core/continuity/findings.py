"""Judge the continuity of a state table: find where its rows leave gaps, overlap, cross a day or drift.

A store reads `StateFacts` in a few set-based statements; `analyse` (phase 1 of requirement 4) and `find` (phases 2 and
3) judge them without any I/O, and `core.remediation` (phase 4) turns findings into a plan. Nothing outside a scope's
days is looked at, so an unplanned future is no gap. A past day without any row is a gap from the horizon's start on;
where days are planned only on request, it is only counted.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from include.pipeline_framework.core.continuity.state_facts import DurationGroup, StateFacts, StateRow
from include.pipeline_framework.core.time.days import LocalDay, local_day_of
from include.pipeline_framework.core.time.durations import elapsed_text
from include.pipeline_framework.core.time.inclusive_ends import is_left_by_inclusive_end
from include.pipeline_framework.core.time.windows import TimeWindow, iso_utc, merge, uncovered

_DAY = timedelta(days=1)
_TELLING = timedelta(hours=2)
"""Rows that cover less time than this say nothing about a day's own granularity."""


class Kind(StrEnum):
    """Names what is wrong."""

    MISSING_DAY = "missing_day"
    GAP_START = "gap_start"
    GAP_MIDDLE = "gap_middle"
    GAP_END = "gap_end"
    OVERLAP = "overlap"
    DUPLICATE = "duplicate"
    CROSSES_DAY = "crosses_day"
    GRANULARITY_DRIFT = "granularity_drift"


class Verdict(StrEnum):
    """Says what is done: the time is planned, the row stays, the row is invalidated, or a person is informed."""

    INSERT = "insert"
    KEEP = "keep"
    INVALIDATE = "invalidate"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class Analysis:
    """The result of phase 1: how a source has been processed so far.

    Attributes:
        days_looked_at: Number of days of the scope; `days_covered` of them have rows.
        days_on_request: Number of days without any row that are planned only when somebody asks for them.
        windows: Number of live rows, without those that cross a day.
        windows_completed: Number of windows that are COMPLETED, or SKIPPED with proof.
        windows_per_day: For each number of windows, how many days have it: `{24: 363, 23: 1, 25: 1}`.
        durations: Number of windows by `source_query_window_duration_minutes`.
        dominant: The length that most windows have; None without rows.
        dominant_by_time: The length that covers most of the time.
        dominant_per_day: For each day with rows, the length that most of its windows have.
    """

    source_object: str
    days_looked_at: int
    days_covered: int
    days_on_request: int
    windows: int
    windows_completed: int
    windows_per_day: Mapping[int, int]
    durations: Mapping[float, int]
    dominant: timedelta | None
    dominant_by_time: timedelta | None
    dominant_per_day: Mapping[date, timedelta]
    first_window_start_at: datetime | None
    last_window_end_at: datetime | None

    def as_dict(self) -> dict[str, Any]:
        """Return a small JSON value without figures per day."""
        first, last, dominant = self.first_window_start_at, self.last_window_end_at, self.dominant
        return {
            "source_object": self.source_object,
            "days_looked_at": self.days_looked_at,
            "days_covered": self.days_covered,
            "days_on_request": self.days_on_request,
            "windows": self.windows,
            "windows_completed": self.windows_completed,
            "windows_per_day": {str(count): days for count, days in sorted(self.windows_per_day.items())},
            "durations_minutes": {f"{minutes:g}": count for minutes, count in sorted(self.durations.items())},
            "dominant_granularity": elapsed_text(dominant) if dominant else None,
            "dominant_granularity_by_time": elapsed_text(self.dominant_by_time) if self.dominant_by_time else None,
            "first_window_start_at": iso_utc(first) if first else None,
            "last_window_end_at": iso_utc(last) if last else None,
        }


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or one row that won or lost a conflict.

    Attributes:
        day: The local day to which it belongs.
        window: The missing time, or the row's own window; for drift, from the first odd window to the last.
        rows: Row ids; the row that the decision is about comes first, then those it was compared with.
        reason: A text for people; it is kept in events.
    """

    kind: Kind
    source_object: str
    day: date
    window: TimeWindow
    rows: tuple[int, ...]
    decision: Verdict
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Return JSON: instants in ISO UTC, the day local."""
        return {
            "kind": self.kind.value,
            "source_object": self.source_object,
            "day": self.day.isoformat(),
            "start": iso_utc(self.window.start),
            "end": iso_utc(self.window.end),
            "rows": list(self.rows),
            "decision": self.decision.value,
            "reason": self.reason,
        }


def analyse(facts: StateFacts) -> Analysis:
    """Do phase 1 for one source."""
    by_day: dict[date, list[DurationGroup]] = defaultdict(list)
    for group in facts.groups:
        by_day[group.day].append(group)
    dominant = _dominant(facts.groups)
    durations: dict[float, int] = defaultdict(int)
    per_day: dict[int, int] = defaultdict(int)
    for group in facts.groups:
        durations[group.duration.total_seconds() / 60] += group.windows
    for groups in by_day.values():
        per_day[sum(group.windows for group in groups)] += 1
    return Analysis(
        source_object=facts.scope.source_object,
        days_looked_at=len(facts.days),
        days_covered=len(by_day),
        days_on_request=facts.days_on_request,
        windows=sum(durations.values()),
        windows_completed=facts.completed,
        windows_per_day=dict(per_day),
        durations=dict(durations),
        dominant=dominant,
        dominant_by_time=_dominant(facts.groups, by_time=True),
        dominant_per_day={day: dominant_of_day(groups, dominant) for day, groups in by_day.items() if dominant},
        first_window_start_at=facts.first_window_start_at,
        last_window_end_at=facts.last_window_end_at,
    )


def coverage(analyses: Iterable[Analysis]) -> str:
    """Return how much is covered, for people: no findings does not mean that anything is loaded."""
    known = list(analyses)
    looked_at, covered, on_request, windows, completed = (
        sum(getattr(analysis, name) for analysis in known)
        for name in ("days_looked_at", "days_covered", "days_on_request", "windows", "windows_completed")
    )
    return (
        f"{covered} of {looked_at} days have rows, {on_request} days are planned only on request "
        f"(fill_missing_days: false); {completed} of {windows} windows are COMPLETED"
    )


def drifting_days(facts: StateFacts, analysis: Analysis) -> list[LocalDay]:
    """Return the days with a window of another length than the source's dominant one.

    The last window of a day may be shorter (it is capped); a window that is a whole local day may have any length
    where the dominant one is a day.
    """
    odd = {group.day for group in facts.groups if not _fits(group, facts.scope.timezone, analysis.dominant)}
    return [day for day in facts.days if day.date in odd]


def find(facts: StateFacts, analysis: Analysis, rows_of_drift: Iterable[tuple[int, TimeWindow]] = ()) -> list[Finding]:
    """Do phases 2 and 3: return everything that is wrong with one source, by day, then by start.

    Args:
        facts: The source's facts from the store.
        analysis: The analysis of the same facts.
        rows_of_drift: Id and window of every live row of `drifting_days`.
    """
    found = [*_gaps(facts), *_crossing(facts), *_conflicts(facts), *_drift(facts, analysis, rows_of_drift)]
    return sorted(found, key=lambda finding: (finding.day, finding.window, finding.kind.value, finding.rows))


def prioritise(rows: Iterable[StateRow]) -> list[StateRow]:
    """Do phase 3: return rows in the order in which they may stay, best first.

    Completed before incomplete; then the most recently updated; then the most recently inserted; then the earlier
    start; then the longer window; then the lower id.
    """
    return sorted(
        rows,
        key=lambda row: (
            not row.is_complete,
            -row.updated_at.timestamp(),
            -row.inserted_at.timestamp(),
            row.window.start,
            -row.window.duration,
            row.id,
        ),
    )


def decide_conflicts(rows: Sequence[StateRow]) -> dict[int, list[StateRow]]:
    """Return the rows to invalidate, each with the rows that stay in its place: no two rows that stay overlap."""
    neighbours = _neighbours(rows)
    kept: set[int] = set()
    losers: dict[int, list[StateRow]] = {}
    for row in prioritise(rows):
        winners = [other for other in neighbours[row.id] if other.id in kept]
        if winners:
            losers[row.id] = winners
        else:
            kept.add(row.id)
    return losers


def removed_time(facts: StateFacts, gone: Iterable[StateRow]) -> list[TimeWindow]:
    """Return the time that only `gone` rows cover, in order, joined where it touches."""
    going = {row.id: row for row in gone}
    staying = [row.window for row in facts.contested if row.id not in going]
    pieces = [piece for row in going.values() for piece in uncovered(row.window, staying)]
    return merge(pieces)


def split_by_day(window: TimeWindow, timezone: str) -> list[tuple[LocalDay, TimeWindow]]:
    """Return a window's parts, each with the local day in which it lies, in order."""
    parts, start = [], window.start
    while start < window.end:
        day = local_day_of(start, timezone)
        end = min(day.end, window.end)
        parts.append((day, TimeWindow(start, end)))
        start = end
    return parts


def _gaps(facts: StateFacts) -> list[Finding]:
    scope, tomorrow, found = facts.scope, facts.scope.tomorrow, []
    for gap in facts.gaps:
        for number in facts.days_of(gap):
            day = facts.days[number]
            part = TimeWindow(max(gap.start, day.start), min(gap.end, day.end))
            kind, reason = _gap_kind(day, part)
            if is_left_by_inclusive_end(part):
                reason += f"; the row before it ends at {iso_utc(part.start)}, as if its end were inclusive"
            decision = Verdict.INSERT
            if tomorrow is not None and day > tomorrow:
                decision, reason = (
                    Verdict.REPORT,
                    f"{reason}; it lies after tomorrow: planned when somebody asks for it",
                )
            found.append(Finding(kind, scope.source_object, day.date, part, (), decision, reason))
    return found


def _gap_kind(day: LocalDay, part: TimeWindow) -> tuple[Kind, str]:
    if (part.start, part.end) == (day.start, day.end):
        return Kind.MISSING_DAY, "no row covers any of the day"
    if part.start == day.start:
        return Kind.GAP_START, "no row covers the start of the day"
    if part.end == day.end:
        return Kind.GAP_END, "no row covers the end of the day"
    return Kind.GAP_MIDDLE, "no row covers the time between two others"


def _crossing(facts: StateFacts) -> list[Finding]:
    scope, found = facts.scope, []
    for row in facts.crossing:
        day = local_day_of(row.window.start, scope.timezone)
        decision, reason = Verdict.INVALIDATE, f"it reaches beyond {day}, which ends at {iso_utc(day.end)}"
        if row.is_held:
            decision, reason = Verdict.REPORT, f"{reason}; a run is moving it right now"
        found.append(Finding(Kind.CROSSES_DAY, scope.source_object, day.date, row.window, (row.id,), decision, reason))
    return found


def _conflicts(facts: StateFacts) -> list[Finding]:
    scope, found = facts.scope, []
    crossing = {row.id for row in facts.crossing}
    rows = [row for row in facts.contested if row.id not in crossing]
    neighbours, losers = _neighbours(rows), decide_conflicts(rows)
    for row in rows:
        others = losers.get(row.id) or prioritise(neighbours[row.id])
        if not others:  # it overlaps only rows that cross a day
            continue
        same = all(other.window == row.window for other in neighbours[row.id])
        day = local_day_of(row.window.start, scope.timezone).date
        is_loser = row.id in losers
        reason = _why(*(others[0], row) if is_loser else (row, others[0]))
        found.append(
            Finding(
                Kind.DUPLICATE if same else Kind.OVERLAP,
                scope.source_object,
                day,
                row.window,
                (row.id, *(other.id for other in others)),
                Verdict.INVALIDATE if is_loser else Verdict.KEEP,
                reason,
            )
        )
    return found


def _neighbours(rows: Sequence[StateRow]) -> dict[int, list[StateRow]]:
    """Return for each row the others that it overlaps."""
    found: dict[int, list[StateRow]] = {row.id: [] for row in rows}
    open_rows: list[StateRow] = []
    for row in sorted(rows, key=lambda row: (row.window, row.id)):
        open_rows = [other for other in open_rows if other.window.end > row.window.start]
        for other in open_rows:
            found[row.id].append(other)
            found[other.id].append(row)
        open_rows.append(row)
    return found


def _why(winner: StateRow, loser: StateRow) -> str:
    if winner.is_complete != loser.is_complete:
        return f"row {winner.id} is {winner.status}, row {loser.id} is {loser.status}"
    complete = "complete" if winner.is_complete else "incomplete"
    if winner.updated_at != loser.updated_at:
        times = f"{iso_utc(winner.updated_at)} after {iso_utc(loser.updated_at)}"
        return f"both are {complete}; row {winner.id} was updated last, {times}"
    if winner.inserted_at != loser.inserted_at:
        return f"both are {complete} and updated at once; row {winner.id} was inserted last"
    return f"both are {complete} and equally old; row {winner.id} starts earlier, is longer or has the lower id"


def _drift(facts: StateFacts, analysis: Analysis, rows_of_drift: Iterable[tuple[int, TimeWindow]]) -> list[Finding]:
    scope, dominant = facts.scope, analysis.dominant
    if dominant is None:
        return []
    usual = elapsed_text(dominant)
    odd: dict[LocalDay, list[tuple[int, TimeWindow]]] = defaultdict(list)
    decided = {row.id for row in (*facts.crossing, *facts.contested)}  # their length is the smaller problem
    for row_id, window in rows_of_drift:
        day = local_day_of(window.start, scope.timezone)
        group = DurationGroup(day.date, window.duration, 1, window.end == day.end)
        if row_id not in decided and not _fits(group, scope.timezone, dominant):
            odd[day].append((row_id, window))
    found = []
    for day, rows in odd.items():
        lengths = sorted({window.duration for _, window in rows})
        shown = ", ".join(elapsed_text(length) for length in lengths[:5]) + (" and others" if len(lengths) > 5 else "")
        extent = TimeWindow(min(w.start for _, w in rows), max(w.end for _, w in rows))
        reason = f"{len(rows)} windows of {shown}, where {usual} is the source's dominant granularity"
        ids = tuple(row_id for row_id, _ in rows)
        found.append(
            Finding(Kind.GRANULARITY_DRIFT, scope.source_object, day.date, extent, ids, Verdict.REPORT, reason)
        )
    return found


def _fits(group: DurationGroup, timezone: str, dominant: timedelta | None) -> bool:
    if dominant is None or group.duration == dominant:
        return True
    if _may_be_capped(group, dominant):
        return True
    day = LocalDay(group.day, timezone).window
    return dominant == _DAY and day is not None and group.duration == day.duration


def _may_be_capped(group: DurationGroup, dominant: timedelta) -> bool:
    return group.ends_day and group.windows == 1 and group.duration < dominant


def _dominant(groups: Iterable[DurationGroup], *, by_time: bool = False) -> timedelta | None:
    """Return the length of most windows, or of most time; the other figure decides between equals, then the length."""
    windows: Counter[timedelta] = Counter()
    for group in groups:
        windows[group.duration] += group.windows

    def figures(length: timedelta) -> tuple[Any, ...]:
        number, covered = windows[length], length * windows[length]
        return (covered, number, length) if by_time else (number, covered, length)

    return max(windows, key=figures, default=None)


def dominant_of_day(groups: Sequence[DurationGroup], overall: timedelta) -> timedelta:
    """Return a day's dominant length; a few small rows, and a last window that may be capped, say nothing about it."""
    telling = [group for group in groups if not _may_be_capped(group, overall)]
    own = _dominant(telling)
    covered = sum((group.duration * group.windows for group in telling if group.duration == own), timedelta())
    return own if own is not None and covered >= min(overall, _TELLING) else overall

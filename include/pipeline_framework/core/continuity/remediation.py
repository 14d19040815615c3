"""Do phase 4 of requirement 4: turn findings into a plan, without writing anything.

A gap gets windows of its day's own granularity, else of the source's dominant one, else of the configured one, only
where no live row is. A row that loses is invalidated, never deleted; the time that only it covered is planned again. A
row that crosses a day is invalidated and its time is planned again on both days. Drift is reported, not repaired.

One plan or repair fills a limited number of windows: gaps of planned days first, then missing days, the newest first.
So time lost yesterday never waits behind a `start_date` that was moved back by years, or mistyped.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any

from include.pipeline_framework.core.continuity.findings import (
    Analysis,
    Finding,
    Kind,
    Verdict,
    dominant_of_day,
    removed_time,
    split_by_day,
)
from include.pipeline_framework.core.continuity.state_facts import StateFacts, StateRow, duration_groups
from include.pipeline_framework.core.time.days import LocalDay, local_day_of
from include.pipeline_framework.core.time.durations import Granularity
from include.pipeline_framework.core.time.inclusive_ends import exclusive_length
from include.pipeline_framework.core.time.windows import TimeWindow, iso_utc, merge, tile, uncovered
from include.pipeline_framework.errors import InvalidInputError

MAX_WINDOWS = 10_000
"""The most windows that one plan fills per source, over a year of hours: a plan is approved as a whole."""

_DAY = timedelta(days=1)
_INSTANT = timedelta(microseconds=1)


class Action(StrEnum):
    """Names what applying an item does."""

    INSERT = "insert"
    REPLACE = "replace"
    INVALIDATE = "invalidate"


@dataclass(frozen=True, slots=True)
class RowState:
    """A row as it was when the plan was made: applying refuses one that has changed since."""

    id: int
    window: TimeWindow
    status: str
    fence: int

    @classmethod
    def of(cls, row: StateRow) -> RowState:
        """Take the state from a row as continuity knows it."""
        return cls(row.id, row.window, row.status, row.fence)


@dataclass(frozen=True, slots=True)
class PlanItem:
    """One step; each is applied in a transaction of its own.

    Attributes:
        action: `insert`: plan `windows`. `invalidate`: take `rows` out. `replace`: both at once; the new rows inherit
            the deletions that the old ones owe to the target.
        windows: The windows to plan, in order.
        rows: The rows to invalidate.
        deletes_target_data: True when the target may hold data of `rows`.
        reason: A text for people; it is kept in the events.
    """

    action: Action
    source_object: str
    windows: tuple[TimeWindow, ...]
    rows: tuple[RowState, ...]
    deletes_target_data: bool
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """Return JSON; instants are ISO UTC."""
        return {
            "action": self.action.value,
            "source_object": self.source_object,
            "windows": [[iso_utc(w.start), iso_utc(w.end)] for w in self.windows],
            "rows": [
                {
                    "id": row.id,
                    "start": iso_utc(row.window.start),
                    "end": iso_utc(row.window.end),
                    "status": row.status,
                    "fence": row.fence,
                }
                for row in self.rows
            ],
            "deletes_target_data": self.deletes_target_data,
            "reason": self.reason,
        }

    @classmethod
    def from_dict(cls, item: Mapping[str, Any]) -> PlanItem:
        """Return the item of a JSON value: the inverse of `as_dict`."""
        return cls(
            Action(item["action"]),
            item["source_object"],
            tuple(_window(start, end) for start, end in item["windows"]),
            tuple(
                RowState(row["id"], _window(row["start"], row["end"]), row["status"], row["fence"])
                for row in item["rows"]
            ),
            item["deletes_target_data"],
            item["reason"],
        )


def remediate(
    facts: StateFacts, analysis: Analysis, findings: Iterable[Finding], max_windows: int | None = None
) -> list[PlanItem]:
    """Return the plan for one source, in order of time; empty when nothing can be done.

    Args:
        facts: The source's facts from the store.
        analysis: The analysis of the same facts.
        findings: The findings in the same facts.
        max_windows: The most windows that fill gaps; None: all gaps are filled. `unplanned` returns those left.
    """
    scope = facts.scope
    rows = {row.id: row for row in (*facts.contested, *facts.crossing)}
    decided = list(findings)
    losers = [rows[f.rows[0]] for f in decided if f.decision == Verdict.INVALIDATE and f.kind != Kind.CROSSES_DAY]
    crossing = [rows[f.rows[0]] for f in decided if f.decision == Verdict.INVALIDATE and f.kind == Kind.CROSSES_DAY]
    reasons = {f.rows[0]: f"{f.kind.value}: {f.reason}" for f in decided if f.decision == Verdict.INVALIDATE}
    gaps = {f.window: f for f in decided if f.decision == Verdict.INSERT}
    filled = list(gaps) if max_windows is None else _newest(facts, analysis, list(gaps.values()), max_windows)

    items = [
        PlanItem(Action.INVALIDATE, scope.source_object, (), (RowState.of(row),), row.may_have_loaded, reasons[row.id])
        for row in losers
    ]
    gone = [*losers, *crossing]
    removed = removed_time(facts, gone)
    pieces = _pieces(facts, analysis, merge([*filled, *removed, *_rest_of_new_days(facts, removed, gone)]))
    groups = _components(facts, crossing, pieces)
    items += [
        PlanItem(
            Action.REPLACE,
            scope.source_object,
            tuple(group.pieces),
            tuple(RowState.of(row) for row in group.rows),
            any(row.may_have_loaded for row in group.rows),
            "; ".join(reasons[row.id] for row in group.rows),
        )
        for group in groups
    ]
    replacing = {piece for group in groups for piece in group.pieces}
    items += _inserts(facts, (piece for piece in pieces if piece not in replacing), gaps.values())
    return sorted(items, key=_when)


def within(items: Sequence[PlanItem], limit: int) -> list[PlanItem]:
    """Return the part of a plan that touches at most `limit` windows, in order of time.

    Wrong rows are chosen first, then gaps of planned days, then missing days, each the newest first. Of an item that
    only plans, a part may be chosen: its newest windows.
    """
    taken: list[PlanItem] = []
    newest_first = sorted(items, key=_when, reverse=True)
    for item in sorted(newest_first, key=lambda item: (item.action == Action.INSERT, _is_missing_day(item))):
        touched = max(len(item.windows), len(item.rows))
        if item.action == Action.INSERT and touched > limit > 0:
            item = replace(item, windows=item.windows[-limit:])
            touched = limit
        if touched <= limit:
            taken.append(item)
            limit -= touched
        elif item.action == Action.INSERT:
            break
    return sorted(taken, key=_when)


def _is_missing_day(item: PlanItem) -> bool:
    return item.action == Action.INSERT and item.reason.startswith(Kind.MISSING_DAY.value)


def unplanned(findings: Iterable[Finding], items: Iterable[PlanItem]) -> list[Finding]:
    """Return gaps that a plan would fill and these items don't fill, or not wholly; in order of time."""
    planned = sorted(window for item in items for window in item.windows)
    left = []
    for finding in findings:
        before = bisect_right(planned, finding.window.start, key=lambda window: window.start) - 1
        is_planned = before >= 0 and planned[before].end > finding.window.start
        if finding.decision == Verdict.INSERT and not is_planned:  # parts are taken from the end
            left.append(finding)
    return left


def needs_approval(items: Sequence[PlanItem], limit: int) -> str | None:
    """Return why a person has to agree before these items are applied; None when nobody has to.

    Args:
        items: The items of a plan.
        limit: Windows that may be inserted, replaced or invalidated without asking.
    """
    deleting = sum(len(item.rows) for item in items if item.deletes_target_data)
    touched = sum(max(len(item.windows), len(item.rows)) for item in items)
    if deleting:
        return f"{deleting} rows go whose data the target may hold: it will be deleted there"
    if touched > limit:
        return f"{touched} windows are touched, more than {limit} (state_manager_window_limit)"
    return None


def granularity_of_day(day: LocalDay, facts: StateFacts, analysis: Analysis) -> Granularity:
    """Return the granularity with which a gap in this day is filled."""
    length = analysis.dominant_per_day.get(day.date, analysis.dominant)
    return _as_granularity(length, facts.scope.granularity)


def own_granularity(day: LocalDay, live: Iterable[TimeWindow], configured: Granularity) -> Granularity:
    """Return the granularity for the rest of a day with these live windows: its own, else the configured one.

    >>> from datetime import UTC
    >>> day = LocalDay(date(2013, 3, 9), "UTC")
    >>> halves = tile(TimeWindow(day.start, day.start + timedelta(hours=6)), Granularity(0, 1_800))
    >>> str(own_granularity(day, halves, Granularity(0, 3_600))), str(own_granularity(day, [], Granularity(0, 3_600)))
    ('30m', '1h')
    """
    groups = duration_groups((day, window) for window in live)
    usual = timedelta(seconds=configured.total_seconds)
    return _as_granularity(dominant_of_day(groups, usual) if groups else None, configured)


def _as_granularity(length: timedelta | None, configured: Granularity) -> Granularity:
    length = None if length is None else exclusive_length(length)
    if length is None or configured.total_seconds == length.total_seconds():
        return configured
    if length == _DAY:
        return Granularity(1, 0)
    if length.microseconds:  # no granularity has parts of a second; such rows came from another system
        return configured
    return Granularity(0, int(length.total_seconds()))


@dataclass(slots=True)
class _Group:
    rows: list[StateRow]
    pieces: list[TimeWindow]


def _newest(facts: StateFacts, analysis: Analysis, gaps: Sequence[Finding], most: int) -> list[TimeWindow]:
    """Return the time of the gaps that at most `most` windows fill: gaps of planned days first, then missing days."""
    chosen: list[TimeWindow] = []
    newest_first = sorted(gaps, key=lambda gap: gap.window.start, reverse=True)
    for gap in sorted(newest_first, key=lambda gap: gap.kind == Kind.MISSING_DAY):
        if most <= 0:
            break
        pieces = _pieces(facts, analysis, [gap.window])[-most:]
        if pieces:
            chosen.append(TimeWindow(max(pieces[0].start, gap.window.start), gap.window.end))
        most -= len(pieces)
    return chosen


def _rest_of_new_days(facts: StateFacts, removed: Sequence[TimeWindow], gone: Sequence[StateRow]) -> list[TimeWindow]:
    """Return uncovered time of days after the last planned one that removed rows reach: a day is planned as a whole.

    Days after tomorrow are left out.
    """
    going = {row.id for row in gone}
    staying = [row.window for row in (*facts.contested, *facts.crossing) if row.id not in going]
    new = {day: day.window for window in removed for day, _ in split_by_day(window, facts.scope.timezone)}
    return [part for day, whole in new.items() if whole and _is_new(facts, day) for part in uncovered(whole, staying)]


def _is_new(facts: StateFacts, day: LocalDay) -> bool:
    """True when a day comes after the last planned one, and not after tomorrow."""
    tomorrow = facts.scope.tomorrow
    if tomorrow is not None and day > tomorrow:
        return False
    return facts.last_planned is not None and day.date > facts.last_planned


def _pieces(facts: StateFacts, analysis: Analysis, open_time: Sequence[TimeWindow]) -> list[TimeWindow]:
    """Return the parts of each day's grid that lie in uncovered time inside the horizon, in order."""
    pieces: list[TimeWindow] = []
    grids: dict[LocalDay, list[TimeWindow]] = {}
    for window in open_time:
        for day, part in split_by_day(window, facts.scope.timezone):
            if day.window is None or (facts.scope.horizon and facts.scope.horizon.refusal(day)):
                continue
            if day not in grids:
                grids[day] = list(tile(day.window, granularity_of_day(day, facts, analysis)))
            pieces += [
                TimeWindow(max(slot.start, part.start), min(slot.end, part.end))
                for slot in grids[day]
                if slot.overlaps(part)
            ]
    return pieces


def _components(facts: StateFacts, rows: Sequence[StateRow], pieces: Sequence[TimeWindow]) -> list[_Group]:
    """Return rows that cross a day, with the new windows that take their time; a window that two rows share joins them.

    Where a row reaches a day after the last planned one, all of that day is planned.
    """
    groups: list[_Group] = []
    for row in sorted(rows, key=lambda row: row.window):
        first = bisect_right(pieces, row.window.start, key=lambda piece: piece.end)
        day = local_day_of(row.window.end - _INSTANT, facts.scope.timezone)
        end = day.end if _is_new(facts, day) else row.window.end
        last = bisect_left(pieces, end, key=lambda piece: piece.start)
        mine = list(pieces[first:last])
        if groups and mine and groups[-1].pieces and mine[0] <= groups[-1].pieces[-1]:
            groups[-1].rows.append(row)
            groups[-1].pieces += [piece for piece in mine if piece > groups[-1].pieces[-1]]
        else:
            groups.append(_Group([row], mine))
    return groups


def _inserts(facts: StateFacts, pieces: Iterable[TimeWindow], gaps: Iterable[Finding]) -> list[PlanItem]:
    """Return one item per local day."""
    kinds: dict[date, set[str]] = defaultdict(set)
    for gap in gaps:
        kinds[gap.day].add(gap.kind.value)
    by_day: dict[date, list[TimeWindow]] = defaultdict(list)
    for piece in pieces:
        by_day[local_day_of(piece.start, facts.scope.timezone).date].append(piece)
    return [
        PlanItem(
            Action.INSERT,
            facts.scope.source_object,
            tuple(windows),
            (),
            False,
            f"{', '.join(sorted(kinds[day])) or 'time of an invalidated row'} on {day}",
        )
        for day, windows in by_day.items()
    ]


def _when(item: PlanItem) -> tuple[Any, ...]:
    windows = [*item.windows, *(row.window for row in item.rows)]
    return (min(window.start for window in windows), item.action != Action.INVALIDATE, item.rows and item.rows[0].id)


def _window(start: str, end: str) -> TimeWindow:
    try:
        return TimeWindow(datetime.fromisoformat(start), datetime.fromisoformat(end))
    except ValueError as error:
        raise InvalidInputError(f"{start}/{end} is not a window", remedy="Write ISO 8601 instants.") from error

"""What a state table says about one source: the few facts from which its continuity is judged.

A store gathers them with set-based statements; `gather` does the same from rows in memory.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from include.pipeline_framework.core.days import LocalDay
from include.pipeline_framework.core.durations import Granularity
from include.pipeline_framework.core.horizon import Horizon
from include.pipeline_framework.core.lifecycle import FINISHED, Phase, Status
from include.pipeline_framework.core.windows import TimeWindow, merge, uncovered


@dataclass(frozen=True, slots=True)
class StateScope:
    """Which days of a source are looked at, and by which rules.

    Attributes:
        source_object: The ledger's key.
        timezone: Zone of its local days; a row that was planned in another zone never counts as crossing a day.
        granularity: As configured now; used where neither a day nor the source has one of its own.
        horizon: The pipeline's; None for a source without a pipeline file, which then has no limits.
        fills_missing_days: Whether a day without any row is planned by itself.
    """

    source_object: str
    timezone: str
    granularity: Granularity
    horizon: Horizon | None = None
    fills_missing_days: bool = True

    def days(self, first: date, last: date) -> list[LocalDay]:
        """Days of the scope from `first` to `last`, both included, in order; without days that the calendar skips."""
        days = (LocalDay(first + timedelta(days=n), self.timezone) for n in range((last - first).days + 1))
        return [day for day in days if day.window and not (self.horizon and self.horizon.refusal(day))]


@dataclass(frozen=True, slots=True)
class StateRow:
    """What continuity needs to know of one row.

    Attributes:
        updated_at: `record_last_updated_at`; inserted_at: `record_inserted_at`.
        may_have_loaded: Whether the target may hold something of it.
    """

    id: int
    window: TimeWindow
    status: str
    updated_at: datetime
    inserted_at: datetime
    may_have_loaded: bool
    fence: int = 0

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> StateRow:
        """From a row of the ledger, keyed by column."""
        return cls(
            record["id"],
            TimeWindow(record["query_window_start_at"], record["query_window_end_at"]),
            record["pipeline_final_status"],
            record["record_last_updated_at"],
            record["record_inserted_at"],
            record["phase_completed"] in (Phase.STAGE_TO_TARGET, Phase.AUDIT)
            or record["stage_to_target_ingestion_start_time"] is not None
            or record["pipeline_final_status"] in FINISHED,
            record["fence"],
        )

    @property
    def is_held(self) -> bool:
        """Whether a run is moving it."""
        return self.status == Status.IN_PROGRESS

    @property
    def is_complete(self) -> bool:
        """COMPLETED, or SKIPPED with proof."""
        return self.status in FINISHED


@dataclass(frozen=True, slots=True)
class DurationGroup:
    """Live rows inside one local day that have the same elapsed length; rows that cross the day are not among them.

    `ends_day`: one of them ends where the day ends.
    """

    day: date
    duration: timedelta
    windows: int
    ends_day: bool


@dataclass(frozen=True, slots=True)
class StateFacts:
    """What the table says about one source, inside its scope and from its first to its last planned day.

    Attributes:
        days: Days from the first to the last one that has a row, in order.
        groups: By day.
        gaps: Time of those days that no live row touches; may run over several days.
        crossing: Live rows that don't lie inside their own local day.
        contested: Live rows that overlap another live row, crossing ones among them.
    """

    scope: StateScope
    days: tuple[LocalDay, ...] = ()
    groups: tuple[DurationGroup, ...] = ()
    gaps: tuple[TimeWindow, ...] = ()
    crossing: tuple[StateRow, ...] = ()
    contested: tuple[StateRow, ...] = ()
    first_window_start_at: datetime | None = None
    last_window_end_at: datetime | None = None


def gather(scope: StateScope, records: Iterable[Mapping[str, Any]]) -> StateFacts:
    """The facts of one source from its live rows, keyed by column; rows of other sources are left out."""
    rows = [r for r in records if r["source_object"] == scope.source_object and not r["is_invalidated_flag"]]
    if not rows:
        return StateFacts(scope)
    days = scope.days(min(r["target_day"] for r in rows), max(r["target_day"] for r in rows))
    bounds = {day.date: day for day in days}
    crossing, windows, inside = [], [], []
    for record in rows:
        row, day = StateRow.of(record), bounds.get(record["target_day"])
        windows.append(row.window)
        if day and lies_inside(row.window, day):
            inside.append((day, row.window))
        elif day and record["timezone"] == scope.timezone:
            crossing.append(row)
    span = merge(day.window for day in days if day.window)
    return StateFacts(
        scope,
        tuple(days),
        tuple(duration_groups(inside)),
        tuple(gap for part in span for gap in uncovered(part, windows)),
        tuple(sorted(crossing, key=lambda row: (row.window, row.id))),
        tuple(_contested(StateRow.of(record) for record in rows)),
        min(window.start for window in windows),
        max(window.end for window in windows),
    )


def lies_inside(window: TimeWindow, day: LocalDay) -> bool:
    """Whether a window lies wholly inside a local day."""
    return day.start <= window.start and window.end <= day.end


def duration_groups(rows: Iterable[tuple[LocalDay, TimeWindow]]) -> list[DurationGroup]:
    """Groups of the rows that lie inside their day, by day, then length; the others are left out."""
    windows: Counter[tuple[date, timedelta]] = Counter()
    ending: set[tuple[date, timedelta]] = set()
    for day, window in rows:
        if lies_inside(window, day):
            key = (day.date, window.duration)
            windows[key] += 1
            if window.end == day.end:
                ending.add(key)
    return [DurationGroup(*key, count, key in ending) for key, count in sorted(windows.items())]


def _contested(rows: Iterable[StateRow]) -> list[StateRow]:
    """Rows of every stretch of time in which one row overlaps another."""
    found: list[StateRow] = []
    stretch: list[StateRow] = []
    reach = datetime.min.replace(tzinfo=UTC)
    for row in sorted(rows, key=lambda row: (row.window, row.id)):
        if row.window.start >= reach:
            found += stretch if len(stretch) > 1 else []
            stretch = []
        stretch.append(row)
        reach = max(reach, row.window.end)
    return found + (stretch if len(stretch) > 1 else [])

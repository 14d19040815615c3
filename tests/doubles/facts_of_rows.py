"""What Postgres' set-based statements find out about a source, worked out from its rows one by one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from include.pipeline_framework.core.continuity.state_facts import (
    StateFacts,
    StateRow,
    StateScope,
    duration_groups,
    lies_inside,
    stretches,
)
from include.pipeline_framework.core.continuity.zone_changes import DayStamp
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import FINISHED
from include.pipeline_framework.core.time.windows import TimeWindow, uncovered


def gather(scope: StateScope, records: Iterable[Mapping[str, Any]]) -> StateFacts:
    """The facts of one source from its live rows, by column; rows of other sources are left out."""
    since = scope.since or date.min
    rows = [
        r
        for r in records
        if r["source_object"] == scope.source_object and not r["is_invalidated_flag"] and r["target_day"] >= since
    ]
    days = scope.days({r["target_day"] for r in rows})
    bounds = {day.date: day for day in days}
    crossing, windows, inside = [], [], []
    for record in rows:
        row, day = StateRow.of(record), bounds.get(record["target_day"])
        windows.append(row.window)
        if day and lies_inside(row.window, day):
            inside.append((day, row.window))
        elif day and record["timezone"] == scope.timezone:
            crossing.append(row)
    span = stretches(days)
    return StateFacts(
        scope,
        days,
        tuple(duration_groups(inside)),
        tuple(gap for part in span for gap in uncovered(part, windows)),
        tuple(sorted(crossing, key=lambda row: (row.window, row.id))),
        tuple(_contested(StateRow.of(record) for record in rows)),
        sum(r["pipeline_final_status"] in FINISHED for r in rows),
        min((window.start for window in windows), default=None),
        max((window.end for window in windows), default=None),
    )


def stamps_of(rows: Iterable[LedgerRow], timezone: str, since: datetime) -> list[DayStamp]:
    """The stamps of live rows planned in a zone and starting at or after an instant."""
    found: dict[tuple[date, str], list[TimeWindow]] = {}
    for row in rows:
        window = row.window
        if row.timezone == timezone and window.start >= since:
            found.setdefault((row.target_day, row.zone_rules or ""), []).append(window)
    return [
        DayStamp(day, version or None, min(w.start for w in windows), max(w.end for w in windows), len(windows))
        for (day, version), windows in sorted(found.items())
    ]


def _contested(rows: Iterable[StateRow]) -> list[StateRow]:
    """The rows of every stretch of time in which one row overlaps another."""
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

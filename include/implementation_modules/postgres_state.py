"""Reads what a state table in Postgres says about its sources: the ledger, or rows on their way into it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from include.implementation_modules.sql_session import sql_text
from include.implementation_modules.target_columns import fill, quoted
from include.pipeline_framework.core.days import LocalDay
from include.pipeline_framework.core.state_facts import DurationGroup, StateFacts, StateRow, StateScope
from include.pipeline_framework.core.windows import TimeWindow
from include.pipeline_framework.ports import Record

Execute = Callable[[str, Mapping[str, Any]], list[Record]]
"""SQL text and parameters → rows by column; instants in UTC."""

LEDGER = "pipeline_lifecycle"


class PostgresState:
    """The set-based statements of one table, on one open transaction.

    Args:
        execute: Runs a statement in it.
        table: `pipeline_lifecycle`, whose constraint already excludes overlaps, or a table with its columns.
    """

    def __init__(self, execute: Execute, table: str = LEDGER) -> None:
        self._execute = execute
        self._table = table

    def facts(self, scopes: Sequence[StateScope]) -> dict[str, StateFacts]:
        """Facts by source object, of every scope: as many statements for a thousand sources as for one."""
        names = [scope.source_object for scope in scopes]
        extents = {row["source_object"]: row for row in self._run("state_extents", {"source_objects": names})}
        days = {
            scope.source_object: scope.days(*(extents[scope.source_object][name] for name in ("first_day", "last_day")))
            for scope in scopes
            if scope.source_object in extents
        }
        bounds = _bounds(days)
        groups, gaps = self._run("state_groups", bounds), self._run("state_gaps", bounds)
        crossing = self._run("state_crossing", bounds)
        contested = [] if self._table == LEDGER else self._run("state_contested", {"source_objects": names})
        by_source = [_by_source(rows) for rows in (groups, gaps, crossing, contested)]
        return {
            scope.source_object: _facts(scope, days.get(scope.source_object, []), extents, *by_source)
            for scope in scopes
        }

    def rows_of_days(self, source_object: str, days: Sequence[LocalDay]) -> list[tuple[int, TimeWindow]]:
        """Id and window of every live row of the days, in order."""
        parameters = {"source_object": source_object, "days": [day.date for day in days]}
        return [
            (row["id"], TimeWindow(row["query_window_start_at"], row["query_window_end_at"]))
            for row in self._run("state_rows_of_days", parameters)
        ]

    def _run(self, name: str, parameters: Mapping[str, Any]) -> list[Record]:
        return self._execute(fill(sql_text(f"ledger/{name}"), {"state_table": quoted(self._table)}), parameters)


def _bounds(days: Mapping[str, Sequence[LocalDay]]) -> dict[str, list[Any]]:
    """Arrays as columns of a table of days; bounds come from here, so that both sides use one time zone database."""
    flat = [(source_object, day) for source_object, of_source in days.items() for day in of_source]
    return {
        "sources": [source_object for source_object, _ in flat],
        "zones": [day.timezone for _, day in flat],
        "days": [day.date for _, day in flat],
        "starts": [day.start for _, day in flat],
        "ends": [day.end for _, day in flat],
    }


def _by_source(rows: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for row in rows:
        found[row["source_object"]].append(row)
    return found


def _facts(
    scope: StateScope, days: Sequence[LocalDay], extents: Mapping[str, Record], *by_source: Mapping[str, list[Record]]
) -> StateFacts:
    extent = extents.get(scope.source_object)
    if extent is None:
        return StateFacts(scope)
    groups, gaps, crossing, contested = (rows.get(scope.source_object, []) for rows in by_source)
    return StateFacts(
        scope,
        tuple(days),
        tuple(DurationGroup(g["target_day"], g["duration"], g["windows"], g["ends_day"]) for g in groups),
        tuple(TimeWindow(gap["start_at"], gap["end_at"]) for gap in gaps),
        tuple(StateRow.of(row) for row in crossing),
        tuple(StateRow.of(row) for row in contested),
        extent["first_window_start_at"],
        extent["last_window_end_at"],
    )

"""Reads facts about the sources of a state table in Postgres: the ledger, or rows that are being imported into it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from include.pipeline_framework.core.continuity.state_facts import (
    DurationGroup,
    StateFacts,
    StateRow,
    StateScope,
    duration_groups,
    lies_inside,
    stretches,
)
from include.pipeline_framework.core.records.row import window_of
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow, merge
from include.pipeline_framework.ports.ledger import Record
from include.sql.text import fill, quoted, sql_text

Execute = Callable[[str, Mapping[str, Any]], list[Record]]
"""Runs SQL text with parameters, and returns rows by column; instants in UTC."""

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
        """Return facts by source object, of every scope; a thousand sources need as many statements as one.

        If nothing is wrong, that is one statement. In the ledger only days that are not covered are read in detail.
        """
        names = [scope.source_object for scope in scopes]
        found = _by_source(self._run("state_groups", {"sources": names, "days": [scope.since for scope in scopes]}))
        seen = {name: found.get(name, []) for name in names}
        days = {s.source_object: s.days({row["target_day"] for row in seen[s.source_object]}) for s in scopes}
        reaching = {name: _reaching_out(of_source, seen[name]) for name, of_source in days.items()}
        looked_at = _by_source(self._of_days("state_rows", reaching))
        groups = {name: _groups(days[name], seen[name], reaching[name], looked_at.get(name, [])) for name in days}
        if self._table == LEDGER:
            spans = {name: stretches(_not_covered(of_source, groups[name])) for name, of_source in days.items()}
            gaps, contested = self._gaps("state_gaps_of_spans", spans), list[Record]()
        else:
            gaps = self._gaps("state_gaps", {name: stretches(of_source) for name, of_source in days.items()})
            contested = self._run("state_contested", {"source_objects": names})
        gaps_of, contested_of = _by_source(gaps), _by_source(contested)
        return {
            (name := scope.source_object): StateFacts(
                scope,
                days[name],
                tuple(groups[name]),
                tuple(merge(TimeWindow(gap["start_at"], gap["end_at"]) for gap in gaps_of.get(name, []))),
                tuple(_crossing(scope, days[name], looked_at.get(name, []))),
                tuple(StateRow.of(row) for row in contested_of.get(name, [])),
                sum(row["completed"] for row in seen[name]),
                min((row["first_start_at"] for row in seen[name]), default=None),
                max((row["last_end_at"] for row in seen[name]), default=None),
            )
            for scope in scopes
        }

    def now(self) -> datetime:
        """Return the database's clock."""
        found: datetime = self._execute(sql_text("ledger/now"), {})[0]["database_now"]
        return found

    def rows_of_days(self, source_object: str, days: Sequence[LocalDay]) -> list[tuple[int, TimeWindow]]:
        """Return id and window of every live row of the days, in order."""
        return [(row["id"], window_of(row)) for row in self._of_days("state_rows", {source_object: days})]

    def _of_days(self, name: str, days: Mapping[str, Sequence[LocalDay]]) -> list[Record]:
        """Return the rows of a statement over a table of days."""
        flat = [(source_object, day) for source_object, of_source in days.items() for day in of_source]
        if not flat:
            return []
        parameters = {
            "sources": [source_object for source_object, _ in flat],
            "days": [day.date for _, day in flat],
        }
        return self._run(name, parameters)

    def _gaps(self, name: str, spans: Mapping[str, Sequence[TimeWindow]]) -> list[Record]:
        """Return the gaps in stretches of days, with bounds from this process: only one zone database counts."""
        flat = [(source_object, span) for source_object, of_source in spans.items() for span in of_source]
        if not flat:
            return []
        parameters = {
            "sources": [source_object for source_object, _ in flat],
            "starts": [span.start for _, span in flat],
            "ends": [span.end for _, span in flat],
        }
        return self._run(name, parameters)

    def _run(self, name: str, parameters: Mapping[str, Any]) -> list[Record]:
        return self._execute(fill(sql_text(f"ledger/{name}"), {"state_table": quoted(self._table)}), parameters)


def _by_source(rows: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for row in rows:
        found[row["source_object"]].append(row)
    return dict(found)


def _reaching_out(days: Sequence[LocalDay], seen: Sequence[Record]) -> list[LocalDay]:
    """Return the days with a row that is not completely inside them."""
    if not seen:
        return []
    by_date = {day.date: day for day in days}
    found = {
        day
        for row in seen
        if (day := by_date.get(row["target_day"]))
        and (row["first_start_at"] < day.start or row["last_end_at"] > day.end)
    }
    return sorted(found)


def _groups(
    days: Sequence[LocalDay], seen: Sequence[Record], reaching: Sequence[LocalDay], rows: Sequence[Record]
) -> list[DurationGroup]:
    """Return groups from the database's groups; for days with a row that is not inside them, from their rows."""
    if not seen:
        return []
    by_date = {day.date: day for day in days}
    by_rows = {day.date for day in reaching}
    groups = [
        DurationGroup(day.date, row["duration"], row["windows"], row["last_end_at"] == day.end)
        for row in seen
        if (day := by_date.get(row["target_day"])) and day.date not in by_rows
    ]
    groups += duration_groups((by_date[row["target_day"]], window_of(row)) for row in rows)
    return sorted(groups, key=lambda group: (group.day, group.duration))


def _crossing(scope: StateScope, days: Sequence[LocalDay], rows: Sequence[Record]) -> list[StateRow]:
    if not rows:
        return []
    by_date = {day.date: day for day in days}
    return [
        StateRow.of(row)
        for row in rows
        if row["timezone"] == scope.timezone and not lies_inside(window_of(row), by_date[row["target_day"]])
    ]


def _not_covered(days: Sequence[LocalDay], groups: Sequence[DurationGroup]) -> list[LocalDay]:
    """Return the days that their rows don't fill; in the ledger rows never overlap, so their lengths add up."""
    covered: dict[date, timedelta] = defaultdict(timedelta)
    for group in groups:
        covered[group.day] += group.duration * group.windows
    return [day for day in days if day.date not in covered or covered[day.date] < day.end - day.start]

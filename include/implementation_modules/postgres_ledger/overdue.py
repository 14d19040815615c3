"""Reads what is overdue from the ledger's database: a statement for the windows of all sources, one for their days."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from include.implementation_modules.postgres_ledger import errors
from include.implementation_modules.postgres_ledger.values import loaded_row
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.watching.overdue import MAX_SHOWN, SHOWN, Overdue, OverdueScope
from include.pipeline_framework.ports.ledger import Record
from include.sql import statement

_STATUSES = {"PENDING": "pending", "IN_PROGRESS": "in_progress", "FAILED": "failed"}


class PostgresOverdueAlarms:
    """`OverdueAlarms` with one connection per call, as a check makes only three calls.

    Args:
        connect: Returns a new psycopg 3 connection to the ledger's database.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._connect = connect

    def now(self) -> datetime:
        """See `OverdueAlarms.now`."""
        with self._transaction() as run:
            found: datetime = run("now", None)[0]["database_now"]
        return found

    def find_overdue(self, scopes: Sequence[OverdueScope]) -> list[Overdue]:
        """See `OverdueAlarms.find_overdue`."""
        days = [(scope, day) for scope in scopes for day in scope.days]
        of_windows = {
            "sources": [scope.source_object for scope in scopes],
            "starts": [scope.start_at for scope in scopes],
            "ends": [scope.end_at for scope in scopes],
            "asked_before": [scope.asked_before for scope in scopes],
            "alerted_after": [scope.alerted_after for scope in scopes],
            "most": MAX_SHOWN,
        }
        of_days = {
            "sources": [scope.source_object for scope, _ in days],
            "days": [day.date for _, day in days],
            "starts": [day.start for _, day in days],
            "ends": [day.end for _, day in days],
            "alerted_after": [scope.alerted_after for scope, _ in days],
        }
        with self._transaction() as run:
            windows = _by_source(run("overdue_windows", of_windows))
            empty = _by_source(run("overdue_days", of_days))
        found = []
        for scope in scopes:
            rows, without = windows.get(scope.source_object, []), empty.get(scope.source_object, [])
            if rows or without:
                found.append(_overdue(scope, rows, without))
        return found

    def note_told(self, scope: OverdueScope, at: datetime) -> None:
        """See `OverdueAlarms.note_told`."""
        parameters = {
            "source_object": scope.source_object,
            "start_at": scope.start_at,
            "end_at": scope.end_at,
            "asked_before": scope.asked_before,
            "alerted_after": scope.alerted_after,
            "at": at,
        }
        empty = [day.date for overdue in self.find_overdue([scope]) for day in overdue.days]
        with self._transaction() as run:
            run("overdue_forget", parameters)
            run("overdue_note", {**parameters, "days": empty})

    @contextmanager
    def _transaction(self) -> Iterator[Callable[[str, Mapping[str, Any] | None], list[Record]]]:
        passing = "Nothing was checked, or what was told is not noted and will be told again"
        with (
            errors.translated(passing, "Nothing was checked"),
            self._connect() as connection,
            connection.cursor(row_factory=dict_row) as cursor,
        ):

            def run(name: str, parameters: Mapping[str, Any] | None) -> list[Record]:
                cursor.execute(statement(f"ledger/{name}").encode(), parameters)
                return [loaded_row(row) for row in cursor.fetchall()]

            yield run


def _overdue(scope: OverdueScope, rows: Sequence[Record], without: Sequence[Record]) -> Overdue:
    by_date = {day.date: day for day in scope.days}
    first = rows[0] if rows else None
    counts = {status: first[column] for status, column in _STATUSES.items() if first[column]} if first else {}

    def days(wanted: Sequence[Record]) -> tuple[LocalDay, ...]:
        return tuple(by_date[row["target_day"]] for row in wanted)

    return Overdue(
        scope.source_object,
        sum(counts.values()),
        first["untold"] if first else 0,
        first["oldest_at"] if first else None,
        counts,
        tuple({name: row[name] for name in SHOWN} for row in rows),
        days(without),
        days([row for row in without if row["is_untold"]]),
    )


def _by_source(rows: Sequence[Record]) -> dict[str, list[Record]]:
    found: dict[str, list[Record]] = defaultdict(list)
    for row in rows:
        found[row["source_object"]].append(row)
    return dict(found)

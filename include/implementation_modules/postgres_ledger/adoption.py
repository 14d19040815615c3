"""Imports, resolves and adopts an older state table of the ledger's own database in one transaction."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from typing import Any

import psycopg
from psycopg.rows import dict_row

from include.implementation_modules.postgres_ledger.adoption_columns import Expressions, choose, identifier
from include.implementation_modules.postgres_ledger.adoption_errors import (
    NOTHING_WRITTEN,
    UnreadableError,
    inclusive_end_notes,
    table_name,
    translated,
)
from include.implementation_modules.postgres_ledger.adoption_zones import require_one_meaning, require_ours
from include.implementation_modules.postgres_ledger.locks import PostgresLocks
from include.implementation_modules.postgres_ledger.state_facts import PostgresState
from include.implementation_modules.postgres_ledger.values import actor_parameters, json_text
from include.pipeline_framework.config.adoption_mapping import NULL_STATUS, AdoptionMapping
from include.pipeline_framework.core.continuity.state_facts import StateFacts, StateScope
from include.pipeline_framework.core.records.row import Actor, Status, window_of
from include.pipeline_framework.core.restoring.adoption import Superseded
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import InvalidInputError, ServiceBusyError
from include.pipeline_framework.ports.ledger import Record
from include.sql.text import SqlFragment, fill, sql_text

IMPORTING = "pipeline_lifecycle_importing"
_OWN = frozenset(
    {
        "import_id", "imported_from", "imported_at", "their_id", "their_status", "resolution", "reason",
        "adopted_lifecycle_id",
    }
)  # fmt: skip
_PLANNED_AT_ONCE = 5_000

_UNIQUE_ID = SqlFragment("theirs.own_id")
_WINDOW_ID = SqlFragment(
    """COALESCE(theirs.own_id, CONCAT_WS('/',
            TO_CHAR(theirs.start_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'),
            TO_CHAR(theirs.end_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')))
        || COALESCE('#' || NULLIF(ROW_NUMBER() OVER (
            PARTITION BY theirs.source_object, theirs.own_id,
                CASE WHEN theirs.own_id IS NULL THEN theirs.start_at END,
                CASE WHEN theirs.own_id IS NULL THEN theirs.end_at END
            ORDER BY theirs.start_at, theirs.end_at, theirs.own_status), 1), '')"""
)
_ID_NUMBER = SqlFragment("identified.their_id::bigint")
_PLACE_NUMBER = SqlFragment(
    "ROW_NUMBER() OVER (ORDER BY identified.source_object, identified.start_at, identified.end_at, identified.their_id)"
)


class PostgresAdoption:
    """Opens imports.

    Args:
        connect: Opens a psycopg 3 connection to the ledger's database.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._connect = connect

    @contextmanager
    def reading(self) -> Iterator[LedgerReading]:
        """Open a view of the ledger at one moment.

        Raises:
            ServiceUnavailableError: The database does not answer.
        """
        with translated("the ledger"), self._connect() as connection:
            connection.read_only, connection.isolation_level = True, psycopg.IsolationLevel.REPEATABLE_READ
            connection.execute("SET LOCAL TimeZone = 'UTC'")
            with connection.cursor(row_factory=dict_row) as cursor:
                yield LedgerReading(cursor)

    @contextmanager
    def importing(self, table: str, mapping: AdoptionMapping, *, adopts: bool, keeps: bool) -> Iterator[PostgresImport]:
        """Open one import of a table, in one transaction.

        Args:
            table: `schema.table` in the ledger's database.
            mapping: Its columns.
            adopts: Skip rows that were adopted before, and give rows ids of the ledger; False: only look.
            keeps: Commit at the end; after False, or any exception, nothing of it remains.

        Raises:
            InvalidInputError: The table, the mapping or the rows are invalid; every problem is listed. Nothing was
                written.
            ServiceBusyError: Another adoption runs, or another session wrote into the ledger meanwhile.
            ServiceUnavailableError: The database does not answer.
        """
        with self._one_at_a_time(table) if adopts else nullcontext():
            with translated(table):
                connection = self._connect()
            with closing(connection), connection.cursor(row_factory=dict_row) as cursor:
                connection.autocommit = True
                opened = PostgresImport(cursor, mapping, adopts)
                try:
                    with translated(table), connection.transaction(force_rollback=not keeps):
                        opened.open(table)
                        yield opened
                except UnreadableError as error:
                    with translated(table):
                        raise opened.unreadable(table, error) from error.__cause__

    @contextmanager
    def _one_at_a_time(self, table: str) -> Iterator[None]:
        with closing(PostgresLocks(self._connect)) as locks, locks.holding("adoption") as holder:
            if holder is None:
                raise ServiceBusyError(
                    "another adoption is running", where=table, meaning=NOTHING_WRITTEN, remedy="Wait for it."
                )
            yield


class LedgerReading:
    """See `tasks.state_import.LedgerReading`."""

    def __init__(self, cursor: psycopg.Cursor[dict[str, Any]]) -> None:
        self._cursor = cursor
        state = PostgresState(self._execute)
        self.facts, self.rows_of_days, self.now = state.facts, state.rows_of_days, state.now

    def sources(self) -> dict[str, tuple[str, str]]:
        """See `LedgerReading.sources`."""
        rows = self._execute(sql_text("ledger/state_sources"), {})
        return {row["source_object"]: (row["timezone"], row["granularity"]) for row in rows}

    def _execute(self, text: str, parameters: Mapping[str, Any]) -> list[Record]:
        self._cursor.execute(text.encode(), parameters)
        return self._cursor.fetchall()


class PostgresImport:
    """See `tasks.state_import.StateImport`."""

    def __init__(self, cursor: psycopg.Cursor[dict[str, Any]], mapping: AdoptionMapping, adopts: bool) -> None:
        self._cursor, self._mapping, self._adopts = cursor, mapping, adopts
        self._read = Expressions()
        self._fragments: dict[str, SqlFragment] = {}
        self._import_id = 0
        self.table = ""
        self.notes: list[str] = []
        self.state = PostgresState(self._execute, IMPORTING)
        self.ledger = PostgresState(self._execute)
        self.now = self.ledger.now

    def open(self, table: str) -> None:
        """Begin the import: find the table, choose its columns."""
        self._cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")  # one snapshot for all of it
        self._import_id = self.run("begin")[0]["import_id"]  # without this migration its sequence is missing as well
        found = self._find(table)
        self.table = f"{found['schema_name']}.{found['table_name']}"
        theirs, ledger = (
            {row["column_name"]: row["column_type"] for row in self.run("table_columns", {"oid": table["oid"]})}
            for table in (found, *self.run("find_table", table_name("public.pipeline_lifecycle_import")))
        )
        self._read = choose(
            self._mapping, theirs, {name: kind for name, kind in ledger.items() if name not in _OWN}, self.table
        )
        self.notes += self._read.notes
        if self._mapping.naive_timezone == "UTC":
            self._read.local.clear()  # in UTC no local time occurs twice
        their_table = identifier(found["schema_name"], found["table_name"])
        self._fragments = {
            **self._read.rows(their_table),
            "their_table": their_table,
            "their_id": self._read.get("id"),
            "their_status": self._read.get("pipeline_final_status"),
            "their_timezone": self._read.get("timezone"),
            "their_granularity": self._read.get("granularity"),
            "is_invalidated": self._read.get("is_invalidated_flag", "FALSE"),
            "columns": self._read.names(),
            "selected": self._read.selected(),
        }
        zone = {"timezone": self._mapping.naive_timezone}
        self.run("set_time_zone", zone)
        require_one_meaning(self.run("zone_meanings", zone), zone["timezone"], self.table)

    def sources(self) -> list[Record]:
        """See `StateImport.sources`."""
        bad = self.run("bad_rows")
        if bad:
            raise InvalidInputError(
                "; ".join(
                    f"{row['bad']} rows with {row['problem']}, such as {', '.join(row['examples'])}" for row in bad
                ),
                where=self.table,
                meaning="They are no windows of a source, so nothing was imported",
                remedy="Mend or delete them there, or adopt a view that leaves them out"
                + ("." if self._mapping.end else ". If ends are inclusive, write end: inclusive into the mapping."),
            )
        self._require_known_statuses()
        self.notes += inclusive_end_notes(self.run("inclusive_ends")[0], self._mapping.end, self.table)
        found = self.run("their_sources")
        if self._read.local:
            require_ours(self._execute, found, self._mapping.naive_timezone, self.table)
        return found

    def import_rows(self, scopes: Mapping[str, Sequence[LocalDay]]) -> int:
        """See `StateImport.import_rows`."""
        ids = self.run("their_ids")[0]
        are_unique = "id" in self._read.by_column and ids["are_unique"]
        has_numbers = are_unique and ids["are_numbers"]
        if not has_numbers:
            has_ids = "id" in self._read.by_column
            why = "has no id column" if not has_ids else "has ids that aren't unique whole numbers"
            self.notes.append(f"{self.table} {why}: findings name rows by their place in this import")
        fragments = {
            **self._fragments,
            "identity": _UNIQUE_ID if are_unique else _WINDOW_ID,
            "number": _ID_NUMBER if has_numbers else _PLACE_NUMBER,
        }
        imported = 0
        zones: dict[str, list[str]] = {}
        for source_object, days in scopes.items():
            zones.setdefault(days[0].timezone, []).append(source_object)
        for timezone, sources in zones.items():
            days = sorted({day for source in sources for day in scopes[source]})
            parameters = {
                "imported_from": self.table,
                "adopts": self._adopts,
                "sources": sources,
                "timezone": timezone,
                "days": [day.date for day in days],
                "starts": [day.start for day in days],
                "theirs": list(self._mapping.statuses),
                "ours": list(self._mapping.statuses.values()),
                "null_status": NULL_STATUS,
                "imported_before": 0 if has_numbers else imported,
            }
            imported += self._change("import_rows", parameters, fragments)
        self.run("set_time_zone", {"timezone": "UTC"})
        self.run("know_sizes")
        return imported

    def give_way(self, source_objects: Sequence[str]) -> list[Superseded]:
        """See `StateImport.give_way`."""
        self.run("beside_ledger", {"source_objects": list(source_objects)})
        found = [
            Superseded(
                row["id"],
                row["source_object"],
                row["target_day"],
                window_of(row),
                bool(row["has_loaded"]),
                row["ledger_id"],
                TimeWindow(row["ledger_start_at"], row["ledger_end_at"]),
                row["ledger_status"],
            )
            for row in self.run("superseded", {"source_objects": list(source_objects)})
        ]
        self.invalidate({row.id: row.reason for row in found})
        return found

    def facts(self, scopes: Sequence[StateScope], *, of_ledger: bool = False) -> dict[str, StateFacts]:
        """See `StateImport.facts`."""
        return (self.ledger if of_ledger else self.state).facts(scopes)

    def rows_of_days(
        self, source_object: str, days: Sequence[LocalDay], *, of_ledger: bool = False
    ) -> list[tuple[int, TimeWindow]]:
        """See `StateImport.rows_of_days`."""
        rows = (self.ledger if of_ledger else self.state).rows_of_days(source_object, days)
        return [row for row in rows if row[0] >= 0]

    def invalidate(self, reasons: Mapping[int, str]) -> None:
        """See `StateImport.invalidate`."""
        if reasons:
            self._change("invalidate", {"ids": list(reasons), "reasons": list(reasons.values())})

    def run_again(self, source_objects: Sequence[str]) -> None:
        """See `StateImport.run_again`."""
        rows = self.run("rows_to_run_again", {"source_objects": list(source_objects)})
        self._change("run_again", {"ids": [row["id"] for row in rows]})

    def latest_rows(self) -> dict[str, Record]:
        """See `StateImport.latest_rows`."""
        return {row["source_object"]: row for row in self.run("latest_rows")}

    def derive(self, derived: Callable[[Record], Record], batch: int = 10_000) -> None:
        """See `StateImport.derive`."""
        after = -1
        while rows := self.run("rows_to_derive", {"after": after, "batch": batch}):
            after = rows[-1]["id"]
            self._change("set_derived", {"rows": json_text([{**derived(row), "id": row["id"]} for row in rows])})

    def adopt(self, defaults: Sequence[Record], actor: Actor) -> None:
        """See `StateImport.adopt`."""
        self._change("adopt_rows", {"defaults": json_text([dict(row) for row in defaults]), **actor_parameters(actor)})
        self.run("know_sizes")

    def plan(self, rows: Sequence[Record], actor: Actor) -> None:
        """See `StateImport.plan`."""
        for first in range(0, len(rows), _PLANNED_AT_ONCE):
            some = rows[first : first + _PLANNED_AT_ONCE]
            self._change("plan_rows", {"rows": json_text([dict(row) for row in some]), **actor_parameters(actor)})

    def link_replaced(self, actor: Actor) -> None:
        """See `StateImport.link_replaced`."""
        self._change("link_replaced", actor_parameters(actor))

    def counts(self) -> dict[str, Record]:
        """See `StateImport.counts`."""
        return {row["source_object"]: row for row in self.run("import_counts")}

    def run(self, name: str, parameters: Mapping[str, Any] | None = None) -> list[Record]:
        """Return the rows of one statement file of `sql/adoption`."""
        return self._execute(
            fill(sql_text(f"adoption/{name}"), self._fragments),
            {"import_id": self._import_id, **self._read.parameters, **(parameters or {})},
        )

    def unreadable(self, table: str, error: Exception) -> InvalidInputError:
        """Name the columns with values that can't become the ledger's; called after the transaction that met one."""
        found = []
        if self._fragments and self._cursor.connection.info.server_version >= 160_000:
            for column, (text, kind) in self._read.texts.items():
                self._fragments["text"] = text
                (row,) = self.run("bad_values", {"type": kind})
                if row["bad"]:
                    found.append(f"{row['bad']} values for {column} ({kind}), such as {', '.join(row['examples'])}")
        return InvalidInputError(
            "; ".join(found) or str(error),
            where=self.table or table,
            meaning="The ledger's columns can't hold them, so nothing was imported",
            remedy="Mend them there, map another column, or adopt a view that casts them.",
        )

    def _find(self, table: str) -> Record:
        name = table_name(table)
        rows = self.run("find_table", name)
        if not rows:
            raise InvalidInputError(
                f"there is no table {table}",
                where="--table",
                meaning="It is looked for in the ledger's own database, the one of the connection lifecycle_postgres",
                remedy="Write schema.table. A table of another database is first copied, or made a foreign table.",
            )
        (found,) = rows
        if found["kind"] not in ("r", "p", "v", "m", "f"):
            raise InvalidInputError(
                f"{table} is not a table", where="--table", meaning=NOTHING_WRITTEN, remedy="Name a table or a view."
            )
        if not found["may_read"]:
            raise InvalidInputError(
                f"{found['login']} may not read {table}",
                where=f"database {found['database_name']}",
                meaning=NOTHING_WRITTEN,
                remedy=f"GRANT USAGE ON SCHEMA {found['schema_name']} and SELECT ON {table} to {found['login']}.",
            )
        if self._adopts and found["schema_name"] == "public" and found["table_name"].startswith("pipeline_lifecycle"):
            raise InvalidInputError(
                f"{table} is the ledger itself", where="--table", meaning=NOTHING_WRITTEN, remedy="Name another table."
            )
        return found

    def _require_known_statuses(self) -> None:
        if "pipeline_final_status" not in self._read.by_column:
            self.notes.append(f"{self.table} has no status column: every row comes in as PENDING")
            return
        ours = [status.value for status in Status]
        unknown = self.run(
            "unknown_statuses", {"theirs": list(self._mapping.statuses), "ours": ours, "null_status": NULL_STATUS}
        )
        if unknown:
            shown = [NULL_STATUS if row["status"] is None else row["status"] for row in unknown]
            counts = ", ".join(
                f"{name!r} ({row['times']} rows)" for name, row in zip(shown[:20], unknown[:20], strict=True)
            )
            lines = ", ".join(f"{json.dumps(name)}: …" for name in shown[:20])
            raise InvalidInputError(
                f"unknown statuses: {counts}{' and more' if len(shown) > 20 else ''}",
                where=self.table,
                meaning="Whether their windows are done is not known, so nothing was imported",
                remedy=f"Write into the mapping: statuses: {{{lines}}}, each with one of {', '.join(ours)}.",
            )

    def _change(
        self, name: str, parameters: Mapping[str, Any], fragments: Mapping[str, SqlFragment] | None = None
    ) -> int:
        text = fill(sql_text(f"adoption/{name}"), fragments or self._fragments)
        values = {"import_id": self._import_id, **self._read.parameters, **parameters}
        self._cursor.execute(text.encode(), values)
        return self._cursor.rowcount

    def _execute(self, text: str, parameters: Mapping[str, Any]) -> list[Record]:
        self._cursor.execute(text.encode(), parameters)
        return self._cursor.fetchall()

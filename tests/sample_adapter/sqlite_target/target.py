"""A SQLite file as a target: the sample of `docs/adding-a-target.md`, held to the whole contract of targets.

SQLite has no types for instants, truth values and numbers beyond 64 bits: instants and days are ISO 8601 text, truth
values 0 and 1, longer numbers text. The lock of the guard row is the one write lock of the file, which BEGIN IMMEDIATE
takes.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from include.implementation_modules.sql_warehouse.columns import Columns, Name
from include.implementation_modules.sql_warehouse.dialect import Dialect
from include.implementation_modules.sql_warehouse.landing import typed_rows
from include.implementation_modules.sql_warehouse.session import Session
from include.implementation_modules.sql_warehouse.statements import MissingObjectError
from include.implementation_modules.sql_warehouse.target import SqlTarget
from include.pipeline_framework.errors import (
    PipelineError,
    PublishConflictError,
    ServiceUnavailableError,
    TerminalError,
)
from include.pipeline_framework.ports.stage import Manifest, Stage
from include.sql.text import SqlFragment, listed, quoted

SQL_TYPES = {
    "text": "TEXT",
    "integer": "",  # without a type, 37 digits of text stay text; INTEGER would make a float of them
    "number": "REAL",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMP",
    "date": "DATE",
    "json": "TEXT",
}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_UNAVAILABLE = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PROTOCOL}
_BITS = 63


def _bound(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list):
        return json.dumps(value)
    return str(value) if isinstance(value, int) and value.bit_length() > _BITS else value


class HashSum:
    """The aggregate function HASH_SUM: an exact sum as text, because SUM of SQLite overflows beyond 64 bits."""

    def __init__(self) -> None:
        self._sum = 0

    def step(self, value: int) -> None:
        """Add a value."""
        self._sum += value

    def finalize(self) -> str:
        """Return the sum's digits."""
        return str(self._sum)


class SqliteTarget(SqlTarget):
    """Loads windows into one table of a SQLite file; see `Target`.

    Args:
        connect: Returns a new `sqlite3` connection.
        options: The pipeline's target settings.
    """

    DIALECT: ClassVar[Dialect] = Dialect(
        (str(Path(__file__).parent / "sql"), "sql_target"),
        clock="STRFTIME('%Y-%m-%dT%H:%M:%f000Z', 'now')",
        begin="BEGIN IMMEDIATE",
        among="IN (SELECT value FROM JSON_EACH({value}))",
        hash_sum="HASH_SUM(_id_hash)",
        bound=_bound,
        parameter=":{name}",
    )
    locks_table = True

    class Options(BaseModel):
        """Settings of a SQLite target."""

        model_config = ConfigDict(extra="forbid", frozen=True)

        table: Name = Field(description="Table to load; it and `<table>_receipts` are created when missing.")
        columns: Columns = Field(default=(), description="Typed columns: name to type, or to {type, path, format}.")
        guard_wait_seconds: float = Field(
            default=60, gt=0, description="How long a publish waits for another one of the same file."
        )

    def __init__(self, connect: Callable[[], Any], options: Options) -> None:
        self._columns = options.columns
        names = [quoted(column.name) for column in options.columns]
        types = [SQL_TYPES[column.type] for column in options.columns]
        self._typed_columns = {column.name: SQL_TYPES[column.type] for column in options.columns}
        fragments = {
            "target": quoted(options.table),
            "target_index": quoted(f"{options.table}_window_idx"),
            "receipts": quoted(f"{options.table}_receipts"),
            "landed": quoted(f"{options.table}_landed"),
            "columns": listed(names),
            "landed_columns": listed(names),
            "definitions": listed(f"{name} {sql_type}" for name, sql_type in zip(names, types, strict=True)),
            "marks": listed("?" for _ in names),
            "milliseconds": SqlFragment(str(max(1, round(options.guard_wait_seconds * 1000)))),
        }
        super().__init__(
            connect, table=options.table, fragments=fragments, guard_wait_seconds=options.guard_wait_seconds
        )

    @staticmethod
    def connect(connection: Any) -> Callable[[], sqlite3.Connection]:
        """Return what opens the file that an Airflow connection names as its host."""
        return lambda: sqlite3.connect(connection.host)

    def _set_up(self, session: Session) -> None:
        with session.translated("set up"):
            session.connection.isolation_level = None  # autocommit; BEGIN and COMMIT are statements
            session.connection.create_aggregate("HASH_SUM", 1, HashSum)
        session.run("set_busy_timeout")

    def _create_missing(self, session: Session) -> None:
        for name in ("create_target", "create_target_index", "create_receipts"):
            session.run(name)

    def _columns_there(self, session: Session) -> set[str]:
        return {str(row[1]).lower() for row in session.run("columns_there")}

    def _load(self, session: Session, manifests: Sequence[Manifest], stage: Stage) -> None:
        session.run("create_landed")
        rows = typed_rows(manifests, stage, self._columns, session.where)
        with session.translated("insert_landed"):
            session.cursor.executemany(session.text("insert_landed"), (tuple(map(_bound, row)) for row in rows))

    def _translate(self, error: Exception, where: str) -> PipelineError | None:
        if not isinstance(error, sqlite3.Error):
            return None
        code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # without the extended code
        if code in _BUSY:
            return PublishConflictError(
                "another connection holds the lock of the file",
                where=where,
                meaning="A publish into the same file is running; nothing was changed",
                remedy="Nothing: the task is tried again.",
            )
        if code in _UNAVAILABLE:
            return ServiceUnavailableError(
                f"SQLite can't read or write its file ({error})",
                where=where,
                meaning="The receipt decides on the next try what was committed",
                remedy="Nothing, if it passes: the task is tried again. Else check the path, the rights and the disk.",
            )
        if str(error).startswith(("no such table", "no such column")):
            return MissingObjectError(
                f"SQLite knows {error}",
                where=where,
                meaning="It was never created or was dropped; nothing was changed",
                remedy="Run prepare(), or add the column with ALTER TABLE.",
            )
        return TerminalError(
            f"SQLite refused a statement: {error}",
            where=where,
            meaning="Nothing was changed in the target; trying again gives the same answer",
            remedy="Check the table's definition and the rights of the file.",
        )

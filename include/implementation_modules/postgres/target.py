"""Postgres as a target: staged lines are streamed by COPY, then published as in `sql_warehouse.target`.

`_event_at`, the receipts' windows and `timestamp` columns are TIMESTAMPTZ: instants, whatever the session's time zone.
Names are folded to lower case and quoted. Typed values are converted here, so that the refusals name the document.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import chain, islice
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

from include.implementation_modules.postgres.connecting import connect_to_primary
from include.implementation_modules.postgres.copy_text import CopyText
from include.implementation_modules.postgres.refusals import refusal
from include.implementation_modules.sql_warehouse import parameters
from include.implementation_modules.sql_warehouse.columns import Columns, Name
from include.implementation_modules.sql_warehouse.dialect import Dialect
from include.implementation_modules.sql_warehouse.session import Session
from include.implementation_modules.sql_warehouse.statements import MissingObjectError
from include.implementation_modules.sql_warehouse.target import SqlTarget
from include.implementation_modules.staged_lines import staged_lines
from include.pipeline_framework.errors import (
    BadDocumentError,
    ConfigurationError,
    PipelineError,
    PublishConflictError,
    ServiceBusyError,
    ServiceUnavailableError,
    TerminalError,
)
from include.pipeline_framework.ports.stage import Manifest, Stage
from include.pipeline_framework.ports.target import PublishRequest
from include.postgres_server.errors import Trouble, said, trouble_of
from include.postgres_server.pooler import require_own_session
from include.sql.text import listed, quoted

SQL_TYPES = {
    "text": "TEXT",
    "integer": "NUMERIC(37, 0)",
    "number": "DOUBLE PRECISION",
    "boolean": "BOOLEAN",
    "timestamp": "TIMESTAMPTZ",
    "date": "DATE",
    "json": "JSONB",
}
_CAN_CHECK_INPUT = 160_000  # pg_input_is_valid
_LOST_A_RACE = {"23505", "42P07", "42710"}  # unique key of the catalog; table, object exists
_LINE_OF_COPY = re.compile(r"\bCOPY [^,]+, line (\d+)")


class PostgresTarget(SqlTarget):
    """Loads windows into one Postgres table; see `Target`.

    Args:
        connect: Returns a new psycopg 3 connection.
        options: The pipeline's target settings.
    """

    connect = staticmethod(connect_to_primary)
    TABLES = ("create_target", "create_target_index", "create_receipts", "create_receipts_index")
    DIALECT: ClassVar[Dialect] = Dialect(
        ("postgres_target", "sql_target"),
        clock="CLOCK_TIMESTAMP()",
        # With a stricter level, the receipts would be read from a snapshot that is older than the lock.
        begin="BEGIN ISOLATION LEVEL READ COMMITTED",
        begin_query="BEGIN READ ONLY",
        among="= ANY({value})",
    )

    class Options(BaseModel):
        """Settings of a Postgres target."""

        model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

        schema_name: Name = Field(default="public", alias="schema", description="Schema; it must exist.")
        table: Name = Field(description="Table to load; it and `<table>_receipts` are created when missing.")
        columns: Columns = Field(
            default=(),
            description="Typed columns: name to type, or to {type, path, format}; types: text, integer, number, "
            "boolean, timestamp, date, json. The whole document is in `doc`.",
        )
        guard_wait_seconds: float = Field(
            default=60, gt=0, description="How long a publish waits for another one of the same source."
        )

    def __init__(self, connect: Callable[[], Any], options: Options) -> None:
        schema, table = options.schema_name.lower(), options.table.lower()
        self._columns = options.columns
        self._is_own_session = False
        names = [quoted(column.name.lower()) for column in options.columns]
        types = [SQL_TYPES[column.type] for column in options.columns]
        self._typed_columns = {column.name.lower(): SQL_TYPES[column.type] for column in options.columns}
        fragments = {
            "target": quoted(schema, table),
            "target_index": quoted(f"{table}_window_idx"),
            "receipts": quoted(schema, f"{table}_receipts"),
            "receipts_index": quoted(f"{table}_receipts_key"),
            "landed": quoted(f"{table}_loading"),
            "columns": listed(names),
            "landed_columns": listed(names),
            "definitions": listed([f"{name} {sql_type}" for name, sql_type in zip(names, types, strict=True)]),
        }
        super().__init__(
            connect, table=f"{schema}.{table}", fragments=fragments, guard_wait_seconds=options.guard_wait_seconds
        )

    def _set_up(self, session: Session) -> None:
        from psycopg.rows import tuple_row

        with session.translated("set up"):
            session.connection.autocommit = True
            session.cursor.row_factory = tuple_row
        wait = {"milliseconds": str(max(1, round(self._guard_wait_seconds * 1000)))}
        backend_pid = session.run("set_up_session", wait)[0][-1]
        if not self._is_own_session:
            with session.translated("look for a pooler"):
                require_own_session(session.connection, backend_pid, self._connect, session.where)
            self._is_own_session = True

    def _create_missing(self, session: Session) -> None:
        for name in self.TABLES:
            try:
                session.run(name)
            except TerminalError as error:
                # Two sessions create the same table: a unique key of the catalog refuses one of them.
                if getattr(error.__cause__, "sqlstate", "") not in _LOST_A_RACE:
                    raise
                raise _conflict(session.where) from error

    def _columns_there(self, session: Session) -> set[str]:
        return {name for (name,) in session.run("present_columns", {"target_name": self._fragments["target"]})}

    def _load(self, session: Session, manifests: Sequence[Manifest], stage: Stage) -> None:
        session.run("create_loading")
        self._copy(session, "copy_lines", manifests, stage, lambda manifest: [manifest.lifecycle_id])

    def _writer(self, session: Session, requests: Sequence[PublishRequest], stage: Stage) -> Callable[[], None]:
        own = {request.lifecycle_id: tuple(parameters.of_loading(request).values()) for request in requests}
        manifests = [request.manifest for request in requests]
        return lambda: self._copy(session, "copy_rows", manifests, stage, lambda manifest: own[manifest.lifecycle_id])

    def _copy(
        self,
        session: Session,
        name: str,
        manifests: Sequence[Manifest],
        stage: Stage,
        own: Callable[[Manifest], Sequence[Any]],
    ) -> None:
        """Stream the staged lines, each with its manifest's own fields before it."""
        blocks = CopyText(self._columns, session.where).blocks(manifests, stage, own)
        try:
            with session.translated(name), session.cursor.copy(session.text(name)) as copy:
                for block in blocks:
                    copy.write(block)
        except BadDocumentError as error:
            raise _naming_the_document(error, manifests, stage) from error.__cause__

    def _explained(self, session: Session, error: BadDocumentError) -> BadDocumentError:
        """Return the error with row and column, which Postgres does not name if a column's type was altered."""
        names = {"target_name": self._fragments["target"], "landed_name": self._fragments["landed"]}
        altered = session.run("find_altered", names)
        has_check = session.run("server_version")[0][0] >= _CAN_CHECK_INPUT
        for column, is_now, was_meant in altered:
            found = []
            if has_check:
                text = session.text("find_misfit", {"altered_column": quoted(column)})
                found = session.execute(text, {"type": is_now}, doing="find_misfit")
            if found or not has_check:
                document = f"document {found[0][0]!r} has a value" if found else "a document has a value"
                return BadDocumentError(
                    f"{document} that does not fit into column {column!r}: it is {is_now} by now, {was_meant} is meant",
                    where=error.where,
                    meaning="Somebody has altered the table; nothing was changed in it",
                    remedy=f"Make the column {was_meant} again (ALTER TABLE … ALTER COLUMN … TYPE …), or mend the "
                    "document at its source; then clear the task.",
                )
        return error

    def _translate(self, error: Exception, where: str) -> PipelineError | None:
        return translated_error(error, where)


def translated_error(error: Exception, where: str) -> PipelineError | None:
    """Return the framework's error for an error of the client library; None for any other error."""
    import psycopg

    if not isinstance(error, psycopg.Error):
        return None
    trouble, message = trouble_of(error), said(error)
    if trouble is Trouble.CONFLICT:
        return _conflict(where)
    if trouble is Trouble.READ_ONLY:
        return ServiceUnavailableError(
            f"Postgres takes no writes: {message}",
            where=where,
            meaning="It is a standby, or made read-only; nothing was changed",
            remedy="Nothing while a failover is going on: the task is tried again. If it stays, let the connection "
            "name the primary, or all hosts of the cluster.",
        )
    if trouble.is_passing:
        kind = ServiceBusyError if trouble is Trouble.BUSY else ServiceUnavailableError
        return kind(
            f"Postgres did not answer, or not now ({message})",
            where=where,
            meaning="The receipt decides on the next try what was committed",
            remedy="Nothing: the task is tried again. Check the server and its connection limit if it stays.",
        )
    if found := refusal(error):
        known = MissingObjectError if trouble is Trouble.NOT_THERE else ConfigurationError
        return known(found.what, where=where, meaning=found.meaning, remedy=found.remedy)
    if trouble is Trouble.NOT_THERE:
        return MissingObjectError(
            f"Postgres knows no such table, column or schema: {message}",
            where=where,
            meaning="It was never created or was dropped; nothing was changed",
            remedy="Run prepare(), create the schema, or add the column with ALTER TABLE.",
        )
    if trouble is Trouble.BAD_VALUE:
        return BadDocumentError(
            f"Postgres can't hold a staged document: {message}",
            where=where,
            meaning="Nothing was changed in the target",
            remedy="Mend the document at its source (jsonb has no \\u0000), or use `on_bad_document: quarantine`.",
        )
    if trouble is Trouble.BROKEN_RULE:
        return TerminalError(
            f"a rule of the table refuses a row: {message}",
            where=where,
            meaning="Somebody has added a constraint (NOT NULL, CHECK, UNIQUE, a foreign key, a partition's bounds); "
            "nothing was changed in the target",
            remedy="Drop the constraint, or mend at their source the documents that break it; then clear the task.",
        )
    if getattr(error, "sqlstate", None) == "42501":
        return TerminalError(
            f"Postgres refused a statement: {message}",
            where=where,
            meaning="A privilege is missing, or row-level security hides rows of the table from this role; nothing was "
            "changed in the target",
            remedy="Grant what is missing, and where the table has policies BYPASSRLS (ALTER ROLE … BYPASSRLS).",
        )
    return TerminalError(
        f"Postgres refused a statement: {message}",
        where=where,
        meaning="Nothing was changed in the target; trying again gives the same answer",
        remedy="Check the role's grants and the table's definition.",
    )


def _conflict(where: str) -> PublishConflictError:
    return PublishConflictError(
        "another session holds a lock on the target",
        where=where,
        meaning="A publish of the same source object is running; nothing was changed",
        remedy="Nothing: the task is tried again. `pg_locks` and `pg_stat_activity` tell who holds it.",
    )


def _naming_the_document(error: BadDocumentError, manifests: Sequence[Manifest], stage: Stage) -> BadDocumentError:
    """Return the error with the document's id; Postgres gives only the number of the line."""
    diagnosis = getattr(error.__cause__, "diag", None)
    number = _LINE_OF_COPY.search(getattr(diagnosis, "context", None) or "")
    if number is None:
        return error
    lines = chain.from_iterable(staged_lines(manifest, stage) for manifest in manifests)
    line = next(islice(lines, int(number[1]) - 1, None), None)
    what = f"{error.what}; document {line.id!r}" if line else error.what
    return BadDocumentError(what, where=error.where, meaning=error.meaning, remedy=error.remedy)

"""The ledger's mirror in a Postgres target: `pipeline_lifecycle` in the schema of the tables that pipelines load."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, ClassVar

from include.implementation_modules.postgres.target import PostgresTarget, translated_error
from include.implementation_modules.sql_warehouse.dialect import Dialect
from include.implementation_modules.sql_warehouse.mirror import SqlMirror
from include.implementation_modules.sql_warehouse.session import Session
from include.pipeline_framework.core.watching.mirror import MirrorColumn
from include.pipeline_framework.errors import PipelineError
from include.postgres_server.pooler import require_own_session

_LOCK_WAIT_MILLISECONDS = "60000"
_SAME_TYPE = frozenset(
    {"smallint", "integer", "bigint", "numeric", "numeric(38,0)", "double precision", "boolean", "date", "jsonb"}
)


class PostgresMirror(SqlMirror):
    """See `LifecycleMirror`.

    Args:
        connect: As `PostgresTarget`'s.
        options: The target's settings of a pipeline that loads there; the mirror uses its schema.
    """

    # It begins as the target does: a stricter level would search for newer rows in a snapshot older than the lock.
    DIALECT: ClassVar[Dialect] = replace(
        PostgresTarget.DIALECT, folders=("lifecycle_mirror/postgres", "lifecycle_mirror", "postgres_target")
    )
    Options = PostgresTarget.Options

    def __init__(self, connect: Callable[[], Any], options: PostgresTarget.Options) -> None:
        super().__init__(connect, [options.schema_name.lower()], "pipeline_lifecycle_loading")
        self._is_own_session = False

    @staticmethod
    def _folded(name: str) -> str:
        return name

    def _set_up(self, session: Session) -> None:
        from psycopg.rows import tuple_row

        with session.translated("set up"):
            session.connection.autocommit = True
            session.cursor.row_factory = tuple_row
        set_up = session.run("set_up_session", {"milliseconds": _LOCK_WAIT_MILLISECONDS})
        if not self._is_own_session:
            with session.translated("look for a pooler"):
                require_own_session(session.connection, set_up[0][-1], self._connect, session.where)
            self._is_own_session = True

    def _lock(self, session: Session) -> None:
        session.run("lock_mirror")

    def _land(self, session: Session, lines: Iterable[str]) -> None:
        session.run("create_loading")
        with session.translated("copy_lines"), session.cursor.copy(session.text("copy_lines")) as copy:
            for line in lines:
                copy.write_row((line,))

    def _type(self, column: MirrorColumn) -> tuple[str, str]:
        if column.type == "timestamp with time zone":
            return "TIMESTAMPTZ", "({text} || 'Z')::TIMESTAMPTZ"
        if column.type == "xid8":
            return "NUMERIC(20, 0)", "{text}::NUMERIC(20, 0)"
        return (column.type, f"{{text}}::{column.type}") if column.type in _SAME_TYPE else ("TEXT", "{text}")

    def _element(self, index: int) -> str:
        return f"(line ->> {index})"

    def _translate(self, error: Exception, where: str) -> PipelineError | None:
        return translated_error(error, where)

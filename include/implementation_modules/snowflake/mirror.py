"""The ledger's mirror in Snowflake: `PIPELINE_LIFECYCLE` beside the tables that the pipelines load.

Instants are TIMESTAMP_NTZ holding UTC, like those of the loaded tables, so that both compare and join without a session
parameter. Rows travel as JSON inside of statements, which needs no stage: a statement's text may have one megabyte.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, ClassVar
from uuid import uuid4

from include.implementation_modules.snowflake.errors import translated_error
from include.implementation_modules.snowflake.target import SnowflakeTarget
from include.implementation_modules.sql_warehouse.dialect import Dialect
from include.implementation_modules.sql_warehouse.mirror import SqlMirror
from include.implementation_modules.sql_warehouse.session import Session
from include.pipeline_framework.core.watching.mirror import MirrorColumn, joined
from include.pipeline_framework.errors import PipelineError
from include.sql.text import quoted

BYTES_PER_STATEMENT = 400_000
"""Less than half of a statement's one megabyte: a text of quotes and backslashes doubles when it is bound."""

_LOCK_WAIT_SECONDS = 60
_WHOLE = ("NUMBER(37, 0)", "{text}::NUMBER(37, 0)")  # fakesnow 0.12.1 stores NUMBER(38, 0) in 64 bits
_TYPES = {
    "smallint": _WHOLE,
    "integer": _WHOLE,
    "bigint": _WHOLE,
    "xid8": _WHOLE,
    "numeric(38,0)": _WHOLE,
    "numeric": ("NUMBER(37, 18)", "{text}::NUMBER(37, 18)"),  # minutes and percentages
    "double precision": ("FLOAT", "{text}::FLOAT"),
    "boolean": ("BOOLEAN", "{text}::BOOLEAN"),
    "date": ("DATE", "TO_DATE({text}, 'YYYY-MM-DD')"),
    "timestamp with time zone": (
        "TIMESTAMP_NTZ(6)",
        """TO_TIMESTAMP_NTZ({text}, 'YYYY-MM-DD"T"HH24:MI:SS.FF6')""",
    ),
    "jsonb": ("VARIANT", "PARSE_JSON({text})"),
}


class SnowflakeMirror(SqlMirror):
    """See `LifecycleMirror`.

    Args:
        connect: As `SnowflakeTarget`'s.
        options: The target's settings of a pipeline that loads there; the mirror uses its database and schema.
    """

    DIALECT: ClassVar[Dialect] = replace(
        SnowflakeTarget.DIALECT, folders=("lifecycle_mirror/snowflake", "lifecycle_mirror", "snowflake")
    )
    Options = SnowflakeTarget.Options

    def __init__(self, connect: Callable[[], Any], options: SnowflakeTarget.Options) -> None:
        place = [part.upper() for part in (options.database, options.schema_name) if part]
        super().__init__(connect, place, f"PIPELINE_LIFECYCLE_LOADING_{uuid4().hex[:12].upper()}")

    @staticmethod
    def _folded(name: str) -> str:
        return name.upper()

    def _set_up(self, session: Session) -> None:
        session.run("set_autocommit")
        session.run("set_lock_timeout", {"seconds": _LOCK_WAIT_SECONDS})
        if self._place:
            session.execute(session.text("use_schema", {"place": quoted(*self._place)}), None, doing="use_schema")

    def _lock(self, session: Session) -> None:
        pass  # the first DELETE locks the table until the transaction ends

    def _land(self, session: Session, lines: Iterable[str]) -> None:
        session.run("create_loading")
        for _, array in joined(lines, BYTES_PER_STATEMENT):
            session.run("insert_lines", {"lines": array})

    def _type(self, column: MirrorColumn) -> tuple[str, str]:
        return _TYPES.get(column.type, ("TEXT", "{text}"))

    def _element(self, index: int) -> str:
        return f"line[{index}]::TEXT"

    def _translate(self, error: Exception, where: str) -> PipelineError | None:
        return translated_error(error, where)

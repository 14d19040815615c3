"""Reads the ledger's rows for its mirrors, by the transactions that changed them; see `LifecycleFeed`.

Rows are read in one REPEATABLE READ transaction into a temporary file, so that they show one moment, and no transaction
is open in the ledger while the warehouse works.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import IO, Any

import psycopg
from psycopg.rows import dict_row

from include.implementation_modules.postgres_ledger import errors
from include.implementation_modules.postgres_ledger.locks import PostgresLocks
from include.implementation_modules.postgres_ledger.values import only_row
from include.pipeline_framework.core.watching.mirror import LedgerMoment, MirrorColumn, MirroredState, reason_for_all
from include.pipeline_framework.ports.ledger import Record
from include.pipeline_framework.ports.mirror import ChangedRows
from include.sql import statement
from include.sql.text import SqlFragment, fill, quoted

_TABLE = "pipeline_lifecycle"
_TEXTS = {
    "timestamp with time zone": """TO_CHAR({column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US')""",
    "date": "TO_CHAR({column}, 'YYYY-MM-DD')",
}
"""Texts that depend on no setting of the session; every other type has only one text form."""


@dataclass(frozen=True, slots=True)
class SpooledRows:
    """See `ChangedRows`."""

    moment: LedgerMoment
    full_because: str | None
    row_count: int
    file: IO[str]

    def lines(self) -> Iterator[str]:
        """See `ChangedRows.lines`."""
        self.file.seek(0)
        for line in self.file:
            yield line.rstrip("\n")


class PostgresChanges:
    """`LifecycleFeed` on connections of its own: one for the lock, one that reads.

    Args:
        connect: Returns a new psycopg 3 connection to the ledger's database.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._connect = connect
        self._locks = PostgresLocks(connect)
        self._holder: psycopg.Connection[Any] | None = None
        self._connection: psycopg.Connection[Any] | None = None

    @contextmanager
    def lock(self, mirror: str) -> Iterator[bool]:
        """See `LifecycleFeed.lock`; everything else happens while it is held."""
        try:
            with self._locks.holding(f"mirror {mirror}") as self._holder:
                if self._holder is None:
                    yield False
                    return
                with _translated():
                    self._connection = self._connect()
                    self._connection.autocommit = True
                yield True
        finally:
            self._holder = None
            self._locks.close()
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def last(self, mirror: str) -> MirroredState | None:
        """See `LifecycleFeed.last`."""
        rows = self._run("mirror_last", {"mirror": mirror})
        if not rows:
            return None
        row = rows[0]
        return MirroredState(row["ledger"], int(row["watermark"]), tuple(row["columns"]), tuple(row["pipelines"]))

    @contextmanager
    def read(
        self, last: MirroredState | None, pipelines: Sequence[str], full_because: str | None = None
    ) -> Iterator[SpooledRows]:
        """See `LifecycleFeed.read`."""
        with tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n") as file:
            with _translated(), self._locked.transaction():
                self._locked.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
                moment = self._moment()
                because = full_because or reason_for_all(last, pipelines, moment)
                watermark = None if because or last is None else last.watermark
                count = self._spool(file, moment, pipelines, watermark)
            yield SpooledRows(moment, because, count, file)

    def remember(self, mirror: str, pipelines: Sequence[str], rows: ChangedRows) -> None:
        """See `LifecycleFeed.remember`; only the lock's holder can do it, because it commits the lock's transaction."""
        seen = rows.moment.seen_by(pipelines)
        parameters = {
            "mirror": mirror,
            "ledger": seen.ledger,
            "watermark": str(seen.watermark),
            "ledger_columns": list(seen.columns),
            "pipelines": list(seen.pipelines),
            "row_count": rows.row_count,
            "full_because": rows.full_because,
            "mirrored_at": rows.moment.read_at,
        }
        if self._holder is None:
            raise RuntimeError("remember inside lock()")
        with _translated():
            self._holder.execute(statement("ledger/mirror_remember").encode(), parameters)
            self._holder.commit()

    @property
    def _locked(self) -> psycopg.Connection[Any]:
        if self._connection is None:
            raise RuntimeError("read inside lock()")
        return self._connection

    def _run(self, name: str, parameters: dict[str, Any]) -> list[Record]:
        with _translated(), self._locked.cursor(row_factory=dict_row) as cursor:
            cursor.execute(statement(f"ledger/{name}").encode(), parameters)
            return list(cursor.fetchall())

    def _moment(self) -> LedgerMoment:
        row = only_row(self._run("mirror_moment", {}))
        columns = self._run("describe_columns", {"tables": [_TABLE]})
        return LedgerMoment(
            row["ledger"],
            int(row["oldest_open"]),
            int(row["next_transaction"]),
            tuple(MirrorColumn(column["column_name"], column["column_type"]) for column in columns),
            row["read_at"],
        )

    def _spool(self, file: IO[str], moment: LedgerMoment, pipelines: Sequence[str], watermark: int | None) -> int:
        texts = ", ".join(_text(column) for column in moment.columns)
        sql = fill(statement("ledger/mirror_rows"), {"texts": SqlFragment(texts)})
        parameters = {
            "pipelines": list(pipelines),
            "watermark": None if watermark is None else str(watermark),
            "next_transaction": str(moment.next_transaction),
        }
        count = 0
        with self._locked.cursor() as cursor, cursor.copy(sql.encode(), parameters) as copy:
            for row in copy.rows():
                file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")) + "\n")
                count += 1
        return count


def _text(column: MirrorColumn) -> str:
    return fill(_TEXTS.get(column.type, "{column}::text"), {"column": quoted(column.name)})


def _translated() -> AbstractContextManager[None]:
    return errors.translated(
        "Nothing is lost: what the warehouse has committed already is mirrored once more", "Nothing was mirrored"
    )

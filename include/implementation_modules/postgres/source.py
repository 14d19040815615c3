"""A Postgres table as a source: one row is one document, in the line of a staged file that Postgres itself makes of it.

The consistent view is one REPEATABLE READ, READ ONLY transaction: the count and the server-side cursor see the same
snapshot. Its time zone is set to UTC, so documents look the same wherever the worker runs. Rows that a policy hides
cause an error of Postgres itself (`row_security = off`), and a standby must have replayed everything that the window
should have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from include.implementation_modules.postgres.connecting import connect
from include.implementation_modules.postgres.lines import page_of
from include.implementation_modules.postgres.read_errors import translated
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    ConfigurationError,
    IncompleteExtractError,
    ServiceUnavailableError,
)
from include.pipeline_framework.ports.source import BucketCount, Document, SourcePart, TimeUnit
from include.postgres_server import session
from include.sql import statement

_TIMESTAMPTZ_OID = 1184
_LONGEST_NAME = 63


def _identifier(name: str) -> str:
    """Return any name, which is quoted; refuse NULs and more than 63 bytes, where psycopg or Postgres would cut it."""
    if "\0" in name or not 0 < len(name.encode("utf-8", "surrogatepass")) <= _LONGEST_NAME:
        raise ValueError(f"a name has at least one character, at most {_LONGEST_NAME} bytes, and no NUL")
    return name


Identifier = Annotated[str, StringConstraints(min_length=1), AfterValidator(_identifier)]


class PostgresSourceOptions(BaseModel):
    """Which table to read, and which of its columns say what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    table_schema: Identifier = Field(default="public", description="Schema of the table or view.")
    table: Identifier = Field(description="Table or view.")
    time_column: Identifier = Field(description="Event time: a column of type timestamptz.")
    id_column: Identifier = Field(description="A column that is unique and never NULL.")
    columns: tuple[Identifier, ...] | None = Field(
        default=None, min_length=1, description="Columns of the document; all when left out."
    )
    page_size: int = Field(default=5_000, ge=1, le=100_000, description="Rows fetched at a time.")
    row_security: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="A policy of row-level security that hides rows from the user: `refuse`, or `accept` its part.",
    )


class PostgresSource:
    """Reads windows of one table.

    Args:
        connect: Returns a new psycopg 3 connection, not in autocommit mode; it is closed here after each call.
        options: Table and columns.
    """

    Options = PostgresSourceOptions
    connect = staticmethod(connect)

    def __init__(self, connect: Callable[[], Any], options: PostgresSourceOptions) -> None:
        self.options = options
        self.settle: timedelta | None = None
        self._connect = connect

    def parts(self) -> dict[str, str]:
        """Return the table with its server, database and catalog number; a standby's are those of its primary."""
        with self._view() as view:
            return {part.name: part.identity for part in view.parts}

    def count(self, window: TimeWindow) -> int:
        """Return the present number of rows whose event time lies in the window."""
        with self._view(window) as view:
            return int(view.row("count")[0])

    def count_undated(self) -> int:
        """Return the number of rows whose event time is NULL or infinite."""
        with self._view() as view:
            return int(view.row("undated")[0])

    def fingerprint(self, window: TimeWindow) -> Fingerprint:
        """Return the fingerprint; the database computes it, so no id is transferred."""
        with self._view(window) as view:
            rows, hash_sum = view.row("fingerprint")
            return Fingerprint(int(rows), int(hash_sum))

    def histogram(self, window: TimeWindow, buckets: Sequence[TimeWindow]) -> list[BucketCount]:
        """Return the rows per bucket, in the buckets' order, with one scan of the window."""
        bounds = sorted({bound for bucket in buckets for bound in (bucket.start, bucket.end)})
        with self._view(window) as view:
            found = dict(view.rows("histogram", bounds=bounds)) if bounds else {}
        position = {bound: number for number, bound in enumerate(bounds)}
        return [
            # width_bucket counts from 1: 1 is [bounds[0], bounds[1])
            BucketCount(
                bucket,
                sum(found.get(number + 1, 0) for number in range(position[bucket.start], position[bucket.end])),
            )
            for bucket in buckets
        ]

    def queries(self, window: TimeWindow) -> list[str]:
        """See `TellsQueries.queries`."""
        with self._view(window) as view:
            return [view.text("lines")]

    @contextmanager
    def extract(self, window: TimeWindow) -> Iterator[PostgresExtract]:
        """Open the transaction; leaving the context ends it."""
        with self._view(window) as view:
            yield PostgresExtract(view, self.options.page_size)

    @contextmanager
    def _view(self, window: TimeWindow | None = None) -> Iterator[_View]:
        where = f"table {self.options.table_schema}.{self.options.table}" + (f", window {window}" if window else "")
        with translated(where):
            connection = self._connect()
        with closing(connection):
            view = _View(connection, self.options, window, where)
            view.require_complete(self.settle or timedelta(0))
            view.begin()
            yield view


class PostgresExtract:
    """One window in one transaction."""

    time_unit: TimeUnit = "us"

    def __init__(self, view: _View, page_size: int) -> None:
        self._view, self._page_size = view, page_size
        self.parts = view.parts
        self.expected_rows = int(view.row("count")[0])

    def pages(self) -> Iterator[Sequence[Document]]:
        """Yield the rows through a server-side cursor, in the table's own order."""
        rows = 0
        for page in self._view.pages("lines", self._page_size):
            rows += len(page)
            yield page_of([line for (line,) in page], self._view.where)
        if rows != self.expected_rows:
            raise IncompleteExtractError(
                f"{rows} rows came, {self.expected_rows} were counted in the same transaction",
                where=self._view.where,
                meaning="The extract has a hole or a double and is thrown away",
                remedy="Airflow retries; if it stays, the table or view does not give repeatable results.",
            )


class _View:
    """One transaction and the statements in it."""

    def __init__(self, connection: Any, options: PostgresSourceOptions, window: TimeWindow | None, where: str) -> None:
        self._connection, self._options, self.where = connection, options, where
        self._window = {"start": window.start, "end": window.end} if window else {}
        self.parts: list[SourcePart] = []

    def require_complete(self, settle: timedelta) -> None:
        """Find out which server this is; refuse a standby that may lack rows which the window should have by now.

        This happens before the transaction, so that the transaction's snapshot can't be older than this check.

        Raises:
            ServiceUnavailableError: The standby has not replayed enough yet.
        """
        name = f"{self._options.table_schema}.{self._options.table}"
        with translated(self.where):
            self._connection.autocommit = True
            quoted = ".".join(f'"{part.replace(chr(34), chr(34) * 2)}"' for part in self._names)
            row = self._connection.execute(statement("postgres_source/server"), {"table": quoted}).fetchone()
            self._connection.autocommit = False
        is_standby, complete_until, identity = row
        self.parts = [SourcePart(name, identity)]
        end = self._window.get("end")
        if not is_standby or end is None:
            return
        if complete_until is None or complete_until < end + settle:
            seen = "nothing" if complete_until is None else f"what was committed until {complete_until.isoformat()}"
            raise ServiceUnavailableError(
                f"The server is a standby that has replayed {seen}",
                where=self.where,
                meaning=f"Rows of the window that were committed until {(end + settle).isoformat()} could be missing; "
                "nothing was read",
                remedy="Airflow retries. If it stays, check the replication, or read from the primary. Where the "
                "primary is idle for long, grant pg_read_all_stats: then the standby can tell that it is up to date.",
            )

    @property
    def _names(self) -> tuple[str, str]:
        return self._options.table_schema, self._options.table

    def begin(self) -> None:
        from psycopg import IsolationLevel

        with translated(self.where):
            self._connection.isolation_level = IsolationLevel.REPEATABLE_READ
            self._connection.read_only = True
            row_security = "off" if self._options.row_security == "refuse" else "on"
            session.set_up(self._connection, is_local=True, others={"row_security": row_security})
            cursor = self._connection.execute(self._statement("types"))
        if cursor.description[0].type_code != _TIMESTAMPTZ_OID:
            raise ConfigurationError(
                f"The column {self._options.time_column!r} is not of type timestamptz",
                where=self.where,
                meaning="A time without a zone names no instant, so it belongs to no window",
                remedy="Set time_column to a timestamptz column, or read a view that converts it.",
            )

    def row(self, name: str) -> tuple[Any, ...]:
        return self.rows(name)[0]

    def rows(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        with translated(self.where):
            rows: list[tuple[Any, ...]] = self._connection.execute(
                self._statement(name), self._window | parameters
            ).fetchall()
            return rows

    def pages(self, name: str, size: int) -> Iterator[list[tuple[Any, ...]]]:
        import psycopg

        with translated(self.where):
            cursor = self._connection.cursor(name="window_extract", binary=True)
            cursor.execute(self._statement(name), self._window, binary=True)
        try:
            while True:
                with translated(self.where):
                    page = cursor.fetchmany(size)
                if not page:
                    return
                yield page
        finally:
            with suppress(psycopg.Error):  # it ends in any case; every row was read, or an error is being raised
                cursor.close()

    def text(self, name: str) -> str:
        """Return a statement as the server gets it, and below it its parameters."""
        bounds = [f"-- {bound}: {instant.isoformat()}" for bound, instant in self._window.items()]
        return "\n".join([self._statement(name).as_string(self._connection), *bounds])

    def _statement(self, name: str) -> Any:
        from psycopg.sql import SQL, Composed, Identifier

        options = self._options
        document: Any = SQL("t")
        if options.columns:
            names = SQL(", ").join(SQL("t.{}").format(Identifier(column)) for column in options.columns)
            document = SQL("(SELECT r FROM (SELECT {}) AS r)").format(names)
        text: Any = statement(f"postgres_source/{name}")
        filled: Composed = SQL(text).format(
            source_table=Identifier(options.table_schema, options.table),
            time_column=Identifier(options.time_column),
            id_column=Identifier(options.id_column),
            document=document,
        )
        return filled

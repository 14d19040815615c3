"""Looks at a table before its pipeline exists: its columns, its days, and rows of all of its time range."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from typing import Any

from include.implementation_modules.postgres.read_errors import translated
from include.implementation_modules.sql_warehouse.columns import parse_document
from include.pipeline_framework.core.proposing.description import (
    DOCUMENTS_PER_WINDOW,
    DayRows,
    Kind,
    Sampled,
    SourceDescription,
    SourceField,
    SourceShape,
    sample_windows,
)
from include.pipeline_framework.core.texts import did_you_mean
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import InvalidInputError
from include.postgres_server import session
from include.sql import statement

DEFAULT_SCHEMA = "public"

_INSTANT = "timestamp with time zone"
_LOCAL = "timestamp without time zone"
_KINDS: Mapping[str, Kind] = {
    **dict.fromkeys(("smallint", "integer", "bigint"), "integer"),
    **dict.fromkeys(("real", "double precision", "numeric"), "number"),
    "boolean": "boolean",
    **dict.fromkeys((_INSTANT, _LOCAL), "timestamp"),
    "date": "date",
    **dict.fromkeys(("json", "jsonb", "record"), "unknown"),
}
_LIKELY_TIMES = ("event_time", "event_at", "occurred_at", "at", "ts", "time", "timestamp", "updated_at", "created_at")
COUNTED_BYTES = 512 * 1024 * 1024
"""Of a larger table, about this much is counted, in whole pages from everywhere."""

SAMPLED_BYTES = 16 * 1024 * 1024
"""Of a larger table, the sample is taken of about this much."""


class PostgresInspection:
    """Looks at tables; see `SourceInspection`. A table's name is `table`, or `schema.table`.

    Args:
        connect: Returns a new psycopg 3 connection, not in autocommit mode; it is closed here after each call.
    """

    def __init__(self, connect: Callable[[], Any]) -> None:
        self._connect = connect

    def names(self) -> list[str]:
        """Return tables and views; those of the schema `public` without their schema."""
        with self._view("Postgres") as view:
            found = view.execute(statement("postgres_inspection/tables").encode(), {}).fetchall()
        return [table if schema == DEFAULT_SCHEMA else f"{schema}.{table}" for schema, table in found]

    def shape(self, name: str) -> SourceShape:
        """Return the columns of a table or view."""
        schema, table = split_name(name)
        with self._view(f"table {name}") as view:
            names = {"table_schema": schema, "table": table}
            found = view.execute(statement("postgres_inspection/columns"), names).fetchall()
        if not found:
            raise InvalidInputError(
                f"there is no table {name!r}",
                remedy="Name one with --table, as schema.table where the schema is not public; "
                f"{did_you_mean(name, self.names()) or 'there is none at all'}",
            )
        fields = tuple(_field(column, type_name, scale) for column, type_name, scale, *_ in found)
        ranks = {column: rank for rank, column in enumerate(_LIKELY_TIMES)}
        times = [each.name for each in fields if each.type == _INSTANT]
        primary = tuple(row[0] for row in found if row[-1])
        unique = tuple(
            column for column, _type, _scale, is_not_null, is_unique, _ in found if is_not_null and is_unique
        )
        return SourceShape(
            name,
            fields,
            tuple(sorted(times, key=lambda column: ranks.get(column, len(ranks)))),
            primary or unique,
        )

    def describe(self, shape: SourceShape, time_field: str, timezone: str) -> SourceDescription:
        """Return the days of a table, and a sample of its rows."""
        _require_time(shape, time_field)
        schema, table = split_name(shape.name)
        names = {"table_schema": schema, "table": table, "column_name": time_field}
        with self._view(f"table {shape.name}") as view:
            size, is_indexed = view.execute(statement("postgres_inspection/table"), names).fetchone()
            percent = _percent(size, COUNTED_BYTES)
            if percent is None:
                counted = view.execute(_filled("days", shape.name, time_field), {"timezone": timezone}).fetchall()
            else:
                part = {"timezone": timezone, "percent": percent}
                counted = view.execute(_filled("days_of_part", shape.name, time_field), part).fetchall()
            rows = [(day, round(count * 100 / (percent or 100))) for day, count in counted]
            days = tuple(DayRows(day, count) for day, count in rows if day is not None)
            sample = tuple(_sample(view, shape.name, time_field, sample_windows(days, timezone), size))
        unindexed = f"no index begins with {time_field}: every window reads all of the table"
        return SourceDescription(
            shape,
            time_field,
            timezone,
            days,
            undated=sum(count for day, count in rows if day is None),
            sample=sample,
            is_estimated=percent is not None,
            note=unindexed if _percent(size, SAMPLED_BYTES) and not is_indexed else "",
        )

    @contextmanager
    def _view(self, where: str) -> Iterator[Any]:
        """Give a connection with one transaction that only reads; rows that a policy hides are an error in it."""
        from psycopg import IsolationLevel

        with translated(where):
            connection = self._connect()
            with closing(connection):
                connection.isolation_level = IsolationLevel.REPEATABLE_READ
                connection.read_only = True
                session.set_up(connection, is_local=True, others={"row_security": "off"})
                yield connection


def split_name(name: str) -> tuple[str, str]:
    """Return schema and table.

    >>> split_name("sales.orders"), split_name("orders")
    (('sales', 'orders'), ('public', 'orders'))
    """
    schema, dot, table = name.partition(".")
    return (schema, table) if dot else (DEFAULT_SCHEMA, name)


def _percent(size: Any, most: int) -> float | None:
    """Return which part of a table of a size is read; None: all of it, or a view, of which no part can be read."""
    return 100 * most / float(size) if size and size > most else None


def _sample(view: Any, name: str, time_column: str, windows: Sequence[TimeWindow], size: Any) -> Iterator[Sampled]:
    """Yield rows of every window; of a large table rows of pages from everywhere, as it may lack an index of times."""
    percent = _percent(size, SAMPLED_BYTES)
    wanted: list[tuple[str, dict[str, Any]]]
    if percent is not None:
        wanted = [("sample_of_part", {"percent": percent, "limit": DOCUMENTS_PER_WINDOW * len(windows)})]
    else:
        wanted = [("sample", {"start": each.start, "end": each.end, "limit": DOCUMENTS_PER_WINDOW}) for each in windows]
    for statement_name, parameters in wanted:
        for event_at, text in view.execute(_filled(statement_name, name, time_column), parameters).fetchall():
            body = text.encode()
            yield Sampled(event_at, parse_document(body), len(body))


def _filled(name: str, table: str, time_column: str) -> Any:
    from psycopg.sql import SQL, Identifier

    text: Any = statement(f"postgres_inspection/{name}")
    return SQL(text).format(source_table=Identifier(*split_name(table)), time_column=Identifier(time_column))


def _field(column: str, type_name: str, scale: int | None) -> SourceField:
    kind = "nested" if type_name.endswith("[]") else _KINDS.get(type_name, "text")
    if type_name == "numeric" and scale == 0:
        kind = "integer"
    note = "no time zone: taken as UTC" if type_name == _LOCAL else ""
    return SourceField((column,), type_name, kind, note=note, is_decimal=type_name == "numeric")


def _require_time(shape: SourceShape, time_field: str) -> None:
    """Refuse a column that is no instant.

    Raises:
        InvalidInputError: Names the columns that are.
    """
    if time_field in shape.time_fields:
        return
    known = {each.name: each.type for each in shape.fields}
    what = f"is of type {known[time_field]}" if time_field in known else "is not there"
    raise InvalidInputError(
        f"the time column {time_field!r} {what}",
        where=f"table {shape.name}",
        meaning="Only a timestamptz names an instant, and without one no row can be put into a window",
        remedy=f"Name one of these with --time-field: {', '.join(shape.time_fields)}."
        if shape.time_fields
        else "The table has no timestamptz: read a view that converts one (at AT TIME ZONE 'Europe/Berlin').",
    )

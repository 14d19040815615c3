"""Errors and doubtful values during the adoption of an older table, in the framework's words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from include.pipeline_framework.errors import (
    InvalidInputError,
    PipelineError,
    ServiceBusyError,
    ServiceUnavailableError,
)
from include.pipeline_framework.ports.ledger import Record
from include.postgres_server.errors import Trouble, said, trouble_of

NOTHING_WRITTEN = "Nothing was written"


class UnreadableError(Exception):
    """A value of the older table can't be cast; the transaction has ended."""


@contextmanager
def translated(table: str) -> Iterator[None]:
    """Turn the client library's errors into the framework's; a value that can't be cast raises `UnreadableError`."""
    try:
        yield
    except PipelineError:
        raise
    except psycopg.Error as error:
        raise _translation(error, table) from error


def _translation(error: psycopg.Error, table: str) -> Exception:
    trouble = trouble_of(error)
    if trouble is Trouble.BAD_VALUE:
        return UnreadableError(" ".join((error.diag.message_primary or str(error)).split())[:200])
    if trouble is Trouble.NOT_THERE:
        return InvalidInputError(
            "the ledger's tables are not up to date",
            where="lifecycle_postgres",
            meaning=NOTHING_WRITTEN,
            remedy="Run: python -m include.cli ledger migrate.",
        )
    if trouble is Trouble.NOT_ALLOWED:
        return InvalidInputError(
            f"the database refuses: {said(error)}",
            where=table,
            meaning=NOTHING_WRITTEN,
            remedy="Use a login with the role ledger_runtime (sql/roles/ledger_roles.sql) that may read the table.",
        )
    if trouble is Trouble.CONFLICT or isinstance(
        error, psycopg.errors.ExclusionViolation | psycopg.errors.UniqueViolation
    ):
        return ServiceBusyError(
            "another session planned windows of the same sources meanwhile",
            where=table,
            meaning=NOTHING_WRITTEN,
            remedy="Pause the planner and the pipelines' DAGs, then run it again.",
        )
    if trouble is Trouble.BROKEN_RULE:
        return InvalidInputError(
            f"the ledger's rule {error.diag.constraint_name or error.diag.column_name} refuses a row",
            where=table,
            meaning=NOTHING_WRITTEN,
            remedy="Correct the rows; docs/ledger.md says what each column holds.",
        )
    if trouble is Trouble.REFUSED:
        return InvalidInputError(
            f"the ledger's database refuses a statement: {said(error)}",
            where=table,
            meaning=NOTHING_WRITTEN,
            remedy="Adopt a view of the table with the ledger's own types. Run `ledger migrate` if it is not that.",
        )
    return ServiceUnavailableError(
        f"the ledger's database does not answer, or not now: {said(error)}",
        where="lifecycle_postgres",
        meaning="Nothing was written, or a commit's answer was lost; it is safe to repeat",
        remedy="Check that Postgres runs and takes writes, and run it again: what was adopted is not adopted twice.",
    )


def inclusive_end_notes(counts: Record, end: str | None, table: str) -> list[str]:
    """Return notes about ends that look inclusive, or about those that don't in a table with inclusive ends.

    Args:
        counts: Of `sql/adoption/inclusive_ends.sql`.
        end: The mapping's value; None: it has none.
        table: The older table.
    """
    rows = f"of {counts['total']} rows of {table}"
    if end is None and counts["looking_inclusive"]:
        return [
            f"{counts['looking_inclusive']} {rows} end as if their end were inclusive, such as "
            f"{', '.join(counts['examples'])}: ends are exclusive here, so what each leaves open is a gap; write "
            "end: inclusive into the mapping to have them moved to the exclusive end, or end: exclusive if it is meant"
        ]
    if end == "inclusive" and counts["on_a_minute"]:
        return [f"{counts['on_a_minute']} {rows} end on a full minute: taken as exclusive, although end is inclusive"]
    return []


def table_name(table: str) -> dict[str, str]:
    """Return schema and name; either may be in double quotes."""
    part = r'(?:"((?:[^"]|"")+)"|([^".]+))'
    match = re.fullmatch(rf"(?:{part}\.)?{part}", table.strip())
    if not match or "\0" in table:
        raise InvalidInputError(f"{table!r} is not the name of a table", where="--table", remedy="Write schema.table.")
    schema, name = (
        quoted.replace('""', '"') if quoted else plain for quoted, plain in (match.group(1, 2), match.group(3, 4))
    )
    return {"schema": schema or "public", "name": name}

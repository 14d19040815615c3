"""What can go wrong while an older table is adopted, in the framework's words."""

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

NOTHING_WRITTEN = "Nothing was written"
_MEANWHILE = (
    psycopg.errors.ExclusionViolation,
    psycopg.errors.UniqueViolation,
    psycopg.errors.SerializationFailure,
)


class UnreadableError(Exception):
    """A value of theirs that can't be cast; the transaction is over."""


@contextmanager
def translated(table: str) -> Iterator[None]:
    """Turn the client library's errors into the framework's; a value that can't be cast into `UnreadableError`."""
    try:
        yield
    except PipelineError:
        raise
    except psycopg.DataError as error:
        raise UnreadableError(" ".join((error.diag.message_primary or str(error)).split())[:200]) from error
    except psycopg.errors.UndefinedTable as error:
        raise InvalidInputError(
            "the ledger's tables are not up to date",
            where="lifecycle_postgres",
            meaning=NOTHING_WRITTEN,
            remedy="Run: python -m include.cli ledger migrate.",
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise InvalidInputError(
            f"the database refuses: {error.diag.message_primary}",
            where=table,
            meaning=NOTHING_WRITTEN,
            remedy="Use a login with the role ledger_runtime (sql/roles/ledger_roles.sql) that may read the table.",
        ) from error
    except (
        psycopg.errors.ExclusionViolation,
        psycopg.errors.UniqueViolation,
        psycopg.errors.SerializationFailure,
    ) as error:
        raise ServiceBusyError(
            "another session planned windows of the same sources meanwhile",
            where=table,
            meaning=NOTHING_WRITTEN,
            remedy="Pause the planner and the pipelines' DAGs, then run it again.",
        ) from error
    except psycopg.errors.IntegrityError as error:
        raise InvalidInputError(
            f"the ledger's rule {error.diag.constraint_name or error.diag.column_name} refuses a row",
            where=table,
            meaning=NOTHING_WRITTEN,
            remedy="Correct the rows; docs/ledger.md says what each column holds.",
        ) from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise ServiceUnavailableError(
            f"the ledger's database does not answer: {type(error).__name__}",
            where="lifecycle_postgres",
            meaning="Nothing was written, or a commit's answer was lost; it is safe to repeat",
            remedy="Check that Postgres runs, and run it again: what was adopted is not adopted twice.",
        ) from error


def table_name(table: str) -> dict[str, str]:
    """Schema and name; either may stand in double quotes."""
    part = r'(?:"((?:[^"]|"")+)"|([^".]+))'
    match = re.fullmatch(rf"(?:{part}\.)?{part}", table.strip())
    if not match or "\0" in table:
        raise InvalidInputError(f"{table!r} is not the name of a table", where="--table", remedy="Write schema.table.")
    schema, name = (
        quoted.replace('""', '"') if quoted else plain for quoted, plain in (match.group(1, 2), match.group(3, 4))
    )
    return {"schema": schema or "public", "name": name}

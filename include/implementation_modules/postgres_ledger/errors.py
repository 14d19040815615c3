"""Translates psycopg's errors into the framework's, for all code that uses the ledger's database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

from include.implementation_modules.postgres_ledger.values import brief_error
from include.pipeline_framework.errors import (
    ConfigurationError,
    InvalidInputError,
    PipelineError,
    ServiceBusyError,
    ServiceUnavailableError,
    TerminalError,
)
from include.postgres_server.errors import Trouble, said, state_of, trouble_of

_WHERE = "lifecycle_postgres"
_SAFE_TO_REPEAT = "Nothing was written, or a commit's answer was lost; both are safe to repeat"
_NOTHING_WRITTEN = "Nothing was written"
_MIGRATE = "Run `ledger migrate`, then include/sql/roles/ledger_roles.sql for the login's rights."


@contextmanager
def translated(passing: str = _SAFE_TO_REPEAT, lasting: str = _NOTHING_WRITTEN) -> Iterator[None]:
    """Translate every error of the client library.

    Args:
        passing: The meaning of an error after which the same call may succeed.
        lasting: The meaning of any other error.
    """
    try:
        yield
    except PipelineError:
        raise
    except psycopg.Error as error:
        raise ledger_error(error, passing, lasting) from error
    except UnicodeEncodeError as error:  # a lone surrogate, which has no UTF-8
        raise _bad_value(error, lasting) from error


def ledger_error(
    error: psycopg.Error, passing: str = _SAFE_TO_REPEAT, lasting: str = _NOTHING_WRITTEN
) -> PipelineError:
    """Return the framework's error for an error of psycopg; see `translated`."""
    trouble = trouble_of(error)
    if trouble.is_passing:
        what, remedy = {
            Trouble.UNAVAILABLE: (
                "the ledger does not answer",
                "Check that Postgres runs and that the connection lifecycle_postgres reaches it.",
            ),
            Trouble.READ_ONLY: (
                "the ledger's server takes no writes",
                "Nothing while a failover is going on. If it stays, the connection lifecycle_postgres leads to a "
                "standby, or the server has default_transaction_read_only: name the primary, or all hosts.",
            ),
            Trouble.BUSY: (
                f"the ledger's server has too much to do: {said(error)}",
                "Nothing: it is tried again. If it stays, give the server more connections, memory or disk.",
            ),
            Trouble.CONFLICT: (
                f"another session is in the way of the ledger: {said(error)}",
                "Nothing: it is tried again. `pg_locks` and `pg_stat_activity` tell who holds what.",
            ),
        }[trouble]
        kind = ServiceBusyError if trouble is Trouble.BUSY else ServiceUnavailableError
        return kind(what, where=_WHERE, meaning=passing, remedy=remedy)
    if trouble is Trouble.BAD_VALUE:
        return _bad_value(error, lasting)
    if trouble is Trouble.BROKEN_RULE:
        return InvalidInputError(
            f"the ledger's rule {error.diag.constraint_name or error.diag.column_name} refuses a row",
            where=error.diag.table_name or "pipeline_lifecycle",
            meaning=lasting,
            remedy="Correct the record; docs/ledger.md says what each column holds.",
        )
    if state_of(error) == "3D000":
        return ConfigurationError(
            "the ledger's database does not exist",
            where=_WHERE,
            meaning=lasting,
            remedy="Correct the schema field of lifecycle_postgres (it is the database's name), or CREATE DATABASE it; "
            "then run `ledger migrate`.",
        )
    if trouble is Trouble.NOT_THERE:
        return ConfigurationError(
            f"the ledger's tables are not up to date: {said(error)}", where=_WHERE, meaning=lasting, remedy=_MIGRATE
        )
    if trouble is Trouble.NOT_ALLOWED:
        return ConfigurationError(
            f"the ledger's database refuses the login: {said(error)}",
            where=_WHERE,
            meaning=lasting,
            remedy="Correct the login of the connection lifecycle_postgres, or give it the role ledger_runtime "
            "(include/sql/roles/ledger_roles.sql, after every `ledger migrate`).",
        )
    return TerminalError(
        f"the ledger's database refuses a statement: {said(error)}", where=_WHERE, meaning=lasting, remedy=_MIGRATE
    )


def _bad_value(error: Any, meaning: str) -> InvalidInputError:
    return InvalidInputError(
        f"the ledger can't hold a value: {brief_error(error)}",
        where="pipeline_lifecycle",
        meaning=meaning,
        remedy="Correct the value; docs/ledger.md says what each column holds.",
    )

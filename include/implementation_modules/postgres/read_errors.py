"""Translates errors of reading a Postgres into the framework's, with the server's message but no connection string."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from include.pipeline_framework.errors import (
    ConfigurationError,
    PipelineError,
    ServiceBusyError,
    ServiceUnavailableError,
)
from include.postgres_server.errors import Trouble, said, state_of, trouble_of


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Translate psycopg's errors into the framework's, with the server's message but never a connection string."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise _of_state(error, where) from error


def _of_state(error: Any, where: str) -> PipelineError:
    trouble = trouble_of(error)
    # READ_ONLY is lasting here: the transaction is read-only by intention, so the view itself tries to write
    if trouble.is_passing and trouble is not Trouble.READ_ONLY:
        kind = ServiceBusyError if trouble is Trouble.BUSY else ServiceUnavailableError
        return kind(
            f"Postgres did not answer, or not now ({said(error)})",
            where=where,
            meaning="What was read so far is not the whole window and is thrown away",
            remedy="Airflow retries; if it stays, check host, port and credentials of the connection and the server.",
        )
    if state_of(error).startswith("28"):
        return ConfigurationError(
            f"Postgres refused the login ({said(error)})",
            where=where,
            meaning="Nothing was read",
            remedy="Check login and password of the connection, and what pg_hba.conf lets in.",
        )
    if error.sqlstate == "42501":
        return ConfigurationError(
            f"The user may not see all of it ({said(error)})",
            where=where,
            meaning="A privilege is missing, or row-level security hides rows: every count would leave them out and "
            "look whole; nothing was read",
            remedy="Grant SELECT, and where the table has policies BYPASSRLS (ALTER ROLE … BYPASSRLS). If the part "
            "that the policy shows is all that is wanted, set `row_security: accept` under source.",
        )
    return ConfigurationError(
        f"Postgres refused the statement ({said(error)})",
        where=where,
        meaning="Trying again gives the same answer",
        remedy="Check login, table_schema, table, columns and the user's SELECT privilege.",
    )

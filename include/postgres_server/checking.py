"""Looks at a Postgres before it is used: reachable, login, database, standby, pooler, clock, tables and rights.

For every role that a Postgres can play; nothing is written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, NamedTuple

from include.pipeline_framework.core.watching.verdicts import Findings
from include.pipeline_framework.errors import ConfigurationError, PipelineError, TerminalError
from include.postgres_server.errors import Trouble, said, state_of, trouble_of
from include.postgres_server.pooler import require_own_session
from include.sql.text import sql_text


class Refusal(NamedTuple):
    """Why a connection could not be opened."""

    check: str
    said: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Relation:
    """A table or view as a login sees it.

    Attributes:
        has_schema: Its schema is there.
        may_use_schema: The login has USAGE on the schema.
        may_create: The login may create tables in the schema.
        may_create_temporary: The login may create temporary tables in the database.
        number: Its number in the catalog; None: it is not there.
        is_restricted: A policy of row-level security is in force for this login.
        privileges: Those of SELECT, INSERT, UPDATE and DELETE that the login has.
        columns: Its columns by name.
    """

    has_schema: bool
    may_use_schema: bool
    may_create: bool
    may_create_temporary: bool
    number: int | None
    is_restricted: bool
    privileges: list[str]
    columns: Mapping[str, Column] = field(default_factory=dict)


class Column(NamedTuple):
    """A column: its type as Postgres spells it, whether a row needs a value for it, whether it is unique by itself."""

    type: str
    is_needed: bool
    is_unique: bool


@dataclass(frozen=True, slots=True)
class Server:
    """An open connection, and what the server says of itself."""

    connection: Any
    login: str
    database: str
    is_standby: bool
    is_read_only: bool
    backend_pid: int

    def rows(self, name: str, parameters: Mapping[str, Any] | None = None) -> list[tuple[Any, ...]]:
        """Return the rows of `include/sql/postgres_checking/<name>.sql`.

        Raises:
            TerminalError: The server refused the statement, or did not answer it.
        """
        import psycopg
        from psycopg.rows import tuple_row

        try:
            with self.connection.cursor(row_factory=tuple_row) as cursor:
                text = sql_text(f"postgres_checking/{name}").encode()
                found: list[tuple[Any, ...]] = cursor.execute(text, parameters).fetchall()
                return found
        except psycopg.Error as error:
            raise TerminalError(
                f"Postgres refused a question: {said(error)}", remedy="Check the login's rights on the catalog."
            ) from error

    def relation(self, schema: str, table: str) -> Relation:
        """Return what is there of a table or view; its names are as in the catalog."""
        (row,) = self.rows("relation", {"schema": schema, "table": table})
        found = Relation(*row)
        if found.number is None:
            return found
        columns = self.rows("columns", {"number": found.number})
        return replace(found, columns={name: Column(*rest) for name, *rest in columns})


def opened(connect: Callable[[], Any], connection_id: str, found: Findings) -> Any:
    """Open a connection in autocommit; return it for `looked`, or None after telling why not."""
    import psycopg

    try:
        connection = connect()
        connection.autocommit = True
    except psycopg.Error as error:
        found.wrong(*refusal(error, connection_id))
        return None
    except PipelineError as error:
        found.refused("connection", error)
        return None
    return connection


def looked(connection: Any, clock: Callable[[], datetime], found: Findings) -> Server | None:
    """Ask who is connected to what, and compare the clocks; None after telling why that failed."""
    before = clock()
    asked = Server(connection, "", "", is_standby=False, is_read_only=False, backend_pid=0)
    row = found.attempt("reachable", lambda: asked.rows("server")[0])
    if row is None:
        return None
    *known, theirs = row
    server = Server(connection, *known)
    found.ok("reachable", f"database {server.database}, as {server.login}")
    found.clock(theirs, before, clock())
    return server


def require_writes(server: Server, connection_id: str, found: Findings) -> None:
    """Tell whether the server takes writes."""
    remedy = f"Let {connection_id} name the primary, or all hosts of the cluster."
    if server.is_standby:
        found.wrong("primary", "the server is a standby and takes no writes", remedy)
    elif server.is_read_only:
        found.wrong("primary", "the server is read-only (default_transaction_read_only)", remedy)
    else:
        found.ok("primary", "the server takes writes")


def own_session(server: Server, connect: Callable[[], Any], found: Findings) -> None:
    """Tell whether a pooler gives the session's server to others between two statements."""
    try:
        require_own_session(server.connection, server.backend_pid, connect, server.database)
    except ConfigurationError as error:
        found.refused("own session", error)
    else:
        found.ok("own session", "no pooler in transaction mode is in between")


def refusal(error: Exception, connection_id: str) -> Refusal:
    """Return why a connection could not be opened, without a word of its settings."""
    state, trouble = state_of(error), trouble_of(error)
    if state == "3D000":
        return Refusal(
            "database",
            f"the database that the connection {connection_id} names does not exist",
            f"Correct the schema field of {connection_id} (it is the database's name), or CREATE DATABASE it.",
        )
    if state == "42501":
        return Refusal(
            "database",
            f"the login of {connection_id} may not connect to the database",
            "GRANT CONNECT ON DATABASE <database> TO <login>;",
        )
    if trouble is Trouble.NOT_ALLOWED:
        return Refusal(
            "authenticated",
            f"the server answers, and refuses the login of {connection_id}: {said(error)}",
            f"Correct login and password of {connection_id}, or pg_hba.conf on the server.",
        )
    if trouble is Trouble.READ_ONLY:
        return Refusal(
            "primary",
            f"the connection {connection_id} leads to a standby, or a server made read-only: it takes no writes",
            f"Let {connection_id} name the primary, or all hosts of the cluster.",
        )
    return Refusal(
        "reachable",
        f"the server does not answer: {said(error)}",
        f"Check that it runs, and host and port of {connection_id}.",
    )


def grant(privileges: str, what: str, login: str) -> str:
    """Return the statement that gives a login what it lacks."""
    return f'GRANT {privileges} ON {what} TO "{login}";'

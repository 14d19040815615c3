"""Detects whether a pooler is between a connection and Postgres, and whether it takes the session's server away.

A pooler in transaction mode (PgBouncer's `pool_mode=transaction`) gives a client a server for one transaction, and
another one for the next: then the session's settings, locks and temporary tables belong to another client. Code that
needs none of them works through it; code that needs them asks here first and refuses the connection.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable
from contextlib import closing
from typing import Any
from weakref import WeakSet

from include.pipeline_framework.errors import ConfigurationError
from include.sql import statement

_TRIES = 5
_PATIENCE_SECONDS = 5.0
"""Wait for a second server, which a full pool may not have: then nothing is proven, and nothing is refused."""

_pooled: WeakSet[Any] = WeakSet()


def is_pooled(connection: Any, backend_pid: int) -> bool:
    """Return whether another server process answers than the one that libpq was given at connecting.

    Args:
        connection: A psycopg 3 connection.
        backend_pid: What `pg_backend_pid()` answered on it.
    """
    return bool(connection.info.backend_pid != backend_pid)


def note(connection: Any, backend_pid: int) -> None:
    """Store that a connection is pooled, for `is_noted`."""
    if is_pooled(connection, backend_pid):
        _pooled.add(connection)


def is_noted(connection: Any) -> bool:
    """Return whether settings have to be made in each transaction, because those of the session may be lost."""
    return connection in _pooled


def require_own_session(connection: Any, backend_pid: int, connect: Callable[[], Any], where: str) -> None:
    """Refuse a connection whose session is not its own; this costs nothing where there is no pooler.

    Args:
        connection: A psycopg 3 connection in autocommit, idle.
        backend_pid: What `pg_backend_pid()` answered on it.
        connect: Opens another one like it, to compare.
        where: For the message.

    Raises:
        ConfigurationError: The pooler gives its server to others between two statements.
    """
    if is_pooled(connection, backend_pid) and _is_shared(connection, connect):
        raise ConfigurationError(
            "the connection goes through a pooler in transaction mode",
            where=where,
            meaning="Locks, settings and temporary tables of its session would be another client's after each "
            "statement; nothing was changed",
            remedy="Connect to Postgres directly, or through a pool with pool_mode=session.",
        )


def _is_shared(connection: Any, connect: Callable[[], Any]) -> bool:
    """Return whether our server answers another client, or another server answers us, while we are connected.

    If the pool is idle, the first try shows it: the pool gives away the server that was used last. Under load ours
    changes.
    """
    for _ in range(_TRIES):
        ours, others = _backend_pid(connection), _other_backend_pid(connect)
        if others == ours or _backend_pid(connection) != ours:
            return True
        if others is None:
            break
    return False


def _backend_pid_statement() -> bytes:
    return statement("postgres_session/backend_pid").encode()


def _backend_pid(connection: Any) -> int:
    from psycopg.rows import tuple_row

    with connection.cursor(row_factory=tuple_row) as cursor:
        return int(cursor.execute(_backend_pid_statement()).fetchone()[0])


def _other_backend_pid(connect: Callable[[], Any]) -> int | None:
    """Return the server of a second connection; None if the pool has none free, as always if full in session mode."""
    import psycopg

    try:
        with closing(connect()) as other, selectors.DefaultSelector() as selector:
            other.pgconn.send_query(_backend_pid_statement())
            selector.register(other.pgconn.socket, selectors.EVENT_READ)
            if not selector.select(_PATIENCE_SECONDS):
                return None
            answer = other.pgconn.get_result()
            value = answer.get_value(0, 0) if answer is not None and answer.ntuples == 1 else None
            return None if value is None else int(value)
    except psycopg.OperationalError:
        return None  # no more clients, or it waited too long: the same as no server

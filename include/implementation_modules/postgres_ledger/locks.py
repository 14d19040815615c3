"""Names that one session at a time holds, across processes: advisory locks of transactions in the ledger's database.

A lock of a *session* outlives its holder where a pooler gives the session's server to another client: nobody owns it,
for as long as the pooler keeps that server. Therefore each name is held by a transaction that stays open, on a
connection of its own: it ends with the holder's connection, whatever is in between. An open transaction that has only
such a lock costs only its connection: it has no transaction id, and between statements no snapshot, so vacuum and
`pg_snapshot_xmin` ignore it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import structlog
from psycopg.rows import tuple_row

from include.implementation_modules.postgres_ledger import errors
from include.postgres_server.errors import said
from include.sql import statement


class PostgresLocks:
    """Locks by name; several may be held at once, in any order, from several threads.

    Args:
        connect: Returns a new psycopg 3 connection to the ledger's database; one is kept for the next lock.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._connect = connect
        self._guard = threading.Lock()
        self._free: list[psycopg.Connection[Any]] = []
        self._used: list[psycopg.Connection[Any]] = []

    @contextmanager
    def holding(self, name: str) -> Iterator[psycopg.Connection[Any] | None]:
        """Hold a name without waiting for it.

        Yields:
            The connection whose open transaction holds it; a commit releases it. None: another session holds it.
        """
        with errors.translated():
            connection = self._take()
            try:
                # A statement without parameters is sent in the simple protocol. The extended protocol's portal
                # would keep its snapshot, and with it dead rows of all tables, until the next statement.
                with psycopg.ClientCursor(connection, row_factory=tuple_row) as cursor:
                    found = cursor.execute(statement("ledger/try_lock").encode(), {"name": name}).fetchone()
                is_held = bool(found and found[0])
                if not is_held:
                    connection.rollback()
            except BaseException:
                self._let_go(connection)
                raise
        if not is_held:
            self._keep(connection)
        try:
            yield connection if is_held else None
        finally:
            if is_held:
                self._give_back(name, connection)

    def close(self) -> None:
        """Close every connection, and with it release every name."""
        with self._guard:
            connections, self._free, self._used = [*self._free, *self._used], [], []
        for connection in connections:
            connection.close()

    def _take(self) -> psycopg.Connection[Any]:
        with self._guard:
            self._free = [connection for connection in self._free if not connection.closed]
            kept = self._free.pop() if self._free else None
        connection = kept or self._connect()
        if kept is None:
            connection.autocommit = False
            connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED  # a stricter one keeps its snapshot
        with self._guard:
            self._used.append(connection)
        return connection

    def _give_back(self, name: str, connection: psycopg.Connection[Any]) -> None:
        try:
            if not connection.closed:
                connection.rollback()
        except psycopg.Error as error:
            log = structlog.get_logger(__name__)
            log.warning("a lock was lost before it was given back", lock=name, error=said(error))
            self._let_go(connection)
        else:
            self._keep(connection)

    def _keep(self, connection: psycopg.Connection[Any]) -> None:
        with self._guard:
            if connection in self._used:  # otherwise `close` has taken it
                self._used.remove(connection)
                self._free.append(connection)

    def _let_go(self, connection: psycopg.Connection[Any]) -> None:
        connection.close()
        with self._guard:
            if connection in self._used:
                self._used.remove(connection)

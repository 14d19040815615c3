"""Every statement and every object write of a process as a numbered point, where a test may stop, kill or count.

A point comes right before each statement (BEGIN and COMMIT among them), each COPY and each object write or delete; what
happened before it has reached the server, so the point after one step is the point before the next.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

Reach = Callable[[str], None]
"""Called at each point with its name; may block, raise, or end the process."""


def named(statement: Any) -> str:
    """First words of a statement: its leading comment, else its verb and object."""
    text = statement.decode() if isinstance(statement, bytes) else str(statement)
    return " ".join(text.split()[:7]).strip("-; ")


def postgres_connect(
    url: str, reach: Reach, opened: list[psycopg.Connection[Any]] | None = None
) -> Callable[[], psycopg.Connection[Any]]:
    """A `connect` whose connections come to a point before every statement, COMMIT included; `opened` collects them."""

    class PointCursor(psycopg.Cursor[Any]):
        def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
            reach(named(query))
            return super().execute(query, *arguments, **options)

        @contextmanager
        def copy(self, statement: Any, *arguments: Any, **options: Any) -> Iterator[Any]:
            reach(named(statement))
            with super().copy(statement, *arguments, **options) as copy:
                yield copy

    class PointConnection(psycopg.Connection[Any]):
        def _exec_command(self, command: Any, *arguments: Any, **options: Any) -> Any:
            reach(named(command))  # BEGIN, COMMIT and ROLLBACK of `with connection.transaction()`
            return super()._exec_command(command, *arguments, **options)

    def connect() -> psycopg.Connection[Any]:
        # what a commit survives here is a killed process, not a power cut: no waiting for the disk
        connection = PointConnection.connect(url, cursor_factory=PointCursor, options="-c synchronous_commit=off")
        if opened is not None:
            opened.append(connection)
        return connection

    return connect


class PointCursorProxy:
    """A DB-API cursor of another driver that comes to a point before every statement."""

    def __init__(self, cursor: Any, reach: Reach) -> None:
        self._cursor, self._reach = cursor, reach

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, statement: Any, *arguments: Any, **options: Any) -> Any:
        self._reach(named(statement))
        return self._cursor.execute(statement, *arguments, **options)


class PointConnectionProxy:
    """A DB-API connection of another driver whose cursors come to points."""

    def __init__(self, connection: Any, reach: Reach) -> None:
        self._connection, self._reach = connection, reach

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def cursor(self, *arguments: Any, **options: Any) -> PointCursorProxy:
        return PointCursorProxy(self._connection.cursor(*arguments, **options), self._reach)


class PointStorage:
    """Object storage that comes to a point before every write and delete."""

    def __init__(self, storage: Any, reach: Reach) -> None:
        self._storage, self._reach = storage, reach

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    def put(self, key: str, content: io.IOBase, **options: Any) -> None:
        self._reach(f"put {key.rsplit('/', 1)[-1]}")
        self._storage.put(key, content, **options)

    def delete(self, keys: Iterable[str]) -> int:
        keys = list(keys)
        if keys:
            self._reach(f"delete {len(keys)} objects")
        return int(self._storage.delete(keys))

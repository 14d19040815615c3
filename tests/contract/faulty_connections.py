"""Connections that break at COMMIT: a death before it, a request or an answer that is lost, or a long pause.

The author of a SQL target hands `FaultyConnection(connect(), faults)` to the target, as `SqlTargetHarness` does. A
target of another kind calls `faults.before_commit()` and `faults.after_commit()` around the step that makes a publish
visible.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any


class Break(Exception):
    """The process died here; no client library knows this error."""


class Faults:
    """What goes wrong at the next COMMIT, and only at that one; nothing unless a test asks for it.

    Args:
        unanswered: Returns the error that the client library raises when the connection is lost.
    """

    def __init__(self, unanswered: Callable[[], Exception]) -> None:
        self.unanswered = unanswered
        self._before: Callable[[], None] | None = None
        self._after: Callable[[], None] | None = None

    def die_before_commit(self) -> None:
        """The process dies when everything is written and nothing is committed."""
        self._before = _raising(Break())

    def lose_request(self) -> None:
        """The connection is lost before the database sees the COMMIT."""
        self._before = _raising(self.unanswered())

    def lose_answer(self) -> None:
        """The database commits, and the connection is lost before the client knows."""
        self._after = _raising(self.unanswered())

    @contextmanager
    def paused_commit(self) -> Iterator[Callable[[], None]]:
        """Hold the next COMMIT back until the block ends; yield a function that waits until a thread has come to it."""
        reached, may_go_on = threading.Event(), threading.Event()

        def pause() -> None:
            reached.set()
            assert may_go_on.wait(600), "the block never ended"

        def wait() -> None:
            assert reached.wait(600), "no thread came to COMMIT"

        self._before = pause
        try:
            yield wait
        finally:
            may_go_on.set()

    def before_commit(self) -> None:
        """Call it right before a COMMIT is sent."""
        fault, self._before = self._before, None
        if fault:
            fault()

    def after_commit(self) -> None:
        """Call it when the database has committed, before the target learns it."""
        fault, self._after = self._after, None
        if fault:
            fault()


def _raising(error: Exception) -> Callable[[], None]:
    def fault() -> None:
        raise error

    return fault


class FaultyConnection:
    """A DB-API connection whose statement `COMMIT` fails as told; everything else goes through."""

    def __init__(self, connection: Any, faults: Faults) -> None:
        object.__setattr__(self, "_connection", connection)
        object.__setattr__(self, "_faults", faults)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._connection, name, value)

    def cursor(self) -> Any:
        return FaultyCursor(self._connection.cursor(), self._faults)


class FaultyCursor:
    """The cursor of a `FaultyConnection`."""

    def __init__(self, cursor: Any, faults: Faults) -> None:
        self._cursor, self._faults = cursor, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql != "COMMIT":
            return self._cursor.execute(sql, *parameters)
        self._faults.before_commit()
        result = self._cursor.execute(sql, *parameters)
        self._faults.after_commit()
        return result

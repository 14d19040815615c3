"""One DB-API connection that runs statement files."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from include.implementation_modules.sql_warehouse.dialect import Dialect, numbered
from include.pipeline_framework.errors import PipelineError
from include.sql.text import SqlFragment


class Session:
    """One connection that runs statements by file name; every error of the client becomes an error of the framework."""

    def __init__(
        self,
        connection: Any,
        dialect: Dialect,
        fragments: Mapping[str, SqlFragment],
        translate: Callable[[Exception, str], PipelineError | None],
        where: str,
    ) -> None:
        self.connection = connection
        self.cursor = connection.cursor()
        self.where = where
        self._dialect, self._fragments, self._translate = dialect, fragments, translate

    def text(self, name: str, more: Mapping[str, SqlFragment] | None = None) -> str:
        """Return the statement's text with its identifiers inserted; `more` are those that only this call knows."""
        return self._dialect.text(name, {**self._fragments, **(more or {})})

    def run(self, name: str, parameters: Mapping[str, Any] | None = None) -> list[Any]:
        """Execute one statement file; return its rows, if it has any."""
        return self.execute(self.text(name), parameters, doing=name)

    def change(self, name: str, parameters: Mapping[str, Any]) -> int:
        """Execute one statement file that changes rows; return their number."""
        self.execute(self.text(name), parameters, doing=name, fetch=False)
        return int(self.cursor.rowcount)

    def run_each(self, name: str, sets: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
        """Execute one query for every set of parameters, as one statement; return the rows of each set."""
        if len(sets) < 2:
            return [self.run(name, parameters) for parameters in sets]
        parts = []
        for number in range(len(sets)):
            query = SqlFragment(numbered(self.text(name), number))
            parts.append(self.text("numbered", {"number": SqlFragment(str(number)), "query": query}))
        found: list[list[Any]] = [[] for _ in sets]
        for number, *row in self.execute(_united(parts), _together(sets), doing=name):
            found[int(number)].append(row)
        return found

    def change_each(self, name: str, part: str, sets: Sequence[Mapping[str, Any]]) -> int:
        """Execute one statement that changes rows, whose `{each}` is a query for every set; return their number."""
        each = _united([numbered(self.text(part), number) for number in range(len(sets))])
        text = self.text(name, {"each": SqlFragment(each)})
        self.execute(text, _together(sets), doing=name, fetch=False)
        return int(self.cursor.rowcount)

    def execute(self, sql: str, parameters: Mapping[str, Any] | None, *, doing: str, fetch: bool = True) -> list[Any]:
        """Execute a statement's text, whose parameters are spelled `%(name)s`."""
        with self.translated(doing):
            self.cursor.execute(self._dialect.spelled(sql), self._dialect.parameters(parameters or {}))
            return list(self.cursor.fetchall()) if fetch and self.cursor.description else []

    @contextmanager
    def translated(self, doing: str) -> Iterator[None]:
        """Turn the client library's errors into the framework's."""
        try:
            yield
        except PipelineError:
            raise
        except Exception as error:
            translated = self._translate(error, f"{self.where} ({doing})")
            if translated is None:
                raise
            raise translated from error

    def close(self) -> None:
        """Close the connection, and with it end an open transaction; never raises."""
        with suppress(Exception):
            self.connection.close()


def _united(queries: Sequence[str]) -> str:
    return "\nUNION ALL\n".join(queries)


def _together(sets: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {f"{name}_{number}": value for number, one in enumerate(sets) for name, value in one.items()}


class SharedSession(threading.local):
    """The session that the calls of one thread use one after the other, while they are in `sharing`."""

    def __init__(self) -> None:
        self._is_sharing = False
        self._idle: tuple[Session, float] | None = None

    @contextmanager
    def sharing(self) -> Iterator[None]:
        """Keep the session of a call for the next one, and close it at the end; inside of another one do nothing."""
        if self._is_sharing:
            yield
            return
        self._is_sharing = True
        try:
            yield
        finally:
            self._is_sharing = False
            if session := self.take():
                session.close()

    def take(self) -> Session | None:
        """Return the session that was given back, unless it has been idle for so long that it may be dead."""
        idle, self._idle = self._idle, None
        if idle is None:
            return None
        session, since = idle
        if time.monotonic() - since > LONGEST_IDLE_SECONDS:
            session.close()
            return None
        return session

    def give_back(self, session: Session) -> None:
        """Keep the session, or close it when nobody shares."""
        if self._is_sharing and self._idle is None:
            self._idle = session, time.monotonic()
        else:
            session.close()


LONGEST_IDLE_SECONDS = 60.0
"""Servers, proxies and firewalls cut connections that are silent for minutes."""

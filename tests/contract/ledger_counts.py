"""Counts what a store sends to Postgres: statements, and the round trips in which it waits for their answers."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg

_WAITS = (b"Query", b"Sync", b"Flush")
"""The messages after which the client waits for the server's answers."""


@dataclass
class Sent:
    """What one connection sent: the statements' texts, without BEGIN and COMMIT, and the number of round trips."""

    statements: list[str] = field(default_factory=list)
    round_trips: int = 0


class CountingCursor(psycopg.Cursor[Any]):
    """A cursor that notes every statement on its connection."""

    def execute(self, query: Any, *arguments: Any, **options: Any) -> Any:
        """Note the statement, then run it."""
        self.connection.sent.append(query.decode() if isinstance(query, bytes) else str(query))  # type: ignore[attr-defined]
        return super().execute(query, *arguments, **options)


class CountingConnection(psycopg.Connection[Any]):
    """A connection whose traffic can be counted."""

    @classmethod
    def to(cls, url: str) -> CountingConnection:
        """Open one."""
        connection = cls.connect(url, cursor_factory=CountingCursor)
        assert isinstance(connection, cls)
        connection.sent = []
        return connection

    sent: list[str]

    @contextmanager
    def counted(self) -> Iterator[Sent]:
        """Count what is sent meanwhile; libpq's trace of the protocol tells how often the client waits."""
        found = Sent()
        self.sent.clear()
        with tempfile.TemporaryFile() as trace:
            self.pgconn.trace(trace.fileno())
            try:
                yield found
            finally:
                self.pgconn.untrace()
            trace.seek(0)
            kinds = [line.split(b"\t")[3].split(b" ")[0] for line in trace.read().splitlines() if line.count(b"\t") > 2]
            found.round_trips = sum(
                now in _WAITS and before not in _WAITS for before, now in itertools.pairwise([b"", *kinds])
            )
        found.statements = [text for text in self.sent if text not in ("BEGIN", "COMMIT")]

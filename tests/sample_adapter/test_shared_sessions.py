"""How many connections a target opens: one for the calls of a task, on SQLite as the smallest SQL database."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.implementation_modules.sql_warehouse import session
from include.pipeline_framework.core.time.windows import TimeWindow
from tests.sample_adapter.sqlite_target.target import SqliteTarget

START = datetime(2013, 3, 9, 12, tzinfo=UTC)
WINDOW = TimeWindow(START, START + timedelta(hours=1))


class Counted:
    """A target on a file, and the connections that it has opened."""

    def __init__(self, file: Path) -> None:
        self.opened: list[sqlite3.Connection] = []
        self.target = SqliteTarget(self._connect(file), SqliteTarget.Options(table="flights"))
        self.target.prepare("flights")
        self.opened.clear()

    def _connect(self, file: Path) -> Callable[[], Any]:
        def connect() -> sqlite3.Connection:
            self.opened.append(sqlite3.connect(file, check_same_thread=False))
            return self.opened[-1]

        return connect

    def ask(self) -> None:
        self.target.fingerprint("flights", WINDOW)
        self.target.receipt("flights", WINDOW)

    def open_ones(self) -> int:
        return sum(map(_is_open, self.opened))


def _is_open(connection: sqlite3.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except sqlite3.ProgrammingError:
        return False
    return True


@pytest.fixture
def counted(tmp_path: Path) -> Counted:
    return Counted(tmp_path / "flights.db")


def test_each_call_has_its_own_connection_unless_they_share(counted: Counted) -> None:
    counted.ask()
    assert (len(counted.opened), counted.open_ones()) == (2, 0)


def test_calls_in_the_context_share_one_which_is_closed_at_its_end(counted: Counted) -> None:
    with counted.target.connected():
        counted.ask()
        with counted.target.connected():
            counted.ask()
        counted.ask()
        assert (len(counted.opened), counted.open_ones()) == (1, 1)
    assert counted.open_ones() == 0
    counted.ask()
    assert (len(counted.opened), counted.open_ones()) == (3, 0)


def test_another_thread_shares_nothing(counted: Counted) -> None:
    with counted.target.connected():
        counted.ask()
        thread = threading.Thread(target=counted.ask)
        thread.start()
        thread.join()
        assert (len(counted.opened), counted.open_ones()) == (3, 1)


def test_one_that_failed_is_not_used_again(counted: Counted) -> None:
    with counted.target.connected():
        counted.ask()
        counted.opened[0].execute("DROP TABLE flights")
        with pytest.raises(Exception, match="no such table"):
            counted.ask()
        counted.target.receipt("flights", WINDOW)
        assert (len(counted.opened), counted.open_ones()) == (2, 1)


def test_one_that_was_idle_for_long_may_be_dead_and_is_not_used_again(
    counted: Counted, monkeypatch: pytest.MonkeyPatch
) -> None:
    with counted.target.connected():
        counted.ask()
        monkeypatch.setattr(session, "LONGEST_IDLE_SECONDS", -1.0)
        counted.ask()
    assert (len(counted.opened), counted.open_ones()) == (3, 0)

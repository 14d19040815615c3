"""Silent sessions of the Snowflake emulator: what is open in them ends; they are looked at once, not every second."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import duckdb
import pytest

from local_stack.servers.snowflake_mends import MendedApp

SILENCE = 30.0


class Connection:
    """A connection that counts how often somebody tries to roll it back."""

    def __init__(self) -> None:
        self._real, self.rollbacks = duckdb.connect(), 0

    def begin(self) -> None:
        self._real.execute("BEGIN")

    def rollback(self) -> None:
        self.rollbacks += 1
        self._real.rollback()


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> MendedApp:
    """With one session, `it`; time passes only where the test says so."""
    monkeypatch.setattr(MendedApp, "_watch", lambda _app, _silence: None)
    sessions = {"it": SimpleNamespace(_duck_conn=Connection())}
    return MendedApp(SimpleNamespace(sessions=sessions))  # type: ignore[arg-type]


def pass_time(app: MendedApp, seconds: float) -> None:
    app._look(SILENCE)
    for _ in range(int(seconds)):
        app._awake += 1
        app._look(SILENCE)


def connection(app: MendedApp) -> Any:
    return app._server.sessions["it"]._duck_conn


def test_an_open_transaction_of_a_silent_client_is_rolled_back_and_its_session_ends(app: MendedApp) -> None:
    it = connection(app)
    it.begin()
    pass_time(app, SILENCE - 1)
    assert it.rollbacks == 0
    pass_time(app, 2)
    assert (it.rollbacks, app._server.sessions) == (1, {})
    pass_time(app, SILENCE + 1)
    assert (app._last_seen, app._seen_silent) == ({}, set())


def test_a_silent_session_without_one_stays_and_is_looked_at_once(app: MendedApp) -> None:
    it = connection(app)
    pass_time(app, 600)
    assert it.rollbacks == 1
    assert "it" in app._server.sessions
    app._last_seen["it"] = app._awake  # it spoke, as after every request
    app._seen_silent.discard("it")
    it.begin()
    pass_time(app, SILENCE + 2)
    assert (it.rollbacks, app._server.sessions) == (2, {})


def test_a_session_ends_after_four_hours(app: MendedApp) -> None:
    pass_time(app, 4 * 3_600 + 2)
    assert app._server.sessions == {}


def test_a_request_that_takes_long_is_no_silence(app: MendedApp) -> None:
    connection(app).begin()
    app._busy["it"] += 1
    pass_time(app, 600)
    assert "it" in app._server.sessions

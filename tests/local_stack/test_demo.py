"""The demo waits while anything moves, says what stands still, and leaves going what goes on."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import pytest

from local_stack import airflow, demo
from local_stack.airflow_api import STANDSTILL_SECONDS
from local_stack.errors import LocalStackError
from local_stack.home import Home
from local_stack.waiting import Patience


class World:
    """A clock that moves while the demo sleeps, a ledger with 71 windows, and Airflow's API."""

    def __init__(self, ends_after: float, last_event_at: float) -> None:
        self.now, self.ends_after, self.last_event_at = 0.0, ends_after, last_event_at
        self.paused: list[bool] = []

    def sleep(self, seconds: float) -> None:
        self.now += max(seconds, 30)

    def query(self, _ledger: Any, _text: str) -> list[dict[str, Any]]:
        done = self.now >= self.ends_after
        events = min(self.now, self.last_event_at)
        # the rest before the next try shrinks by itself; it is no sign of life
        rests = max(0.0, 5_000 - self.now)
        return [{"windows": 71, "finished": 71 * done, "failed": 0, "rests_seconds": rests, "events": events}]

    def run_state(self, _dag_id: str, _run_id: str) -> str:
        return "success" if self.now >= self.ends_after else "running"

    def sign_of_life(self, _dag_id: str, _run_id: str) -> object:
        return "the same"

    def runs(self, _dag_id: str, _states: Any) -> list[dict[str, Any]]:
        return [{"dag_run_id": "of an earlier demo"}]

    def set_paused(self, _dag_id: str, *, paused: bool) -> bool:
        self.paused.append(paused)
        return False


def world_of(monkeypatch: pytest.MonkeyPatch, **given: Any) -> Any:
    world = World(**given)
    monkeypatch.setattr(demo, "_query", world.query)
    monkeypatch.setattr(demo, "Patience", functools.partial(Patience, clock=lambda: world.now))
    monkeypatch.setattr(demo.time, "sleep", world.sleep)
    return world


def test_runs_are_waited_for_while_windows_move_however_long_that_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of(monkeypatch, ends_after=20_000, last_event_at=20_000)
    demo._drain(world, None, was_interrupted=False)  # type: ignore[arg-type]
    assert world.now >= 20_000
    assert world.paused == [False, False]  # unpaused; at the end as it was before


def test_a_dag_that_an_interrupted_demo_has_unpaused_is_paused_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of(monkeypatch, ends_after=60, last_event_at=60)
    demo._drain(world, None, was_interrupted=True)  # type: ignore[arg-type]
    assert world.paused == [False, True]


def test_a_standstill_names_the_runs_and_leaves_them_going(monkeypatch: pytest.MonkeyPatch) -> None:
    world = world_of(monkeypatch, ends_after=1e9, last_event_at=3_000)
    with pytest.raises(LocalStackError, match="of an earlier demo") as caught:
        demo._drain(world, None, was_interrupted=False)  # type: ignore[arg-type]
    assert 3_000 + STANDSTILL_SECONDS < world.now < 3_000 + STANDSTILL_SECONDS + 120
    assert "0 of 71 windows are done" in caught.value.what
    assert "`make demo` again waits for them" in caught.value.remedy
    assert world.paused == [False]


def test_the_schedule_is_held_until_it_is_given_back(tmp_path: Path) -> None:
    home, asked = Home.at(tmp_path), list[Any]()

    class Api:
        wait_for_dags = parse_again = staticmethod(asked.append)

    assert demo._hold_schedule(home) is False
    assert demo._hold_schedule(home) is True
    assert airflow.dags_without_schedule(home).read_text().split() == [demo.DAG_ID]
    assert demo.release_schedule(home, Api()) is True  # type: ignore[arg-type]
    assert asked == [[demo.DAG_ID], demo.DAG_ID]
    assert demo.release_schedule(home, Api()) is False  # type: ignore[arg-type]

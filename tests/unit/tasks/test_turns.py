"""Publishes into a table that each one locks take turns: waiting costs no worker, no attempt and no extract."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.records.row import Phase
from include.pipeline_framework.errors import TargetBusyError
from include.pipeline_framework.tasks import move_window
from include.pipeline_framework.tasks.move_window import LONGEST_WAIT, move_until
from tests.unit.tasks.world import World

TABLE = "memory FLIGHTS"


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(move_window, "SHORT_WAIT_SECONDS", 0.0)


def locking(windows: int = 1) -> tuple[World, list[int]]:
    world = World()
    world.target.locks_table = True
    for hour in range(windows):
        world.add_documents(3, hour=hour)
    return world, world.plan_and_claim(*range(windows))


def test_while_another_one_publishes_the_window_waits_staged_and_owned() -> None:
    world, (record_id,) = locking()
    with world.store.table_lock(TABLE), pytest.raises(TargetBusyError, match="another window is publishing into"):
        world.run(record_id, lambda attempt: move_until(world.pipeline, attempt, Phase.STAGE_TO_TARGET))
    row = world.row(record_id)
    assert (row.pipeline_final_status, row.phase_completed) == ("IN_PROGRESS", "SOURCE_TO_STAGE")
    assert (row.heartbeat_at, row.retry_attempt, row.last_error) == (None, 0, None)
    assert row.dag_run_id == "run-1"
    assert world.move(record_id, Phase.STAGE_TO_TARGET)["loaded_count"] == 3
    assert world.row(record_id).stage_location == row.stage_location


def test_even_on_its_last_try_no_attempt_is_spent() -> None:
    world, (record_id,) = locking()
    with world.store.table_lock(TABLE), pytest.raises(TargetBusyError):
        world.run(
            record_id, lambda attempt: move_until(world.pipeline, attempt, Phase.STAGE_TO_TARGET), is_last_try=True
        )
    assert world.row(record_id).retry_attempt == 0


def test_a_holder_that_froze_stops_nobody_for_ever() -> None:
    world, (record_id,) = locking()
    world.move(record_id, Phase.SOURCE_TO_STAGE)
    world.pass_time(LONGEST_WAIT + timedelta(seconds=1))
    with world.store.table_lock(TABLE):
        assert world.move(record_id, Phase.STAGE_TO_TARGET)["loaded_count"] == 3


def test_a_target_that_locks_rows_only_needs_no_turn() -> None:
    world, (record_id,) = locking()
    world.target.locks_table = False
    with world.store.table_lock(TABLE):
        assert world.move(record_id, Phase.STAGE_TO_TARGET)["loaded_count"] == 3


def test_who_waits_stays_while_turns_pass_on_however_long_that_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three others hold the table, one after the other, each for less than the short wait, together for longer."""
    world, (record_id,) = locking()
    waited, clock = [0], [0.0]
    others = iter(world.store.table_lock(TABLE) for _ in range(3))
    held = [next(others)]
    held[0].__enter__()

    def turns_pass_on(_seconds: float) -> None:
        waited[0] += 1
        clock[0] += 9.0
        held.pop().__exit__(None, None, None)
        if (another := next(others, None)) is not None:
            another.__enter__()
            held.append(another)

    monkeypatch.setattr(move_window, "SHORT_WAIT_SECONDS", 15.0)
    monkeypatch.setattr(move_window.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(move_window.time, "sleep", turns_pass_on)
    assert world.move(record_id, Phase.STAGE_TO_TARGET)["loaded_count"] == 3
    assert (waited, clock) == ([3], [27.0])


@pytest.mark.parametrize(("load_seconds", "waits"), [(2.0, 16), (40.0, 41)])
def test_who_waits_for_one_holder_stays_at_least_as_long_as_the_own_load_took(
    monkeypatch: pytest.MonkeyPatch, load_seconds: float, waits: int
) -> None:
    world, (record_id,) = locking()
    waited, clock = [0], [100.0]
    publish = world.target.publish

    def loads_first(*arguments: Any, **options: Any) -> Any:
        clock[0] += load_seconds
        return publish(*arguments, **options)

    def a_second_passes(_seconds: float) -> None:
        waited[0] += 1
        clock[0] += 1.0

    monkeypatch.setattr(world.target, "publish", loads_first)
    monkeypatch.setattr(move_window, "SHORT_WAIT_SECONDS", 15.0)
    monkeypatch.setattr(move_window.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(move_window.time, "sleep", a_second_passes)
    with world.store.table_lock(TABLE), pytest.raises(TargetBusyError):
        world.move(record_id, Phase.STAGE_TO_TARGET)
    assert waited == [waits]


def test_never_two_transactions_at_once_and_loads_side_by_side(monkeypatch: pytest.MonkeyPatch) -> None:
    """Six windows in six threads: all have loaded their private table before the first one has its turn."""
    monkeypatch.setattr(move_window, "SHORT_WAIT_SECONDS", 60.0)
    world, ids = locking(6)
    inside, most = [0], [0]
    publish = world.target.publish
    all_have_loaded = threading.Barrier(len(ids))

    def counted(*arguments: Any, turn: Any, **options: Any) -> Any:
        @contextmanager
        def counted_turn() -> Iterator[None]:
            all_have_loaded.wait()
            with turn():
                inside[0] += 1
                most[0] = max(most[0], inside[0])
                yield
                inside[0] -= 1

        return publish(*arguments, turn=counted_turn, **options)

    monkeypatch.setattr(world.target, "publish", counted)
    threads = [threading.Thread(target=world.move, args=(record_id, Phase.AUDIT)) for record_id in ids]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == [1]
    assert {world.row(record_id).pipeline_final_status for record_id in ids} == {"COMPLETED"}

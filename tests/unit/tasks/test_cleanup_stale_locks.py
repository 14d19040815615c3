"""Releasing windows whose owner is gone, and the honest end of a run."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.core.records.row import Actor, Phase
from include.pipeline_framework.errors import (
    BadDocumentError,
    FenceLostError,
    IllegalTransitionError,
    ServiceUnavailableError,
    TerminalError,
)
from include.pipeline_framework.tasks.cleanup_stale_locks import cleanup_stale_locks, finish_run
from include.pipeline_framework.tasks.move_window import move_until
from include.pipeline_framework.tasks.window_attempt import WindowAttempt
from tests.unit.tasks.world import CLEANUP, PLANNER, RUN_1, RUN_2, World, config

LEASE = timedelta(hours=2)
TIMEOUT = timedelta(hours=12)
TICK = timedelta(seconds=1)


class Airflow:
    """What Airflow says of each run; keeps what it was asked."""

    def __init__(self, **states: RunState) -> None:
        self.states = {name.replace("_", "-"): state for name, state in states.items()}
        self.asked: list[tuple[str, str]] = []

    def __call__(self, dag_id: str, dag_run_id: str) -> RunState:
        self.asked.append((dag_id, dag_run_id))
        return self.states.get(dag_run_id, RunState.MISSING)


def release(world: World, airflow: Any, **configs: Any) -> list[dict[str, Any]]:
    return cleanup_stale_locks(world.store, configs or {"main": world.config}, CLEANUP, airflow)


class TestStopping:
    """A run that was asked to go no further than a phase."""

    def stop(self, world: World, record_id: int, phase: Phase) -> None:
        def work(attempt: WindowAttempt) -> None:
            move_until(world.pipeline, attempt, phase)
            attempt.change(transitions.stop_after, phase)

        world.run(record_id, work)

    def test_the_run_is_fine_with_windows_that_are_as_far_as_asked(self) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(0)
        self.stop(world, record_id, Phase.SOURCE_TO_STAGE)
        assert finish_run(world.store, world.config, RUN_1, Phase.SOURCE_TO_STAGE) == {"PENDING": 1}
        for until in (Phase.STAGE_TO_TARGET, Phase.AUDIT):
            with pytest.raises(TerminalError, match="PENDING after 0 attempts"):
                finish_run(world.store, world.config, RUN_1, until)

    def test_a_window_that_failed_on_the_way_fails_the_run(self) -> None:
        world = World()
        world.plan_and_claim(0)
        with pytest.raises(TerminalError, match="PENDING after 1 attempts"):
            finish_run(world.store, world.config, RUN_1, Phase.SOURCE_TO_STAGE)

    def test_a_later_run_goes_on_from_there(self) -> None:
        world = World()
        world.add_documents(3)
        (record_id,) = world.plan_and_claim(0)
        self.stop(world, record_id, Phase.STAGE_TO_TARGET)
        assert [row.id for row in world.claim(RUN_2)] == [record_id]
        world.move(record_id, actor=RUN_2)
        assert (world.status(record_id), world.row(record_id).retry_attempt) == ("COMPLETED", 0)
        assert world.events(record_id).count("source_to_stage_completed") == 1
        assert world.events(record_id).count("stage_to_target_completed") == 1

    def test_stopping_twice_is_stopping_once_and_nobody_stops_short_of_the_phase(self) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(0)
        with pytest.raises(IllegalTransitionError, match="has not got as far as STAGE_TO_TARGET"):
            world.run(record_id, lambda attempt: attempt.change(transitions.stop_after, Phase.STAGE_TO_TARGET))
        world.move(record_id, Phase.SOURCE_TO_STAGE)
        fence = world.row(record_id).fence
        for _ in range(2):
            world.store.change(
                record_id, lambda row, now: transitions.stop_after(row, fence, now, Phase.SOURCE_TO_STAGE), RUN_1
            )
        assert world.events(record_id).count("stopped") == 1


class TestCleanup:
    @pytest.mark.parametrize(("state", "reason"), [(RunState.ENDED, "has ended"), (RunState.MISSING, "does not exist")])
    def test_the_windows_of_a_run_that_is_gone_are_released(self, state: RunState, reason: str) -> None:
        world = World()
        first, second = world.plan_and_claim(0, 1)
        airflow = Airflow(run_1=state)
        text = f"run run-1 of data_pipeline_main {reason}"
        assert release(world, airflow) == [
            {"id": record_id, "source_object": "flights", "reason": text, "status": "PENDING"}
            for record_id in (first, second)
        ]
        row = world.row(first)
        assert (row.dag_run_id, row.retry_attempt, row.last_error) == (None, 1, text)
        assert row.not_before_at == world.at + timedelta(minutes=1)
        assert airflow.asked == [("data_pipeline_main", "run-1")]  # once per run

    def test_the_take_over_is_an_event_with_holder_age_and_reason(self) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(0)
        world.pass_time(timedelta(minutes=10))
        release(world, Airflow())
        event = world.store.events(record_id)[-1]
        assert (event["event"], event["dag_id"], event["reason"]) == (
            "taken_over", "cleanup_stale_locks", "run run-1 of data_pipeline_main does not exist",
        )  # fmt: skip
        assert (event["numbers"]["dag_run_id"], event["numbers"]["held_seconds"]) == ("run-1", 600.0)

    @pytest.mark.parametrize(
        ("state", "is_running", "waited", "released"),
        [
            (RunState.ACTIVE, True, LEASE, False),
            (RunState.ACTIVE, True, LEASE + TICK, True),
            (RunState.ACTIVE, False, timedelta(days=30), False),
            (RunState.UNKNOWN, True, LEASE, False),
            (RunState.UNKNOWN, True, LEASE + TICK, True),
            (RunState.UNKNOWN, False, TIMEOUT + LEASE, False),
            (RunState.UNKNOWN, False, TIMEOUT + LEASE + TICK, True),
        ],
    )
    def test_a_lease_runs_only_while_a_task_does(
        self, state: RunState, is_running: bool, waited: timedelta, released: bool
    ) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(0)
        if is_running:
            world.store.take(record_id, RUN_1)
        world.pass_time(waited)
        assert bool(release(world, Airflow(run_1=state))) is released
        assert world.status(record_id) == ("PENDING" if released else "IN_PROGRESS")

    def test_a_heartbeat_keeps_the_window(self) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(0)
        fence = world.store.take(record_id, RUN_1).fence
        for _ in range(5):
            world.pass_time(LEASE)
            world.store.heartbeat(record_id, fence)
            assert release(world, Airflow(run_1=RunState.ACTIVE)) == []

    def test_each_pipeline_has_its_own_patience(self) -> None:
        world = World(stale_threshold_hours=0.5, dagrun_timeout="1h")
        (record_id,) = world.plan_and_claim(0)
        world.pass_time(timedelta(minutes=91))
        assert [entry["id"] for entry in release(world, Airflow(run_1=RunState.UNKNOWN))] == [record_id]

    def test_rows_of_a_removed_pipeline_are_judged_with_the_defaults(self) -> None:
        world = World(stale_threshold_hours=100, dagrun_timeout="30d")
        (record_id,) = world.plan_and_claim(0)
        world.pass_time(TIMEOUT + LEASE + TICK)
        assert release(world, Airflow(run_1=RunState.UNKNOWN), other=config()) != []
        assert world.status(record_id) == "PENDING"

    def test_other_runs_and_resting_rows_are_left_alone(self) -> None:
        world = World()
        (mine,) = world.plan_and_claim(0)
        (theirs,) = world.plan_and_claim(1, actor=RUN_2)
        (done,) = world.complete(2, actor=Actor("data_pipeline_main", "run-3"))
        (free,) = world.plan(3)
        released = release(world, Airflow(run_1=RunState.ENDED, run_2=RunState.ACTIVE))
        assert [entry["id"] for entry in released] == [mine]
        assert [world.status(i) for i in (theirs, done, free)] == ["IN_PROGRESS", "COMPLETED", "PENDING"]

    def test_a_window_that_always_kills_its_worker_ends_failed_and_its_neighbour_completes(self) -> None:
        world = World(max_retry_task=2)
        killer, neighbour = world.plan(0, 1)
        statuses = []
        for number in range(3):
            run = Actor("data_pipeline_main", f"killed-{number}", "source_to_stage", 0, 1)
            claimed = world.claim(run, limit=2)
            world.store.take(killer, run)
            for row in claimed:
                if row.id == neighbour:
                    world.move(neighbour, actor=run)
            (entry,) = release(world, Airflow())
            statuses.append(entry["status"])
            world.pass_time(timedelta(hours=1))
        assert statuses == ["PENDING", "PENDING", "FAILED"]
        assert world.status(neighbour) == "COMPLETED"
        assert all(f"killed-{number}" in world.row(killer).last_error for number in range(3))

    def test_the_old_owner_is_refused_afterwards(self) -> None:
        world = World()
        world.add_documents(3, hour=0)
        (record_id,) = world.plan_and_claim(0)

        def hangs(attempt: WindowAttempt) -> None:
            world.pass_time(LEASE + TICK)
            release(world, Airflow(run_1=RunState.ACTIVE))
            world.pass_time(timedelta(minutes=2))
            world.claim(RUN_2)
            world.move(record_id, actor=RUN_2)
            attempt.change(transitions.start_source_to_stage)

        with pytest.raises(FenceLostError):
            world.run(record_id, hangs)
        assert (world.status(record_id), world.row(record_id).dag_run_id) == ("COMPLETED", "run-2")

    def test_a_window_that_changes_hands_while_airflow_is_asked_is_left_alone(self) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(0)

        def slow(_dag_id: str, _dag_run_id: str) -> RunState:
            with pytest.raises(TerminalError):
                finish_run(world.store, world.config, RUN_1)
            world.pass_time(timedelta(minutes=2))
            world.claim(RUN_2)
            return RunState.ENDED

        assert release(world, slow) == []
        assert (world.status(record_id), world.row(record_id).dag_run_id) == ("IN_PROGRESS", "run-2")

    def test_a_run_that_is_cleared_while_airflow_is_asked_keeps_its_window(self) -> None:
        """It had ended; a task of it starts again before the answer is acted upon."""
        world = World()
        (record_id,) = world.plan_and_claim(0)

        def slow(_dag_id: str, _dag_run_id: str) -> RunState:
            world.store.take(record_id, RUN_1)
            return RunState.ENDED

        assert release(world, slow) == []
        assert (world.status(record_id), world.row(record_id).retry_attempt) == ("IN_PROGRESS", 0)


class TestFinishRun:
    def test_all_finished(self) -> None:
        world = World()
        world.complete(0, 1)
        assert finish_run(world.store, world.config, RUN_1) == {"COMPLETED": 2}

    def test_a_run_that_claimed_nothing(self) -> None:
        assert finish_run(World().store, config(), RUN_1) == {}

    def test_a_window_it_still_holds_is_given_back_and_fails_the_run(self) -> None:
        world = World()
        world.complete(0)
        (left,) = world.plan(1)
        world.store.take(left, RUN_1)  # as when a task of it is cleared: a run's claim comes once
        with pytest.raises(TerminalError) as failure:
            finish_run(world.store, world.config, RUN_1)
        assert "1 windows of this run are not finished: flights 2013-03-09T06:00:00Z" in str(failure.value)
        assert "is PENDING after 1 attempts (its run ended while the window was unfinished)" in str(failure.value)
        row = world.row(left)
        assert (row.pipeline_final_status, row.dag_run_id, row.retry_attempt) == ("PENDING", None, 1)

    def test_every_unfinished_window_is_named_with_its_error(self) -> None:
        world = World(max_retry_task=0)
        first, second, third = world.plan_and_claim(0, 1, 2)
        world.move(first)
        for record_id, name in ((second, "document a"), (third, "document b")):
            with pytest.raises(BadDocumentError):
                world.run(record_id, _bad(name))
        with pytest.raises(TerminalError, match="2 windows of this run are not finished") as failure:
            finish_run(world.store, world.config, RUN_1)
        for name in ("document a", "document b"):
            assert f"is FAILED after 1 attempts (audit: BadDocumentError: {name}" in str(failure.value)
        assert "FAILED ones wait for a person" in failure.value.meaning

    def test_a_window_reopened_for_late_data_is_unfinished(self) -> None:
        world = World()
        world.add_documents(3, hour=0)
        (record_id,) = world.plan_and_claim(0)
        world.move(record_id, Phase.STAGE_TO_TARGET)
        world.add_documents(1, hour=0, prefix="late")
        world.move(record_id)
        with pytest.raises(TerminalError, match=r"is PENDING after 0 attempts \(reopened for late data\)"):
            finish_run(world.store, world.config, RUN_1)

    def test_a_window_that_another_run_holds_or_has_finished_is_not_its_business(self) -> None:
        world = World()
        first, second, third = world.plan_and_claim(0, 1, 2)
        for record_id in (first, second):
            with pytest.raises(ServiceUnavailableError):
                world.run(record_id, _down, is_last_try=True)
        world.move(third)
        world.pass_time(timedelta(minutes=2))
        world.claim(RUN_2)
        world.move(first, actor=RUN_2)
        assert finish_run(world.store, world.config, RUN_1) == {"COMPLETED": 2, "IN_PROGRESS": 1}
        assert world.row(second).dag_run_id == "run-2"

    def test_a_window_that_was_replaced_is_not_its_business(self) -> None:
        world = World()
        (record_id,) = world.complete(0)
        world.store.replace([record_id], [], PLANNER, "not needed")
        assert finish_run(world.store, world.config, RUN_1) == {}

    def test_after_the_run_is_cleared_and_has_done_its_windows_it_is_green(self) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(0)
        with pytest.raises(TerminalError):
            finish_run(world.store, world.config, RUN_1)
        assert [row.id for row in world.claim(RUN_1)] == [record_id]
        world.move(record_id)
        assert finish_run(world.store, world.config, RUN_1) == {"COMPLETED": 1}

    def test_the_next_run_may_have_what_was_given_back(self) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(0)
        with pytest.raises(TerminalError):
            finish_run(world.store, world.config, RUN_1)
        world.pass_time(timedelta(minutes=1))
        assert [row.id for row in world.claim(RUN_2)] == [record_id]


def _bad(name: str) -> Any:
    def work(_attempt: WindowAttempt) -> None:
        raise BadDocumentError(name)

    return work


def _down(_attempt: WindowAttempt) -> None:
    raise ServiceUnavailableError("503")

"""One start of one task: how every way to end is accounted for, and who is refused."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import structlog

from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.errors import (
    BadDocumentError,
    ConfigurationError,
    FenceLostError,
    IllegalTransitionError,
    IncompleteExtractError,
    InvalidInputError,
    PublishConflictError,
    RowMistakenError,
    ServiceUnavailableError,
    TornStageError,
    WindowFinishedError,
    WindowHeldError,
    WindowInvalidatedError,
)
from include.pipeline_framework.tasks.window_attempt import WindowAttempt
from tests.unit.tasks.world import PLANNER, RUN_1, RUN_2, TEMPORARY, World, window

STAGED = {
    "stage_location": "flights/2013-03-09/a_b/1",
    "stage_file_count": 0,
    "stage_byte_count": 0,
    "staged_count": 0,
    "staged_fingerprint": 0,
    "quarantined_count": 0,
    "source_count": 0,
}


def failing(error: Exception) -> Callable[[WindowAttempt], None]:
    def work(_attempt: WindowAttempt) -> None:
        raise error

    return work


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.002)


def test_the_work_gets_window_and_fence_and_its_result_comes_back() -> None:
    world = World()
    (record_id,) = world.plan_and_claim(3)
    seen: list[Any] = []

    def work(attempt: WindowAttempt) -> str:
        seen.append((attempt.window, attempt.fence, attempt.actor, attempt.row.heartbeat_at))
        return "result"

    assert world.run(record_id, work) == "result"
    assert seen == [(window(3), 1, RUN_1, world.at)]
    row = world.row(record_id)
    assert (row.pipeline_final_status, row.heartbeat_at, row.retry_attempt) == ("IN_PROGRESS", None, 0)
    assert world.events(record_id) == ["planned", "claimed", "taken", "task_ended"]


def test_every_log_line_names_pipeline_window_fence_and_try_and_a_step_its_seconds() -> None:
    world = World()
    (record_id,) = world.plan_and_claim(3)

    def work(attempt: WindowAttempt) -> None:
        with attempt.step("extracted"):
            time.sleep(0.01)
        with pytest.raises(KeyError), attempt.step("published"):
            raise KeyError("x")

    with structlog.testing.capture_logs() as lines:
        world.run(record_id, work, actor=replace(RUN_1, task_id="audit", try_number=2))
    assert [(line["event"], line.get("step")) for line in lines] == [
        ("window taken", None),
        ("step done", "extracted"),
        ("step failed", "published"),
        ("step done", "task"),
    ]
    fence = world.store.get(record_id).fence
    for line in lines:
        assert {name: line[name] for name in ("pipeline", "lifecycle_id", "fence", "task", "try_number")} == {
            "pipeline": world.config.pipeline_id,
            "lifecycle_id": record_id,
            "fence": fence,
            "task": "audit",
            "try_number": 2,
        }
        assert line["window"] == str(window(3))
    assert lines[1]["seconds"] >= 0.01
    assert (lines[2]["error"], lines[2]["log_level"]) == ("KeyError", "warning")


@pytest.mark.parametrize(
    "error",
    [
        ServiceUnavailableError("503"),
        IncompleteExtractError("a shard failed"),
        TornStageError("no manifest"),
        PublishConflictError("locked"),
        RuntimeError("a bug, perhaps"),
    ],
)
class TestAnErrorThatMayPass:
    def test_with_tries_left_owner_and_status_stay_and_nothing_is_counted(self, error: Exception) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(3)
        with pytest.raises(type(error)) as raised:
            world.run(record_id, failing(error))
        assert raised.value is error
        row = world.row(record_id)
        assert (row.pipeline_final_status, row.dag_run_id, row.retry_attempt) == ("IN_PROGRESS", "run-1", 0)
        assert (row.heartbeat_at, row.not_before_at) == (None, None)
        assert row.last_error == f"audit: {type(error).__name__}: {error}"
        assert world.events(record_id)[-1] == "try_failed"

    def test_the_last_try_spends_an_attempt(self, error: Exception) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(3)
        with pytest.raises(type(error)):
            world.run(record_id, failing(error), is_last_try=True)
        row = world.row(record_id)
        assert (row.pipeline_final_status, row.dag_run_id, row.retry_attempt) == ("PENDING", None, 1)
        assert row.not_before_at == world.at + timedelta(minutes=1)
        assert world.events(record_id)[-1] == "failed"


@pytest.mark.parametrize("error", [BadDocumentError("a lone surrogate", where="id 7"), InvalidInputError("wrong")])
@pytest.mark.parametrize("is_last_try", [False, True])
def test_a_terminal_error_spends_its_attempt_at_once(error: Exception, is_last_try: bool) -> None:
    world = World()
    (record_id,) = world.plan_and_claim(3)
    with pytest.raises(type(error)):
        world.run(record_id, failing(error), is_last_try=is_last_try)
    row = world.row(record_id)
    assert (row.pipeline_final_status, row.retry_attempt) == ("PENDING", 1)
    assert row.last_error == f"audit: {type(error).__name__}: {error}"


def test_spent_attempts_end_failed_with_every_reason() -> None:
    world = World(max_retry_task=2)
    (record_id,) = world.plan_and_claim(3)
    for number in range(3):
        with pytest.raises(ServiceUnavailableError):
            world.run(record_id, failing(ServiceUnavailableError(f"repeated {number}")))
        with pytest.raises(BadDocumentError):
            world.run(record_id, failing(BadDocumentError(f"bad {number}")))
        world.pass_time(timedelta(hours=1))
    row = world.row(record_id)
    assert (row.pipeline_final_status, row.retry_attempt, row.not_before_at) == ("FAILED", 3, None)
    assert all(f"audit: BadDocumentError: bad {number}" in row.last_error for number in range(3))


def test_a_killed_process_leaves_row_and_lease_to_the_cleanup() -> None:
    world = World()
    (record_id,) = world.plan_and_claim(3)

    def killed(_attempt: WindowAttempt) -> None:
        raise SystemExit(137)

    with pytest.raises(SystemExit):
        world.run(record_id, killed)
    row = world.row(record_id)
    assert (row.pipeline_final_status, row.heartbeat_at, row.retry_attempt) == ("IN_PROGRESS", world.at, 0)


class TestRefusals:
    def test_a_zombie_writes_nothing_but_that_it_was_refused(self) -> None:
        """The window is taken by a newer try while the older one still works."""
        world = World()
        (record_id,) = world.plan_and_claim(3)
        newer = Actor(RUN_1.dag_id, RUN_1.dag_run_id, RUN_1.task_id, 0, 2)

        def work(attempt: WindowAttempt) -> None:
            world.store.take(record_id, newer)
            attempt.change(transitions.start_source_to_stage)

        with pytest.raises(FenceLostError, match="fence 1 is no longer the window's: it is 2 now"):
            world.run(record_id, work, is_last_try=True)
        row = world.row(record_id)
        assert (row.fence, row.retry_attempt, row.last_error) == (2, 0, None)
        assert row.heartbeat_at == world.at
        assert world.events(record_id) == ["planned", "claimed", "taken", "taken", "refused"]
        refused = world.store.events(record_id)[-1]
        assert (refused["try_number"], refused["fence"], refused["numbers"]) == (1, 2, {"refused_fence": 1})
        assert refused["reason"].startswith("fence 1 is no longer the window's: it is 2 now")

    @pytest.mark.parametrize("is_last_try", [False, True])
    def test_a_zombies_failure_is_not_counted_and_its_own_error_is_shown(self, is_last_try: bool) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(3)

        def work(_attempt: WindowAttempt) -> None:
            world.store.take(record_id, RUN_1)
            raise ServiceUnavailableError("the first error")

        with pytest.raises(ServiceUnavailableError, match="the first error") as raised:
            world.run(record_id, work, is_last_try=is_last_try)
        assert "The ledger could not be told: fence 1 is no longer" in raised.value.__notes__[0]
        assert world.row(record_id).retry_attempt == 0

    def test_a_zombie_that_finished_its_work_does_not_report_success(self) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(3)
        with pytest.raises(FenceLostError):
            world.run(record_id, lambda _attempt: world.store.take(record_id, RUN_1))

    def test_a_refusal_of_the_ledger_spends_no_attempt(self) -> None:
        """The ledger is as it was; what the run still holds is settled at its end."""
        world = World()
        (record_id,) = world.plan_and_claim(3)
        with pytest.raises(IllegalTransitionError, match="phase_completed None"):
            world.run(record_id, lambda attempt: attempt.change(transitions.start_audit), is_last_try=True)
        row = world.row(record_id)
        assert (row.pipeline_final_status, row.retry_attempt, row.last_error) == ("IN_PROGRESS", 0, None)

    def test_a_ledger_that_is_down_does_not_hide_the_error(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(3)

        def down(*_arguments: Any) -> None:
            raise ServiceUnavailableError("the ledger is down")

        def work(_attempt: WindowAttempt) -> None:
            monkeypatch.setattr(world.store, "change", down)
            raise BadDocumentError("document 7")

        with pytest.raises(BadDocumentError) as raised:
            world.run(record_id, work)
        assert raised.value.__notes__ == ["The ledger could not be told: the ledger is down"]

    @pytest.mark.parametrize("actor", [RUN_2, TEMPORARY])
    def test_another_runs_window_is_not_touched(self, actor: Actor) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(3)
        before = world.row(record_id)
        with pytest.raises(WindowHeldError):
            world.run(record_id, lambda _attempt: pytest.fail("it must not start"), actor)
        assert world.row(record_id) == before

    def test_a_finished_window_is_not_started(self) -> None:
        world = World()
        (record_id,) = world.complete(3)
        with pytest.raises(WindowFinishedError, match="COMPLETED"):
            world.run(record_id, lambda _attempt: pytest.fail("it must not start"))

    def test_a_row_replaced_while_it_waited_is_not_started(self) -> None:
        world = World()
        (record_id,) = world.plan(3)
        world.store.replace([record_id], [], PLANNER, "not needed")
        with pytest.raises(WindowInvalidatedError):
            world.run(record_id, lambda _attempt: pytest.fail("it must not start"))

    @pytest.mark.parametrize("attempts", [1, 3])
    def test_a_cleared_task_takes_its_window_back(self, attempts: int) -> None:
        """PENDING after a spent attempt, or FAILED after all: the operator clears the task, it runs."""
        world = World(max_retry_task=2)
        (record_id,) = world.plan_and_claim(3)
        for _ in range(attempts):
            with pytest.raises(BadDocumentError):
                world.run(record_id, failing(BadDocumentError("bad")))
        assert world.status(record_id) == ("PENDING" if attempts == 1 else "FAILED")
        world.run(record_id, lambda _attempt: None)
        row = world.row(record_id)
        assert (row.pipeline_final_status, row.dag_run_id) == ("IN_PROGRESS", "run-1")
        assert row.retry_attempt == (1 if attempts == 1 else 0)


class TestHeartbeats:
    def test_they_renew_the_lease_and_stop_with_the_task(self) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(3)

        def work(_attempt: WindowAttempt) -> None:
            for _ in range(2):
                world.pass_time(timedelta(minutes=1))
                wait_until(lambda: world.row(record_id).heartbeat_at == world.at)
            assert f"heartbeat-{record_id}" in {thread.name for thread in threading.enumerate()}

        world.run(record_id, work, heartbeat_seconds=0.005)
        assert world.row(record_id).heartbeat_at is None
        assert f"heartbeat-{record_id}" not in {thread.name for thread in threading.enumerate()}

    def test_they_stop_when_the_work_fails(self) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(3)
        with pytest.raises(ServiceUnavailableError):
            world.run(record_id, failing(ServiceUnavailableError("503")), heartbeat_seconds=0.005)
        assert f"heartbeat-{record_id}" not in {thread.name for thread in threading.enumerate()}
        assert world.row(record_id).heartbeat_at is None

    def test_a_ledger_that_is_away_for_a_while_is_asked_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(3)
        real, failures = world.store.heartbeat, iter(range(3))

        def sometimes(lifecycle_id: int, fence: int) -> None:
            if next(failures, None) is not None:
                raise ServiceUnavailableError("the ledger restarts")
            real(lifecycle_id, fence)

        monkeypatch.setattr(world.store, "heartbeat", sometimes)

        def work(_attempt: WindowAttempt) -> None:
            world.pass_time(timedelta(minutes=1))
            wait_until(lambda: world.row(record_id).heartbeat_at == world.at)

        world.run(record_id, work, heartbeat_seconds=0.005)
        assert next(failures, None) is None

    def test_nothing_but_its_task_ends_a_heartbeat(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """An error that nobody has thought of is a warning with its traceback, and the lease is renewed again."""
        world = World()
        (record_id,) = world.plan_and_claim(3)
        real = world.store.heartbeat
        failures = iter([RuntimeError("a bug"), ConfigurationError("no such table"), OSError("out of threads")])

        def sometimes(lifecycle_id: int, fence: int) -> None:
            if (failure := next(failures, None)) is not None:
                raise failure
            real(lifecycle_id, fence)

        monkeypatch.setattr(world.store, "heartbeat", sometimes)

        def work(_attempt: WindowAttempt) -> None:
            world.pass_time(timedelta(minutes=1))
            wait_until(lambda: world.row(record_id).heartbeat_at == world.at)

        with structlog.testing.capture_logs() as lines:
            world.run(record_id, work, heartbeat_seconds=0.005)
        told = [
            (line["error"], line["exc_info"]) for line in lines if line["event"].startswith("heartbeat not written")
        ]
        assert told == [("a bug", True), ("no such table", False), ("out of threads", True)]

    def test_a_zombies_thread_ends_and_leaves_the_newer_lease_alone(self) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(3)

        def work(_attempt: WindowAttempt) -> None:
            world.store.take(record_id, RUN_1)
            taken_at = world.at
            world.pass_time(timedelta(minutes=1))
            wait_until(lambda: f"heartbeat-{record_id}" not in {thread.name for thread in threading.enumerate()})
            assert world.row(record_id).heartbeat_at == taken_at

        with pytest.raises(FenceLostError):
            world.run(record_id, work, heartbeat_seconds=0.005)

    def test_a_beat_after_the_phase_was_written_does_not_leave_a_lease_behind(self) -> None:
        """The old stage is deleted after the phase is complete; a lease left running would expire in the queue."""
        world = World()
        (record_id,) = world.plan_and_claim(3)

        def work(attempt: WindowAttempt) -> None:
            attempt.change(transitions.start_source_to_stage)
            attempt.change(transitions.complete_source_to_stage, STAGED)
            wait_until(lambda: world.row(record_id).heartbeat_at is not None)

        world.run(record_id, work, heartbeat_seconds=0.005)
        row = world.row(record_id)
        assert (row.phase_completed, row.heartbeat_at) == ("SOURCE_TO_STAGE", None)


def test_a_row_that_became_another_windows_while_the_task_ran_is_not_written() -> None:
    """The ledger was lost and filled again: the same number, the same fence, another window."""
    world = World()
    (record_id,) = world.plan_and_claim(3)

    def work(attempt: WindowAttempt) -> None:
        world.store.amend(record_id, query_window_start_at=window(5).start, query_window_end_at=window(5).end)
        before = world.row(record_id)
        with pytest.raises(RowMistakenError, match=f"row {record_id} is not flights 2013-03-09T08:00:00Z"):
            attempt.change(transitions.start_source_to_stage)
        assert world.row(record_id) == before

    with pytest.raises(RowMistakenError):
        world.run(record_id, work)

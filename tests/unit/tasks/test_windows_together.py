"""Several windows that one task publishes together: each has its own fence, lease, outcome and account."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.records.row import Phase
from include.pipeline_framework.errors import (
    BadDocumentError,
    FenceLostError,
    RowMistakenError,
    ServiceUnavailableError,
    TargetBusyError,
    WindowHeldError,
)
from include.pipeline_framework.tasks import move_window
from include.pipeline_framework.tasks.window_attempt import WindowAttempt, run_on_windows
from tests.unit.tasks.world import RUN_1, RUN_2, World, window


def staged(hours: int = 3) -> tuple[World, list[int]]:
    world = World()
    for hour in range(hours):
        world.add_documents(2, hour)
    ids = world.plan_and_claim(*range(hours))
    for record_id in ids:
        world.move(record_id, Phase.SOURCE_TO_STAGE)
    return world, ids


def work_on(world: World, ids: Sequence[int], work: Any, **options: Any) -> list[Any]:
    return run_on_windows(
        world.store, dict.fromkeys(ids), RUN_1, work, max_retry_task=2, **{"is_last_try": True, **options}
    )


def states(world: World, ids: Sequence[int]) -> list[tuple[str, str | None, int]]:
    rows = [world.row(record_id) for record_id in ids]
    assert all(row.heartbeat_at is None for row in rows)
    return [(str(row.pipeline_final_status), row.phase_completed, row.retry_attempt) for row in rows]


LOADED = ("IN_PROGRESS", "STAGE_TO_TARGET", 0)


def test_each_window_is_taken_published_and_noted_by_itself() -> None:
    world, ids = staged()
    outcomes = world.run_together(ids, Phase.STAGE_TO_TARGET)
    assert [outcome["loaded_count"] for outcome in outcomes] == [2, 2, 2]
    assert states(world, ids) == [LOADED] * 3
    receipts = world.target.receipts("flights")
    assert [receipt.fence for receipt in receipts] == [world.row(record_id).fence for record_id in ids]
    assert len({receipt.fence for receipt in receipts}) == 3
    for record_id in ids:
        assert world.events(record_id)[-3:] == ["taken", "stage_to_target_started", "stage_to_target_completed"]


def test_they_are_published_by_one_call() -> None:
    world, ids = staged()
    publish, asked = world.target.publish, list[int]()

    def counted(requests: Any, *arguments: Any, **options: Any) -> Any:
        asked.append(len(requests))
        return publish(requests, *arguments, **options)

    world.target.publish = counted  # type: ignore[method-assign]
    world.run_together(ids, Phase.AUDIT)
    assert (asked, [world.status(record_id) for record_id in ids]) == ([3], ["COMPLETED"] * 3)


def test_a_window_that_is_loaded_already_and_one_that_is_not_staged_are_brought_along() -> None:
    world = World()
    for hour in range(3):
        world.add_documents(2, hour)
    ids = world.plan_and_claim(0, 1, 2)
    world.move(ids[0], Phase.STAGE_TO_TARGET)
    world.move(ids[1], Phase.SOURCE_TO_STAGE)
    outcomes = world.run_together(ids, Phase.STAGE_TO_TARGET)
    assert [outcome["loaded_count"] for outcome in outcomes] == [2, 2, 2]
    assert "stage_to_target_started" not in world.events(ids[0])[-2:]
    assert len(world.target_ids()) == 6


def test_one_window_that_another_run_holds_stops_none_beside_it() -> None:
    world, ids = staged()
    world.store.amend(ids[1], dag_run_id=RUN_2.dag_run_id)
    before = world.row(ids[1])
    first, held, last = world.run_together(ids, Phase.STAGE_TO_TARGET)
    assert isinstance(held, WindowHeldError)
    assert (first["loaded_count"], last["loaded_count"], world.row(ids[1])) == (2, 2, before)


def test_a_number_that_stands_for_another_window_is_refused_alone() -> None:
    world, ids = staged(2)
    expected = [world.row(record_id).identity for record_id in ids]
    other = {"query_window_start_at": window(9).start, "query_window_end_at": window(9).end}
    world.store.amend(ids[0], **other)
    outcomes = run_on_windows(
        world.store,
        dict(zip(ids, expected, strict=True)),
        RUN_1,
        lambda attempts: [attempt.row.id for attempt in attempts],
        max_retry_task=2,
        is_last_try=True,
    )
    assert isinstance(outcomes[0], RowMistakenError)
    assert outcomes[1] == ids[1]


def test_a_window_that_is_taken_over_under_the_publish_loses_alone() -> None:
    world, ids = staged()
    publish = world.target.publish

    def taken_over(*arguments: Any, **options: Any) -> Any:
        world.store.take(ids[1], RUN_1)
        return publish(*arguments, **options)

    world.target.publish = taken_over  # type: ignore[method-assign]
    first, lost, last = world.run_together(ids, Phase.STAGE_TO_TARGET, is_last_try=True)
    assert isinstance(lost, FenceLostError)
    assert (first["loaded_count"], last["loaded_count"]) == (2, 2)
    assert world.events(ids[1])[-2:] == ["taken", "refused"]
    assert world.row(ids[1]).retry_attempt == 0, "the newer start accounts for it"


def test_a_refused_document_spends_its_own_windows_attempt_and_discards_its_stage() -> None:
    world, ids = staged()

    def one_is_bad(requests: Any, *arguments: Any, **options: Any) -> Any:
        good = [request for request in requests if request.lifecycle_id != ids[1]]
        first, last = publish(good, *arguments, **options)
        return [first, BadDocumentError("document 'odd' does not fit"), last]

    publish = world.target.publish
    world.target.publish = one_is_bad  # type: ignore[method-assign]
    _, bad, _ = world.run_together(ids, Phase.STAGE_TO_TARGET)
    assert isinstance(bad, BadDocumentError)
    assert states(world, ids) == [LOADED, ("PENDING", None, 1), LOADED]
    assert "stage_discarded" in world.events(ids[1])


@pytest.mark.parametrize(("is_last_try", "expected"), [(False, ("IN_PROGRESS", 0)), (True, ("PENDING", 1))])
def test_an_error_of_the_publish_is_every_windows_own(is_last_try: bool, expected: tuple[str, int]) -> None:
    world, ids = staged()

    def unavailable(*_arguments: Any, **_options: Any) -> Any:
        raise ServiceUnavailableError("no answer")

    world.target.publish = unavailable  # type: ignore[method-assign]
    outcomes = world.run_together(ids, Phase.STAGE_TO_TARGET, is_last_try=is_last_try)
    assert [type(outcome) for outcome in outcomes] == [ServiceUnavailableError] * 3
    assert [(state, count) for state, _, count in states(world, ids)] == [expected] * 3
    assert {phase for _, phase, _ in states(world, ids)} == {"SOURCE_TO_STAGE"}


def test_a_busy_table_spends_no_attempt_of_any_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(move_window, "SHORT_WAIT_SECONDS", 0.0)
    world, ids = staged()
    world.target.locks_table = True
    with world.store.table_lock("memory FLIGHTS"):
        outcomes = world.run_together(ids, Phase.STAGE_TO_TARGET, is_last_try=True)
    assert [type(outcome) for outcome in outcomes] == [TargetBusyError] * 3
    assert states(world, ids) == [("IN_PROGRESS", "SOURCE_TO_STAGE", 0)] * 3
    world.pass_time(move_window.LONGEST_WAIT + timedelta(seconds=1))
    with world.store.table_lock("memory FLIGHTS"):
        assert all(isinstance(outcome, dict) for outcome in world.run_together(ids, Phase.STAGE_TO_TARGET))


def test_every_lease_is_renewed_and_a_lost_one_stops_no_other() -> None:
    world, ids = staged()
    beats, heartbeat = list[int](), world.store.heartbeat
    lost_is_noted = threading.Event()

    def counted(record_id: int, fence: int) -> None:
        beats.append(record_id)
        try:
            heartbeat(record_id, fence)
        except FenceLostError:
            lost_is_noted.set()
            raise

    def work(attempts: Sequence[WindowAttempt]) -> list[str]:
        world.store.take(ids[0], RUN_1)
        assert lost_is_noted.wait(600)
        first = len(beats)
        deadline = time.monotonic() + 600
        while len(beats) < first + 5:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        assert ids[0] not in beats[first:]
        assert {*ids[1:]} <= set(beats[first:])
        return ["done"] * len(attempts)

    world.store.heartbeat = counted  # type: ignore[method-assign]
    outcomes = work_on(world, ids, work, heartbeat_seconds=0.002)
    assert isinstance(outcomes[0], FenceLostError), "its end could not be written"
    assert outcomes[1:] == ["done", "done"]


def test_where_no_window_can_be_taken_nothing_is_done() -> None:
    world, ids = staged(2)
    for record_id in ids:
        world.store.amend(record_id, dag_run_id=RUN_2.dag_run_id)
    outcomes = work_on(world, ids, lambda _attempts: pytest.fail("there is no window"))
    assert [type(outcome) for outcome in outcomes] == [WindowHeldError] * 2

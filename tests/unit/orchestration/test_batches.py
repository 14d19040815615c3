"""Several windows in one task: each has its own outcome, and none stops the ones beside it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from include.orchestration import batches, pipeline_tasks, task_runs
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.errors import BadDocumentError, ServiceUnavailableError, TargetBusyError
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.tasks.store_and_validate import store_and_validate
from include.wiring import assembly, run_context
from tests.unit.tasks.world import RUN_1, World, window

TASKS: dict[str, Callable[[str, dict[str, Any]], Any]] = {
    "pre_validation": pipeline_tasks.pre_validate,
    "source_to_stage": pipeline_tasks.source_to_stage,
    "stage_to_target": pipeline_tasks.stage_to_target,
    "audit": pipeline_tasks.audit,
}


@dataclass
class Run:
    """One mapped task group of a run; XCom is a dictionary."""

    world: World = field(default_factory=World)
    pushed: dict[str, Any] = field(default_factory=dict)
    announced: list[str] = field(default_factory=list)
    task: str = ""
    try_number: int = 1
    is_last_try: bool = True

    def context(self) -> dict[str, Any]:
        ti = SimpleNamespace(task_id=f"window.{self.task}", map_index=0)
        ti.xcom_push = lambda key, value: self.pushed.update({f"window.{self.task}": value})
        ti.xcom_pull = lambda task_ids, key, map_indexes: self.pushed.get(task_ids)
        return {"ti": ti}

    def batch(self, *hours: int) -> dict[str, Any]:
        self.world.plan(*hours)
        claimed = store_and_validate(self.world.config, self.world.store, RUN_1, RunRequest())["claimed"]
        (batch,) = batches.batched(claimed, max(2, len(hours)))
        return batch

    def __call__(self, task: str, batch: dict[str, Any]) -> Any:
        self.task = task
        self.pushed.pop(f"window.{task}", None)
        return TASKS[task]("main", batch)

    def states(self) -> list[tuple[str, str | None, int]]:
        rows = self.world.store.find(source_object="flights")
        return [(str(row.pipeline_final_status), row.phase_completed, row.retry_attempt) for row in rows]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    found = Run()
    monkeypatch.setattr(run_context, "current_actor", lambda *_: replace(RUN_1, try_number=found.try_number))
    monkeypatch.setattr(run_context, "is_last_try", lambda: found.is_last_try)
    monkeypatch.setattr(task_runs, "conf", dict)
    monkeypatch.setattr(task_runs, "announce", found.announced.extend)
    monkeypatch.setattr(assembly, "pipeline", lambda _id: found.world.pipeline)
    monkeypatch.setattr(batches, "get_current_context", found.context)
    return found


def test_batches_are_labelled_by_their_first_and_last_window() -> None:
    records = [{"id": number, "local": f"0{number}:00"} for number in range(5)]
    assert [batch["local"] for batch in batches.batched(records, 1)] == ["00:00", "01:00", "02:00", "03:00", "04:00"]
    made = batches.batched(records, 2)
    assert [batch["local"] for batch in made] == ["00:00 … 01:00 (2)", "02:00 … 03:00 (2)", "04:00"]
    assert [record for batch in made for record in batch["windows"]] == records


def test_every_window_of_a_batch_is_moved_and_announced_by_itself(run: Run) -> None:
    run.world.add_documents(3, 1)
    run.world.add_documents(2, 3)
    batch = run.batch(1, 2, 3)
    results = {task: run(task, batch) for task in TASKS}
    assert [result["decision"] for result in results["pre_validation"]] == ["run"] * 3  # published together
    assert run.states() == [("COMPLETED", "AUDIT", 0)] * 3
    assert sorted(run.announced) == [str(window(hour)) for hour in (1, 2, 3)]
    assert len(run.world.target_ids()) == 5
    fences = [row.fence for row in run.world.store.find(source_object="flights")]
    assert len(set(fences)) == 3


def test_an_empty_window_alone_is_complete_at_once_and_announced_by_every_try(run: Run) -> None:
    """A try that was killed after it has written emits no event: the next one does."""
    batch = run.batch(2)
    assert [result["decision"] for result in run("pre_validation", batch)] == ["empty"]
    assert run.states()[0][0] == "COMPLETED"
    run.try_number = 2
    assert [result["decision"] for result in run("pre_validation", batch)] == ["completed"]
    assert run.announced == [str(window(2))] * 2


def test_a_window_that_fails_stops_none_beside_it(run: Run) -> None:
    run.world.add_documents(3, 1)
    run.world.source.add(Document("bad", window(2).start, b'{"n": "\\ud800"}'))
    run.world.add_documents(2, 3)
    batch = run.batch(1, 2, 3)
    run("pre_validation", batch)
    with pytest.raises(BadDocumentError, match="'bad'"):
        run("source_to_stage", batch)
    assert [result["local"] for result in run("stage_to_target", batch)] == [
        batch["windows"][0]["local"],
        batch["windows"][2]["local"],
    ]
    run("audit", batch)
    assert run.states() == [("COMPLETED", "AUDIT", 0), ("PENDING", None, 1), ("COMPLETED", "AUDIT", 0)]
    assert run.announced == [str(window(1)), str(window(3))]


def test_another_try_takes_up_what_failed_in_passing_and_leaves_what_was_given_up(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    run.world.add_documents(3, 1)
    run.world.source.add(Document("bad", window(2).start, b'{"n": "\\ud800"}'))
    run.world.add_documents(2, 3)
    batch = run.batch(1, 2, 3)
    run("pre_validation", batch)
    run.is_last_try, extract = False, run.world.source.extract

    def unavailable_once(asked: Any) -> Any:
        if asked == window(3):
            raise ServiceUnavailableError("no answer")
        return extract(asked)

    monkeypatch.setattr(run.world.source, "extract", unavailable_once)
    with pytest.raises(ServiceUnavailableError) as failed:  # another try makes sense for one of them
        run("source_to_stage", batch)
    assert "2 of the task's 3 windows failed" in "".join(failed.value.__notes__)
    monkeypatch.setattr(run.world.source, "extract", extract)
    run.try_number, before = 2, run.world.store.find(source_object="flights")[1]
    run("source_to_stage", batch)
    assert run.world.store.find(source_object="flights")[1] == before, "its attempt is spent: a later run takes it"
    for task in ("stage_to_target", "audit"):
        run.try_number = 1
        run(task, batch)
    assert [state[0] for state in run.states()] == ["COMPLETED", "PENDING", "COMPLETED"]


def test_a_task_that_a_person_clears_takes_all_its_windows_back(run: Run) -> None:
    run.world.source.add(Document("bad", window(1).start, b'{"n": "\\ud800"}'))
    run.world.source.add(Document("worse", window(2).start, b'{"n": "\\ud800"}'))
    batch = run.batch(1, 2)
    run("pre_validation", batch)
    with pytest.raises(BadDocumentError):
        run("source_to_stage", batch)
    with pytest.raises(AirflowSkipException, match="no window of this batch has come so far"):
        run("stage_to_target", batch)
    run.world.source.documents.clear()
    run.world.add_documents(1, 1)
    run.world.add_documents(1, 2)
    run.try_number = 2
    for task in ("source_to_stage", "stage_to_target", "audit"):
        run(task, batch)
    assert [state[0] for state in run.states()] == ["COMPLETED"] * 2


def test_a_batch_of_which_nothing_has_to_move_is_skipped(run: Run) -> None:
    run.world.add_documents(3, 1)
    run.world.complete(1)
    run.world.store._rows.clear()
    run.world.store._events.clear()  # the ledger is lost, the receipt is not
    batch = run.batch(1)
    with pytest.raises(AirflowSkipException, match="already loaded, proven by the target's receipt"):
        run("pre_validation", batch)
    with pytest.raises(AirflowSkipException, match="no window of this batch has come so far"):
        run("source_to_stage", batch)
    assert run.states() == [("SKIPPED", None, 0)]


def test_a_busy_table_lets_the_others_go_first_and_the_task_comes_back(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hour in (1, 2):
        run.world.add_documents(2, hour)
    batch = run.batch(1, 2)
    run("pre_validation", batch)
    run("source_to_stage", batch)
    publish, asked = run.world.target.publish_one, list[Any]()

    def busy_once(request: Any, *arguments: Any) -> Any:
        asked.append(request.window)
        if len(asked) == 1:
            raise TargetBusyError("another window is publishing")
        return publish(request, *arguments)

    monkeypatch.setattr(run.world.target, "publish_one", busy_once)
    with pytest.raises(AirflowRescheduleException):
        run("stage_to_target", batch)
    assert len(run.world.target_ids()) == 2
    run("stage_to_target", batch)
    run("audit", batch)
    assert run.states() == [("COMPLETED", "AUDIT", 0)] * 2
    assert asked == [window(1), window(2), window(1)]


def test_a_task_that_was_killed_before_it_could_say_what_goes_on_stops_nothing(run: Run) -> None:
    run.world.add_documents(3, 1)
    batch = run.batch(1, 2)
    run("pre_validation", batch)
    run.pushed.clear()
    run("source_to_stage", batch)
    assert run.states()[0][:2] == ("IN_PROGRESS", "SOURCE_TO_STAGE")

"""The tasks of a pipeline's DAG trust a record's number only as far as the row is that of its window."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from include.orchestration import pipeline_tasks, task_runs
from include.pipeline_framework.core.records.row import Phase
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.errors import RowMistakenError
from include.pipeline_framework.tasks.store_and_validate import store_and_validate
from include.wiring import assembly, run_context
from tests.unit.tasks.world import RUN_1, World, window

TASKS: dict[str, Callable[[str, dict[str, Any]], Any]] = {
    "pre_validation": pipeline_tasks.pre_validate,
    "source_to_stage": pipeline_tasks.source_to_stage,
    "stage_to_target": pipeline_tasks.stage_to_target,
    "audit": pipeline_tasks.audit,
}


@pytest.fixture
def announced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    told: list[str] = []
    monkeypatch.setattr(run_context, "current_actor", lambda *_: RUN_1)
    monkeypatch.setattr(run_context, "is_last_try", lambda: True)
    monkeypatch.setattr(task_runs, "conf", dict)
    monkeypatch.setattr(task_runs, "announce", told.extend)
    return told


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    monkeypatch.setattr(assembly, "pipeline", lambda _id: found.pipeline)
    return found


def claimed(world: World, *hours: int) -> list[dict[str, Any]]:
    world.plan(*hours)
    found: list[dict[str, Any]] = store_and_validate(world.config, world.store, RUN_1, RunRequest())["claimed"]
    return found


@pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)
@pytest.mark.parametrize("status", ["IN_PROGRESS", "COMPLETED"])
def test_a_number_that_the_ledger_gave_away_again_moves_nothing(
    world: World, announced: list[str], task: Callable[[str, dict[str, Any]], Any], status: str
) -> None:
    """After the ledger was lost, the row of this number is another hour's, and held by a run of the same name."""
    world.add_documents(3, 1)
    world.add_documents(3, 2)
    (record,) = claimed(world, 1)
    other = {"query_window_start_at": window(2).start, "query_window_end_at": window(2).end}
    world.store.amend(record["id"], pipeline_final_status=status, **other)
    before = world.row(record["id"])
    with pytest.raises(RowMistakenError, match="given this number to another window"):
        task("main", record)
    assert (world.row(record["id"]), world.target_ids(), announced) == (before, [], [])


def test_a_window_is_announced_as_its_row_has_it(world: World, announced: list[str]) -> None:
    world.add_documents(3, 1)
    full, empty = claimed(world, 1, 2)
    assert pipeline_tasks.pre_validate("main", empty)["decision"] == "empty"
    for task in TASKS.values():
        task("main", full)
    pipeline_tasks.audit("main", full)
    key = "2013-03-09T06:00:00Z/2013-03-09T07:00:00Z"
    assert announced == ["2013-03-09T07:00:00Z/2013-03-09T08:00:00Z", key, key]
    assert world.row(full["id"]).phase_completed == Phase.AUDIT

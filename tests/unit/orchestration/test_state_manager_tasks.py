"""Which task of `state_manager` comes next, whose approval counts, and what a conf may say."""

from __future__ import annotations

from typing import Any

import pytest

from include.orchestration import state_manager_tasks, task_runs
from include.pipeline_framework.config.loader import LoadedPipelines
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.errors import InvalidInputError, LedgerRefusedError
from include.wiring import assembly, run_context
from tests.doubles.memory_lifecycle_store import MemoryLifecycleStore
from tests.unit.tasks.test_state_manager import CLOCK_CHANGE, over_midnight, whole_day
from tests.unit.tasks.world import TEMPORARY, World

RUN = Actor("state_manager", "run-1", "a task", -1, 1)
APPROVED = {"chosen_options": ["Approve"], "responded_by_user": {"id": "7", "name": "Ada"}}
REJECTED = {**APPROVED, "chosen_options": ["Reject"]}


class Skipped(Exception):
    """What Airflow would be told."""


def skip(message: str) -> None:
    raise Skipped(message)


class Run:
    """A run of the DAG without Airflow: its conf, its actor, and one pipeline with a loaded row over midnight."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.conf: dict[str, Any] = {}
        self.actor = RUN
        self.world = World(fill_missing_days=False)
        whole_day(self.world, without=(23,))
        whole_day(self.world, CLOCK_CHANGE, without=(0,))
        self.crossing = over_midnight(self.world)
        finished = {"pipeline_final_status": "COMPLETED", "phase_completed": "AUDIT", "audit_result_status": "PASSED"}
        self.store.amend(self.crossing, **finished)
        patch.setattr(task_runs, "conf", lambda: self.conf)
        patch.setattr(run_context, "current_actor", lambda *_: self.actor)
        patch.setattr(task_runs, "skip", skip)
        patch.setattr(assembly, "lifecycle_store", lambda: self.store)
        patch.setattr(assembly, "all_configs", lambda: LoadedPipelines({"main": self.world.config}, {}))

    @property
    def store(self) -> MemoryLifecycleStore:
        return self.world.store

    def loaded(self) -> dict[str, Any]:
        """A dry run, then a run that names its plan, as far as `load_plan`."""
        self.conf = {"plan_id": state_manager_tasks.make_plan()["plan_id"], "apply": True}
        return state_manager_tasks.load_plan()

    @property
    def is_untouched(self) -> bool:
        return not self.store.get(self.crossing).is_invalidated_flag


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(monkeypatch)


@pytest.mark.parametrize(
    ("conf", "task"),
    [
        ({}, "make_plan"),
        ({"pipelines": ["main"]}, "make_plan"),
        ({"plan_id": "x", "pipelines": None}, "load_plan"),
        ({"plan_id": "x", "apply": True}, "load_plan"),
    ],
)
def test_a_plan_is_made_or_loaded(run: Run, conf: dict[str, Any], task: str) -> None:
    run.conf = conf
    assert state_manager_tasks.check_conf() == task


@pytest.mark.parametrize(
    ("conf", "message"),
    [
        ({"apply": True}, "apply without a plan_id"),
        ({"apply": True, "pipelines": ["main"]}, "apply without a plan_id"),
        ({"plan_id": "x", "pipelines": ["main"]}, "a stored plan has its own sources"),
    ],
)
def test_a_conf_that_makes_no_sense(run: Run, conf: dict[str, Any], message: str) -> None:
    run.conf = conf
    with pytest.raises(InvalidInputError, match=message):
        state_manager_tasks.check_conf()


def test_somebody_is_asked_only_where_it_is_needed_and_only_before_it_is_applied(run: Run) -> None:
    plan = run.loaded()
    assert state_manager_tasks.next_step(plan) == "approve"
    assert state_manager_tasks.next_step({**plan, "needs_approval": None}) == "apply_plan"
    assert state_manager_tasks.next_step({**plan, "is_applied": True}) == "apply_plan"  # it says so and is skipped
    run.conf["apply"] = False
    assert state_manager_tasks.next_step(plan) is None


def test_the_question_names_the_deletion_first(run: Run) -> None:
    plan = run.loaded()
    assert plan["subject"].startswith("state_manager: may the target's data of 1 rows be deleted? (plan 2013")
    assert plan["body"].startswith("**Data at the target will be deleted")


@pytest.mark.parametrize("approval", [None, REJECTED, {"chosen_options": []}])
def test_only_an_approval_is_one(run: Run, approval: dict[str, Any] | None) -> None:
    with pytest.raises(LedgerRefusedError, match="needs somebody's approval"):
        state_manager_tasks.apply_plan(run.loaded(), approval)
    assert run.is_untouched


def test_an_approved_plan_is_applied_once(run: Run) -> None:
    plan = run.loaded()
    done = state_manager_tasks.apply_plan(plan, APPROVED)
    assert (done["inserted"], done["invalidated"], done["changed"], done["approved_by"]) == (2, 1, 0, "Ada")
    with pytest.raises(Skipped, match=r"plan .* was applied by state_manager/run-1"):
        state_manager_tasks.apply_plan(plan, APPROVED)
    assert state_manager_tasks.load_plan()["is_applied"]


def test_what_has_changed_is_a_warning_and_no_failure(run: Run, caplog: pytest.LogCaptureFixture) -> None:
    plan = run.loaded()
    run.store.amend(run.crossing, fence=run.store.get(run.crossing).fence + 1)
    done = state_manager_tasks.apply_plan(plan, APPROVED)
    assert (done["inserted"], done["changed"]) == (0, 1)
    assert "changed since the plan was made, left alone: flights: crosses_day" in caplog.text


def test_another_plan_than_the_one_that_was_approved(run: Run) -> None:
    with pytest.raises(LedgerRefusedError, match="is not the one that was shown"):
        state_manager_tasks.apply_plan({**run.loaded(), "hash": "0" * 64}, APPROVED)
    assert run.is_untouched


def test_a_temporary_test_run_stores_and_applies_nothing(run: Run) -> None:
    plan = run.loaded()
    run.actor = TEMPORARY
    run.conf = {}
    shown = state_manager_tasks.make_plan()
    assert (shown["plan_id"], shown["items"]) == (None, 1)
    with pytest.raises(Skipped, match="a temporary test run applies nothing"):
        state_manager_tasks.apply_plan(plan, APPROVED)
    assert run.is_untouched

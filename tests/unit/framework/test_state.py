"""Requirement 4's class as a notebook uses it."""

from __future__ import annotations

import json

import pytest

from include import framework
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError, TransientError
from tests.doubles.memory_lifecycle_store import MemoryLifecycleStore
from tests.unit.framework.world import RUN_1, TEST_RUN, World


@pytest.fixture
def world() -> World:
    """A planned day of which somebody has deleted an hour."""
    world = World()
    framework.plan_target_date("2013-03-09", configs=world.configs, store=world.store, actor=RUN_1)
    (row,) = [row for row in world.store.find() if row.query_window_start_at.hour == 12]
    del world.store._rows[row.id]
    return world


def manager(world: World, **changes: object) -> framework.PipelineStateManager:
    final_config = {**world.config.final_config(), "fill_missing_days": False, **changes}
    return framework.PipelineStateManager(final_config, store=world.store, actor=RUN_1)


def test_the_four_phases_write_nothing(world: World) -> None:
    state = manager(world)
    assert state.analyse()["windows"] == 23
    assert state.analyse()["dominant_granularity"] == "1h"
    (finding,) = state.find()
    assert (finding["kind"], finding["start"], finding["decision"]) == ("gap_middle", "2013-03-09T12:00:00Z", "insert")
    (step,) = state.plan()
    assert step["windows"] == [["2013-03-09T12:00:00Z", "2013-03-09T13:00:00Z"]]
    assert len(world.store.find()) == 23


def test_a_plan_is_applied_also_after_a_way_through_json(world: World) -> None:
    state = manager(world)
    done = state.apply(json.loads(json.dumps(state.plan())))
    assert done["inserted"] == [["2013-03-09T12:00:00Z", "2013-03-09T13:00:00Z"]]
    assert (done["invalidated"], done["changed"], state.plan()) == ([], [], [])


def test_what_needs_an_approval_is_not_applied_without_it(world: World) -> None:
    state = manager(world, state_manager_window_limit=0)
    with pytest.raises(InvalidInputError, match="needs somebody's approval: flights: 1 windows are touched"):
        state.apply(state.plan())
    assert len(world.store.find()) == 23
    assert len(state.apply(state.plan(), is_approved=True)["inserted"]) == 1


def test_steps_of_another_pipeline_a_busy_source_and_a_test_run(world: World) -> None:
    steps = manager(world).plan()
    with pytest.raises(InvalidInputError, match="steps of another pipeline"):
        manager(world, source_object="orders").apply(steps)
    with world.store.source_lock("flights"), pytest.raises(TransientError, match="another run repairs flights"):
        manager(world).apply(steps)
    other = framework.PipelineStateManager(world.config.final_config(), store=world.store, actor=TEST_RUN)
    with pytest.raises(InvalidInputError, match="a temporary test run applies nothing"):
        other.apply(steps)
    assert len(world.store.find()) == 23


def test_populate_pipeline_batches_is_the_first_task_of_a_run(world: World) -> None:
    state = manager(world, fill_missing_days=False)
    assert len(state.populate_pipeline_batches(dry_run=True)["inserted"]) == 1
    assert len(world.store.find()) == 23
    assert len(state.populate_pipeline_batches()["inserted"]) == 1
    assert len(state.populate_pipeline_batches({"target_date": "2013-03-12"})["inserted"]) == 24


def test_a_configuration_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match="source_object"):
        framework.PipelineStateManager({"pipeline_id": "main"}, store=MemoryLifecycleStore())


def test_how_much_may_run_at_once_and_what_would_run_now(world: World) -> None:
    limits = {"max_windows_in_progress": {"pipeline": 3, "source": None, "target": None}}
    final_config = {**world.config.final_config(), **limits}
    running = framework.ConcurrencyManager(final_config, store=world.store)
    assert running.free_slots() == {"source_object=flights": 3}
    shown = running.next_windows()
    assert [record["local"] for record in shown] == [
        "2013-03-09 00:00-05:00 → 01:00-05:00",
        "2013-03-09 01:00-05:00 → 02:00-05:00",
        "2013-03-09 02:00-05:00 → 03:00-05:00",
    ]
    world.store.claim("flights", RUN_1, limit=2, ended_before=world.store.now())
    assert running.free_slots() == {"source_object=flights": 1}
    assert len(running.next_windows()) == 1
    assert running.campaigns() == []

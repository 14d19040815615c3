"""Plans of the state manager: stored once, executed exactly, once, and only as far as nothing has changed."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from pydantic import ValidationError

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.continuity.remediation import Action, PlanItem
from include.pipeline_framework.core.continuity.state_plans import StatePlan
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import InvalidInputError, LedgerRefusedError, TerminalError, TransientError
from include.pipeline_framework.tasks.planning import insert_windows
from include.pipeline_framework.tasks.state_plans import apply_plan, apply_to_source, load_plan, make_plan
from tests.unit.tasks.test_state_manager import CLOCK_CHANGE, live, over_midnight, whole_day
from tests.unit.tasks.world import DAY, HOUR, PLANNER, RUN_2, ZONE, World, broken_function, config, window

MANAGER = Actor("state_manager", "run-1", "apply_plan", -1, 1)


def make(world: World, *others: PipelineConfig) -> StatePlan:
    plan = make_plan([world.config, *others], world.store, MANAGER).plan
    assert plan
    return plan


def apply(world: World, plan: StatePlan, *others: PipelineConfig, **options: Any) -> StatePlan:
    configs = {each.source_object: each for each in (world.config, *others)}
    return apply_plan(plan.plan_id, configs, world.store, options.pop("actor", MANAGER), **options)


def outcome(plan: StatePlan, source: str = "flights") -> tuple[int, list[int], list[str]]:
    done = plan.outcome[source]
    return len(done["inserted"]), done["invalidated"], done["changed"]


@pytest.fixture
def world() -> World:
    """A day without its eighth hour."""
    world = World(fill_missing_days=False)
    whole_day(world, without=(7,))
    return world


@pytest.fixture
def loaded_over_midnight() -> tuple[World, int]:
    """A finished row of two hours over midnight: whoever takes it out deletes data at the target."""
    world = World(fill_missing_days=False)
    whole_day(world, without=(23,))
    whole_day(world, CLOCK_CHANGE, without=(0,))
    crossing = over_midnight(world)
    finished = {"pipeline_final_status": "COMPLETED", "phase_completed": "AUDIT", "audit_result_status": "PASSED"}
    world.store.amend(crossing, **finished)
    return world, crossing


class TestMake:
    def test_it_changes_no_window_and_is_stored(self, world: World) -> None:
        plan = make(world)
        assert len(live(world)) == 23
        assert plan.plan_id == f"20130312-{plan.hash[:8]}"
        assert plan.counts == {"items": 1, "windows": 1, "rows": 0, "deletions": 0}
        assert load_plan(plan.plan_id, world.store) == plan
        stored = world.store.stored_plan(plan.plan_id)
        assert (stored["sources"], stored["created_by"]) == (["flights"], "state_manager/run-1")
        assert stored["findings"]["flights"]["findings"] == {"gap_middle": 1}

    def test_the_same_plan_a_day_later_is_the_open_one(self, world: World) -> None:
        plan = make(world)
        world.pass_time(24 * HOUR)
        assert make(world) == plan

    def test_one_that_was_applied_is_not_found_again(self, world: World) -> None:
        plan = apply(world, make(world))
        (row,) = world.store.find(within=[window(7)])
        del world.store._rows[row.id]
        again = make(world)
        assert (again.plan_id, again.hash) == (f"{plan.plan_id}-2", plan.hash)

    def test_nothing_to_do_is_no_plan_and_a_test_run_stores_none(self, world: World) -> None:
        shown = make_plan([world.config], world.store, MANAGER, is_stored=False)
        assert (shown.plan, len(shown.items)) == (None, 1)
        apply(world, make(world))
        assert make_plan([world.config], world.store, MANAGER).items == ()

    def test_what_no_plan_does_is_told(self) -> None:
        world = World(fill_missing_days=False)
        whole_day(world)
        insert_windows(world.config, [TimeWindow(CLOCK_CHANGE.end, CLOCK_CHANGE.end + 24 * HOUR)], world.store, PLANNER)
        made = make_plan([world.config], world.store, MANAGER)
        assert made.items == ()
        assert [text.partition(" on ")[0] for text in made.left["flights"]] == ["granularity_drift"]
        assert "2 of 12 days have rows, 10 days are planned only on request" in made.coverage["flights"]

    def test_a_plan_is_not_endless_and_tells_what_it_leaves(self) -> None:
        world = World(granularity="1m")
        made = make_plan([world.config], world.store, MANAGER)
        assert sum(len(item.windows) for item in made.items) == 10_000
        (told,) = made.left["flights"]
        assert told.startswith("6 days without any row and 0 gaps of planned days, 2013-03-01 to 2013-03-06")
        assert "at most 10000 windows of a source" in told
        assert made.needs_approval is not None


class TestApply:
    def test_exactly_the_stored_items_are_executed_and_events_name_the_plan(self, world: World) -> None:
        plan = make(world)
        done = apply(world, plan)
        assert outcome(done) == (1, [], [])
        assert (done.applied_at, done.applied_by, done.approved_by) == (world.at, "state_manager/run-1", None)
        (row,) = world.store.find(within=[window(7)])
        (event,) = world.store.events(row.id)
        assert event["reason"] == f"plan {plan.plan_id}: gap_middle on 2013-03-09"

    def test_what_got_wrong_since_is_not_touched(self, world: World) -> None:
        plan = make(world)
        (row,) = world.store.find(within=[window(9)])
        del world.store._rows[row.id]
        apply(world, plan)
        assert (len(live(world)), world.store.find(within=[window(9)])) == (23, [])

    def test_it_is_applied_once(self, world: World) -> None:
        plan = make(world)
        apply(world, plan)
        with pytest.raises(LedgerRefusedError, match=r"was applied by state_manager/run-1 at 2013-03-12 12:00:00 UTC"):
            apply(world, plan)

    def test_a_window_that_somebody_planned_meanwhile_is_listed(self, world: World) -> None:
        plan = make(world)
        world.plan(7)
        inserted, _, (changed,) = outcome(apply(world, plan))
        assert inserted == 0
        assert changed.startswith("gap_middle on 2013-03-09: live rows cover a part by now")

    def test_a_row_that_was_claimed_meanwhile_is_listed_and_left_alone(self) -> None:
        world = World(fill_missing_days=False)
        whole_day(world, without=(23,))
        whole_day(world, CLOCK_CHANGE, without=(0,))
        crossing = over_midnight(world)
        plan = make(world)
        world.store.take(crossing, RUN_2)
        inserted, invalidated, (changed,) = outcome(apply(world, plan))
        assert (inserted, invalidated) == (0, [])
        assert "was PENDING and is IN_PROGRESS by now" in changed
        assert not world.store.get(crossing).is_invalidated_flag

    @pytest.mark.parametrize(
        ("changes", "reason"),
        [
            ({"end_date": "2013-03-09"}, "is outside the horizon by now: it lies at or after end_date 2013-03-09"),
            ({"enabled": False}, "the pipeline is disabled"),
            ({"timezone": "Asia/Kathmandu"}, "crosses a day of Asia/Kathmandu by now"),
        ],
    )
    def test_a_pipeline_that_has_no_place_for_it_any_more(self, world: World, changes: Any, reason: str) -> None:
        if "timezone" in changes:  # 18:15 UTC is midnight there
            world = World(fill_missing_days=False)
            whole_day(world, without=(13,))
        plan = make(world)
        world.config = config(**changes)
        inserted, _, (changed,) = outcome(apply(world, plan))
        assert inserted == 0
        assert reason in changed

    def test_a_pipeline_that_is_gone(self, world: World) -> None:
        plan = make(world)
        done = apply_plan(plan.plan_id, {}, world.store, MANAGER)
        assert outcome(done)[2] == ["gap_middle on 2013-03-09: no good pipeline file has this source_object any more"]
        assert len(live(world)) == 23

    def test_an_unknown_plan(self, world: World) -> None:
        with pytest.raises(InvalidInputError, match="there is no plan 'x'"):
            apply_plan("x", {}, world.store, MANAGER)

    def test_altered_items_or_another_plan_than_was_shown(self, world: World) -> None:
        plan = make(world)
        with pytest.raises(LedgerRefusedError, match="is not the one that was shown"):
            apply(world, plan, seen_hash="0" * 64)
        world.store._plans._plans[plan.plan_id]["items"][0]["windows"].pop()
        with pytest.raises(LedgerRefusedError, match="don't have the hash"):
            apply(world, plan)
        assert len(live(world)) == 23


class TestFuture:
    def test_a_step_that_plans_time_after_tomorrow_is_left_alone(self, world: World) -> None:
        """A list of steps that somebody wrote by hand: a plan never has one."""
        far = LocalDay(date(2031, 1, 1), ZONE)
        item = PlanItem(Action.INSERT, "flights", (window(0, day=far),), (), False, "by hand")
        done = apply_to_source(world.config, world.store, RUN_2, [item])
        assert done["inserted"] == []
        assert "lies after tomorrow, 2013-03-13" in done["changed"][0]


class TestApproval:
    def test_data_at_the_target_is_only_deleted_with_it(self, loaded_over_midnight: tuple[World, int]) -> None:
        world, crossing = loaded_over_midnight
        made = make_plan([world.config], world.store, MANAGER)
        assert made.plan
        assert made.needs_approval
        assert made.needs_approval.startswith("flights: 1 rows go whose data the target may hold")
        with pytest.raises(LedgerRefusedError, match="needs somebody's approval"):
            apply(world, made.plan)
        assert not world.store.get(crossing).is_invalidated_flag
        assert load_plan(made.plan.plan_id, world.store).applied_by is None
        done = apply(world, made.plan, approved_by="Ada")
        assert outcome(done) == (2, [crossing], [])
        assert done.approved_by == "Ada"
        first = world.store.find(within=[window(23)])[0]
        assert world.store.replaced_windows(first.id) == {crossing: TimeWindow(DAY.end - HOUR, DAY.end + HOUR)}

    def test_so_many_windows_only_with_it_by_the_limit_of_now(self, world: World) -> None:
        plan = make(world)
        world.config = config(state_manager_window_limit=0)
        with pytest.raises(LedgerRefusedError, match="1 windows are touched, more than 0"):
            apply(world, plan)
        assert outcome(apply(world, plan, approved_by="Ada")) == (1, [], [])

    def test_a_limit_is_no_negative_number(self) -> None:
        with pytest.raises(ValidationError, match="state_manager_window_limit"):
            config(state_manager_window_limit=-1)

    def test_where_nobody_had_to_agree_nobody_is_named(self, world: World) -> None:
        assert apply(world, make(world), approved_by="Ada").approved_by is None


class TestAgain:
    """A crash anywhere: a second try goes on, does nothing twice, and only the end makes the plan applied."""

    @pytest.fixture
    def two(self, world: World) -> tuple[World, PipelineConfig]:
        other = config(pipeline_id="orders", source_object="orders", fill_missing_days=False)
        insert_windows(other, [window(hour) for hour in range(24) if hour != 3], world.store, PLANNER)
        return world, other

    def test_a_source_that_is_through_is_not_done_again(self, two: tuple[World, PipelineConfig]) -> None:
        world, other = two
        plan = make(world, other)
        with world.store.source_lock("orders"), pytest.raises(TransientError, match="another run repairs orders"):
            apply(world, plan, other)
        half = load_plan(plan.plan_id, world.store)
        assert (outcome(half), half.applied_at, "orders" in half.outcome) == ((1, [], []), None, False)
        done = apply(world, plan, other)
        assert outcome(done) == (1, [], [])
        assert outcome(done, "orders") == (1, [], [])
        assert done.applied_at

    def test_a_crash_before_the_outcome_was_stored(self, world: World, monkeypatch: pytest.MonkeyPatch) -> None:
        plan = make(world)

        def crash(*_arguments: Any, **_options: Any) -> None:
            raise TransientError("no answer")

        with monkeypatch.context() as patch, pytest.raises(TransientError):
            patch.setattr(world.store, "note_plan_outcome", crash)
            apply(world, plan)
        assert len(live(world)) == 24
        done = apply(world, plan)
        assert len(live(world)) == 24
        assert "live rows cover a part by now" in outcome(done)[2][0]

    def test_a_pipelines_own_bug_stops_no_other_source(self, two: tuple[World, PipelineConfig]) -> None:
        world, other = two
        plan = make(world, other)
        where = f"{broken_function.__module__}:{broken_function.__name__}"
        broken = config(derived={"key_x": {"callable": where}}, fill_missing_days=False)
        world.config = broken
        with pytest.raises(TerminalError, match=r"1 sources of plan .* could not be done: flights"):
            apply(world, plan, other)
        half = load_plan(plan.plan_id, world.store)
        assert (list(half.outcome), half.applied_at) == (["orders"], None)
        world.config = config(fill_missing_days=False)
        assert outcome(apply(world, plan, other)) == (1, [], [])

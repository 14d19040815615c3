"""What a pipeline run repairs by itself, what it only tells, and how a plan is carried out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.continuity.findings import Kind, Verdict
from include.pipeline_framework.core.continuity.remediation import Action, PlanItem
from include.pipeline_framework.core.continuity.state_facts import StateFacts, StateScope
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.tasks.planning import populate_pipeline_batches
from include.pipeline_framework.tasks.state_manager import apply_items, repair, review
from tests.unit.tasks.world import DAY, HOUR, PLANNER, RUN_1, RUN_2, ZONE, World, window

CLOCK_CHANGE = LocalDay(date(2013, 3, 10), ZONE)


def whole_day(world: World, day: LocalDay = DAY, *, without: tuple[int, ...] = ()) -> list[int]:
    assert day.window
    count = int(day.window.duration / HOUR)
    return world.plan(*(hour for hour in range(count) if hour not in without), day=day)


def over_midnight(world: World) -> int:
    """A row of two hours in place of a day's last and the next day's first one; its id."""
    world.store.insert_planned(
        [{**planned_values(world), **bounds(TimeWindow(DAY.end - HOUR, DAY.end + HOUR)), "target_day": DAY.date}],
        PLANNER,
    )
    (row,) = world.store.find(within=[TimeWindow(DAY.end - HOUR, DAY.end + HOUR)])
    return int(row.id)


def planned_values(world: World) -> dict[str, Any]:
    fixed = {"pipeline_id": "main", "source_name": "memory", "target_name": "memory", "time_interval": "2h"}
    minutes = {"source_query_window_duration_minutes": 120}
    return {**fixed, **minutes, "source_object": world.config.source_object, "timezone": ZONE, "granularity": "1h"}


def bounds(piece: TimeWindow) -> dict[str, Any]:
    return {"query_window_start_at": piece.start, "query_window_end_at": piece.end}


def live(world: World) -> list[TimeWindow]:
    return world.store.live_windows("flights", TimeWindow(DAY.start, DAY.end + 48 * HOUR))


def settled_world(monkeypatch: pytest.MonkeyPatch, *, is_dry: bool = False) -> tuple[World, list[date | None]]:
    """Three weeks without a gap that a repair has looked at; from which day on each later look reads."""
    world = World(start_date="2013-03-09", fill_missing_days=True)
    for number in range(22):
        whole_day(world, LocalDay(DAY.date + timedelta(days=number), ZONE))
    world.at = LocalDay(date(2013, 3, 30), ZONE).start + HOUR
    assert repair(world.config, world.store, RUN_1, dry_run=is_dry)["reported"] == []
    looked_at: list[date | None] = []
    read = world.store.state_facts

    def reading(scopes: Sequence[StateScope]) -> dict[str, StateFacts]:
        looked_at.extend(scope.since for scope in scopes)
        return read(scopes)

    monkeypatch.setattr(world.store, "state_facts", reading)
    return world, looked_at


class TestReview:
    def test_it_writes_nothing(self) -> None:
        world = World(fill_missing_days=False)
        whole_day(world, without=(0, 7))
        (found,) = review([world.config], world.store)
        assert [finding.kind for finding in found.findings] == [Kind.GAP_START, Kind.GAP_MIDDLE]
        assert len(live(world)) == 22
        assert found.as_dict()["summary"]["findings"] == {"gap_middle": 1, "gap_start": 1}

    def test_a_disabled_pipelines_rows_rest(self) -> None:
        world = World(enabled=False)
        whole_day(world, without=(0, 7))
        (found,) = review([world.config], world.store)
        assert (found.findings, found.items) == ((), ())


class TestRepair:
    def test_gaps_are_filled_and_the_reason_is_an_event(self) -> None:
        world = World(fill_missing_days=False)
        whole_day(world, without=(7,))
        report = repair(world.config, world.store, RUN_1)
        assert report["inserted"] == [window(7)]
        (row,) = world.store.find(within=[window(7)])
        (event,) = world.store.events(row.id)
        assert (event["event"], event["reason"]) == ("planned", "gap_middle on 2013-03-09")
        assert repair(world.config, world.store, RUN_1)["inserted"] == []

    def test_days_found_whole_are_not_looked_at_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world, looked_at = settled_world(monkeypatch)
        repair(world.config, world.store, RUN_1)
        assert looked_at == [date(2013, 3, 16)]  # two weeks before today
        world.config = world.config.model_copy(update={"start_date": date(2013, 2, 1)})
        repair(world.config, world.store, RUN_1)
        assert looked_at[1:] == [None]

    def test_an_old_day_is_looked_at_again_when_rows_of_it_are_taken_out(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world, looked_at = settled_world(monkeypatch)
        (row,) = world.store.find(within=[window(7)])
        world.store.replace([row.id], [], PLANNER, "by hand")
        assert repair(world.config, world.store, RUN_1)["inserted"] == [window(7)]
        repair(world.config, world.store, RUN_1)
        repair(world.config, world.store, RUN_1)
        assert looked_at == [date(2013, 3, 7), DAY.date, date(2013, 3, 16)]

    def test_a_dry_run_settles_nothing(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world, looked_at = settled_world(monkeypatch, is_dry=True)
        repair(world.config, world.store, RUN_1)
        assert looked_at == [None]

    def test_a_dry_run_only_tells(self) -> None:
        world = World(fill_missing_days=False)
        whole_day(world, without=(7,))
        assert repair(world.config, world.store, RUN_1, dry_run=True)["inserted"] == [window(7)]
        assert len(live(world)) == 23

    def test_missing_days_in_the_middle_are_filled_where_the_pipeline_says_so(self) -> None:
        for fills in (True, False):
            world = World(start_date="2013-03-09", fill_missing_days=fills)
            whole_day(world)
            whole_day(world, LocalDay(date(2013, 3, 12), ZONE))
            report = repair(world.config, world.store, RUN_1)
            assert len(report["inserted"]) == (23 + 24 if fills else 0)
            assert report["reported"] == []
            (found,) = review([world.config], world.store)
            assert (found.findings, found.analysis.days_on_request) == ((), 0 if fills else 2)

    def test_days_before_the_first_planned_one_are_filled_newest_first_and_within_the_limit(self) -> None:
        """`start_date` was moved back by eight days; the limit is two days and a bit."""
        world = World(state_manager_window_limit=50)
        for day in range(9, 14):
            whole_day(world, LocalDay(date(2013, 3, day), ZONE))
        report = repair(world.config, world.store, RUN_1)
        assert len(report["inserted"]) == 50
        assert report["inserted"][-1] == TimeWindow(DAY.start - HOUR, DAY.start)
        (told,) = report["reported"]
        assert told.startswith("6 days without any row and 0 gaps of planned days, 2013-03-01 to 2013-03-06")
        assert "at most 50 windows (state_manager_window_limit), the newest first" in told
        assert "backfill_windows" in told
        for _ in range(3):
            assert repair(world.config, world.store, RUN_1)["inserted"]
        assert repair(world.config, world.store, RUN_1)["inserted"] == []
        assert review([world.config], world.store)[0].findings == ()

    def test_a_gap_of_a_planned_day_does_not_wait_behind_missing_days(self) -> None:
        world = World(state_manager_window_limit=30)
        whole_day(world, LocalDay(date(2013, 3, 2), ZONE), without=(5,))
        report = repair(world.config, world.store, RUN_1)
        assert report["inserted"][0] == window(5, day=LocalDay(date(2013, 3, 2), ZONE))
        assert len(report["inserted"]) == 30

    def test_without_a_limit_of_its_own_nothing_is_done_and_all_is_told(self) -> None:
        world = World(state_manager_window_limit=0, fill_missing_days=False)
        whole_day(world, without=(7, 23))
        whole_day(world, CLOCK_CHANGE, without=(0,))
        crossing = over_midnight(world)
        report = repair(world.config, world.store, RUN_1)
        assert (report["inserted"], report["invalidated"]) == ([], [])
        assert [f"rows [{crossing}]" in text for text in report["reported"]] == [True, False]
        assert "1 gaps of planned days" in report["reported"][1]

    def test_a_day_of_the_far_future_is_left_alone(self) -> None:
        """A typo in `target_date` planned one day of 2031; no run plans the 6,500 days up to it."""
        world = World(start_date="2013-03-09")
        for day in range(9, 14):
            whole_day(world, LocalDay(date(2013, 3, day), ZONE))
        whole_day(world, LocalDay(date(2031, 1, 1), ZONE), without=(3,))
        for dry_run in (True, False):
            report = repair(world.config, world.store, RUN_1, dry_run=dry_run)
            assert report["inserted"] == []
            (told,) = report["reported"]
            assert told.startswith("gap_middle on 2031-01-01") and "after tomorrow" in told
        again = populate_pipeline_batches(world.config, world.store, RUN_2, RunRequest())
        assert again["inserted"] == []

    def test_a_row_over_midnight_that_never_loaded_is_replaced_at_once(self) -> None:
        world = World(fill_missing_days=False)
        whole_day(world, without=(23,))
        whole_day(world, CLOCK_CHANGE, without=(0,))
        crossing = over_midnight(world)
        report = repair(world.config, world.store, RUN_1)
        assert report["invalidated"] == [crossing]
        assert report["inserted"] == [window(23), window(0, day=CLOCK_CHANGE)]
        assert world.store.get(crossing).is_invalidated_flag
        reasons = [event["reason"] for event in world.store.events(crossing) if event["event"] == "invalidated"]
        assert reasons == ["crosses_day: it reaches beyond 2013-03-09, which ends at 2013-03-10T05:00:00Z"]

    def test_one_that_may_have_loaded_is_only_told(self) -> None:
        world = World(fill_missing_days=False)
        whole_day(world, without=(23,))
        whole_day(world, CLOCK_CHANGE, without=(0,))
        crossing = over_midnight(world)
        world.store.amend(
            crossing, pipeline_final_status="COMPLETED", phase_completed="AUDIT", audit_result_status="PASSED"
        )
        report = repair(world.config, world.store, RUN_1)
        assert (report["inserted"], report["invalidated"]) == ([], [])
        assert f"rows [{crossing}]: crosses_day" in report["reported"][0]
        assert "state_manager asks first" in report["reported"][0]

    def test_the_day_that_a_last_row_reaches_is_planned_with_it_and_as_a_whole(self) -> None:
        world = World(fill_missing_days=False)
        whole_day(world, without=(23,))
        crossing = over_midnight(world)
        (item,) = review([world.config], world.store)[0].items
        assert (item.action, len(item.windows)) == (Action.REPLACE, 1 + 23)  # the 10th has 23 hours
        report = repair(world.config, world.store, RUN_1)
        assert report["invalidated"] == [crossing]
        assert live(world) == [*(window(hour) for hour in range(24)), *(window(h, day=CLOCK_CHANGE) for h in range(23))]
        assert review([world.config], world.store)[0].findings == ()

    def test_a_row_that_a_run_is_moving_keeps_its_time_on_the_day_that_it_reaches(self) -> None:
        world = World(fill_missing_days=False)
        whole_day(world, without=(22, 23))
        over_midnight(world)
        world.claim(limit=99)
        world.plan(22)
        (found,) = review([world.config], world.store)
        assert [(finding.kind, finding.decision) for finding in found.findings] == [
            (Kind.CROSSES_DAY, Verdict.REPORT),
            (Kind.GAP_END, Verdict.INSERT),
        ]
        (item,) = found.items
        assert item.windows == tuple(window(hour, day=CLOCK_CHANGE) for hour in range(1, 23))

    def test_while_another_run_repairs_the_source_nothing_is_done(self) -> None:
        world = World(fill_missing_days=False)
        whole_day(world, without=(7,))
        with world.store.source_lock("flights"):
            report = repair(world.config, world.store, RUN_1)
        assert report["note"] == "another run is repairing this source right now"
        assert len(live(world)) == 23


class TestPopulateAfterAnOutage:
    def test_three_days_without_any_run_are_caught_up(self) -> None:
        world = World(start_date="2013-03-09", fill_missing_days=True)
        whole_day(world)
        world.at = LocalDay(date(2013, 3, 13), ZONE).start + 5 * HOUR
        report = populate_pipeline_batches(world.config, world.store, RUN_1, RunRequest())
        assert len(report["inserted"]) == 23 + 4 * 24  # to today and tomorrow, as the planner would
        assert world.store.planned_days({"flights": None})["flights"] == [date(2013, 3, day) for day in range(9, 15)]
        again = populate_pipeline_batches(world.config, world.store, RUN_2, RunRequest())
        assert (again["inserted"], again["reported"]) == ([], [])


class TestApply:
    def plan(self, world: World) -> tuple[PlanItem, ...]:
        (found,) = review([world.config], world.store)
        return found.items

    def test_an_item_is_applied_exactly(self) -> None:
        world = World(fill_missing_days=False)
        whole_day(world, without=(7, 8))
        (item,) = self.plan(world)
        (outcome,) = apply_items(world.config, world.store, RUN_1, [item])
        assert (outcome.inserted, outcome.changed) == ((window(7), window(8)), "")

    def test_a_window_that_was_planned_meanwhile_is_told(self) -> None:
        world = World(fill_missing_days=False)
        whole_day(world, without=(7, 8))
        items = self.plan(world)
        world.plan(7)
        (outcome,) = apply_items(world.config, world.store, RUN_1, items)
        assert outcome.inserted == (window(8),)
        assert outcome.changed == "live rows cover a part by now of 2013-03-09T12:00:00Z/2013-03-09T13:00:00Z"

    @pytest.mark.parametrize("change", ["claimed", "invalidated"])
    def test_a_row_that_changed_since_is_left_alone(self, change: str) -> None:
        world = World(fill_missing_days=False)
        whole_day(world, without=(23,))
        whole_day(world, CLOCK_CHANGE, without=(0,))
        crossing = over_midnight(world)
        items = self.plan(world)
        assert [item.action for item in items] == [Action.REPLACE]
        if change == "claimed":
            world.claim(limit=99)
        else:
            repair(world.config, world.store, RUN_2)
        (outcome,) = apply_items(world.config, world.store, RUN_1, items)
        assert (outcome.inserted, outcome.invalidated) == ((), ())
        expected = {"claimed": "was PENDING and is IN_PROGRESS by now", "invalidated": "is invalidated already"}
        assert expected[change] in outcome.changed
        assert (world.store.get(crossing).is_invalidated_flag) == (change == "invalidated")

    def test_new_rows_in_the_way_of_a_replacement_change_nothing(self) -> None:
        world = World(fill_missing_days=False)
        whole_day(world, without=(22, 23))
        crossing = over_midnight(world)
        (item,) = [item for item in self.plan(world) if item.action == Action.REPLACE]
        wider = replace(item, windows=(TimeWindow(window(20).start, DAY.end), *item.windows[1:]))
        (outcome,) = apply_items(world.config, world.store, RUN_1, [wider])
        assert "overlap live rows" in outcome.changed
        assert not world.store.get(crossing).is_invalidated_flag

    def test_drift_is_told_and_not_touched(self) -> None:
        world = World(granularity="30m", fill_missing_days=False)
        world.store.insert_planned(
            [{**planned_values(world), **bounds(window(hour)), "target_day": DAY.date} for hour in range(23)], PLANNER
        )
        report = repair(world.config, world.store, RUN_1)
        assert report["inserted"] == [window(23)]  # the day's own granularity, not the configured one
        half = timedelta(minutes=30)
        other = CLOCK_CHANGE
        pieces = [TimeWindow(other.start + n * half, other.start + (n + 1) * half) for n in range(46)]
        world.store.insert_planned(
            [{**planned_values(world), **bounds(piece), "target_day": other.date} for piece in pieces], PLANNER
        )
        (found,) = review([world.config], world.store)
        assert (found.analysis.dominant, found.analysis.dominant_by_time) == (
            half,
            timedelta(hours=1),
        )  # 46, 24 windows
        assert [(f.kind, f.day, f.decision) for f in found.findings] == [
            (Kind.GRANULARITY_DRIFT, DAY.date, Verdict.REPORT)
        ]
        assert found.items == ()

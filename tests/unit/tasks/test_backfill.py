"""Backfill campaigns: which windows join, what a dry run names, and that a killed start goes on."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.lifecycle.campaigns import CampaignState, Mode, Step, campaign_windows, progress
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.tasks import backfill
from include.pipeline_framework.tasks.backfill import change_state, has_more, parse_backfill, start_campaign
from tests.unit.tasks.world import DAY, HOUR, RUN_1, ZONE, World, window

PERSON = Actor("backfill_windows", "manual__1", "start_campaigns")
OTHER = Actor("backfill_windows", "manual__2", "start_campaigns")
ONE_DAY = {"target_date": "2013-03-09"}


def start(world: World, conf: dict[str, Any], actor: Actor = PERSON, **options: Any) -> dict[str, Any]:
    return start_campaign(world.config, world.store, actor, parse_backfill(conf, world.config), **options)


def finish(world: World, *hours: int) -> None:
    """What a run leaves behind: COMPLETED rows (the moving itself is tested elsewhere)."""
    for hour in hours:
        (row,) = world.store.find(within=[window(hour)])
        world.store.amend(
            row.id,
            pipeline_final_status="COMPLETED",
            phase_completed="AUDIT",
            audit_result_status="PASSED",
            pipeline_end_time=world.at,
        )


def fail(world: World, hour: int) -> None:
    (row,) = world.store.find(within=[window(hour)])
    world.store.amend(row.id, pipeline_final_status="FAILED", retry_attempt=3)


def of_campaign(world: World, number: int) -> list[TimeWindow]:
    rows = world.store.campaign_rows(number)
    return [TimeWindow(row.query_window_start_at, row.query_window_end_at) for row in rows]


class TestTheFuture:
    CONF = {"from": "2013-03-09", "pipelines": ["main"]}  # noqa: RUF012

    def test_a_range_beyond_tomorrow_is_refused(self) -> None:
        world = World()
        for dry_run in (False, True):
            with pytest.raises(InvalidInputError, match="lies after tomorrow, 2013-03-13"):
                start(world, {**self.CONF, "to": "2013-04-01", "dry_run": dry_run})
        assert world.store.find() == world.store.campaigns() == []

    def test_when_it_is_meant_it_is_planned(self) -> None:
        world = World()
        report = start(world, {**self.CONF, "to": "2013-03-15", "allow_future": True})
        assert report["steps"] == {Step.INSERT: 24 + 23 + 4 * 24}


class TestModes:
    def world(self) -> World:
        """Hours 0 to 3: finished, FAILED, waiting, in progress. The rest of the day has no rows."""
        world = World(fill_missing_days=False)
        world.plan(3)
        assert len(world.claim(RUN_1)) == 1
        world.plan(0, 1, 2)
        finish(world, 0)
        fail(world, 1)
        return world

    @pytest.mark.parametrize(
        ("mode", "steps"),
        [
            ("missing", {Step.INSERT: 20, Step.JOIN: 1, Step.NOT_ASKED: 2, Step.HELD: 1}),
            ("failed", {Step.JOIN: 1, Step.NOT_ASKED: 2, Step.HELD: 1}),
            ("all", {Step.INSERT: 20, Step.JOIN: 2, Step.REPLACE: 1, Step.HELD: 1}),
        ],
    )
    def test_what_each_mode_takes(self, mode: str, steps: dict[Step, int]) -> None:
        world = self.world()
        conf = {**ONE_DAY, "mode": mode, "reason": "why"}
        shown = start(world, {**conf, "dry_run": True})
        assert shown["campaign_id"] is None
        assert world.store.campaigns() == []
        report = start(world, conf)
        assert report["steps"] == shown["steps"] == {step.value: count for step, count in steps.items()}
        joined = sum(count for step, count in steps.items() if step in (Step.INSERT, Step.JOIN, Step.REPLACE))
        assert len(of_campaign(world, report["campaign_id"])) == joined
        assert world.store.campaigns()[0]["planned_at"] is not None

    def test_a_dry_run_names_exactly_the_windows(self) -> None:
        world = self.world()
        shown = start(world, {**ONE_DAY, "mode": "failed", "dry_run": True})
        assert shown["windows"] == [
            "not asked for by this mode: 2013-03-09 00:00-05:00 → 01:00-05:00",
            "join: 2013-03-09 01:00-05:00 → 02:00-05:00",
            "not asked for by this mode: 2013-03-09 02:00-05:00 → 03:00-05:00",
            "held by a run: 2013-03-09 03:00-05:00 → 04:00-05:00",
        ]

    def test_all_replaces_a_finished_window_with_its_reason(self) -> None:
        world = self.world()
        report = start(world, {**ONE_DAY, "mode": "all", "reason": "new mapping"})
        (row,) = world.store.find(within=[window(0)])
        assert (row.is_replacement_run_flag, row.campaign_id) == (True, report["campaign_id"])
        (event,) = world.store.events(row.id)
        assert event["reason"] == f"backfill {report['campaign_id']}: new mapping"

    def test_nothing_to_load_makes_no_campaign(self) -> None:
        world = World()
        world.plan(*range(24))
        finish(world, *range(24))
        assert start(world, {**ONE_DAY})["campaign_id"] is None
        assert world.store.campaigns() == []

    def test_another_granularity_cuts_anew(self) -> None:
        world = World()
        world.plan(0, 1)
        finish(world, 0, 1)
        conf = {"from": "2013-03-09T05:00:00Z", "to": "2013-03-09T07:00:00Z", "mode": "all", "reason": "x"}
        report = start(world, {**conf, "granularity": "30m"})
        assert report["steps"] == {"replace": 4}
        assert [piece.duration for piece in of_campaign(world, report["campaign_id"])] == [HOUR / 2] * 4
        assert {row.granularity for row in world.store.campaign_rows(report["campaign_id"])} == {"30m"}

    def test_a_finished_window_of_which_a_part_was_asked_for_is_left(self) -> None:
        world = World()
        world.store.insert_planned(
            [row | {"query_window_end_at": window(2).start} for row in _planned_rows(world, 0)], PERSON
        )
        world.store.amend(1, pipeline_final_status="COMPLETED")
        conf = {"windows": [["2013-03-09T05:00:00Z", "2013-03-09T06:00:00Z"]], "mode": "all", "reason": "x"}
        assert start(world, conf)["steps"] == {Step.CUT.value: 1}


def _planned_rows(world: World, hour: int) -> list[dict[str, Any]]:
    from include.pipeline_framework.config.derived import deriving
    from include.pipeline_framework.core.records.planning import planned_row

    return [planned_row(world.config.final_config(), window(hour), deriving)]


class TestTwice:
    def test_two_overlapping_campaigns_share_no_window(self) -> None:
        world = World()
        world.plan(*range(6))
        finish(world, *range(6))
        first = start(world, {"from": "2013-03-09", "to": "2013-03-11", "mode": "all", "reason": "one"})
        finish(world, 0)  # the first one is under way
        second = start(world, {"from": "2013-03-09", "to": "2013-03-12", "mode": "all", "reason": "two"}, OTHER)
        assert first["steps"] == {"insert": 18 + 23, "replace": 6}
        assert second["steps"] == {"insert": 24, Step.ELSEWHERE.value: 24 + 23}
        one, two = (set(of_campaign(world, report["campaign_id"])) for report in (first, second))
        assert (len(one), len(two), one & two) == (47, 24, set())

    def test_a_finished_campaigns_windows_may_be_asked_for_again(self) -> None:
        world = World()
        conf = {"windows": [["2013-03-09T05:00:00Z", "2013-03-09T06:00:00Z"]], "mode": "all", "reason": "x"}
        start(world, conf)
        finish(world, 0)
        assert start(world, conf, OTHER)["steps"] == {"replace": 1}

    def test_a_cancelled_campaigns_windows_go_to_the_next_one(self) -> None:
        world = World()
        number = start(world, ONE_DAY)["campaign_id"]
        change_state(world.store, PERSON, number, CampaignState.CANCELLED)
        again = start(world, ONE_DAY, OTHER)
        assert again["steps"] == {"join": 24}
        assert of_campaign(world, number) == []

    def test_a_killed_start_goes_on(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The process dies twice, once between inserts and once between replacements."""
        monkeypatch.setattr(backfill, "INSERT_AT_ONCE", 20)
        world = World(start_date="2013-03-01", fill_missing_days=False)
        world.plan(*range(24))
        finish(world, *range(24))
        conf = {"from": "2013-03-09", "to": "2013-03-14", "mode": "all", "reason": "x"}

        def die_at(steps: int) -> backfill.Tick:
            def tick(done: int, _all: int) -> None:
                if done >= steps:
                    raise KeyboardInterrupt

            return tick

        for steps in (60, 110):
            with pytest.raises(KeyboardInterrupt):
                start(world, conf, tick=die_at(steps))
            assert progress(world.store.campaigns()[0])["state"] == "PLANNING"
        report = start(world, conf)
        assert len(world.store.campaigns()) == 1
        windows = of_campaign(world, report["campaign_id"])
        assert len(windows) == len(set(windows)) == 5 * 24 - 1
        assert start(world, conf)["steps"] == {Step.OWN.value: 5 * 24 - 1}
        replaced = [row for row in world.store.find(include_invalidated=True) if row.is_invalidated_flag]
        assert len(replaced) == 24


class TestSteering:
    def test_cancelling_gives_back_what_was_planned_without_it(self) -> None:
        world = World(priority=7)
        world.plan(0, 1)
        world.pass_time(timedelta(minutes=1))
        number = start(world, ONE_DAY)["campaign_id"]
        assert len(of_campaign(world, number)) == 24
        assert {row.priority for row in world.store.campaign_rows(number)} == {1}
        report = change_state(world.store, PERSON, number, CampaignState.CANCELLED)
        assert (report["given_back"], report["state"], report["remaining"]) == (2, "CANCELLED", 22)
        claimed = world.claim(RUN_1, 24)
        assert [row.priority for row in claimed] == [7, 7]

    def test_more_to_do_only_while_it_runs(self) -> None:
        world = World()
        number = start(world, ONE_DAY)["campaign_id"]
        options = {"limit": 5, "ended_before": world.at}
        assert has_more(world.config, world.store, **options)
        change_state(world.store, PERSON, number, CampaignState.PAUSED)
        assert not has_more(world.config, world.store, **options)
        change_state(world.store, PERSON, number, CampaignState.RUNNING)
        finish(world, *range(24))
        assert not has_more(world.config, world.store, **options)

    def test_an_eta_from_the_pace_so_far(self) -> None:
        world = World()
        start(world, ONE_DAY)
        world.pass_time(timedelta(minutes=12))
        finish(world, *range(6))
        shown = progress(world.store.campaigns()[0])
        assert (shown["done"], shown["percent"], shown["eta_seconds"]) == (6, 25.0, 36 * 60)


class TestConf:
    @pytest.mark.parametrize(
        ("conf", "said"),
        [
            ({}, "needs to know what to load"),
            ({**ONE_DAY, "mode": "some"}, "mode is 'some'"),
            ({**ONE_DAY, "mode": "all"}, "needs a reason"),
            ({**ONE_DAY, "order": "random"}, "order is 'random'"),
            ({**ONE_DAY, "concurrency": 0}, "concurrency is 0"),
            ({**ONE_DAY, "concurrency": True}, "concurrency is True"),
            ({**ONE_DAY, "priority": 1.5}, "priority is 1.5"),
            ({**ONE_DAY, "granularity": "often"}, "'often' is not a duration"),
            ({**ONE_DAY, "max_windows": 3}, "max_windows belong to a pipeline run"),
            ({**ONE_DAY, "colour": "red"}, "unknown keys"),
            ({"target_date": "2013-02-01"}, "outside the pipeline's horizon"),
            (
                {"windows": [["2013-03-09T05:00:00Z", "2013-03-09T06:00:00Z"]], "granularity": "1h"},
                "granularity with exact windows",
            ),
        ],
    )
    def test_what_makes_no_sense_is_refused(self, conf: dict[str, Any], said: str) -> None:
        world = World()
        with pytest.raises(InvalidInputError, match=said):
            parse_backfill(conf, world.config)

    def test_empty_fields_of_the_trigger_form_count_as_not_given(self) -> None:
        world = World()
        form = dict.fromkeys(("from", "to", "windows", "concurrency", "granularity", "reason"))
        request = parse_backfill({**form, **ONE_DAY, "pipelines": ["main"], "priority": 3}, world.config)
        assert (request.mode, request.priority, request.concurrency) == (Mode.MISSING, 3, None)


def test_nothing_is_asked_of_rows_outside_the_grid() -> None:
    other = LocalDay(date(2013, 3, 11), ZONE)
    assert other.window and DAY.window
    assert campaign_windows(Mode.ALL, [], [], None, ()) == []

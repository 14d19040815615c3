"""The claim: which windows a run gets, and that only complete records pass."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.lifecycle.batching import WindowCost
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.records.run_requests import parse_request
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.why.facts import claimable_at
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError
from include.pipeline_framework.tasks.store_and_validate import small_record, store_and_validate
from tests.unit.tasks.world import DAY, PLANNER, RUN_1, RUN_2, TEMPORARY, World, config, window

NOTHING = {"callable": "tests.unit.tasks.world:nothing"}


def claim(world: World, conf: dict[str, Any] | None = None, actor: Actor = RUN_1, **options: Any) -> dict[str, Any]:
    request = parse_request(conf or {}, world.config.horizon, "flights")
    return store_and_validate(world.config, world.store, actor, request, **options)


def ids(records: list[dict[str, Any]]) -> list[int]:
    return [record["id"] for record in records]


class TestClaim:
    def test_xcom_carries_ids_and_times_and_no_authority(self) -> None:
        world = World()
        (record_id,) = world.plan(3)
        report = claim(world)
        assert report == {
            "claimed": [
                {
                    "id": record_id,
                    "source_object": "flights",
                    "target_day": "2013-03-09",
                    "start": "2013-03-09T08:00:00Z",
                    "end": "2013-03-09T09:00:00Z",
                    "local": "2013-03-09 03:00-05:00 → 04:00-05:00",
                    "time_interval": "1h",
                }
            ],
            "would_claim": [],
            "windows_per_task": 1,
            "note": "",
        }
        row = world.row(record_id)
        assert (row.pipeline_final_status, row.dag_run_id, row.fence) == ("IN_PROGRESS", "run-1", 0)

    def test_how_many_a_task_carries_is_the_files_word_or_what_windows_nearby_took(self) -> None:
        fixed = World(windows_per_task=5)
        fixed.plan(*range(8))
        assert claim(fixed)["windows_per_task"] == 5
        auto = World(expected_source_to_stage_duration_mins=5, max_active_windows=2)
        auto.plan(*range(8))
        assert claim(auto, {"max_windows": 3})["windows_per_task"] == 1
        asked: list[tuple[str, date, date]] = []

        def recent_cost(source_object: str, first_day: date, last_day: date) -> WindowCost:
            asked.append((source_object, first_day, last_day))
            return WindowCost(rows=40, seconds=5.0)

        auto.store.recent_cost = recent_cost  # type: ignore[method-assign]
        assert claim(auto, actor=RUN_2)["windows_per_task"] == 3
        assert asked == [("flights", date(2013, 3, 2), date(2013, 3, 16))]

    def test_the_pipelines_limit_and_the_runs_own(self) -> None:
        world = World(max_windows_per_run=3)
        planned = world.plan(*range(8))
        assert ids(claim(world)["claimed"]) == planned[:3]
        assert ids(claim(world, {"max_windows": 2}, RUN_2)["claimed"]) == planned[3:5]

    def test_only_what_has_settled(self) -> None:
        """x_time_back 1d at 08:00 in New York: what ended by 08:00 of the day before, on its own clock."""
        world = World()
        world.at = datetime(2013, 3, 10, 13, 30, tzinfo=UTC)  # 09:30, the clock change was in the night
        planned = world.plan(*range(24))
        assert ids(claim(world)["claimed"]) == planned[:9]

    @pytest.mark.parametrize("nothing", ["0d", "0s", "0 hours"])
    def test_with_no_time_back_a_window_is_claimed_when_it_ends(self, nothing: str) -> None:
        world = World(x_time_back=nothing)
        world.at = window(3).end
        planned = world.plan(*range(8))
        assert ids(claim(world)["claimed"]) == planned[:4]
        row = world.row(planned[4])
        assert claimable_at(row.query_window_end_at, nothing, "America/New_York") == row.query_window_end_at

    def test_the_settle_time_may_be_given(self) -> None:
        world = World()
        world.plan(0, 1, 2)
        report = claim(world, now=datetime(2013, 3, 10, 6, 30, tzinfo=UTC))
        assert [record["start"] for record in report["claimed"]] == ["2013-03-09T05:00:00Z"]

    def test_only_the_asked_windows(self) -> None:
        world = World()
        planned = world.plan(*range(6))
        conf = {"from": "2013-03-09T06:00:00Z", "to": "2013-03-09T08:30:00Z"}
        assert ids(claim(world, conf)["claimed"]) == planned[1:3]

    def test_nothing_outside_the_horizon(self) -> None:
        world = World()
        planned = world.plan(22, 23) + world.plan(0, 1, day=DAY.next())
        world.config = config(start_date="2013-03-10")
        assert ids(claim(world)["claimed"]) == planned[2:]
        world.config = config(start_date="2014-01-01")
        assert claim(world, actor=RUN_2)["claimed"] == []

    def test_a_retry_after_a_crash_gets_the_same_windows(self) -> None:
        world = World(max_windows_per_run=2)
        planned = world.plan(0, 1, 2, 3)
        assert ids(claim(world)["claimed"]) == ids(claim(world)["claimed"]) == planned[:2]

    def test_a_disabled_pipelines_rows_rest(self) -> None:
        world = World()
        (record_id,) = world.plan(0)
        world.config = config(enabled=False)
        report = claim(world)
        assert (report["claimed"], report["would_claim"]) == ([], [])
        assert "disabled (enabled: false)" in report["note"]
        assert world.status(record_id) == "PENDING"


class TestPreview:
    @pytest.mark.parametrize(("conf", "actor"), [({"dry_run": True}, RUN_1), ({}, TEMPORARY)])
    def test_a_dry_run_and_a_temporary_run_only_show(self, conf: dict[str, Any], actor: Actor) -> None:
        world = World(max_windows_per_run=2)
        planned = world.plan(0, 1, 2)
        report = claim(world, conf, actor)
        assert (report["claimed"], ids(report["would_claim"])) == ([], planned[:2])
        assert report["note"] == "preview, nothing is claimed"
        assert [world.status(record_id) for record_id in planned] == ["PENDING"] * 3
        assert ids(claim(world, actor=RUN_2)["claimed"]) == planned[:2]


class TestIncompleteRecords:
    def test_it_spends_an_attempt_and_its_neighbours_pass(self) -> None:
        world = World(derived={"key_y": NOTHING})
        (bad,) = world.plan(0)
        world.config = config()
        (good,) = world.plan(1)
        assert ids(claim(world)["claimed"]) == [good]
        row = world.row(bad)
        assert (row.pipeline_final_status, row.retry_attempt, row.dag_run_id) == ("PENDING", 1, None)
        assert row.last_error == "record is not complete: key_y is missing"
        assert world.events(bad) == ["planned", "claimed", "taken", "failed"]

    def test_every_reason_is_named_and_it_ends_failed(self) -> None:
        world = World(check_fields=["key_x", "data_domain", "collection_frequency"], max_retry_task=0)
        (record_id,) = world.plan(0)
        says = rf"flights {window(0)} id {record_id}: record is not complete: data_domain is missing; collection_freq"
        with pytest.raises(InvalidInputError, match=says):
            claim(world)
        row = world.row(record_id)
        assert row.pipeline_final_status == "FAILED"
        assert row.last_error == ("record is not complete: data_domain is missing; collection_frequency is missing")

    def test_names_of_both_kinds_and_metadata_are_found_in_a_ledger_row(self) -> None:
        fields = ["TARGET_DAY", "WINDOW_START_TIME", "window_end_time", "time_interval", "owner"]
        world = World(check_fields=fields, metadata={"owner": "crm"})
        (record_id,) = world.plan(0)
        assert ids(claim(world)["claimed"]) == [record_id]

    def test_a_cleared_run_gets_its_window_back_although_x_time_back_has_grown(self) -> None:
        """Not settled by the new rule is no defect of the record: no attempt is spent without a reason."""
        world = World(x_time_back="1h")
        (record_id,) = world.plan(3)
        world.at = window(3).end + timedelta(hours=2)
        assert ids(claim(world)["claimed"]) == [record_id]
        world.config = config(x_time_back="7d")
        assert ids(claim(world)["claimed"]) == [record_id]
        assert (world.row(record_id).retry_attempt, world.row(record_id).last_error) == (0, None)


class TestNote:
    def test_nothing_has_settled(self) -> None:
        assert claim(World())["note"] == "no pending window has ended at least 1d ago"

    def test_nothing_has_ended(self) -> None:
        assert claim(World(x_time_back="0d"))["note"] == "no pending window has ended yet"

    def test_nothing_planned_in_the_range(self) -> None:
        note = claim(World(), {"target_date": "2013-03-09"})["note"]
        assert note == "no claimable window in the asked ranges: none is planned there"

    def test_what_is_there_in_the_range(self) -> None:
        world = World()
        world.complete(0, 1)
        world.plan_and_claim(2, actor=Actor("data_pipeline_main", "run-3"))
        note = claim(world, {"target_date": "2013-03-09"}, RUN_2)["note"]
        assert note.startswith("no claimable window in the asked ranges: {'COMPLETED': 2, 'IN_PROGRESS': 1}; ")
        assert note.endswith('to load finished ones again, add "replace": true and a "reason"')

    def test_a_full_claim_says_how_many_more_are_due(self) -> None:
        world = World(max_windows_per_run=2)
        world.plan(0, 1, 2, 3, 4)
        assert claim(world)["note"].startswith("2 windows claimed, 3 more are due: a later run takes them")
        assert claim(world, {"max_windows": 3}, RUN_2)["note"] == ""

    def test_a_cleared_run_whose_windows_are_all_done_is_told_how_to_load_again(self) -> None:
        world = World()
        world.complete(0, 1)
        note = claim(world)["note"]
        assert note.startswith("this run claimed 2 windows before and all of them are finished or held by others")
        assert '"replace": true' in note


def test_a_small_record_of_the_repeated_hour_says_which_one() -> None:
    world = World()
    day = LocalDay(date(2013, 11, 3), "America/New_York")
    rows = [world.row(record_id) for record_id in world.plan(1, 2, day=day)]
    assert [small_record(row)["local"] for row in rows] == [
        "2013-11-03 01:00-04:00 → 01:00-05:00",
        "2013-11-03 01:00-05:00 → 02:00-05:00",
    ]


def test_the_claim_is_an_event_of_the_run() -> None:
    world = World()
    (record_id,) = world.plan(0)
    claim(world)
    event = world.store.events(record_id)[-1]
    assert (event["event"], event["dag_run_id"], event["from_status"], event["to_status"]) == (
        "claimed", "run-1", "PENDING", "IN_PROGRESS",
    )  # fmt: skip
    assert world.store.events(record_id)[0]["dag_id"] == PLANNER.dag_id


class TestPreparing:
    """The target is prepared before the claim, so that one that can't be used costs no window an attempt."""

    def test_a_target_that_can_not_be_prepared_costs_no_window_an_attempt(self) -> None:
        world = World()
        planned = world.plan(3, 4)
        before = [world.row(each) for each in planned]

        def refuse() -> None:
            raise ConfigurationError("the database ANALYTICS does not exist")

        with pytest.raises(ConfigurationError, match="ANALYTICS"):
            claim(world, prepare=refuse)
        assert [world.row(each) for each in planned] == before
        assert ids(claim(world, prepare=lambda: None)["claimed"]) == planned

    @pytest.mark.parametrize(
        ("conf", "actor", "changes"),
        [
            ({"dry_run": True}, RUN_1, {}),
            ({}, TEMPORARY, {}),
            ({}, RUN_1, {"enabled": False}),
            ({"windows": [["2013-03-09T05:00Z", "2013-03-09T06:00Z"]]}, RUN_1, {}),
        ],
    )
    def test_it_is_not_prepared_where_nothing_is_claimed(
        self, conf: dict[str, Any], actor: Actor, changes: dict[str, Any]
    ) -> None:
        world = World(**changes)
        world.plan(3)
        prepared: list[int] = []
        assert claim(world, conf, actor, prepare=lambda: prepared.append(1))["claimed"] == []
        assert prepared == []

    def test_a_run_that_comes_back_for_its_windows_prepares_again(self) -> None:
        world = World()
        planned = world.plan(3)
        prepared: list[list[str]] = []

        def note() -> None:
            prepared.append([world.row(each).pipeline_final_status for each in planned])

        for _ in range(2):
            assert ids(claim(world, prepare=note)["claimed"]) == planned
        assert prepared == [["PENDING"], ["IN_PROGRESS"]]

    def test_what_becomes_due_in_between_is_prepared_after_the_claim(self) -> None:
        world = World()
        planned = world.plan(3)
        world.store.count_claimable = lambda *_, **__: 0  # type: ignore[method-assign]
        prepared: list[int] = []
        assert ids(claim(world, prepare=lambda: prepared.append(1))["claimed"]) == planned
        assert prepared == [1]

"""Rows of the ledger through requirement 3's functions: stored, read, and changed by legal transitions only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pendulum
import pytest

from include import framework
from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.errors import (
    ConfigurationError,
    IllegalTransitionError,
    InvalidInputError,
    LedgerRefusedError,
    WindowFinishedError,
    WindowHeldError,
    WindowInvalidatedError,
)
from tests.unit.framework.world import DAY, HOUR, MIDNIGHT, NOW, RUN_1, RUN_2, SMALL, TEST_RUN, ZONE, World, config


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def held(world: World) -> dict[str, Any]:
    return world.held()


class TestUpload:
    def test_a_generated_record_becomes_a_pending_row(self, world: World) -> None:
        row = world.planned(0)
        assert row["pipeline_final_status"] == "PENDING"
        assert (row["query_window_end_at"] - row["query_window_start_at"], row["target_day"]) == (HOUR, DAY)
        assert row["config_hash"] == world.config.config_hash
        assert row["key_x"] == world.record(0)["key_x"]
        assert world.events() == ["planned"]

    def test_storing_again_changes_nothing(self, world: World) -> None:
        world.planned(0)
        assert framework.upload_record_to_database(world.final_config, world.record(0), store=world.store, actor=RUN_2)
        assert len(world.store.find()) == 1

    def test_a_window_after_tomorrow_is_stored_when_it_is_meant(self, world: World) -> None:
        far = datetime(2031, 1, 1, 5, tzinfo=UTC)
        record = world.record(0, WINDOW_START_TIME=far, WINDOW_END_TIME=far + HOUR)
        config = {**world.final_config, "end_date": None}
        with pytest.raises(InvalidInputError, match="2031-01-01 lies after tomorrow"):
            framework.upload_record_to_database(config, record, store=world.store)
        assert world.store.find() == []
        assert framework.upload_record_to_database(config, record, allow_future=True, store=world.store)

    def test_a_window_across_live_rows_is_not_stored(self, world: World) -> None:
        world.planned(1)
        wide = world.record(0, WINDOW_END_TIME=MIDNIGHT + 2 * HOUR)
        assert not framework.upload_record_to_database(world.final_config, wide, store=world.store, actor=RUN_1)
        assert len(world.store.find()) == 1

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"WINDOW_END_TIME": MIDNIGHT + 25 * HOUR}, "crosses the end"),
            ({"WINDOW_START_TIME": MIDNIGHT - 365 * 24 * HOUR, "WINDOW_END_TIME": MIDNIGHT}, "start_date"),
            ({"WINDOW_START_TIME": None}, "no query_window_start_at"),
            ({"key_x": "  "}, "key_x is blank"),
        ],
    )
    def test_a_senseless_record_is_refused(self, world: World, changes: dict[str, Any], message: str) -> None:
        with pytest.raises(InvalidInputError, match=message):
            framework.upload_record_to_database(world.final_config, world.record(0, **changes), store=world.store)
        assert world.store.find() == []

    def test_a_configuration_without_an_identity_is_refused(self, world: World) -> None:
        record = framework.build_complete_pipeline_record(SMALL, now=NOW)
        assert record is not None
        with pytest.raises(ConfigurationError, match="pipeline_id, source_object"):
            framework.upload_record_to_database(SMALL, record, store=world.store)

    def test_a_configuration_by_hand_with_an_identity_is_enough(self, world: World) -> None:
        identity = {"pipeline_id": "p", "source_object": "s", **SMALL["default_record"]}
        by_hand = SMALL | {"default_record": identity}
        record = framework.build_complete_pipeline_record(by_hand, now=NOW, store=world.store)
        assert record is not None
        assert framework.upload_record_to_database(by_hand, record, store=world.store)
        assert world.store.find()[0].source_object == "s"

    def test_a_temporary_test_run_stores_nothing(self, world: World) -> None:
        record = world.record(0)
        assert not framework.upload_record_to_database(world.final_config, record, store=world.store, actor=TEST_RUN)
        assert world.store.find() == []

    def test_a_record_with_an_id_is_an_update(self, world: World) -> None:
        row = world.planned(0)
        record = row | {"pipeline_final_status": "IN_PROGRESS"}
        assert framework.upload_record_to_database(world.final_config, record, store=world.store, actor=RUN_1)
        assert world.row()["dag_run_id"] == "run-1"


class TestReading:
    def test_the_oldest_pending_record_is_the_one_planned_first(self, world: World) -> None:
        assert framework.download_oldest_pending_record(store=world.store) is None
        later = world.planned(1)
        world.now += HOUR
        world.planned(0)
        found = framework.download_oldest_pending_record(store=world.store)
        assert found is not None
        assert found["id"] == later["id"]
        assert framework.download_oldest_pending_record(source_object="other", store=world.store) is None
        assert world.events(1) == ["planned"]

    def test_records_have_both_names(self, world: World) -> None:
        world.planned(0)
        found = framework.download_oldest_pending_record(store=world.store)
        assert found is not None
        assert found["pipeline_status"] == found["pipeline_final_status"] == "PENDING"
        assert found["window_start_time"] == found["query_window_start_at"] == MIDNIGHT
        assert {"window_end_time", "audit_status", "audit_result", "record_first_created_time"} <= set(found)

    def test_records_in_progress(self, world: World) -> None:
        world.planned(0)
        world.planned(1)
        assert framework.get_all_in_progress_records(store=world.store) == []
        world.call(framework.transfer_source_to_stage, world.row(1))
        (record,) = framework.get_all_in_progress_records(store=world.store)
        assert (record["pipeline_status"], record["dag_run_id"]) == ("IN_PROGRESS", "run-1")


class TestUpdate:
    def test_requirement_3s_cleanup_releases_a_window_whose_owner_is_gone(
        self, world: World, held: dict[str, Any]
    ) -> None:
        record = held | {
            "pipeline_status": "PENDING",
            "dag_run_id": None,
            "pipeline_locked_at": None,
            "retry_attempt": 1,
            "record_last_updated_time": NOW + HOUR,
        }
        world.now += timedelta(seconds=1)
        assert world.update(record, RUN_2, RunState.ENDED)
        row = world.row()
        assert (row["pipeline_final_status"], row["dag_run_id"], row["retry_attempt"]) == ("PENDING", None, 1)
        assert row["phase_completed"] == "SOURCE_TO_STAGE"
        assert world.events()[-1] == "taken_over"
        with pytest.raises(LedgerRefusedError, match="Read the record again"):
            world.update(record, RUN_2, RunState.ENDED)
        assert world.update({"id": row["id"], "pipeline_status": "PENDING"}, RUN_2), "it is so already"
        assert world.events().count("taken_over") == 1

    @pytest.mark.parametrize("state", [RunState.ACTIVE, RunState.UNKNOWN])
    def test_a_living_owner_keeps_its_window(self, world: World, held: dict[str, Any], state: RunState) -> None:
        with pytest.raises(WindowHeldError, match="run-1"):
            world.update(held | {"pipeline_status": "PENDING"}, RUN_2, state)
        assert world.row()["dag_run_id"] == "run-1"

    def test_where_nobody_can_be_asked_the_age_of_the_claim_decides(self, world: World, held: dict[str, Any]) -> None:
        world.now += 15 * HOUR
        assert world.update(held | {"pipeline_status": "FAILED"}, RUN_2, RunState.UNKNOWN)
        assert world.row()["pipeline_final_status"] == "PENDING"  # attempts are left

    @pytest.mark.parametrize("status", ["PENDING", "FAILED"])
    def test_the_holder_gives_up_an_attempt(self, world: World, held: dict[str, Any], status: str) -> None:
        assert world.update(held | {"pipeline_status": status, "last_error": "boom"})
        row = world.row()
        assert (row["pipeline_final_status"], row["last_error"]) == ("PENDING", "boom")
        assert row["not_before_at"] > NOW

    def test_spent_attempts_end_failed_and_a_failed_window_is_taken_again(self) -> None:
        world = World(config=config(max_retry_task=0))
        world.planned(0)
        world.call(framework.transfer_source_to_stage, world.row())
        assert world.update(world.row() | {"pipeline_final_status": "PENDING"})
        assert world.row()["pipeline_final_status"] == "FAILED"
        with pytest.raises(IllegalTransitionError, match="FAILED can't become PENDING"):
            world.update(world.row() | {"pipeline_final_status": "PENDING"})
        assert world.update(world.row() | {"pipeline_final_status": "IN_PROGRESS"}, RUN_2)
        assert (world.row()["dag_run_id"], world.row()["retry_attempt"]) == ("run-2", 0)

    def test_a_pending_window_is_taken_under_a_new_fence_and_no_lease(self, world: World) -> None:
        row = world.planned(0)
        assert world.update(row | {"pipeline_final_status": "IN_PROGRESS", "dag_run_id": "run-1"})
        taken = world.row()
        assert (taken["dag_run_id"], taken["heartbeat_at"]) == ("run-1", None)
        assert taken["fence"] > row["fence"]

    def test_nobody_takes_a_window_for_another_run(self, world: World) -> None:
        row = world.planned(0)
        with pytest.raises(WindowHeldError, match="for itself only"):
            world.update(row | {"pipeline_final_status": "IN_PROGRESS", "dag_run_id": "run-2"})

    def test_a_window_that_has_not_settled_is_not_taken(self, world: World) -> None:
        row = world.planned(0)
        world.now = MIDNIGHT + 24 * HOUR
        with pytest.raises(IllegalTransitionError, match="PENDING and can't be IN_PROGRESS yet"):
            world.update(row | {"pipeline_final_status": "IN_PROGRESS"})

    def test_rows_of_a_removed_pipeline_rest_but_are_released(self, world: World, held: dict[str, Any]) -> None:
        world.planned(1)
        world.configs = {}
        with pytest.raises(ConfigurationError, match="rest"):
            world.update(world.row(1) | {"pipeline_final_status": "IN_PROGRESS"})
        assert world.update(held | {"pipeline_status": "PENDING"}, RUN_2, RunState.MISSING)

    @pytest.mark.parametrize("status", ["COMPLETED", "SKIPPED"])
    def test_success_is_proven_never_written(self, world: World, held: dict[str, Any], status: str) -> None:
        with pytest.raises(IllegalTransitionError, match=f"IN_PROGRESS can't become {status}"):
            world.update(held | {"pipeline_status": status})

    @pytest.mark.parametrize("status", ["PENDING", "FAILED", "SKIPPED"])
    def test_a_finished_window_is_not_reopened(self, world: World, held: dict[str, Any], status: str) -> None:
        world.call(framework.audit, held)
        with pytest.raises(IllegalTransitionError, match="replace"):
            world.update(world.row() | {"pipeline_final_status": status})
        with pytest.raises(WindowFinishedError, match="replace"):
            world.update(world.row() | {"pipeline_final_status": "IN_PROGRESS"})
        assert world.row()["pipeline_final_status"] == "COMPLETED"

    def test_an_invalidated_row_stays(self, world: World, held: dict[str, Any]) -> None:
        world.call(framework.audit, held)
        old = world.row()
        world.store.replace([old["id"]], [world.replacement()], RUN_1, "test")
        old = world.store.get(old["id"]).as_record()
        with pytest.raises(WindowInvalidatedError):
            world.update(old | {"pipeline_final_status": "PENDING"})

    def test_a_record_read_before_a_newer_start_is_refused(self, world: World, held: dict[str, Any]) -> None:
        world.call(framework.transfer_source_to_stage, held)
        with pytest.raises(LedgerRefusedError, match="Read the record again"):
            world.update(held | {"pipeline_status": "PENDING"})

    def test_a_record_that_names_another_owner_is_refused(self, world: World, held: dict[str, Any]) -> None:
        with pytest.raises(WindowHeldError, match="Read the record again"):
            world.update(held | {"pipeline_status": "PENDING", "dag_run_id": "run-0"}, RUN_2, RunState.ENDED)

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"source_count": 5}, "source_count can't be written by hand"),
            ({"window_end_time": MIDNIGHT + 9 * HOUR}, "query_window_end_at can't be written by hand"),
            ({"pipeline_status": "PENDING", "phase_completed": "AUDIT"}, "phase_completed can't be written"),
            ({"is_invalidated_flag": True}, "is_invalidated_flag can't be written"),
            ({"colour": "red"}, "no column 'colour'"),
            ({"pipeline_status": "DONE"}, "DONE is not a status"),
            ({"pipeline_status": "PENDING", "pipeline_final_status": "FAILED"}, "FAILED and PENDING is not a status"),
            ({"retry_attempt": 7}, "retry_attempt can't be written"),
        ],
    )
    def test_nothing_but_the_status_is_written_by_hand(
        self, world: World, held: dict[str, Any], changes: dict[str, Any], message: str
    ) -> None:
        before = world.row()
        with pytest.raises(InvalidInputError, match=message):
            world.update(held | changes)
        assert world.row() == before

    def test_a_heartbeat_since_the_record_was_read_asks_for_nothing(self, world: World, held: dict[str, Any]) -> None:
        world.store.take(held["id"], RUN_1)
        record = world.row()
        world.now += HOUR
        world.store.heartbeat(record["id"], record["fence"])
        assert world.update(record)
        assert world.update(record | {"pipeline_final_status": "PENDING"})

    def test_no_change_writes_nothing_whatever_form_the_values_have(self, world: World, held: dict[str, Any]) -> None:
        as_text = held | {
            "window_start_time": held["window_start_time"].isoformat(),
            "query_window_start_at": pendulum.instance(held["query_window_start_at"]).in_timezone(ZONE),
            "target_day": "2013-03-09",
        }
        events = world.events()
        assert world.update(as_text)
        assert world.events() == events

    def test_a_record_of_an_earlier_claim_never_takes_the_window_again(
        self, world: World, held: dict[str, Any]
    ) -> None:
        world.now += timedelta(seconds=1)
        assert world.update(held | {"pipeline_status": "PENDING"})
        world.now += HOUR
        with pytest.raises(LedgerRefusedError, match="Read the record again"):
            world.update(held)  # unchanged since it was read: IN_PROGRESS
        assert world.row()["pipeline_final_status"] == "PENDING"

    def test_a_record_needs_an_id(self, world: World) -> None:
        with pytest.raises(InvalidInputError, match="no id"):
            world.update({"pipeline_status": "PENDING"})

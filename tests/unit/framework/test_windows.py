"""Windows through requirement 3's functions: each is taken under a fence, whatever is done to it."""

from __future__ import annotations

from typing import Any

import pytest

from include import framework
from include.pipeline_framework.errors import (
    IllegalTransitionError,
    IncompleteExtractError,
    InvalidInputError,
    LedgerRefusedError,
    WindowFinishedError,
    WindowHeldError,
)
from include.pipeline_framework.tasks.pipeline import Pipeline
from tests.unit.framework.world import HOUR, MIDNIGHT, RUN_1, RUN_2, TEST_RUN, World, config


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def held(world: World) -> dict[str, Any]:
    return world.held()


class TestWindows:
    def test_the_documents_flow_moves_a_window(self, world: World) -> None:
        record = world.record(0)
        assert framework.upload_record_to_database(world.final_config, record, store=world.store, actor=RUN_1)
        assert world.counts(record) == (3, 0)
        assert world.call(framework.transfer_source_to_stage, record) is True
        assert world.row()["phase_completed"] == "SOURCE_TO_STAGE"
        assert world.call(framework.transfer_stage_to_target, record) is True
        assert world.row()["phase_completed"] == "STAGE_TO_TARGET"
        assert world.counts(record) == (3, 3)
        assert world.call(framework.audit, record)["pipeline_final_status"] == "COMPLETED"
        assert [row["_id"] for row in world.target.rows] == ["0-0", "0-1", "0-2"]

    def test_the_steps_under_their_names(self, world: World) -> None:
        world.planned(0)
        (record,) = framework.store_and_validate(
            world.final_config, conf={"target_date": "2013-03-09"}, store=world.store, actor=RUN_1
        )
        assert world.call(framework.pre_validation, record) == {"decision": "run", "source_count": 3, "target_count": 0}
        assert world.call(framework.source_to_stage, record)["staged_count"] == 3
        assert world.call(framework.stage_to_target, record)["loaded_count"] == 3
        assert world.call(framework.audit, record)["reopened"] is False

    def test_store_and_validate_claims_only_what_is_due(self, world: World) -> None:
        world.planned(0)
        claim = {"store": world.store, "actor": RUN_1}
        assert framework.store_and_validate(world.final_config, now=MIDNIGHT + 2 * HOUR, **claim) == []
        assert framework.store_and_validate(world.final_config, conf={"dry_run": True}, **claim) == []
        assert world.row()["pipeline_final_status"] == "PENDING"
        assert len(framework.store_and_validate(world.final_config, conf={"max_windows": 1}, **claim)) == 1
        with pytest.raises(InvalidInputError, match="unknown keys"):
            framework.store_and_validate(world.final_config, conf={"limit": 1}, **claim)

    @pytest.mark.parametrize(
        "name",
        ["transfer_source_to_stage", "transfer_stage_to_target", "clean_target_location", "audit", "pre_validation"],
    )
    def test_a_finished_window_is_refused_with_the_remedy(self, world: World, name: str) -> None:
        world.planned(0)
        world.call(framework.audit, world.row())
        with pytest.raises(WindowFinishedError, match='"replace": true'):
            world.call(getattr(framework, name), world.row(), RUN_2)
        assert len(world.target.rows) == 3

    @pytest.mark.parametrize(
        "name",
        [
            "transfer_source_to_stage",
            "transfer_stage_to_target",
            "clean_target_location",
            "clean_stage_location",
            "audit",
        ],
    )
    def test_a_window_of_another_run_is_refused(self, world: World, held: dict[str, Any], name: str) -> None:
        with pytest.raises(WindowHeldError, match="run-1"):
            world.call(getattr(framework, name), held, RUN_2)
        assert world.stage.read_manifest(world.row()["stage_location"])

    def test_a_window_that_has_not_settled_is_refused(self, world: World) -> None:
        world.planned(0)
        world.now = MIDNIGHT + 24 * HOUR
        with pytest.raises(IllegalTransitionError, match="ended less than 1d ago"):
            world.call(framework.transfer_source_to_stage, world.row())
        assert world.row()["pipeline_final_status"] == "PENDING"

    def test_a_window_outside_the_horizon_is_refused(self, world: World) -> None:
        world.planned(0)
        closed = config(start_date="2013-03-10")
        world.pipeline = Pipeline(closed, world.store, world.source, world.stage, world.target)
        with pytest.raises(InvalidInputError, match="start_date"):
            world.call(framework.transfer_source_to_stage, world.row())

    def test_a_row_of_another_pipeline_is_refused(self, world: World) -> None:
        world.planned(0)
        other = config(source_object="trains")
        world.pipeline = Pipeline(other, world.store, world.source, world.stage, world.target)
        with pytest.raises(InvalidInputError, match="belongs to flights"):
            world.call(framework.transfer_source_to_stage, world.row())

    def test_a_window_that_is_not_in_the_ledger_is_refused(self, world: World) -> None:
        with pytest.raises(InvalidInputError, match="no live row"):
            world.call(framework.transfer_source_to_stage, world.record(0))
        with pytest.raises(InvalidInputError, match="no ledger row"):
            world.call(framework.transfer_source_to_stage, {"id": 99})

    def test_a_failure_is_accounted_for_and_the_same_run_may_go_on(self, world: World) -> None:
        world.planned(0)
        world.source.lost_rows = 1
        with pytest.raises(IncompleteExtractError):
            world.call(framework.transfer_source_to_stage, world.row())
        assert (world.row()["pipeline_final_status"], world.row()["retry_attempt"]) == ("PENDING", 1)
        world.source.lost_rows = 0
        with pytest.raises(IllegalTransitionError, match="rests until"):
            world.call(framework.transfer_source_to_stage, world.row(), RUN_2)
        assert world.call(framework.transfer_source_to_stage, world.row())

    def test_a_temporary_test_run_takes_nothing(self, world: World) -> None:
        world.planned(0)
        with pytest.raises(LedgerRefusedError, match="temporary test run"):
            world.call(framework.transfer_source_to_stage, world.row(), TEST_RUN)

    def test_counts_take_a_window_under_any_name(self, world: World) -> None:
        start, end = MIDNIGHT, MIDNIGHT + HOUR
        for names in (
            ("query_window_start_at", "query_window_end_at"),
            ("window_start_time", "window_end_time"),
            ("WINDOW_START_TIME", "WINDOW_END_TIME"),
            ("start", "end"),
        ):
            record = dict(zip(names, (start.isoformat(), end), strict=True))
            assert framework.get_source_count(world.final_config, record, pipeline=world.pipeline) == 3

    def test_an_audit_repeated_by_its_own_run_succeeds_without_effect(self, world: World) -> None:
        world.planned(0)
        world.call(framework.audit, world.row())
        events = world.events()
        assert world.call(framework.audit, world.row())["pipeline_final_status"] == "COMPLETED"
        assert world.events() == events


class TestCleaning:
    def test_a_window_without_its_stage_is_extracted_again(self, world: World, held: dict[str, Any]) -> None:
        assert world.call(framework.clean_stage_location, held) is True
        assert world.stage.storage.objects == {}
        before = world.row()["stage_location"]
        assert before == held["stage_location"]
        world.call(framework.transfer_stage_to_target, held)
        assert world.row()["stage_location"] != before
        assert len(world.target.rows) == 3

    def test_the_stage_of_a_finished_window_may_go(self, world: World) -> None:
        world.planned(0)
        world.call(framework.audit, world.row())
        events = world.events()
        assert world.call(framework.clean_stage_location, world.row(), RUN_2)
        assert world.stage.storage.objects == {}
        assert (world.row()["pipeline_final_status"], world.events()) == ("COMPLETED", events)

    def test_nothing_staged_is_clean_already(self, world: World) -> None:
        world.planned(0)
        assert world.call(framework.clean_stage_location, world.row())
        assert world.row()["pipeline_final_status"] == "PENDING"

    def test_only_the_window_is_deleted_at_the_target_and_it_is_loaded_again(self, world: World) -> None:
        for hour in (0, 1):
            world.planned(hour)
            world.call(framework.transfer_stage_to_target, world.row(hour))
        assert world.call(framework.clean_target_location, world.row(0)) is True
        assert {row["_id"] for row in world.target.rows} == {"1-0", "1-1", "1-2"}
        assert world.row(0)["phase_completed"] is None
        assert world.call(framework.audit, world.row(0))["pipeline_final_status"] == "COMPLETED"
        assert len(world.target.rows) == 6

    def test_a_staged_window_keeps_its_stage(self, world: World, held: dict[str, Any]) -> None:
        assert world.call(framework.clean_target_location, held)
        assert world.row()["phase_completed"] == "SOURCE_TO_STAGE"
        world.call(framework.audit, held)
        assert world.row()["stage_location"] == held["stage_location"]

    def test_the_delete_leaves_a_receipt_under_the_new_fence(self, world: World, held: dict[str, Any]) -> None:
        world.call(framework.clean_target_location, held)
        (receipt,) = world.target.receipts("flights")
        assert (receipt.kind, receipt.fence) == ("delete", world.row()["fence"])
        assert receipt.fence > held["fence"]

"""Is there anything to move, and can the target prove that it has it already."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.records.planning import planned_row
from include.pipeline_framework.core.records.row import Phase
from include.pipeline_framework.errors import FenceLostError, ServiceUnavailableError
from include.pipeline_framework.tasks.cleanup_stale_locks import finish_run
from include.pipeline_framework.tasks.move_window import move_until
from include.pipeline_framework.tasks.pre_validation import pre_validate
from tests.unit.tasks.world import PLANNER, RUN_1, RUN_2, World, window


def validate(world: World, record_id: int, actor: Any = RUN_1) -> dict[str, Any]:
    result: dict[str, Any] = world.run(record_id, lambda attempt: pre_validate(world.pipeline, attempt), actor)
    return result


def loaded_without_the_ledger(**changes: Any) -> tuple[World, int]:
    """The target has the window and its receipt; the ledger was rebuilt and plans it anew."""
    world = World(**changes)
    world.add_documents(5, hour=3)
    world.complete(3)
    fresh = World(**changes)
    fresh.source, fresh.stage, fresh.target = world.source, world.stage, world.target
    (record_id,) = fresh.plan_and_claim(3, actor=RUN_2)
    return fresh, record_id


class TestRun:
    def test_a_window_that_is_not_loaded_runs(self) -> None:
        world = World()
        world.add_documents(5, hour=3)
        (record_id,) = world.plan_and_claim(3)
        assert validate(world, record_id) == {"decision": "run", "source_count": 5, "target_count": 0}
        row = world.row(record_id)
        assert (row.pipeline_final_status, row.phase_completed, row.heartbeat_at) == (
            "IN_PROGRESS",
            None,
            None,
        )

    def test_equal_counts_without_a_receipt_prove_nothing(self) -> None:
        world, record_id = loaded_without_the_ledger()
        world.target._state = dataclasses.replace(world.target._state, receipts=())
        assert validate(world, record_id, RUN_2) == {"decision": "run", "source_count": 5, "target_count": 5}

    def test_rows_in_the_target_but_none_in_the_source_run(self) -> None:
        world, record_id = loaded_without_the_ledger()
        world.source.documents.clear()
        assert validate(world, record_id, RUN_2) == {"decision": "run", "source_count": 0, "target_count": 5}

    @pytest.mark.parametrize(
        "change",
        [
            {"kind": "delete"},
            {"fingerprint": Fingerprint(5, 1)},
            {"fingerprint": Fingerprint(4, 1)},
            {"window": window(3, 0.5)},
            {"source_object": "other"},
        ],
    )
    def test_a_receipt_that_says_something_else_is_no_proof(self, change: dict[str, Any]) -> None:
        world, record_id = loaded_without_the_ledger()
        (receipt,) = world.target._state.receipts
        world.target._state = dataclasses.replace(
            world.target._state, receipts=(dataclasses.replace(receipt, **change),)
        )
        assert validate(world, record_id, RUN_2)["decision"] == "run"

    def test_a_source_that_grew_runs(self) -> None:
        world, record_id = loaded_without_the_ledger()
        world.add_documents(1, hour=3, prefix="late")
        assert validate(world, record_id, RUN_2) == {"decision": "run", "source_count": 6, "target_count": 5}

    def test_a_target_that_lost_rows_runs(self) -> None:
        world, record_id = loaded_without_the_ledger()
        world.lose_target_rows()
        assert validate(world, record_id, RUN_2) == {"decision": "run", "source_count": 5, "target_count": 4}

    def test_a_replacement_is_never_skipped(self) -> None:
        world = World()
        world.add_documents(5, hour=3)
        (old,) = world.complete(3)
        (new,) = world.store.replace([old], [_row(world)], PLANNER, "reload")
        world.claim(RUN_2)
        assert validate(world, new.id, RUN_2) == {"decision": "run", "source_count": 5, "target_count": 5}

    def test_a_source_that_is_down_decides_nothing(self) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(3)
        world.source.fault = ServiceUnavailableError("503")
        with pytest.raises(ServiceUnavailableError):
            validate(world, record_id)
        assert world.status(record_id) == "IN_PROGRESS"


class TestSkip:
    @pytest.mark.parametrize("mode", ["count", "fingerprint"])
    def test_with_the_receipt_as_proof(self, mode: str) -> None:
        world, record_id = loaded_without_the_ledger(pre_validation_mode=mode)
        assert validate(world, record_id, RUN_2) == {"decision": "skip", "source_count": 5, "target_count": 5}
        row = world.row(record_id)
        assert (row.pipeline_final_status, row.elt_process_status, row.audit_process_status) == (
            "SKIPPED", "SKIPPED", "SKIPPED",
        )  # fmt: skip
        assert (row.source_count, row.target_count, row.count_difference, row.heartbeat_at) == (
            5,
            5,
            0,
            None,
        )
        event = world.store.events(record_id)[-1]
        assert (event["event"], event["reason"]) == ("skipped", "a receipt proves that it is loaded")
        assert event["numbers"]["receipt_fence"] == 1

    @pytest.mark.parametrize(("mode", "decision"), [("count", "skip"), ("fingerprint", "run")])
    def test_one_in_and_one_out_shows_in_mode_fingerprint_only(self, mode: str, decision: str) -> None:
        world, record_id = loaded_without_the_ledger(pre_validation_mode=mode)
        del world.source.documents["doc-3-0"]
        world.add_documents(1, hour=3, prefix="other")
        assert validate(world, record_id, RUN_2)["decision"] == decision


class TestResume:
    @pytest.mark.parametrize("phase", [Phase.SOURCE_TO_STAGE, Phase.STAGE_TO_TARGET])
    def test_what_has_begun_goes_on_without_asking_anybody(self, phase: Phase) -> None:
        world = World()
        world.add_documents(5, hour=3)
        (record_id,) = world.plan_and_claim(3)
        world.move(record_id, phase)
        world.source.fault = ServiceUnavailableError("503")
        assert validate(world, record_id) == {"decision": "resume", "phase_completed": phase}


class TestEmpty:
    def test_an_empty_window_is_completed_right_here(self) -> None:
        world = World()
        world.add_documents(5, hour=2)
        (record_id,) = world.plan_and_claim(3)
        assert validate(world, record_id) == {"decision": "empty", "source_count": 0, "target_count": 0}
        row = world.row(record_id)
        assert (row.pipeline_final_status, row.audit_result_status, row.staged_count) == (
            "COMPLETED",
            "PASSED",
            0,
        )
        receipt = world.target.receipt("flights", window(3))
        assert receipt is not None
        assert receipt.kind == "load"
        assert [key.rpartition("/")[2] for key in world.stage.storage.objects] == ["manifest.json"]

    def test_an_empty_replacement_is_a_publish_with_the_deletions_it_owes(self) -> None:
        world = World()
        world.add_documents(5, hour=3)
        (old,) = world.complete(3)
        world.source.documents.clear()
        world.lose_target_rows(5)
        (new,) = world.store.replace([old], [_row(world)], PLANNER, "reload")
        world.claim(RUN_2)
        assert validate(world, new.id, RUN_2)["decision"] == "empty"
        assert world.status(new.id) == "COMPLETED"
        assert world.row(old).target_deletion_done_flag is True

    def test_a_window_that_fills_up_meanwhile_is_loaded_with_what_came(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World()
        (record_id,) = world.plan_and_claim(3)
        real = world.target.fingerprint

        def then_documents_arrive(*arguments: Any) -> Fingerprint:
            found = real(*arguments)
            world.add_documents(3, hour=3)
            monkeypatch.undo()
            return found

        monkeypatch.setattr(world.target, "fingerprint", then_documents_arrive)
        assert validate(world, record_id)["decision"] == "empty"
        assert (world.status(record_id), len(world.target.rows)) == ("COMPLETED", 3)


def _row(world: World) -> dict[str, Any]:
    return planned_row(world.config.final_config(), window(3), deriving)


class TestSplit:
    def world(self, documents: int = 60, **changes: Any) -> tuple[World, int]:
        world = World(max_rows_per_window=25, **changes)
        world.add_documents(documents, hour=3)
        (record_id,) = world.plan_and_claim(3)
        return world, record_id

    def test_a_window_with_too_many_rows_is_cut_before_it_is_extracted(self) -> None:
        world, record_id = self.world()
        assert validate(world, record_id) == {"decision": "split", "windows": 3, "source_count": 60, "target_count": 0}
        row = world.row(record_id)
        assert (row.is_invalidated_flag, row.pipeline_final_status, row.dag_run_id) == (True, "PENDING", None)
        pieces = world.store.find(within=[window(3)])
        assert [piece.time_interval for piece in pieces] == ["20m"] * 3
        assert {piece.granularity for piece in pieces} == {"20m"}
        assert world.store.live_windows("flights", window(3)) == [window(3 + n / 3, 1 / 3) for n in range(3)]
        (event,) = [event for event in world.store.events(record_id) if event["event"] == "invalidated"]
        assert event["reason"] == "60 rows, more than max_rows_per_window 25: cut into 3"

    def test_the_pieces_are_moved_by_a_later_run_and_nothing_is_missing(self) -> None:
        world, record_id = self.world()
        validate(world, record_id)
        for row in world.claim(RUN_2):
            assert validate(world, row.id, RUN_2)["decision"] == "run"
            world.run(row.id, lambda attempt: move_until(world.pipeline, attempt, Phase.AUDIT), RUN_2)
        rows = world.store.find(within=[window(3)])
        assert [row.pipeline_final_status for row in rows] == ["COMPLETED"] * 3
        assert sum(row.loaded_count for row in rows) == 60

    def test_the_run_that_cut_it_is_not_failed_for_it(self) -> None:
        world, record_id = self.world()
        validate(world, record_id)
        assert finish_run(world.store, world.config, RUN_1) == {}

    def test_an_older_start_can_not_cut_what_a_newer_one_has(self) -> None:
        world, record_id = self.world()

        def overtaken(attempt: Any) -> Any:
            world.store.take(record_id, RUN_1)
            return pre_validate(world.pipeline, attempt)

        with pytest.raises(FenceLostError):
            world.run(record_id, overtaken)
        assert world.store.live_windows("flights", window(3)) == [window(3)]

    @pytest.mark.parametrize("changes", [{"max_rows_per_window": 60}, {"max_rows_per_window": None}])
    def test_it_stays_whole_up_to_the_limit(self, changes: dict[str, Any]) -> None:
        world = World(**changes)
        world.add_documents(60, hour=3)
        (record_id,) = world.plan_and_claim(3)
        assert validate(world, record_id)["decision"] == "run"

    def test_a_staged_window_is_resumed_not_cut(self) -> None:
        world, record_id = self.world()
        world.run(record_id, lambda attempt: move_until(world.pipeline, attempt, Phase.SOURCE_TO_STAGE))
        assert validate(world, record_id)["decision"] == "resume"

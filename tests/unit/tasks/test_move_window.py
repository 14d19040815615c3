"""Source → stage → target → audit: every phase starts where the ledger says that the last one ended."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.records.planning import planned_row
from include.pipeline_framework.core.records.row import Phase
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    AuditFailedError,
    BadDocumentError,
    FenceLostError,
    IncompleteExtractError,
    RowsWouldVanishError,
    ServiceUnavailableError,
    TornStageError,
    WindowFinishedError,
)
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.tasks.move_window import is_reopened, move_until
from include.pipeline_framework.tasks.pre_validation import pre_validate
from include.pipeline_framework.tasks.window_attempt import WindowAttempt
from tests.unit.tasks.world import RUN_1, RUN_2, World, window

DOWN = ServiceUnavailableError("it does not answer")
ALL_EVENTS = [
    "source_to_stage_started",
    "source_to_stage_completed",
    "stage_to_target_started",
    "stage_to_target_completed",
    "audit_started",
    "completed",
]


def world_with(*, rows: int = 5, **changes: Any) -> tuple[World, int]:
    """A window at 03:00 with documents, claimed by run-1."""
    world = World(**changes)
    world.add_documents(rows, hour=3)
    world.add_documents(2, hour=2)
    world.add_documents(2, hour=4)
    (record_id,) = world.plan_and_claim(3)
    return world, record_id


class TestFresh:
    def test_phase_after_phase_in_a_task_of_its_own(self) -> None:
        world, record_id = world_with()
        results = [world.move(record_id, phase) for phase in Phase]
        assert [result["phase_completed"] for result in results] == list(Phase)
        assert results[-1] == {
            "staged_count": 5,
            "loaded_count": 5,
            "source_count": 5,
            "target_count": 5,
            "phase_completed": "AUDIT",
            "pipeline_final_status": "COMPLETED",
        }
        assert world.target_ids() == [f"doc-3-{n}" for n in range(5)]
        row = world.row(record_id)
        assert (row.fence, row.heartbeat_at, row.audit_result_status) == (3, None, "PASSED")
        assert row.staged_fingerprint == Fingerprint.of(world.target_ids()).hash_sum
        assert row.stage_location == "flights/2013-03-09/20130309T080000Z_20130309T090000Z/1"

    def test_the_audit_alone_brings_the_window_through_all_phases(self) -> None:
        world, record_id = world_with()
        assert world.move(record_id, Phase.AUDIT)["pipeline_final_status"] == "COMPLETED"
        assert world.events(record_id) == ["planned", "claimed", "taken", *ALL_EVENTS]
        assert world.row(record_id).fence == 1

    def test_the_load_alone_extracts_first(self) -> None:
        world, record_id = world_with()
        assert world.move(record_id, Phase.STAGE_TO_TARGET)["phase_completed"] == "STAGE_TO_TARGET"
        assert len(world.target.rows) == 5
        assert world.status(record_id) == "IN_PROGRESS"

    def test_an_empty_window_has_manifest_receipt_and_audit_like_any_other(self) -> None:
        world, record_id = world_with(rows=0)
        result = world.move(record_id)
        assert (result["pipeline_final_status"], result["staged_count"], result["target_count"]) == ("COMPLETED", 0, 0)
        receipt = world.target.receipt("flights", window(3))
        assert receipt is not None
        assert (receipt.kind, receipt.fingerprint) == ("load", Fingerprint())
        assert world.row(record_id).percentage_difference is None

    def test_documents_on_the_boundaries_belong_to_one_window(self) -> None:
        world = World()
        world.add_documents(1, hour=3)  # exactly 03:00
        end = window(3).end
        world.source.add(Document("last", end - timedelta(microseconds=1), b"{}"), Document("next", end, b"{}"))
        third, fourth = world.plan_and_claim(3, 4)
        world.move(third)
        assert world.target_ids() == ["doc-3-0", "last"]
        world.move(fourth)
        assert world.target_ids() == ["doc-3-0", "last", "next"]

    def test_quarantined_documents_are_counted(self) -> None:
        world, record_id = world_with(on_bad_document="quarantine")
        world.source.add(Document("bad", window(3).start, b'{"n": "\\ud800"}'))
        assert world.move(record_id)["pipeline_final_status"] == "COMPLETED"
        row = world.row(record_id)
        assert (row.source_count, row.staged_count, row.quarantined_count, row.count_difference) == (
            6, 5, 1, 0,
        )  # fmt: skip

    def test_a_bad_document_fails_the_window_by_name(self) -> None:
        world, record_id = world_with()
        world.source.add(Document("the-bad-one", window(3).start, b'{"n": "\\ud800"}'))
        with pytest.raises(BadDocumentError, match="the-bad-one"):
            world.move(record_id)
        row = world.row(record_id)
        assert (row.pipeline_final_status, row.retry_attempt, row.phase_completed) == ("PENDING", 1, None)
        assert "the-bad-one" in row.last_error
        assert world.stage.storage.objects == {}

    def test_undated_documents_are_reported(self) -> None:
        world, record_id = world_with()
        world.source.undated = {"x", "y"}
        world.move(record_id)
        assert world.row(record_id).undated_count == 2


class TestResume:
    def test_a_retry_after_the_extract_loads_from_the_manifest(self) -> None:
        world, record_id = world_with()
        world.move(record_id, Phase.SOURCE_TO_STAGE)
        staged = dict(world.stage.storage.objects)
        world.source.fault = DOWN
        assert world.move(record_id, Phase.STAGE_TO_TARGET)["loaded_count"] == 5
        assert world.stage.storage.objects == staged
        assert world.row(record_id).stage_location.endswith("/1")
        assert {row["_fence"] for row in world.target.rows} == {2}

    def test_a_cleared_extract_of_a_staged_window_keeps_the_manifest(self) -> None:
        world, record_id = world_with()
        world.move(record_id, Phase.SOURCE_TO_STAGE)
        world.source.fault = DOWN
        assert world.move(record_id, Phase.SOURCE_TO_STAGE)["staged_count"] == 5
        assert world.events(record_id).count("source_to_stage_started") == 1

    @pytest.mark.parametrize("phase", [Phase.SOURCE_TO_STAGE, Phase.STAGE_TO_TARGET])
    def test_a_cleared_task_of_a_loaded_window_moves_nothing_again(self, phase: Phase) -> None:
        world, record_id = world_with()
        world.move(record_id, Phase.STAGE_TO_TARGET)
        receipt = world.target.receipt("flights", window(3))
        world.source.fault = DOWN
        assert world.move(record_id, phase)["phase_completed"] == "STAGE_TO_TARGET"
        assert world.target.receipt("flights", window(3)) == receipt

    def test_a_loaded_window_is_only_audited(self) -> None:
        world, record_id = world_with()
        world.move(record_id, Phase.STAGE_TO_TARGET)
        world.stage.storage.objects.clear()
        world.move(record_id, Phase.AUDIT)
        assert world.status(record_id) == "COMPLETED"
        assert world.events(record_id)[-3:] == ["taken", "audit_started", "completed"]

    def test_another_run_resumes_where_the_first_one_failed(self) -> None:
        """Past the middle: staged by run-1, its attempt spent in the load, finished by run-2."""
        world, record_id = world_with()
        world.move(record_id, Phase.SOURCE_TO_STAGE)
        world.target.before_commit = _raise(DOWN)
        with pytest.raises(ServiceUnavailableError):
            world.move(record_id, Phase.STAGE_TO_TARGET, is_last_try=True)
        assert (world.status(record_id), world.row(record_id).phase_completed) == ("PENDING", "SOURCE_TO_STAGE")
        assert world.target.rows == []
        world.target.before_commit = _nothing
        world.pass_time(timedelta(minutes=2))
        world.source.fault = DOWN
        assert [row.id for row in world.claim(RUN_2)] == [record_id]
        world.move(record_id, Phase.STAGE_TO_TARGET, RUN_2)
        world.source.fault = None
        world.move(record_id, Phase.AUDIT, RUN_2)
        assert world.status(record_id) == "COMPLETED"
        assert len(world.target.rows) == 5

    @pytest.mark.parametrize("damage", ["manifest", "file", "bytes", "everything"])
    def test_a_torn_stage_is_extracted_again(self, damage: str) -> None:
        world, record_id = world_with()
        world.move(record_id, Phase.SOURCE_TO_STAGE)
        objects = world.stage.storage.objects
        manifest = next(key for key in objects if key.endswith("manifest.json"))
        part = next(key for key in objects if key.endswith(".gz"))
        if damage == "bytes":
            objects[part] = bytes(reversed(objects[part]))
        for key in {"manifest": [manifest], "file": [part], "bytes": [], "everything": list(objects)}[damage]:
            del objects[key]
        world.move(record_id, Phase.STAGE_TO_TARGET)
        assert len(world.target.rows) == 5
        row = world.row(record_id)
        assert row.stage_location.endswith("/2")
        # what the first one left behind is gone, too
        assert {key.split("/")[-2] for key in objects} == {"2"}
        assert world.move(record_id)["pipeline_final_status"] == "COMPLETED"

    def test_the_old_stage_is_deleted_only_after_the_new_one_is_complete(self) -> None:
        world, record_id = world_with()
        world.move(record_id, Phase.SOURCE_TO_STAGE)
        objects = world.stage.storage.objects
        manifest = next(key for key in objects if key.endswith("manifest.json"))
        del objects[manifest]
        left = set(objects)
        world.source.fault = DOWN
        with pytest.raises(ServiceUnavailableError):
            world.move(record_id, Phase.STAGE_TO_TARGET)
        assert set(objects) == left
        assert world.row(record_id).phase_completed is None

    def test_an_incomplete_extract_is_never_loaded(self) -> None:
        world, record_id = world_with()
        world.source.lost_rows = 1
        with pytest.raises(IncompleteExtractError):
            world.move(record_id)
        assert (world.target.rows, world.stage.storage.objects) == ([], {})
        world.source.lost_rows = 0
        assert world.move(record_id)["target_count"] == 5

    def test_a_file_that_changes_between_check_and_load_stops_the_load(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world, record_id = world_with()
        world.move(record_id, Phase.SOURCE_TO_STAGE)
        real = world.stage.read_manifest

        def read_then_lose(location: str) -> Any:
            found = real(location)
            world.stage.storage.objects.clear()
            return found

        monkeypatch.setattr(world.stage, "read_manifest", read_then_lose)
        with pytest.raises(TornStageError):
            world.move(record_id, Phase.STAGE_TO_TARGET)
        monkeypatch.undo()
        assert world.target.rows == []
        assert world.move(record_id)["pipeline_final_status"] == "COMPLETED"

    def test_a_commit_whose_answer_was_lost_is_not_loaded_twice(self) -> None:
        world, record_id = world_with()
        world.target.after_commit = _raise(DOWN)
        with pytest.raises(ServiceUnavailableError):
            world.move(record_id)
        world.target.after_commit = _nothing
        assert len(world.target.rows) == 5
        assert world.move(record_id)["pipeline_final_status"] == "COMPLETED"
        assert len(world.target.rows) == 5
        loaded = [e for e in world.store.events(record_id) if e["event"] == "stage_to_target_completed"]
        assert [event["numbers"]["already_received"] for event in loaded] == [True]

    def test_an_older_try_does_not_publish_over_a_newer_one(self) -> None:
        """The zombie staged under fence 1 and sleeps; the newer try publishes under 2; then the zombie wakes up."""
        world, record_id = world_with()

        def zombie(attempt: WindowAttempt) -> None:
            move_until(world.pipeline, attempt, Phase.SOURCE_TO_STAGE)
            world.add_documents(1, hour=3, prefix="late")
            world.move(record_id, Phase.STAGE_TO_TARGET)
            move_until(world.pipeline, attempt, Phase.STAGE_TO_TARGET)

        with pytest.raises(FenceLostError):
            world.run(record_id, zombie)
        assert {row["_fence"] for row in world.target.rows} == {2}
        assert world.row(record_id).phase_completed == "STAGE_TO_TARGET"

    def test_a_finished_window_is_refused(self) -> None:
        world, record_id = world_with()
        world.move(record_id)
        with pytest.raises(WindowFinishedError):
            world.move(record_id)
        assert len(world.target.rows) == 5


class TestAuditFailure:
    def fail_once(self, world: World, record_id: int) -> str:
        world.move(record_id, Phase.STAGE_TO_TARGET)
        world.lose_target_rows()
        with pytest.raises(AuditFailedError) as failure:
            world.move(record_id)
        return str(failure.value)

    def test_the_target_is_deleted_and_the_window_starts_over(self) -> None:
        world, record_id = world_with()
        message = self.fail_once(world, record_id)
        assert world.target.rows == []
        row = world.row(record_id)
        assert (row.pipeline_final_status, row.phase_completed, row.retry_attempt) == ("PENDING", None, 1)
        assert (row.audit_result_status, row.count_difference, row.dag_run_id) == ("FAILED", 1, None)
        assert row.not_before_at == world.at + timedelta(minutes=1)
        assert "manifest, load and target disagree" in message
        assert "4 rows were deleted from the target; it is PENDING now" in message
        assert world.events(record_id)[-1] == "audit_failed"

    def test_the_delete_leaves_a_receipt_that_is_no_load(self) -> None:
        world, record_id = world_with()
        self.fail_once(world, record_id)
        (receipt,) = world.target.receipts("flights")
        assert (receipt.kind, receipt.fence, receipt.window) == ("delete", 2, window(3))

    def test_without_an_answer_to_the_delete_the_next_load_replaces_the_rows(self) -> None:
        world, record_id = world_with()
        world.move(record_id, Phase.STAGE_TO_TARGET)
        world.lose_target_rows()

        def no_answer() -> None:
            world.target.before_commit = lambda: None
            raise ServiceUnavailableError("the target does not answer")

        world.target.before_commit = no_answer
        with pytest.raises(AuditFailedError, match="could not be deleted"):
            world.move(record_id)
        assert (world.status(record_id), len(world.target.rows)) == ("PENDING", 4)
        world.pass_time(timedelta(minutes=2))
        world.claim(RUN_2)
        world.move(record_id, actor=RUN_2)
        assert (world.status(record_id), len(world.target.rows)) == ("COMPLETED", 5)

    @pytest.mark.parametrize("successor", ["skips", "loads"])
    def test_a_late_delete_does_not_touch_what_a_later_start_has_finished(self, successor: str) -> None:
        """The audit stalls before its delete; meanwhile another run finishes the window, and it has the rows."""
        world, record_id = world_with()
        world.move(record_id, Phase.STAGE_TO_TARGET)
        whole = world.target._state
        world.lose_target_rows()
        delete = world.target.delete

        def late_delete(*arguments: Any, **options: Any) -> int:
            world.target.delete = delete  # type: ignore[method-assign]
            if successor == "skips":
                world.target._state = whole  # what was missing is back
            world.pass_time(timedelta(minutes=2))
            world.claim(RUN_2)
            result = world.run(record_id, lambda attempt: pre_validate(world.pipeline, attempt), RUN_2)
            if result["decision"] == "run":
                world.move(record_id, actor=RUN_2)
            return delete(*arguments, **options)

        world.target.delete = late_delete  # type: ignore[method-assign]
        with pytest.raises(AuditFailedError, match="belong to a newer start"):
            world.move(record_id)
        assert world.status(record_id) == {"skips": "SKIPPED", "loads": "COMPLETED"}[successor]
        assert len(world.target.rows) == 5

    def test_a_later_run_does_it_again_from_the_source(self) -> None:
        world, record_id = world_with()
        self.fail_once(world, record_id)
        world.pass_time(timedelta(minutes=2))
        world.claim(RUN_2)
        assert world.move(record_id, actor=RUN_2)["pipeline_final_status"] == "COMPLETED"
        assert len(world.target.rows) == 5
        assert world.row(record_id).stage_location.endswith("/3")
        assert {key.split("/")[-2] for key in world.stage.storage.objects} == {"3"}

    def test_it_is_bounded_and_ends_failed_with_an_empty_target(self) -> None:
        world, record_id = world_with(max_retry_task=2)
        statuses = []
        for _ in range(3):
            message = self.fail_once(world, record_id)
            statuses.append(world.status(record_id))
            world.pass_time(timedelta(hours=1))
        assert statuses == ["PENDING", "PENDING", "FAILED"]
        assert "it is FAILED now" in message
        assert world.target.rows == []
        assert world.claim(RUN_2) == []

    def test_swapped_rows_fail_although_the_count_agrees(self) -> None:
        world, record_id = world_with()
        world.move(record_id, Phase.STAGE_TO_TARGET)
        rows = world.target._state.rows
        world.lose_target_rows(5)
        doubled = (*rows[:4], rows[0])
        world.target._state = type(world.target._state)(
            doubled, world.target._state.receipts, world.target._state.floors
        )
        with pytest.raises(AuditFailedError, match="disagree"):
            world.move(record_id)
        assert world.target.rows == []

    def test_a_source_that_is_down_is_the_other_kind_of_failure(self) -> None:
        world, record_id = world_with()
        world.move(record_id, Phase.STAGE_TO_TARGET)
        world.source.fault = DOWN
        with pytest.raises(ServiceUnavailableError):
            world.move(record_id)
        row = world.row(record_id)
        assert (row.pipeline_final_status, row.retry_attempt, row.phase_completed) == (
            "IN_PROGRESS", 0, "STAGE_TO_TARGET",
        )  # fmt: skip
        assert len(world.target.rows) == 5
        world.source.fault = None
        assert world.move(record_id)["pipeline_final_status"] == "COMPLETED"

    def test_a_zombies_failed_audit_deletes_nothing(self) -> None:
        """It read the target at a bad moment; until it has all its numbers, a newer try has audited the window."""
        world, record_id = world_with()
        world.move(record_id, Phase.STAGE_TO_TARGET)
        good = world.target._state
        world.lose_target_rows()

        def zombie(attempt: WindowAttempt) -> None:
            real, counts = world.source.count, []

            def slow(asked: TimeWindow) -> int:
                if not counts:
                    counts.append(asked)
                    world.target._state = good
                    world.move(record_id)
                return real(asked)

            world.source.count = slow  # type: ignore[method-assign]
            move_until(world.pipeline, attempt, Phase.AUDIT)

        with pytest.raises(FenceLostError):
            world.run(record_id, zombie)
        assert (world.status(record_id), len(world.target.rows)) == ("COMPLETED", 5)


class TestLateData:
    def test_it_reopens_once_and_then_passes_with_the_revisit_flag(self) -> None:
        world, record_id = world_with()
        world.move(record_id, Phase.STAGE_TO_TARGET)
        world.add_documents(2, hour=3, prefix="late")
        result = world.move(record_id)
        assert result["pipeline_final_status"] == "PENDING"
        row = world.row(record_id)
        assert (row.audit_result_status, row.is_revisit_due_flag, row.retry_attempt) == (None, True, 0)
        assert (row.count_difference, row.not_before_at, row.dag_run_id) == (2, None, None)
        assert len(world.target.rows) == 5  # nothing is deleted

        # the next publish replaces the range; the source moves again
        assert [found.id for found in world.claim(RUN_2)] == [record_id]
        world.move(record_id, Phase.STAGE_TO_TARGET, RUN_2)
        assert len(world.target.rows) == 7
        world.add_documents(3, hour=3, prefix="later")
        assert world.move(record_id, actor=RUN_2)["pipeline_final_status"] == "COMPLETED"
        row = world.row(record_id)
        assert (row.audit_result_status, row.is_revisit_due_flag, row.count_difference) == ("PASSED", True, 3)
        assert world.events(record_id).count("reopened") == 1

    def test_a_source_that_stands_still_after_reopening_passes_without_the_flag(self) -> None:
        world, record_id = world_with()
        world.move(record_id, Phase.STAGE_TO_TARGET)
        world.add_documents(2, hour=3, prefix="late")
        world.move(record_id)
        world.claim(RUN_2)
        world.move(record_id, actor=RUN_2)
        row = world.row(record_id)
        assert (row.pipeline_final_status, row.is_revisit_due_flag, row.target_count) == (
            "COMPLETED", False, 7,
        )  # fmt: skip

    @pytest.mark.parametrize(
        ("tolerance", "late", "status"),
        [
            ({"rows": 2, "percent": 0}, 2, "COMPLETED"),
            ({"rows": 2, "percent": 0}, 3, "PENDING"),
            ({"rows": 0, "percent": 40}, 2, "COMPLETED"),
            ({"rows": 0, "percent": 39}, 2, "PENDING"),
        ],
    )
    def test_within_the_tolerance_it_passes_at_once(self, tolerance: dict[str, float], late: int, status: str) -> None:
        world, record_id = world_with(late_data_tolerance=tolerance)
        world.move(record_id, Phase.STAGE_TO_TARGET)
        world.add_documents(late, hour=3, prefix="late")
        world.move(record_id)
        row = world.row(record_id)
        assert (row.pipeline_final_status, row.is_revisit_due_flag) == (status, True)

    def test_documents_that_vanish_from_the_source_reopen_too(self) -> None:
        world, record_id = world_with(vanished_data_limit={"rows": 1})
        world.move(record_id, Phase.STAGE_TO_TARGET)
        del world.source.documents["doc-3-0"]
        world.move(record_id)
        assert (world.status(record_id), world.row(record_id).count_difference) == ("PENDING", -1)
        world.claim(RUN_2)
        world.move(record_id, actor=RUN_2)
        assert "doc-3-0" not in world.target_ids()

    def test_a_source_that_shows_less_in_the_middle_of_a_run_takes_nothing_away(self) -> None:
        world, record_id = world_with()
        world.move(record_id, Phase.STAGE_TO_TARGET)
        loaded = world.target_ids()
        hidden = dict(world.source.documents)
        world.source.documents.clear()
        world.move(record_id)
        assert world.status(record_id) == "PENDING"
        for _ in range(world.config.max_retry_task + 1):
            world.at += timedelta(hours=2)
            world.claim(RUN_2)
            with pytest.raises(RowsWouldVanishError, match="would be gone, 0 may go"):
                world.move(record_id, actor=RUN_2)
        assert (world.status(record_id), world.target_ids()) == ("FAILED", loaded)
        world.source.documents = hidden  # cleared after the source was mended
        world.move(record_id, actor=RUN_2)
        assert (world.status(record_id), world.target_ids()) == ("COMPLETED", loaded)

    @pytest.mark.parametrize(("late", "reopened"), [(0, False), (1, True)])
    def test_the_task_is_told(self, late: int, reopened: bool) -> None:
        world, record_id = world_with()
        world.move(record_id, Phase.STAGE_TO_TARGET)
        world.add_documents(late, hour=3, prefix="late")

        def work(attempt: WindowAttempt) -> bool:
            move_until(world.pipeline, attempt, Phase.AUDIT)
            return is_reopened(attempt)

        assert world.run(record_id, work) is reopened


class TestReplacement:
    def test_its_publish_deletes_what_its_predecessors_loaded_and_says_so(self) -> None:
        """Two half hours replace an hour that had been loaded with other rows."""
        world, record_id = world_with()
        world.move(record_id)
        rows = [_half_hour_row(world, 3), _half_hour_row(world, 3.5)]
        first, second = (row.id for row in world.store.replace([record_id], rows, RUN_1, "finer"))
        world.source.documents = {key: document for key, document in world.source.documents.items() if key != "doc-3-4"}
        world.claim(RUN_2)
        world.move(first, actor=RUN_2)
        assert world.row(record_id).target_deletion_done_flag is True
        assert world.target_ids() == [f"doc-3-{n}" for n in range(3)]  # outside its own window, too
        world.move(second, actor=RUN_2)
        assert world.target_ids() == [f"doc-3-{n}" for n in range(4)]
        assert [world.status(i) for i in (first, second)] == ["COMPLETED"] * 2


def _half_hour_row(world: World, hour: float) -> dict[str, Any]:
    return planned_row(world.config.final_config(), window(hour, 0.5), deriving)


def _raise(error: Exception) -> Any:
    def hook() -> None:
        raise error

    return hook


def _nothing() -> None:
    return None


def test_an_empty_window_beside_undated_documents_is_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    """All of them may be undated: a time field that nothing fills makes every window look empty."""
    world, record_id = world_with(rows=0)
    world.source.undated = {"a", "b"}
    world.move(record_id)
    assert world.status(record_id) == "COMPLETED"
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "the window is empty" in line]
    assert "warning" in line
    assert "undated_count=2" in line

"""Which transition may follow which state, what it changes, and how a refusal reads."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.lifecycle.transitions import Transition
from include.pipeline_framework.core.proof.audits import AuditNumbers
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.records.ledger_row import COLUMNS, LedgerRow
from include.pipeline_framework.core.records.row import Actor, Phase, Status
from include.pipeline_framework.errors import (
    FenceLostError,
    IllegalTransitionError,
    LedgerRefusedError,
    WindowFinishedError,
    WindowHeldError,
    WindowInvalidatedError,
)
from tests.doubles.rows import amended, ledger_row

NOW = datetime(2013, 3, 10, 12, tzinfo=UTC)
EARLIER = NOW - timedelta(minutes=5)
RUN = Actor("data_pipeline_main", "run-1", "source_to_stage", 0, 1)
OTHER = Actor("data_pipeline_main", "run-2", "source_to_stage", 0, 1)
TEMPORARY = Actor("data_pipeline_main", "__airflow_temporary_run_2013-03-09T00:00:00+00:00__")
FENCE = 7
SAME = Fingerprint(2, 9)
NUMBERS = AuditNumbers(SAME, SAME, SAME, source_count=2)
STAGED = {
    "stage_location": "p/7",
    "stage_file_count": 1,
    "stage_byte_count": 10,
    "staged_count": 2,
    "staged_fingerprint": 9,
    "quarantined_count": 0,
    "source_count": 2,
}
LOADED = {"loaded_count": 2, "loaded_fingerprint": 9, "deleted_rows": 4}
PROOF = {"source_count": 2, "target_count": 2, "loaded_fingerprint": 9, "receipt_fence": 3}


def pending(**changes: Any) -> LedgerRow:
    return ledger_row(**{"id": 1, "record_inserted_at": EARLIER, "record_last_updated_at": EARLIER, **changes})


def running(**changes: Any) -> LedgerRow:
    """Held by RUN under FENCE, no phase begun."""
    owner = {
        "dag_id": RUN.dag_id,
        "dag_run_id": RUN.dag_run_id,
        "fence": FENCE,
        "pipeline_locked_at": EARLIER,
        "pipeline_start_time": EARLIER,
        "heartbeat_at": EARLIER,
        "pipeline_final_status": Status.IN_PROGRESS,
    }
    return pending(**{**owner, **changes})


def after(row: LedgerRow, *steps: Callable[[LedgerRow], Transition]) -> LedgerRow:
    for step in steps:
        row = amended(row, **step(row).changes)
    return row


def start_extract(row: LedgerRow) -> Transition:
    return transitions.start_source_to_stage(row, FENCE, EARLIER)


def end_extract(row: LedgerRow) -> Transition:
    return transitions.complete_source_to_stage(row, FENCE, NOW, STAGED)


def start_load(row: LedgerRow) -> Transition:
    return transitions.start_stage_to_target(row, FENCE, EARLIER)


def end_load(row: LedgerRow) -> Transition:
    return transitions.complete_stage_to_target(row, FENCE, NOW, LOADED)


def start_audit(row: LedgerRow) -> Transition:
    return transitions.start_audit(row, FENCE, EARLIER)


def pass_audit(row: LedgerRow) -> Transition:
    return transitions.pass_audit(row, FENCE, NOW, NUMBERS, revisit_due=False)


STAGED_ROW = after(running(), start_extract, end_extract)
LOADED_ROW = after(STAGED_ROW, start_load, end_load)
AUDITING_ROW = after(LOADED_ROW, start_audit)
COMPLETED_ROW = after(AUDITING_ROW, pass_audit)

FENCED: dict[str, Callable[[LedgerRow, int], Transition]] = {
    "end_task": lambda row, fence: transitions.end_task(row, fence, NOW),
    "retry_later": lambda row, fence: transitions.retry_later(row, fence, NOW, "503"),
    "start_source_to_stage": lambda row, fence: transitions.start_source_to_stage(row, fence, NOW),
    "complete_source_to_stage": lambda row, fence: transitions.complete_source_to_stage(row, fence, NOW, STAGED),
    "start_stage_to_target": lambda row, fence: transitions.start_stage_to_target(row, fence, NOW),
    "complete_stage_to_target": lambda row, fence: transitions.complete_stage_to_target(row, fence, NOW, LOADED),
    "start_audit": lambda row, fence: transitions.start_audit(row, fence, NOW),
    "pass_audit": lambda row, fence: transitions.pass_audit(row, fence, NOW, NUMBERS, revisit_due=False),
    "reopen_for_late_data": lambda row, fence: transitions.reopen_for_late_data(row, fence, NOW, NUMBERS),
    "fail_audit": lambda row, fence: transitions.fail_audit(row, fence, NOW, NUMBERS, "lost", max_retry_task=3),
    "fail": lambda row, fence: transitions.fail(row, fence, NOW, "boom", max_retry_task=3),
    "skip": lambda row, fence: transitions.skip(row, fence, NOW, PROOF),
}
PHASE_STEPS = sorted(set(FENCED) - {"end_task", "retry_later", "fail"})
ALL_ROWS = {
    "pending": pending(fence=FENCE),
    "running": running(),
    "extracting": after(running(), start_extract),
    "staged": STAGED_ROW,
    "loading": after(STAGED_ROW, start_load),
    "loaded": LOADED_ROW,
    "auditing": AUDITING_ROW,
    "completed": COMPLETED_ROW,
    "failed": running(pipeline_final_status=Status.FAILED),
    "skipped": running(pipeline_final_status=Status.SKIPPED),
}


class TestFence:
    @pytest.mark.parametrize("state", ALL_ROWS)
    @pytest.mark.parametrize("step", FENCED)
    @pytest.mark.parametrize("fence", [FENCE - 1, FENCE + 1])
    def test_any_step_under_another_fence_is_refused(self, state: str, step: str, fence: int) -> None:
        with pytest.raises(FenceLostError, match=f"fence {fence} is no longer the window's: it is {FENCE} now"):
            FENCED[step](ALL_ROWS[state], fence)

    @pytest.mark.parametrize("step", sorted(set(FENCED)))
    def test_any_step_on_an_invalidated_row_is_refused_and_names_the_replacement(self, step: str) -> None:
        row = running(is_invalidated_flag=True, replaced_by_id=42)
        with pytest.raises(WindowInvalidatedError, match=r"while the task ran.*Its replacement is row 42"):
            FENCED[step](row, FENCE)


class TestOrder:
    LEGAL = {  # noqa: RUF012
        ("running", "start_source_to_stage"),
        ("extracting", "start_source_to_stage"),
        ("staged", "start_source_to_stage"),
        ("loading", "start_source_to_stage"),
        ("loaded", "start_source_to_stage"),
        ("auditing", "start_source_to_stage"),
        ("extracting", "complete_source_to_stage"),
        ("staged", "start_stage_to_target"),
        ("loading", "start_stage_to_target"),
        ("loading", "complete_stage_to_target"),
        ("loaded", "start_audit"),
        ("auditing", "start_audit"),
        ("auditing", "pass_audit"),
        ("auditing", "reopen_for_late_data"),
        ("auditing", "fail_audit"),
        ("running", "skip"),
        ("extracting", "skip"),
    }
    REPEATED = {  # noqa: RUF012
        ("staged", "complete_source_to_stage"),
        ("loading", "complete_source_to_stage"),
        ("loaded", "complete_stage_to_target"),
        ("auditing", "complete_stage_to_target"),
        ("completed", "pass_audit"),
        ("skipped", "skip"),
    }

    @pytest.mark.parametrize("state", ALL_ROWS)
    @pytest.mark.parametrize("step", PHASE_STEPS)
    def test_every_pair_of_state_and_step(self, state: str, step: str) -> None:
        row = ALL_ROWS[state]
        if (state, step) in self.LEGAL:
            assert FENCED[step](row, FENCE).changes
        elif (state, step) in self.REPEATED:
            assert FENCED[step](row, FENCE).changes == {}
        else:
            with pytest.raises(IllegalTransitionError) as refusal:
                FENCED[step](row, FENCE)
            assert refusal.value.where == "flights 2013-03-09T05:00:00Z/2013-03-09T06:00:00Z id 1"

    @pytest.mark.parametrize(
        ("state", "step", "message"),
        [
            ("pending", "start_source_to_stage", "the window is PENDING, this step needs IN_PROGRESS"),
            ("failed", "start_audit", "the window is FAILED, this step needs IN_PROGRESS"),
            ("completed", "skip", "the window is COMPLETED, this step needs IN_PROGRESS"),
            ("running", "complete_source_to_stage", "SOURCE_TO_STAGE can't end: source_to_stage_ingestion_status is"),
            ("staged", "complete_stage_to_target", "STAGE_TO_TARGET can't end: .* is PENDING, not IN_PROGRESS"),
            ("loaded", "pass_audit", "AUDIT can't end: audit_process_status is PENDING, not IN_PROGRESS"),
            ("running", "start_stage_to_target", "follows SOURCE_TO_STAGE, the window has phase_completed None"),
            ("staged", "start_audit", "follows STAGE_TO_TARGET, the window has phase_completed SOURCE_TO_STAGE"),
        ],
    )
    def test_a_refusal_names_both_states(self, state: str, step: str, message: str) -> None:
        with pytest.raises(IllegalTransitionError, match=message):
            FENCED[step](ALL_ROWS[state], FENCE)

    def test_a_transition_of_another_claim_is_no_repetition(self) -> None:
        with pytest.raises(FenceLostError):
            transitions.pass_audit(COMPLETED_ROW, FENCE + 1, NOW, NUMBERS, revisit_due=False)


class TestClaim:
    def test_a_pending_row_gets_its_owner(self) -> None:
        row = pending(not_before_at=EARLIER, pipeline_end_time=EARLIER)
        assert transitions.claim(row, RUN, NOW) == Transition(
            "claimed",
            changes={
                "dag_id": "data_pipeline_main",
                "dag_run_id": "run-1",
                "pipeline_locked_at": NOW,
                "pipeline_start_time": NOW,
                "pipeline_end_time": None,
                "heartbeat_at": None,
                "not_before_at": None,
                "pipeline_final_status": "IN_PROGRESS",
            },
        )

    def test_what_the_run_holds_already_stays_as_it_is(self) -> None:
        assert transitions.claim(running(), RUN, NOW).changes == {}

    def test_a_failed_row_starts_over(self) -> None:
        row = running(pipeline_final_status=Status.FAILED, retry_attempt=4)
        assert transitions.claim(row, RUN, NOW).changes["retry_attempt"] == 0
        assert "retry_attempt" not in transitions.claim(pending(retry_attempt=2), RUN, NOW).changes

    @pytest.mark.parametrize(
        ("row", "may"),
        [
            (pending(), True),
            (pending(pipeline_final_status="FAILED"), True),
            (running(), True),
            (running(dag_run_id="run-2"), False),
            (running(dag_id="data_pipeline_other"), False),
            (pending(pipeline_final_status="COMPLETED"), False),
            (pending(pipeline_final_status="SKIPPED"), False),
            (pending(is_invalidated_flag=True), False),
        ],
    )
    def test_who_gets_a_window_back(self, row: LedgerRow, may: bool) -> None:
        assert transitions.may_claim_back(row, RUN) is may

    @pytest.mark.parametrize(
        "row",
        [
            running(dag_run_id="run-2"),
            COMPLETED_ROW,
            running(pipeline_final_status="SKIPPED"),
            pending(is_invalidated_flag=True),
        ],
    )
    def test_no_other_row_is_claimed_whatever_the_store_offers(self, row: LedgerRow) -> None:
        with pytest.raises(IllegalTransitionError, match=f"a window that is {row.pipeline_final_status} can't be"):
            transitions.claim(row, RUN, NOW)


class TestTake:
    def test_a_held_row_is_resumed_under_the_new_fence(self) -> None:
        transition = transitions.take(STAGED_ROW, RUN, 8, NOW)
        assert transition == Transition(
            "taken", changes={"fence": 8, "heartbeat_at": NOW, "pipeline_final_status": "IN_PROGRESS"}
        )

    def test_the_first_take_starts_the_clock_when_the_claim_did_not(self) -> None:
        assert transitions.take(running(pipeline_start_time=None), RUN, 8, NOW).changes["pipeline_start_time"] == NOW

    @pytest.mark.parametrize("status", [Status.PENDING, Status.FAILED])
    def test_a_cleared_task_takes_its_row_back(self, status: Status) -> None:
        row = pending(pipeline_final_status=status, retry_attempt=2, not_before_at=NOW + timedelta(hours=1))
        transition = transitions.take(row, RUN, 8, NOW)
        taken = amended(row, **transition.changes)
        assert (taken.dag_run_id, taken.fence, taken.not_before_at) == ("run-1", 8, None)
        assert (taken.heartbeat_at, taken.pipeline_locked_at) == (NOW, NOW)
        assert taken.retry_attempt == (0 if status is Status.FAILED else 2)
        assert transition.reason == f"taken back while {status}"

    @pytest.mark.parametrize(
        ("row", "actor", "error", "message"),
        [
            (
                running(is_invalidated_flag=True, replaced_by_id=42),
                RUN,
                WindowInvalidatedError,
                "replacement is row 42",
            ),
            (running(is_invalidated_flag=True), RUN, WindowInvalidatedError, r"replacement is row \(none yet\)"),
            (COMPLETED_ROW, RUN, WindowFinishedError, 'is COMPLETED already .*"replace": true'),
            (running(pipeline_final_status="SKIPPED"), RUN, WindowFinishedError, "is SKIPPED already"),
            (running(), OTHER, WindowHeldError, "held by run run-1 of data_pipeline_main .*locked at 2013-03-10T11:55"),
            (running(), TEMPORARY, WindowHeldError, "a temporary test run takes no window"),
            (pending(), TEMPORARY, WindowHeldError, "a temporary test run takes no window"),
        ],
    )
    def test_refusals(self, row: LedgerRow, actor: Actor, error: type[LedgerRefusedError], message: str) -> None:
        with pytest.raises(error, match=message) as refusal:
            transitions.take(row, actor, 8, NOW)
        assert refusal.value.where.endswith("id 1")
        assert refusal.value.remedy


class TestPhases:
    def test_a_new_extract_forgets_what_was_staged_and_audited(self) -> None:
        row = after(amended(AUDITING_ROW, audit_result_status="FAILED"), start_extract)
        assert row.phase_completed is None
        assert [getattr(row, f"{name}_status") for name in ("elt_process", "source_to_stage_ingestion")] == [
            "IN_PROGRESS"
        ] * 2
        assert [getattr(row, f"{name}_status") for name in ("stage_to_target_ingestion", "audit_process")] == [
            "PENDING"
        ] * 2
        assert row.audit_result_status is None

    def test_a_finished_extract(self) -> None:
        transition = end_extract(after(running(), start_extract))
        assert transition.changes["phase_completed"] == Phase.SOURCE_TO_STAGE
        assert transition.changes["heartbeat_at"] is None
        assert {name: transition.changes[name] for name in STAGED} == STAGED
        assert transition.numbers["seconds"] == 300.0

    def test_a_finished_load_reports_the_deletions_it_has_done(self) -> None:
        row = after(STAGED_ROW, start_load)
        transition = transitions.complete_stage_to_target(row, FENCE, NOW, LOADED, [3, 5])
        assert transition.deletion_done_ids == (3, 5)
        assert transition.changes["phase_completed"] == Phase.STAGE_TO_TARGET
        assert transition.changes["elt_process_status"] == "COMPLETED"
        assert "deleted_rows" not in transition.changes
        assert transition.numbers["deleted_rows"] == 4

    @pytest.mark.parametrize("late", [False, True])
    def test_a_passed_audit_completes_the_window(self, late: bool) -> None:
        row = amended(AUDITING_ROW, last_error="503")
        transition = transitions.pass_audit(row, FENCE, NOW, NUMBERS, revisit_due=late)
        done = amended(row, **transition.changes)
        assert (done.pipeline_final_status, done.audit_result_status, done.phase_completed) == (
            "COMPLETED", "PASSED", "AUDIT",
        )  # fmt: skip
        assert (done.is_revisit_due_flag, done.last_error, done.heartbeat_at) == (late, None, None)
        assert (done.target_count, done.pipeline_end_time) == (2, NOW)
        assert bool(transition.reason) is late

    def test_reopening_gives_the_row_back_without_delay_and_deletes_nothing(self) -> None:
        transition = transitions.reopen_for_late_data(AUDITING_ROW, FENCE, NOW, NUMBERS)
        row = amended(AUDITING_ROW, **transition.changes)
        assert (row.pipeline_final_status, row.phase_completed, row.audit_result_status) == (
            "PENDING", None, None,
        )  # fmt: skip
        assert (row.dag_id, row.dag_run_id, row.pipeline_locked_at, row.not_before_at) == (None,) * 4
        assert (row.is_revisit_due_flag, row.retry_attempt) == (True, 0)
        assert transition.deletion_done_ids == ()

    def test_skipping_writes_the_proof(self) -> None:
        row = amended(running(), **transitions.skip(running(last_error="x"), FENCE, NOW, PROOF).changes)
        assert (row.pipeline_final_status, row.elt_process_status, row.audit_process_status) == (
            "SKIPPED", "SKIPPED", "SKIPPED",
        )  # fmt: skip
        assert (row.source_count, row.target_count, row.count_difference, row.last_error) == (2, 2, 0, None)

    @pytest.mark.parametrize("phase", ["SOURCE_TO_STAGE", "STAGE_TO_TARGET"])
    def test_a_window_that_has_begun_to_move_is_not_skipped(self, phase: str) -> None:
        with pytest.raises(IllegalTransitionError, match=phase):
            transitions.skip(running(phase_completed=phase), FENCE, NOW, PROOF)

    def test_late_data_says_so_and_not_an_old_error(self) -> None:
        transition = transitions.reopen_for_late_data(amended(AUDITING_ROW, last_error="503"), FENCE, NOW, NUMBERS)
        assert transition.changes["last_error"] is None

    def test_a_replacement_is_never_skipped(self) -> None:
        with pytest.raises(IllegalTransitionError, match="a replacement is never SKIPPED"):
            transitions.skip(running(is_replacement_run_flag=True), FENCE, NOW, PROOF)


class TestAttempts:
    @pytest.mark.parametrize(
        ("attempts", "retries", "status", "rests"),
        [
            (0, 3, "PENDING", timedelta(minutes=1)),
            (1, 3, "PENDING", timedelta(minutes=2)),
            (2, 3, "PENDING", timedelta(minutes=4)),
            (3, 3, "FAILED", None),
            (0, 0, "FAILED", None),
            (9, 100, "PENDING", timedelta(hours=1)),
        ],
    )
    @pytest.mark.parametrize("step", ["fail", "fail_audit", "take_over"])
    def test_an_attempt_is_counted_and_bounded(
        self, step: str, attempts: int, retries: int, status: str, rests: timedelta | None
    ) -> None:
        row = amended(AUDITING_ROW, retry_attempt=attempts)
        if step == "fail":
            transition = transitions.fail(row, FENCE, NOW, "boom", max_retry_task=retries)
        elif step == "fail_audit":
            transition = transitions.fail_audit(row, FENCE, NOW, NUMBERS, "boom", max_retry_task=retries)
        else:
            transition = transitions.take_over(row, NOW, "boom", max_retry_task=retries)
        spent = amended(row, **transition.changes)
        assert (spent.pipeline_final_status, spent.retry_attempt) == (status, attempts + 1)
        assert spent.not_before_at == (NOW + rests if rests else None)
        assert (spent.dag_id, spent.dag_run_id, spent.pipeline_locked_at) == (None, None, None)
        assert spent.heartbeat_at is None
        assert spent.pipeline_end_time == (NOW if status == "FAILED" else row.pipeline_end_time)
        assert (transition.reason, transition.numbers["retry_attempt"]) == ("boom", attempts + 1)

    @pytest.mark.parametrize(
        ("row", "phase", "stopped"),
        [
            (running(), None, {}),
            (after(running(), start_extract), None, {"source_to_stage_ingestion_status", "elt_process_status"}),
            (STAGED_ROW, "SOURCE_TO_STAGE", set()),
            (after(STAGED_ROW, start_load), "SOURCE_TO_STAGE", {"stage_to_target_ingestion_status",
                                                                 "elt_process_status"}),
            (LOADED_ROW, "STAGE_TO_TARGET", set()),
            (AUDITING_ROW, "STAGE_TO_TARGET", {"audit_process_status"}),
        ],
    )  # fmt: skip
    def test_a_failure_keeps_the_phase_and_marks_the_one_that_stopped(
        self, row: LedgerRow, phase: str | None, stopped: set[str]
    ) -> None:
        for transition in (
            transitions.fail(row, FENCE, NOW, "boom", max_retry_task=3),
            transitions.take_over(row, NOW, "boom", max_retry_task=3),
        ):
            spent = amended(row, **transition.changes)
            assert spent.phase_completed == phase
            assert {name for name in COLUMNS if name.endswith("_status") and getattr(spent, name) == "FAILED"} == set(
                stopped
            )

    def test_a_failed_audit_keeps_no_phase(self) -> None:
        transition = transitions.fail_audit(AUDITING_ROW, FENCE, NOW, NUMBERS, "lost", max_retry_task=3)
        row = amended(AUDITING_ROW, **transition.changes)
        assert (row.phase_completed, row.audit_result_status, row.audit_process_status) == (
            None, "FAILED", "FAILED",
        )  # fmt: skip
        assert (row.elt_process_status, row.target_count, row.last_error) == ("PENDING", 2, "lost")

    @pytest.mark.parametrize("status", ["PENDING", "FAILED", "COMPLETED", "SKIPPED"])
    def test_a_failure_after_the_audits_own_outcome_changes_nothing(self, status: str) -> None:
        row = running(pipeline_final_status=status)
        assert transitions.fail(row, FENCE, NOW, "boom", max_retry_task=3).changes == {}

    @pytest.mark.parametrize("status", ["PENDING", "FAILED", "COMPLETED", "SKIPPED"])
    def test_only_a_running_window_is_taken_over(self, status: str) -> None:
        with pytest.raises(IllegalTransitionError, match=f"only an IN_PROGRESS window.*this one is {status}"):
            transitions.take_over(running(pipeline_final_status=status), NOW, "gone", max_retry_task=3)

    def test_a_take_over_tells_who_held_it_and_for_how_long(self) -> None:
        numbers = transitions.take_over(running(), NOW, "gone", max_retry_task=3).numbers
        assert numbers == {
            "dag_id": "data_pipeline_main",
            "dag_run_id": "run-1",
            "pipeline_locked_at": EARLIER,
            "heartbeat_at": EARLIER,
            "held_seconds": 300.0,
            "retry_attempt": 1,
        }

    def test_a_try_that_is_repeated_counts_nothing(self) -> None:
        transition = transitions.retry_later(AUDITING_ROW, FENCE, NOW, "503")
        assert transition == Transition("try_failed", {"heartbeat_at": None, "last_error": "503"}, "503")

    def test_the_reasons_of_all_attempts_are_kept(self) -> None:
        """Also when tries that Airflow repeated lie between them."""
        row = running()
        for attempt in (1, 2, 3):
            row = amended(row, **transitions.retry_later(row, FENCE, NOW, f"try {attempt}").changes)
            row = amended(row, **transitions.fail(row, FENCE, NOW, f"end {attempt}", max_retry_task=2).changes)
            if attempt < 3:
                row = amended(row, **transitions.take(row, RUN, FENCE, NOW).changes)
        assert row.pipeline_final_status == "FAILED"
        assert [f"end {n}" in row.last_error.splitlines() for n in (1, 2, 3)] == [True] * 3

    def test_a_window_that_an_operator_starts_over_forgets_the_old_reasons(self) -> None:
        row = running(pipeline_final_status=Status.FAILED, retry_attempt=3, last_error="old")
        row = amended(row, **transitions.take(row, RUN, FENCE, NOW).changes)
        assert transitions.fail(row, FENCE, NOW, "new", max_retry_task=3).changes["last_error"] == "new"

    @pytest.mark.parametrize(("heartbeat", "changes"), [(EARLIER, {"heartbeat_at": None}), (None, {})])
    def test_the_end_of_a_task_stops_its_lease(self, heartbeat: datetime | None, changes: dict[str, Any]) -> None:
        assert transitions.end_task(running(heartbeat_at=heartbeat), FENCE, NOW).changes == changes

    @pytest.mark.parametrize(
        ("attempt", "minutes"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 16), (6, 32), (7, 60), (8, 60), (10_000, 60)]
    )
    def test_the_delay_doubles_up_to_an_hour(self, attempt: int, minutes: int) -> None:
        assert transitions.retry_delay(attempt) == timedelta(minutes=minutes)

    @given(st.integers(1, 10**6))
    def test_the_delay_never_shrinks(self, attempt: int) -> None:
        assert transitions.retry_delay(attempt) <= transitions.retry_delay(attempt + 1) <= timedelta(hours=1)


class TestReplacing:
    @pytest.mark.parametrize("status", ["PENDING", "FAILED", "COMPLETED", "SKIPPED"])
    def test_a_resting_row_is_invalidated(self, status: str) -> None:
        transition = transitions.invalidate(pending(pipeline_final_status=status), NOW, "reload")
        assert transition == Transition("invalidated", {"is_invalidated_flag": True}, "reload")

    def test_a_running_row_is_not(self) -> None:
        with pytest.raises(WindowHeldError, match="held by run run-1"):
            transitions.invalidate(running(), NOW, "reload")

    def test_an_invalidated_row_only_learns_its_replacement(self) -> None:
        row = pending(is_invalidated_flag=True)
        assert transitions.invalidate(row, NOW, "reload", 42).changes == {"replaced_by_id": 42}
        assert transitions.invalidate(row, NOW, "reload").changes == {}

    def test_replacements_in_the_way_of_others_are_named(self) -> None:
        transitions.require_replacements([])
        with pytest.raises(IllegalTransitionError, match="that start at 2013-03-09T05:00:00Z overlap live rows"):
            transitions.require_replacements([pending().as_record()])

    def test_each_old_row_gets_the_first_replacement_that_overlaps_it(self) -> None:
        def hours(start: int, end: int, record_id: int) -> LedgerRow:
            day = datetime(2013, 3, 9, tzinfo=UTC)
            times = [day + timedelta(hours=hour) for hour in (start, end)]
            return ledger_row(id=record_id, query_window_start_at=times[0], query_window_end_at=times[1])

        old = [hours(0, 2, 1), hours(2, 3, 2), hours(5, 6, 3)]
        new = [hours(0, 1, 11), hours(1, 3, 12)]
        pairs = [(one.id, other.id) for one, other in transitions.pair_replacements(old, new)]
        assert pairs == [(1, 11), (2, 12)]


class TestActor:
    def test_it_prints_for_people(self) -> None:
        assert str(RUN) == "data_pipeline_main/run-1/source_to_stage[0] try 1"
        assert str(Actor("cli", "me")) == "cli/me/ try 0"

    @pytest.mark.parametrize(
        ("actor", "temporary"), [(RUN, False), (TEMPORARY, True), (Actor("d", "manual__x"), False)]
    )
    def test_a_test_run_is_known_by_its_prefix(self, actor: Actor, temporary: bool) -> None:
        assert actor.is_temporary is temporary

    def test_a_run_owns_a_window_whatever_its_task(self) -> None:
        assert running().is_held_by(Actor("data_pipeline_main", "run-1", "audit", 5, 9))
        assert not running().is_held_by(OTHER)
        assert not running().is_held_by(Actor("data_pipeline_other", "run-1"))

"""What may be reported of a window that another system has moved, and what the row becomes."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.lifecycle.external_reports import (
    LONGEST_FAILURE,
    ExternalReport,
    decide,
    parse_report,
    says_the_same,
)
from include.pipeline_framework.core.lifecycle.transitions import Transition
from include.pipeline_framework.core.proof.audits import LateDataTolerance
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.errors import FenceLostError, IllegalTransitionError, InvalidInputError
from tests.doubles.rows import ledger_row

NOW = datetime(2013, 3, 12, tzinfo=UTC)
STRICT = LateDataTolerance()


def row(**changes: Any) -> LedgerRow:
    """A row that was taken for a report, or what `changes` say."""
    return ledger_row(**{"source_object": "lake", "fence": 3, "pipeline_final_status": "IN_PROGRESS", **changes})


def decided(report: ExternalReport, tolerance: LateDataTolerance = STRICT, **changes: Any) -> Transition:
    return decide(row(**changes), 3, NOW, report, tolerance, max_retry_task=2, replaced_ids=(4,))


@pytest.mark.parametrize(
    ("given_", "says"),
    [
        ((1, None, None, None), "target_count is missing beside the other count"),
        ((None, 1, None, None), "source_count is missing"),
        ((-1, 1, None, None), "source_count is -1"),
        ((1, -1, None, None), "target_count is -1"),
        ((1.0, 1, None, None), r"source_count is 1\.0"),
        ((True, 1, None, None), "source_count is True"),
        (("1", 1, None, None), "source_count is '1'"),
        ((2**63, 1, None, None), "source_count is 9223372036854775808"),
        ((1, 1, "no", None), "failed and counts at once"),
        ((None, None, "", None), "failed is ''"),
        ((None, None, " ", None), "failed is ' '"),
        ((None, None, 7, None), "failed is 7"),
        ((None, None, None, ""), "job_id is ''"),
        ((None, None, None, 7), "job_id is 7"),
        ((None, None, None, "a\0b"), "can't be kept"),
        ((None, None, None, "x" * 251), "can't be kept"),
    ],
)
def test_what_is_no_report(given_: tuple[Any, Any, Any, Any], says: str) -> None:
    with pytest.raises(InvalidInputError, match=says) as caught:
        parse_report(*given_, where="lake")
    assert caught.value.where == "lake"
    assert caught.value.remedy


def test_reports() -> None:
    assert parse_report(0, 0, None, None, "") == ExternalReport(0, 0)
    assert parse_report(None, None, None, " job 1 ", "") == ExternalReport(job_id="job 1")
    long = parse_report(None, None, "a\0" + "x" * 9_999, None, "")
    assert long.failed.startswith("a\\x00x")
    assert len(long.failed) < LONGEST_FAILURE + 50


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(0, 50), st.integers(0, 100))
def test_completed_is_exactly_what_the_tolerance_allows(source: int, target: int, rows: int, percent: int) -> None:
    transition = decided(ExternalReport(source, target), LateDataTolerance(rows, percent))
    is_fine = abs(source - target) <= rows or abs(source - target) <= source * percent / 100
    assert transition.event == ("completed" if is_fine else "audit_failed")
    changes = transition.changes
    assert changes["count_difference"] == source - target
    assert changes["audit_result_status"] == ("PASSED" if is_fine else "FAILED")
    # what the table's CHECK demands
    assert (changes["pipeline_final_status"] == "COMPLETED") == is_fine == (changes["phase_completed"] == "AUDIT")


def test_equal_counts_complete_it() -> None:
    transition = decided(ExternalReport(5, 5, job_id="j"))
    assert transition.changes == {
        "job_id": "j",
        "source_count": 5,
        "target_count": 5,
        "count_difference": 0,
        "percentage_difference": Decimal(0),
        "elt_process_status": "COMPLETED",
        "source_to_stage_ingestion_status": "COMPLETED",
        "stage_to_target_ingestion_status": "COMPLETED",
        "audit_process_status": "COMPLETED",
        "audit_result_status": "PASSED",
        "audit_start_time": NOW,
        "audit_end_time": NOW,
        "phase_completed": "AUDIT",
        "pipeline_final_status": "COMPLETED",
        "is_revisit_due_flag": False,
        "pipeline_end_time": NOW,
        "heartbeat_at": None,
        "last_error": None,
    }
    assert transition.numbers == {"source_count": 5, "target_count": 5, "job_id": "j"}
    assert transition.deletion_done_ids == (4,)


def test_a_tolerated_difference_is_told() -> None:
    transition = decided(ExternalReport(100, 98), LateDataTolerance(percent=2))
    assert transition.changes["percentage_difference"] == Decimal(2)
    assert transition.reason == "its system counted 100 rows at the source and 98 at the target, within tolerance"


def test_a_difference_spends_an_attempt_and_the_last_one_stays_failed() -> None:
    first, last = (decided(ExternalReport(3, 2), retry_attempt=attempt) for attempt in (0, 2))
    assert first.changes["pipeline_final_status"] == "PENDING"
    assert (first.changes["dag_run_id"], first.changes["heartbeat_at"]) == (None, None)
    assert first.changes["not_before_at"] > NOW
    assert (last.changes["pipeline_final_status"], last.changes["retry_attempt"]) == ("FAILED", 3)
    assert last.changes["last_error"] == "its system counted 3 rows at the source and 2 at the target"
    assert last.deletion_done_ids == ()


def test_without_counts_it_is_skipped_and_says_that_nobody_audited_it() -> None:
    transition = decided(ExternalReport(), audit_result_status="FAILED", source_count=3)
    assert transition.event == "skipped"
    assert transition.reason.startswith("not audited")
    changes = transition.changes
    assert (changes["pipeline_final_status"], changes["audit_process_status"]) == ("SKIPPED", "SKIPPED")
    assert (changes["elt_process_status"], changes["phase_completed"]) == ("COMPLETED", None)
    assert (changes["source_count"], changes["audit_result_status"]) == (None, None)


def test_a_failure_spends_an_attempt() -> None:
    transition = decided(ExternalReport(failed="out of disk", job_id="j"), source_count=3, audit_result_status="FAILED")
    assert transition.event == "failed"
    changes = transition.changes
    assert (changes["pipeline_final_status"], changes["retry_attempt"]) == ("PENDING", 1)
    assert (changes["elt_process_status"], changes["audit_result_status"]) == ("FAILED", None)
    assert (changes["last_error"], changes["job_id"]) == ("reported as failed: out of disk", "j")
    assert changes["source_count"] is None


@pytest.mark.parametrize(
    "report", [ExternalReport(1, 1), ExternalReport(1, 0), ExternalReport(), ExternalReport(failed="x")]
)
def test_only_the_start_that_holds_it_may_decide(report: ExternalReport) -> None:
    with pytest.raises(FenceLostError):
        decided(report, fence=4)
    with pytest.raises(IllegalTransitionError):
        decided(report, pipeline_final_status="PENDING")


DONE = {"pipeline_final_status": "COMPLETED", "source_count": 3, "target_count": 3, "job_id": "j"}
TRIED = {"pipeline_final_status": "PENDING", "retry_attempt": 1, "job_id": "j"}


@pytest.mark.parametrize(
    ("changes", "report", "same"),
    [
        (DONE, ExternalReport(3, 3, job_id="j"), True),
        (DONE, ExternalReport(3, 3), True),
        (DONE, ExternalReport(), True),
        (DONE, ExternalReport(3, 4), False),
        (DONE, ExternalReport(failed="x"), False),
        (
            DONE | {"pipeline_final_status": "SKIPPED", "source_count": None, "target_count": None},
            ExternalReport(),
            True,
        ),
        (
            DONE | {"pipeline_final_status": "SKIPPED", "source_count": None, "target_count": None},
            ExternalReport(3, 3),
            False,
        ),
        (
            TRIED | {"last_error": "reported as failed: a\nreported as failed: x"},
            ExternalReport(failed="x", job_id="j"),
            True,
        ),
        (TRIED | {"last_error": "reported as failed: x"}, ExternalReport(failed="x", job_id="other"), False),
        (TRIED | {"last_error": "reported as failed: x"}, ExternalReport(failed="y", job_id="j"), False),
        (TRIED | {"last_error": "reported as failed: x"}, ExternalReport(job_id="j"), False),
        (
            TRIED | {"source_count": 3, "target_count": 2, "audit_result_status": "FAILED"},
            ExternalReport(3, 2, job_id="j"),
            True,
        ),
        (
            TRIED | {"source_count": 3, "target_count": 2, "audit_result_status": "FAILED"},
            ExternalReport(3, 3, job_id="j"),
            False,
        ),
        ({"pipeline_final_status": "PENDING"}, ExternalReport(), False),
        ({"pipeline_final_status": "IN_PROGRESS"}, ExternalReport(), False),
    ],
)
def test_what_is_the_same_again(changes: dict[str, Any], report: ExternalReport, same: bool) -> None:
    assert says_the_same(row(**changes), report) is same

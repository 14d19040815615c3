"""Judge what another system reports of a window that it has moved, and decide what the ledger's row becomes.

The system counts and this module audits: only counts that are equal, or differ within the pipeline's tolerance, make
the window COMPLETED. Without counts it is SKIPPED: its system says that it is done, and nobody has audited it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.lifecycle.transitions import Transition
from include.pipeline_framework.core.proof.audits import LateDataTolerance, percentage_of
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Phase, Status
from include.pipeline_framework.core.texts import is_storable, shown, storable
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import InvalidInputError

MAX_ROWS = 2**63 - 1
"""The greatest count that the ledger's columns can hold."""

LONGEST_JOB_ID = 250
LONGEST_FAILURE = 2_000

_FAILED = "reported as failed: "
_UNAUDITED = "not audited: its system reported it as done without counts"


@dataclass(frozen=True, slots=True)
class ExternalReport:
    """One checked report.

    Attributes:
        source_count, target_count: Rows at both ends; either both are given or none.
        failed: Why the window could not be moved; empty when it was.
        job_id: Id of the job that moved it.
    """

    source_count: int | None = None
    target_count: int | None = None
    failed: str = ""
    job_id: str | None = None

    @property
    def has_counts(self) -> bool:
        """True when there are counts to audit."""
        return self.source_count is not None


def parse_report(source_count: Any, target_count: Any, failed: Any, job_id: Any, where: str) -> ExternalReport:
    """Check the values of a report; None means that a value was not given.

    Raises:
        InvalidInputError: A value is not allowed, or the values don't go together; nothing was written.
    """
    counts = {"source_count": source_count, "target_count": target_count}
    for name, value in counts.items():
        if value is not None and (type(value) is not int or not 0 <= value <= MAX_ROWS):
            raise _refused(f"{name} is {shown(value)}", "Give a whole number of rows, from 0.", where)
    missing = [name for name, value in counts.items() if value is None]
    if len(missing) == 1:
        raise _refused(
            f"{missing[0]} is missing beside the other count", "Give both: one count alone proves nothing.", where
        )
    for name, value in (("failed", failed), ("job_id", job_id)):
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise _refused(f"{name} is {shown(value)}", "Give a text, or leave it out.", where)
    if failed is not None and not missing:
        raise _refused("failed and counts at once", "Report how it ended: counts, or why it failed.", where)
    if job_id is not None and (len(job_id) > LONGEST_JOB_ID or not is_storable(job_id)):
        raise _refused(f"job_id {shown(job_id)} can't be kept", f"Give at most {LONGEST_JOB_ID} characters.", where)
    reason = storable(failed.strip(), LONGEST_FAILURE) if failed else ""
    return ExternalReport(source_count, target_count, reason, job_id.strip() if job_id else None)


def decide(
    row: LedgerRow,
    fence: int,
    now: datetime,
    report: ExternalReport,
    tolerance: LateDataTolerance,
    *,
    max_retry_task: int,
    replaced_ids: Sequence[int] = (),
) -> Transition:
    """Return the transition that a report means for a row that was taken for it.

    Args:
        row: The row as it is now, IN_PROGRESS under the reporter's fence.
        fence: The reporter's fence.
        now: The ledger's clock.
        report: The checked report.
        tolerance: How far both counts may differ; its percent is of the source's rows.
        max_retry_task: Number of failures after which the window stays FAILED.
        replaced_ids: Rows that it replaces: equal counts show that the data which those had loaded is deleted.

    Raises:
        LedgerRefusedError: Another start owns the row by now.
    """
    transitions.require_running(row, fence)
    if report.failed:
        return _failed(row, fence, now, report, f"{_FAILED}{report.failed}", max_retry_task=max_retry_task)
    if report.source_count is None or report.target_count is None:
        return _unaudited(now, report)
    difference = report.source_count - report.target_count
    told = f"its system counted {report.source_count} rows at the source and {report.target_count} at the target"
    if not tolerance.allows(difference, report.source_count):
        return _audit_failed(row, fence, now, report, told, max_retry_task=max_retry_task)
    changes = {
        **_columns(report),
        **_done(now),
        "audit_process_status": Status.COMPLETED,
        "audit_result_status": "PASSED",
        "audit_start_time": now,
        "audit_end_time": now,
        "phase_completed": Phase.AUDIT,
        "pipeline_final_status": Status.COMPLETED,
    }
    reason = f"{told}, within tolerance" if difference else ""
    return Transition("completed", changes, reason, _numbers(report), tuple(replaced_ids))


def says_the_same(row: LedgerRow, report: ExternalReport) -> bool:
    """True when a row already says what a report says, so that reporting it again changes nothing.

    A report that only says "done" does not contradict a finished window. A failure counts as another one when its job
    or its text differs.
    """
    counts = (row.source_count, row.target_count) == (report.source_count, report.target_count)
    if row.is_finished:
        return not report.failed and (counts or not report.has_counts)
    if row.pipeline_final_status == Status.IN_PROGRESS or row.job_id != report.job_id or not row.retry_attempt:
        return False
    if report.failed:
        return (row.last_error or "").endswith(f"{_FAILED}{report.failed}")
    return report.has_counts and counts and row.audit_result_status == "FAILED"


def nearest(windows: Iterable[TimeWindow], asked: TimeWindow, most: int = 3) -> list[TimeWindow]:
    """Return the planned windows that were probably meant: those whose starts are nearest, in order.

    >>> from datetime import UTC, timedelta
    >>> hours = [datetime(2013, 3, 9, hour, tzinfo=UTC) for hour in range(9)]
    >>> found = nearest([TimeWindow(hour, hour + timedelta(hours=1)) for hour in hours], TimeWindow(hours[5], hours[7]))
    >>> [window.start.hour for window in found]
    [4, 5, 6]
    """
    return sorted(sorted(windows, key=lambda window: (abs(window.start - asked.start), window))[:most])


def _failed(
    row: LedgerRow, fence: int, now: datetime, report: ExternalReport, reason: str, *, max_retry_task: int
) -> Transition:
    failed = transitions.fail(row, fence, now, reason, max_retry_task=max_retry_task)
    changes = {**_columns(report), **failed.changes, "elt_process_status": Status.FAILED}
    return replace(failed, changes=changes, numbers={**failed.numbers, **_numbers(report)})


def _audit_failed(
    row: LedgerRow, fence: int, now: datetime, report: ExternalReport, reason: str, *, max_retry_task: int
) -> Transition:
    failed = transitions.fail(row, fence, now, reason, max_retry_task=max_retry_task)
    audited = {
        "audit_process_status": Status.FAILED,
        "audit_result_status": "FAILED",
        "audit_start_time": now,
        "audit_end_time": now,
    }
    changes = {**_columns(report), **failed.changes, **audited}
    return replace(failed, event="audit_failed", changes=changes, numbers={**failed.numbers, **_numbers(report)})


def _unaudited(now: datetime, report: ExternalReport) -> Transition:
    changes = {
        **_columns(report),
        **_done(now),
        "audit_process_status": Status.SKIPPED,
        "pipeline_final_status": Status.SKIPPED,
    }
    return Transition("skipped", changes, _UNAUDITED, _numbers(report))


def _columns(report: ExternalReport) -> dict[str, Any]:
    """Return the columns that every report writes: its own figures, with those of an earlier report cleared."""
    difference = None
    if report.source_count is not None and report.target_count is not None:
        difference = report.source_count - report.target_count
    return {
        "job_id": report.job_id,
        "source_count": report.source_count,
        "target_count": report.target_count,
        "count_difference": difference,
        "percentage_difference": None if difference is None else percentage_of(difference, report.source_count or 0),
        "elt_process_status": Status.PENDING,
        "source_to_stage_ingestion_status": Status.PENDING,
        "stage_to_target_ingestion_status": Status.PENDING,
        "audit_process_status": Status.PENDING,
        "audit_result_status": None,
        "audit_start_time": None,
        "audit_end_time": None,
        "phase_completed": None,
    }


def _done(now: datetime) -> dict[str, Any]:
    return {
        "elt_process_status": Status.COMPLETED,
        "source_to_stage_ingestion_status": Status.COMPLETED,
        "stage_to_target_ingestion_status": Status.COMPLETED,
        "is_revisit_due_flag": False,
        "pipeline_end_time": now,
        "heartbeat_at": None,
        "last_error": None,
    }


def _numbers(report: ExternalReport) -> dict[str, Any]:
    figures = {"source_count": report.source_count, "target_count": report.target_count, "job_id": report.job_id}
    return {name: value for name, value in figures.items() if value is not None}


def _refused(what: str, remedy: str, where: str) -> InvalidInputError:
    return InvalidInputError(what, where=where, meaning="Nothing was written", remedy=remedy)

"""Move windows source → stage → target → audit: each phase starts where the ledger says the last one ended.

`move_until` does all phases up to and including one, `move_all_until` does so for several windows. So a task that is
cleared alone resumes from the manifest or from the start, whatever an earlier attempt left, and in a normal run a task
finds the phases before its own done.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any

from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.proof import audits
from include.pipeline_framework.core.proof.audits import AuditNumbers, AuditOutcome, LateDataTolerance
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.vanishing import VanishedDataLimit
from include.pipeline_framework.core.records.row import Phase, Status
from include.pipeline_framework.core.texts import storable
from include.pipeline_framework.errors import (
    AuditFailedError,
    BadDocumentError,
    LedgerRefusedError,
    PipelineError,
    RowsWouldVanishError,
    TargetBusyError,
    TornStageError,
    TransientError,
)
from include.pipeline_framework.ports.stage import Manifest, StageRequest
from include.pipeline_framework.ports.target import PublishRequest, PublishResult
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.window_attempt import LONGEST_REASON, WindowAttempt, change_all

SHORT_WAIT_SECONDS = 15.0
"""How long a task waits on its worker while one and the same publish has the table, unless its load took longer: then
as long as that. After it the task comes back later, and loads again."""

LONGEST_WAIT = timedelta(minutes=20)
"""Counted since the window was staged; a task that has waited longer publishes without a turn."""


def move_until(pipeline: Pipeline, attempt: WindowAttempt, phase: Phase) -> dict[str, Any]:
    """Do every phase up to and including `phase` that the ledger doesn't call complete; return small numbers.

    Raises:
        AuditFailedError: The audit found corruption; target rows are deleted, the row is back at PENDING or FAILED.
        PipelineError: A phase failed; the row keeps the phases that were complete.
    """
    (outcome,) = move_all_until(pipeline, [attempt], phase)
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def move_all_until(
    pipeline: Pipeline, attempts: Sequence[WindowAttempt], phase: Phase
) -> list[dict[str, Any] | Exception]:
    """Do for several windows as `move_until` does for one; those that are staged are published together.

    Returns:
        The numbers or the error of each window, in their order; an error stops no window beside it.
    """
    errors: dict[int, Exception] = {}
    manifests: dict[int, Manifest] = {}

    def each(do: Callable[[WindowAttempt], None]) -> None:
        for attempt in attempts:
            if attempt.row.id not in errors:
                try:
                    do(attempt)
                except Exception as error:  # noqa: BLE001 - it is this window's outcome, and the caller's to raise
                    errors[attempt.row.id] = error

    def stage(attempt: WindowAttempt) -> None:
        if attempt.row.phase_completed in (None, Phase.SOURCE_TO_STAGE):
            manifests[attempt.row.id] = _staged(pipeline, attempt)

    def left() -> list[WindowAttempt]:
        return [attempt for attempt in attempts if attempt.row.id not in errors]

    each(stage)
    if phase is not Phase.SOURCE_TO_STAGE:
        errors |= _publish(pipeline, [attempt for attempt in left() if attempt.row.id in manifests], manifests)
    if phase is Phase.AUDIT:
        errors |= change_all(left(), transitions.start_audit)
        with pipeline.target.connected():
            each(lambda attempt: _audit(pipeline, attempt))
    return [errors.get(attempt.row.id) or _numbers(attempt) for attempt in attempts]


def _numbers(attempt: WindowAttempt) -> dict[str, Any]:
    names = ("staged_count", "loaded_count", "source_count", "target_count", "phase_completed", "pipeline_final_status")
    return {name: getattr(attempt.row, name) for name in names}


def _staged(pipeline: Pipeline, attempt: WindowAttempt) -> Manifest:
    """Return the manifest of this window: an earlier attempt's when it is whole, else a new extract's."""
    before = attempt.row.stage_location
    if before is not None and attempt.row.phase_completed == Phase.SOURCE_TO_STAGE:
        try:
            manifest = pipeline.stage.read_manifest(before)
        except TornStageError as error:
            attempt.log.warning("extracting again", reason=str(error))
        else:
            attempt.log.info("resuming from the manifest", location=before)
            return manifest
    attempt.change(transitions.start_source_to_stage)
    row = attempt.row
    request = StageRequest(
        lifecycle_id=row.id,
        source_object=row.source_object,
        target_day=row.target_day.isoformat(),
        window=attempt.window,
        fence=attempt.fence,
    )
    with attempt.step("extracted and staged"), pipeline.source.extract(attempt.window) as extract:
        manifest = pipeline.stage.write(request, extract, on_bad_document=pipeline.config.on_bad_document)
    attempt.change(transitions.complete_source_to_stage, manifest.columns())
    if before and before != manifest.location:
        pipeline.stage.delete(before)
    return manifest


@contextmanager
def _turn_at_the_table(pipeline: Pipeline, attempts: Sequence[WindowAttempt], started: float) -> Iterator[None]:
    """Take turns where a publish locks the whole table: wait here for a short time, for a longer one without a worker.

    The task waits here while turns pass on, also on a slow machine: to come back later costs a new process and the load
    into the private table, so it waits for one holder at least as long as its own load took. A turn is a courtesy. A
    task whose windows have waited for long publishes without it: so a holder that froze stops nobody.

    Args:
        pipeline: Says whether its target locks the table.
        attempts: The windows that are published together.
        started: When the publish began, in seconds of the monotonic clock.

    Raises:
        TargetBusyError: One holder had the table all the time; nothing failed.
    """
    config = pipeline.config
    if not pipeline.target.locks_table:
        yield
        return
    table = f"{config.target_name} {config.target_object or config.source_object}"
    times = [attempt.row.source_to_stage_ingestion_end_time for attempt in attempts]
    staged_at = min((time for time in times if time is not None), default=None)
    is_patient = staged_at is None or pipeline.store.now() - staged_at < LONGEST_WAIT
    holder, waited_since = None, time.monotonic()
    patience = max(SHORT_WAIT_SECONDS, waited_since - started)
    while True:
        with pipeline.store.table_lock(table) as is_free:
            if is_free or not is_patient:
                if not is_free:
                    attempts[0].log.warning("publishing without a turn", table=table, staged_at=staged_at)
                yield
                return
        if (now_held_by := pipeline.store.table_holder(table)) != holder:
            holder, waited_since = now_held_by, time.monotonic()
        if time.monotonic() - waited_since > patience:
            raise TargetBusyError(
                f"another window is publishing into {table}",
                where=attempts[0].row.where,
                meaning="Publishes take turns there; the staged files wait, nothing failed",
                remedy="Nothing: the task comes back by itself.",
            )
        time.sleep(random.uniform(0.1, 0.3))  # noqa: S311 - so that waiting tasks don't all come at once


def _publish(
    pipeline: Pipeline, attempts: Sequence[WindowAttempt], manifests: Mapping[int, Manifest]
) -> dict[int, Exception]:
    """Publish the staged windows together; return the errors."""
    errors = change_all(attempts, transitions.start_stage_to_target)
    publishing, requests = list[WindowAttempt](), list[PublishRequest]()
    for attempt in attempts:
        row = attempt.row
        if row.id not in errors:
            try:
                replaced = pipeline.store.replaced_windows(row.id)
            except PipelineError as error:
                errors[row.id] = error
                continue
            requests.append(
                PublishRequest(
                    manifests[row.id],
                    attempt.fence,
                    row.id,
                    replaced,
                    ids_repeat=pipeline.config.ids_repeat,
                    removable=_removable(pipeline, attempt),
                )
            )
            publishing.append(attempt)
    if not requests:
        return errors
    started = time.monotonic()
    loaded: dict[int, tuple[dict[str, Any], tuple[int, ...]]] = {}
    for attempt, request, outcome in zip(publishing, requests, _outcomes(pipeline, publishing, requests), strict=True):
        attempt.log_step("published", started, outcome if isinstance(outcome, Exception) else None)
        if isinstance(outcome, Exception):
            errors[attempt.row.id] = _discarded(attempt, outcome)
        else:
            loaded[attempt.row.id] = _figures(outcome), tuple(request.replaced)
    written = [attempt for attempt in publishing if attempt.row.id in loaded]
    return errors | change_all(written, transitions.complete_stage_to_target, lambda attempt: loaded[attempt.row.id])


def _outcomes(
    pipeline: Pipeline, attempts: Sequence[WindowAttempt], requests: Sequence[PublishRequest]
) -> Sequence[PublishResult | Exception]:
    target, started = pipeline.target, time.monotonic()
    try:
        with target.connected():
            target.prepare(requests[0].manifest.source_object)
            turn = partial(_turn_at_the_table, pipeline, attempts, started)
            return target.publish(requests, pipeline.stage, turn=turn)
    except Exception as error:  # noqa: BLE001 - it is every window's outcome, and the caller's to raise
        return [error] * len(requests)


def _discarded(attempt: WindowAttempt, error: Exception) -> Exception:
    """Discard the stage of a window whose rows are refused; return the error, or that of writing this."""
    if isinstance(error, BadDocumentError | RowsWouldVanishError):
        # only a corrected source helps: a task that resumed from these files would always be refused
        return change_all([attempt], transitions.discard_stage, lambda _: [storable(error.what, LONGEST_REASON)]).get(
            attempt.row.id, error
        )
    return error


def _figures(result: PublishResult) -> dict[str, Any]:
    return {
        "loaded_count": result.loaded.rows,
        "loaded_fingerprint": result.loaded.hash_sum,
        "deleted_rows": result.deleted_rows,
        "already_received": result.already_received,
    }


def _fingerprint(rows: int | None, hash_sum: int | None) -> Fingerprint | None:
    return None if rows is None or hash_sum is None else Fingerprint(rows, hash_sum)


def _removable(pipeline: Pipeline, attempt: WindowAttempt) -> VanishedDataLimit | None:
    """Return the limit that the row was planned with; without one, the limit of the pipeline's file."""
    row = attempt.row
    if row.is_removal_approved_flag:
        return None
    count = row.removable_count
    return pipeline.config.removable if count is None else VanishedDataLimit(rows=count)


def _audit(pipeline: Pipeline, attempt: WindowAttempt) -> None:
    row, config = attempt.row, pipeline.config
    numbers = AuditNumbers(
        staged=_fingerprint(row.staged_count, row.staged_fingerprint),
        loaded=_fingerprint(row.loaded_count, row.loaded_fingerprint),
        target=pipeline.target.fingerprint(row.source_object, attempt.window),
        source_count=pipeline.source.count(attempt.window),
        quarantined=row.quarantined_count or 0,
        undated_count=pipeline.source.count_undated(),
    )
    tolerance = LateDataTolerance(config.late_data_tolerance.rows, config.late_data_tolerance.percent)
    decision = audits.decide(numbers, tolerance, reopened_before=row.is_revisit_due_flag)
    if numbers.undated_count and not numbers.source_count:
        attempt.log.warning(
            "the window is empty, and the source has documents without a usable time: they belong to no window",
            undated_count=numbers.undated_count,
        )
    attempt.log.info("audited", outcome=decision.outcome.value, reason=decision.reason, **numbers.columns())
    if decision.outcome is AuditOutcome.REOPEN:
        removable = config.removable.of(numbers.target.rows)
        attempt.change(transitions.reopen_for_late_data, numbers, removable_rows=removable)
    elif decision.outcome is AuditOutcome.FAILED:
        # The ledger first: from here on nobody completes the window without another publish or a confirmed receipt,
        # and both carry a greater fence, which refuses this delete if it comes late.
        attempt.change(transitions.fail_audit, numbers, decision.reason, max_retry_task=config.max_retry_task)
        raise AuditFailedError(
            decision.reason,
            where=row.where,
            meaning=f"{_delete_failed_window(pipeline, attempt)}; it is {attempt.row.pipeline_final_status} now",
            remedy="PENDING: nothing, a later run does it again. FAILED: find the cause, then clear this task.",
        )
    else:
        late = decision.outcome is AuditOutcome.PASSED_LATE_DATA
        attempt.change(transitions.pass_audit, numbers, revisit_due=late)


def _delete_failed_window(pipeline: Pipeline, attempt: WindowAttempt) -> str:
    """Delete the rows that the audit refused; return a text about it. The next publish replaces rows that are left."""
    source_object = attempt.row.source_object
    try:
        deleted = pipeline.target.delete(
            source_object, attempt.window, fence=attempt.fence, lifecycle_id=attempt.row.id
        )
    except LedgerRefusedError as error:
        attempt.note_refusal(error)
        return f"Its rows at the target belong to a newer start ({error.what})"
    except TransientError as error:
        attempt.log.warning("not deleted", error=str(error))
        return f"Its rows at the target could not be deleted ({error.what}); the next load replaces them"
    return f"{deleted} rows were deleted from the target"


def is_reopened(attempt: WindowAttempt) -> bool:
    """True when the audit has just given the window back because the source moved."""
    return bool(attempt.row.pipeline_final_status == Status.PENDING)

"""The life of one window: statuses, the legal transitions between them, and the refusals.

Every function takes a ledger row (a mapping by column name) and returns the `Transition` to apply. The store calls it
on the row it has locked and writes change and event in one statement, so a refusal here is a refusal by the ledger.
Nothing here reads a clock: `now` is the ledger's.

::

    plan ──> PENDING ──claim──> IN_PROGRESS ──source→stage──stage→target──audit PASSED──> COMPLETED
                ^                    │ proof that it is loaded already ──> SKIPPED
                │                    │ failure, attempts left (phase kept; an audit failure: none kept)
                ├────────────────────┤ owner gone, or the source moved since the extract
                └────────────────────┤ the run was asked to go no further (phase kept)
                                     └ attempts spent ──> FAILED
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from include.pipeline_framework.core.proof.audits import AuditNumbers
from include.pipeline_framework.core.records.ledger_row import COLUMNS, LedgerRow, RowIdentity
from include.pipeline_framework.core.records.row import FINISHED, Actor, Phase, Status
from include.pipeline_framework.core.time.delays import growing_delay
from include.pipeline_framework.core.time.windows import iso_utc
from include.pipeline_framework.errors import (
    FenceLostError,
    IllegalTransitionError,
    LedgerRefusedError,
    WindowFinishedError,
    WindowHeldError,
    WindowInvalidatedError,
)

FIRST_RETRY_DELAY = timedelta(minutes=1)
LONGEST_RETRY_DELAY = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of a row, ready to apply.

    Attributes:
        event: Name written to `pipeline_lifecycle_events`.
        changes: New column values; empty means that the row is so already: success without effect and without an event.
        reason: Why the row changes, for people.
        numbers: Figures for the event (counts, durations).
        deletion_done_ids: Invalidated rows whose target rows this step has deleted; their `target_deletion_done_flag`
            is set in the same statement.
    """

    event: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    numbers: Mapping[str, Any] = field(default_factory=dict)
    deletion_done_ids: tuple[int, ...] = ()


NEVER_CHANGED = frozenset(
    {"id", "source_object", "pipeline_id", "target_day", "query_window_start_at", "query_window_end_at"}
)
"""Columns that say which window a row is; they never change, because another window is another row."""


def require_columns(transition: Transition, row: LedgerRow) -> None:
    """Refuse to change anything that is no column of the row, or a column that says which window the row is.

    Raises:
        IllegalTransitionError: Names the columns; nothing is written.
    """
    unknown, fixed = sorted(transition.changes.keys() - COLUMNS), sorted(transition.changes.keys() & NEVER_CHANGED)
    if unknown or fixed:
        wrong = f"no such columns: {', '.join(unknown)}" if unknown else f"never changed: {', '.join(fixed)}"
        raise IllegalTransitionError(
            f"the step {transition.event!r} writes what a row does not take ({wrong})",
            where=row.where,
            meaning="Nothing was written",
            remedy="Add the column with a migration, and give it to the step in core/lifecycle/transitions.py.",
        )


Decision = Callable[[LedgerRow, datetime], Transition]
"""A function of the row as it is now (the store has locked it) and the ledger's time; it returns or refuses."""


def claim(row: LedgerRow, actor: Actor, now: datetime) -> Transition:
    """Make PENDING (or FAILED, for a run that comes back for its own window) IN_PROGRESS, owned by the actor's run.

    Raises:
        IllegalTransitionError: The row is finished, invalidated or held by another run.
    """
    if not may_claim_back(row, actor):
        raise IllegalTransitionError(
            f"a window that is {row.pipeline_final_status} can't be claimed by {actor}", where=row.where
        )
    if row.pipeline_final_status == Status.IN_PROGRESS:
        return Transition("claimed")
    return Transition(
        "claimed",
        changes={**_owned_by(actor, now), **_reopened(row), "pipeline_final_status": Status.IN_PROGRESS},
    )


def may_claim_back(row: LedgerRow, actor: Actor) -> bool:
    """True when a run that comes back (cleared, or restarted after a crash) may have its earlier window again."""
    if row.is_invalidated_flag:
        return False
    status = row.pipeline_final_status
    return status in (Status.PENDING, Status.FAILED) or (status == Status.IN_PROGRESS and row.is_held_by(actor))


def take(row: LedgerRow, actor: Actor, fence: int, now: datetime, expected: RowIdentity | None = None) -> Transition:
    """Start a task on the window under a new fence; every later write under an older fence is refused.

    A row held by this run is resumed. A PENDING or FAILED row is taken back (an operator cleared the task); FAILED
    starts over with `retry_attempt` 0.

    Args:
        row: The row as it is now.
        actor: Who starts the task.
        fence: The new fence.
        now: The ledger's clock.
        expected: The window that the actor means by the row's number; None: any window.

    Raises:
        RowMistakenError: The row is not the expected window's.
        WindowInvalidatedError: The row was replaced.
        WindowFinishedError: The window is COMPLETED or SKIPPED.
        WindowHeldError: Another run owns it, or the actor is a temporary run.
    """
    if expected is not None:
        expected.require(row)
    where = row.where
    if row.is_invalidated_flag:
        raise WindowInvalidatedError(
            "this row was invalidated",
            where=where,
            meaning=f"Its replacement is row {row.replaced_by_id or '(none yet)'}",
            remedy="Clear or run the replacement instead.",
        )
    status = row.pipeline_final_status
    if status in FINISHED:
        raise WindowFinishedError(
            f"the window is {status} already",
            where=where,
            meaning="A finished window is never rewritten in place",
            remedy="To load it again, trigger the pipeline with "
            '{"windows": [[start, end]], "replace": true, "reason": "…"}.',
        )
    if actor.is_temporary:
        raise WindowHeldError(
            "a temporary test run takes no window",
            where=where,
            remedy="Give `airflow tasks test` the id of an existing run instead of a date.",
        )
    if status == Status.IN_PROGRESS and not row.is_held_by(actor):
        raise WindowHeldError(
            f"the window is held by run {row.dag_run_id} of {row.dag_id}",
            where=where,
            meaning=f"It was locked at {iso_utc(row.pipeline_locked_at)}" if row.pipeline_locked_at else "",
            remedy="Let that run finish, or let cleanup_stale_locks release it when the run is gone.",
        )
    changes = {"fence": fence, "heartbeat_at": now, "pipeline_final_status": Status.IN_PROGRESS}
    if status != Status.IN_PROGRESS:
        changes = {**_owned_by(actor, now), **_reopened(row), **changes}
    elif row.pipeline_start_time is None:
        changes["pipeline_start_time"] = now
    reason = "" if status == Status.IN_PROGRESS else f"taken back while {status}"
    return Transition("taken", changes=changes, reason=reason)


def end_task(row: LedgerRow, fence: int, _now: datetime) -> Transition:
    """End the lease of a task that ended without a result of its own; owner and status stay."""
    _require_fence(row, fence)
    return Transition("task_ended", {"heartbeat_at": None} if row.heartbeat_at else {})


def retry_later(row: LedgerRow, fence: int, _now: datetime, reason: str) -> Transition:
    """Note that a try failed which Airflow will repeat: owner and status stay, and no attempt is counted."""
    _require_fence(row, fence)
    return Transition("try_failed", {"heartbeat_at": None, "last_error": _reasons(row, reason)}, reason)


def start_source_to_stage(row: LedgerRow, fence: int, now: datetime) -> Transition:
    """Begin the extract; files that an earlier attempt staged no longer count."""
    require_running(row, fence)
    changes: dict[str, Any] = {
        "elt_process_status": Status.IN_PROGRESS,
        "source_to_stage_ingestion_status": Status.IN_PROGRESS,
        "source_to_stage_ingestion_start_time": now,
        "source_to_stage_ingestion_end_time": None,
        "stage_to_target_ingestion_status": Status.PENDING,
        "audit_process_status": Status.PENDING,
        "audit_result_status": None,
        "phase_completed": None,
        "pipeline_start_time": row.pipeline_start_time or now,
    }
    return Transition("source_to_stage_started", changes)


def complete_source_to_stage(row: LedgerRow, fence: int, now: datetime, staged: Mapping[str, Any]) -> Transition:
    """Note that the manifest is written: `staged` holds stage_location, stage_file_count, stage_byte_count,
    staged_count, staged_fingerprint, quarantined_count and source_count.
    """
    if row.phase_completed == Phase.SOURCE_TO_STAGE and row.fence == fence:
        return Transition("source_to_stage_completed")
    require_running(row, fence, doing=("source_to_stage_ingestion_status", Phase.SOURCE_TO_STAGE))
    changes = {
        **staged,
        "source_to_stage_ingestion_status": Status.COMPLETED,
        "source_to_stage_ingestion_end_time": now,
        "phase_completed": Phase.SOURCE_TO_STAGE,
        "heartbeat_at": None,
    }
    numbers = {**staged, "seconds": _seconds(row.source_to_stage_ingestion_start_time, now)}
    return Transition("source_to_stage_completed", changes, numbers=numbers)


def start_stage_to_target(row: LedgerRow, fence: int, now: datetime) -> Transition:
    """Begin the load from a manifest."""
    require_running(row, fence, after=Phase.SOURCE_TO_STAGE)
    changes = {
        "stage_to_target_ingestion_status": Status.IN_PROGRESS,
        "stage_to_target_ingestion_start_time": now,
        "stage_to_target_ingestion_end_time": None,
        "elt_process_status": Status.IN_PROGRESS,
    }
    return Transition("stage_to_target_started", changes)


def discard_stage(row: LedgerRow, fence: int, _now: datetime, reason: str) -> Transition:
    """Drop staged files that can't be loaded: the next try extracts again, and the source may be corrected by then."""
    require_running(row, fence, after=Phase.SOURCE_TO_STAGE)
    changes = {"phase_completed": None, "source_to_stage_ingestion_status": Status.PENDING}
    return Transition("stage_discarded", changes, reason)


def complete_stage_to_target(
    row: LedgerRow, fence: int, now: datetime, loaded: Mapping[str, Any], replaced_ids: Sequence[int] = ()
) -> Transition:
    """Note that the receipt is committed: `loaded` holds loaded_count, loaded_fingerprint and perhaps event figures.

    The publish has deleted the data that the rows of `replaced_ids` had loaded.
    """
    if row.phase_completed == Phase.STAGE_TO_TARGET and row.fence == fence:
        return Transition("stage_to_target_completed")
    require_running(row, fence, doing=("stage_to_target_ingestion_status", Phase.STAGE_TO_TARGET))
    changes = {
        "loaded_count": loaded["loaded_count"],
        "loaded_fingerprint": loaded["loaded_fingerprint"],
        "stage_to_target_ingestion_status": Status.COMPLETED,
        "stage_to_target_ingestion_end_time": now,
        "elt_process_status": Status.COMPLETED,
        "phase_completed": Phase.STAGE_TO_TARGET,
        "heartbeat_at": None,
    }
    numbers = {**loaded, "seconds": _seconds(row.stage_to_target_ingestion_start_time, now)}
    return Transition("stage_to_target_completed", changes, numbers=numbers, deletion_done_ids=tuple(replaced_ids))


def stop_after(row: LedgerRow, fence: int, _now: datetime, phase: Phase) -> Transition:
    """Make the window PENDING again when its run was asked to stop here; all work is kept and no attempt is spent."""
    is_so_far = row.phase_completed in phase.and_later
    if row.pipeline_final_status == Status.PENDING and is_so_far and row.fence == fence:
        return Transition("stopped")
    require_running(row, fence)
    if not is_so_far:
        raise IllegalTransitionError(
            f"a window with phase_completed {row.phase_completed} has not got as far as {phase}", where=row.where
        )
    return Transition("stopped", {**_released(), "last_error": None}, f"the run was asked to stop after {phase}")


def start_audit(row: LedgerRow, fence: int, now: datetime) -> Transition:
    """Begin the audit."""
    require_running(row, fence, after=Phase.STAGE_TO_TARGET)
    changes = {"audit_process_status": Status.IN_PROGRESS, "audit_start_time": now, "audit_end_time": None}
    return Transition("audit_started", changes)


def pass_audit(row: LedgerRow, fence: int, now: datetime, numbers: AuditNumbers, *, revisit_due: bool) -> Transition:
    """Note that the audit PASSED: the window is COMPLETED."""
    if row.pipeline_final_status == Status.COMPLETED and row.fence == fence:
        return Transition("completed")
    require_running(row, fence, doing=("audit_process_status", Phase.AUDIT))
    changes = {
        **numbers.columns(),
        "audit_process_status": Status.COMPLETED,
        "audit_result_status": "PASSED",
        "audit_end_time": now,
        "is_revisit_due_flag": revisit_due,
        "pipeline_final_status": Status.COMPLETED,
        "phase_completed": Phase.AUDIT,
        "pipeline_end_time": now,
        "heartbeat_at": None,
        "last_error": None,
    }
    return Transition(
        "completed",
        changes,
        reason="late data: the source changed since the extract, within tolerance" if revisit_due else "",
        numbers={**numbers.columns(), "seconds": _seconds(row.pipeline_start_time, now)},
    )


def reopen_for_late_data(
    row: LedgerRow, fence: int, now: datetime, numbers: AuditNumbers, *, removable_rows: int | None = None
) -> Transition:
    """Reopen a window once whose source moved beyond the tolerance; nothing is deleted, the next publish replaces it.

    That publish may delete `removable_rows` rows: the source may have moved because it shows less. None: as before.
    """
    require_running(row, fence, doing=("audit_process_status", Phase.AUDIT))
    changes = {
        **numbers.columns(),
        **_released(),
        "phase_completed": None,
        "elt_process_status": Status.PENDING,
        "source_to_stage_ingestion_status": Status.PENDING,
        "stage_to_target_ingestion_status": Status.PENDING,
        "audit_process_status": Status.PENDING,
        "audit_end_time": now,
        "is_revisit_due_flag": True,
        "removable_count": row.removable_count if removable_rows is None else removable_rows,
        "not_before_at": None,
        "last_error": None,
    }
    return Transition("reopened", changes, "late data beyond the tolerance", numbers.columns())


def fail_audit(
    row: LedgerRow, fence: int, now: datetime, numbers: AuditNumbers, reason: str, *, max_retry_task: int
) -> Transition:
    """Note that the audit FAILED: the window is PENDING from the start, or FAILED for good.

    It is written before the target's rows are deleted.
    """
    require_running(row, fence, doing=("audit_process_status", Phase.AUDIT))
    return _spent(
        row,
        now,
        reason,
        max_retry_task=max_retry_task,
        event="audit_failed",
        extra={
            **numbers.columns(),
            "phase_completed": None,
            "audit_process_status": Status.FAILED,
            "audit_result_status": "FAILED",
            "audit_end_time": now,
            "elt_process_status": Status.PENDING,
            "source_to_stage_ingestion_status": Status.PENDING,
            "stage_to_target_ingestion_status": Status.PENDING,
        },
        numbers=numbers.columns(),
    )


def fail(row: LedgerRow, fence: int, now: datetime, reason: str, *, max_retry_task: int) -> Transition:
    """Note that the task failed and Airflow won't repeat it: PENDING again with a growing delay, or FAILED.

    The phase is kept, so that the next attempt resumes.
    """
    _require_fence(row, fence)
    if row.pipeline_final_status != Status.IN_PROGRESS:
        return Transition("failed")  # an audit failure has written its own outcome already
    return _spent(row, now, reason, max_retry_task=max_retry_task, event="failed", extra=_stopped_phase(row))


def take_over(row: LedgerRow, now: datetime, reason: str, *, max_retry_task: int) -> Transition:
    """Count a failure for an owner that is gone (found by cleanup, or its run ended); its fence is not needed."""
    if row.pipeline_final_status != Status.IN_PROGRESS:
        raise IllegalTransitionError(
            f"only an IN_PROGRESS window can be taken over, this one is {row.pipeline_final_status}",
            where=row.where,
        )
    held = {key: getattr(row, key) for key in ("dag_id", "dag_run_id", "pipeline_locked_at", "heartbeat_at")}
    numbers = {**held, "held_seconds": _seconds(row.pipeline_locked_at, now)}
    return _spent(
        row, now, reason, max_retry_task=max_retry_task, event="taken_over", extra=_stopped_phase(row), numbers=numbers
    )


def skip(row: LedgerRow, fence: int, now: datetime, proof: Mapping[str, Any]) -> Transition:
    """Skip a window: a live load receipt proves that exactly this data is in the target already.

    Raises:
        IllegalTransitionError: The row is a replacement; a replacement is never skipped.
    """
    if row.pipeline_final_status == Status.SKIPPED and row.fence == fence:
        return Transition("skipped")
    require_running(row, fence)
    if row.phase_completed is not None:
        raise IllegalTransitionError(
            f"a window with phase_completed {row.phase_completed} is not SKIPPED any more", where=row.where
        )
    if row.is_replacement_run_flag:
        raise IllegalTransitionError("a replacement is never SKIPPED", where=row.where)
    changes = {
        "source_count": proof["source_count"],
        "target_count": proof["target_count"],
        "loaded_count": proof["target_count"],
        "loaded_fingerprint": proof["loaded_fingerprint"],
        "count_difference": proof["source_count"] - proof["target_count"],
        "elt_process_status": Status.SKIPPED,
        "source_to_stage_ingestion_status": Status.SKIPPED,
        "stage_to_target_ingestion_status": Status.SKIPPED,
        "audit_process_status": Status.SKIPPED,
        "pipeline_final_status": Status.SKIPPED,
        "pipeline_end_time": now,
        "heartbeat_at": None,
        "last_error": None,
    }
    return Transition("skipped", changes, "a receipt proves that it is loaded", proof)


def invalidate(
    row: LedgerRow,
    now: datetime,
    reason: str,
    replaced_by_id: int | None = None,
    *,
    fence: int | None = None,
    only_pending: bool = False,
) -> Transition:
    """Take a row out of the live rows; its replacement inherits the deletion that it owes.

    With its own `fence`, the task that holds the row may do it as well.

    Raises:
        WindowHeldError: A run owns the row right now.
        FenceLostError: A start newer than `fence` owns it.
        IllegalTransitionError: `only_pending` was asked, and the row is not PENDING.
    """
    del now
    if row.is_invalidated_flag:
        return Transition("replacement_planned", {"replaced_by_id": replaced_by_id} if replaced_by_id else {}, reason)
    if row.pipeline_final_status == Status.IN_PROGRESS and fence is not None:
        _require_fence(row, fence)
        return Transition("invalidated", {"is_invalidated_flag": True, **_released()}, reason)
    if row.pipeline_final_status == Status.IN_PROGRESS:
        raise WindowHeldError(
            f"the window is held by run {row.dag_run_id} of {row.dag_id}",
            where=row.where,
            meaning="A window that is being moved is not replaced",
            remedy="Wait for that run to finish, then ask again.",
        )
    if only_pending and row.pipeline_final_status != Status.PENDING:
        raise IllegalTransitionError(
            f"only a PENDING window makes way here, this one is {row.pipeline_final_status} by now",
            where=row.where,
            meaning="Nothing was changed",
        )
    return Transition("invalidated", {"is_invalidated_flag": True}, reason)


def require_replacements(refused: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a replacement that other live rows stand in the way of.

    Raises:
        IllegalTransitionError: Names the windows; the caller's transaction is rolled back.
    """
    if refused:
        windows = ", ".join(iso_utc(row["query_window_start_at"]) for row in refused)
        raise IllegalTransitionError(
            f"replacements that start at {windows} overlap live rows that are not replaced",
            where=str(refused[0]["source_object"]),
            meaning="Nothing was changed",
            remedy="Name every row that the replacement overlaps.",
        )


def pair_replacements(old: Sequence[LedgerRow], new: Sequence[LedgerRow]) -> list[tuple[LedgerRow, LedgerRow]]:
    """Pair each invalidated row with the replacement that takes over its owed deletion: the first that overlaps it."""
    first = [(row, next((other for other in new if other.window.overlaps(row.window)), None)) for row in old]
    return [(row, other) for row, other in first if other is not None]


def _owned_by(actor: Actor, now: datetime) -> dict[str, Any]:
    return {
        "dag_id": actor.dag_id,
        "dag_run_id": actor.dag_run_id,
        "pipeline_locked_at": now,
        "pipeline_start_time": now,
        "pipeline_end_time": None,
        "heartbeat_at": None,
        "not_before_at": None,
    }


def _reopened(row: LedgerRow) -> dict[str, Any]:
    """Return the columns that are reset when an operator has a FAILED row run again."""
    return {"retry_attempt": 0} if row.pipeline_final_status == Status.FAILED else {}


def _released() -> dict[str, Any]:
    return {
        "pipeline_final_status": Status.PENDING,
        "dag_id": None,
        "dag_run_id": None,
        "pipeline_locked_at": None,
        "heartbeat_at": None,
    }


def _stopped_phase(row: LedgerRow) -> dict[str, Any]:
    """Make the phase FAILED that was running when the attempt ended; finished phases keep their status."""
    statuses = ("source_to_stage_ingestion_status", "stage_to_target_ingestion_status", "audit_process_status")
    stopped = {name: Status.FAILED for name in statuses if getattr(row, name) == Status.IN_PROGRESS}
    if set(stopped) - {"audit_process_status"}:
        stopped["elt_process_status"] = Status.FAILED
    return stopped


def _spent(
    row: LedgerRow,
    now: datetime,
    reason: str,
    *,
    max_retry_task: int,
    event: str,
    extra: Mapping[str, Any],
    numbers: Mapping[str, Any] | None = None,
) -> Transition:
    attempt = row.retry_attempt + 1
    changes = {**extra, **_released(), "retry_attempt": attempt, "last_error": _reasons(row, reason)}
    if attempt > max_retry_task:
        changes |= {"pipeline_final_status": Status.FAILED, "pipeline_end_time": now, "not_before_at": None}
    else:
        changes["not_before_at"] = now + retry_delay(attempt)
    return Transition(event, changes, reason, {**(numbers or {}), "retry_attempt": attempt})


def _reasons(row: LedgerRow, reason: str) -> str:
    """Return the reasons of the earlier attempts and of this one: a FAILED window shows them all."""
    return f"{row.last_error}\n{reason}" if row.last_error and row.retry_attempt else reason


def retry_delay(attempt: int) -> timedelta:
    """Return how long a window rests after its n-th spent attempt (n from 1); the time doubles up to a bound.

    >>> retry_delay(3)
    datetime.timedelta(seconds=240)
    """
    return growing_delay(FIRST_RETRY_DELAY, LONGEST_RETRY_DELAY, failed=attempt)


def _seconds(start: datetime | None, now: datetime) -> float | None:
    return round((now - start).total_seconds(), 3) if start else None


def _require_fence(row: LedgerRow, fence: int) -> None:
    if row.is_invalidated_flag:
        raise WindowInvalidatedError(
            "this row was invalidated while the task ran",
            where=row.where,
            meaning=f"Its replacement is row {row.replaced_by_id or '(none yet)'}",
        )
    if row.fence != fence:
        raise FenceLostError(
            f"fence {fence} is no longer the window's: it is {row.fence} now",
            where=row.where,
            meaning="A newer start of a task, or another run, owns the window; nothing was written",
            remedy="Nothing: the newer start carries on.",
        )


def require_running(
    row: LedgerRow, fence: int, *, doing: tuple[str, Phase] | None = None, after: Phase | None = None
) -> None:
    """Refuse a step by a start that does not own the window (any more), or a step that is not the row's next one.

    Args:
        row: The row as it is now.
        fence: The start's own fence.
        doing: The status column that has to be IN_PROGRESS, and its phase.
        after: The phase that the step follows.

    Raises:
        LedgerRefusedError: The message names the row's real state.
    """
    _require_fence(row, fence)
    error: LedgerRefusedError | None = None
    if row.pipeline_final_status != Status.IN_PROGRESS:
        error = IllegalTransitionError(
            f"the window is {row.pipeline_final_status}, this step needs IN_PROGRESS", where=row.where
        )
    elif doing and getattr(row, doing[0]) != Status.IN_PROGRESS:
        error = IllegalTransitionError(
            f"{doing[1]} can't end: {doing[0]} is {getattr(row, doing[0])}, not IN_PROGRESS", where=row.where
        )
    elif after and row.phase_completed != after:
        error = IllegalTransitionError(
            f"this step follows {after}, the window has phase_completed {row.phase_completed}", where=row.where
        )
    if error:
        raise error

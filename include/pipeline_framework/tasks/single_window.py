"""Find, check and update the records of requirement 3 through the ledger, one window at a time, asked for by hand.

A record is a plain dict. It may use the ledger's column names, requirement 3's names for them, the UPPERCASE names of a
generated record, or the short form that XCom carries; only its id or its window says which row is meant.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from include.pipeline_framework.config.external import require_moved_here
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.lifecycle.leases import (
    DEFAULT_DAGRUN_TIMEOUT,
    DEFAULT_MAX_RETRY,
    DEFAULT_STALE_THRESHOLD,
    RunState,
    stale_reason,
)
from include.pipeline_framework.core.lifecycle.transitions import Transition
from include.pipeline_framework.core.records.fields import GENERATED_NAMES, REQUIREMENT_3_NAMES
from include.pipeline_framework.core.records.ledger_row import COLUMNS, LedgerRow, RowIdentity
from include.pipeline_framework.core.records.row import FINISHED, Actor, Phase, Status
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.time.days import local_day_of
from include.pipeline_framework.core.time.timestamps import convert_to_pendulum
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    ConfigurationError,
    IllegalTransitionError,
    InvalidInputError,
    LedgerRefusedError,
    WindowFinishedError,
    WindowHeldError,
    WindowInvalidatedError,
)
from include.pipeline_framework.ports.ledger import LedgerWindows, Record
from include.pipeline_framework.tasks.cleanup_stale_locks import (
    RunStates,
)
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.store_and_validate import store_and_validate
from include.pipeline_framework.tasks.window_attempt import WindowAttempt

_log = logging.getLogger(__name__)

_SHORT_NAMES = {"start": "query_window_start_at", "end": "query_window_end_at"}
_NAMES = {**REQUIREMENT_3_NAMES, **_SHORT_NAMES, **GENERATED_NAMES}
_BOUND_NAMES = frozenset(
    name
    for column in ("query_window_start_at", "query_window_end_at")
    for name in (column, *(other for other, same in _NAMES.items() if same == column))
)
_NOT_COLUMNS = frozenset({"local"})

_TICKING = frozenset({"record_last_updated_at", "heartbeat_at"})
"""Times that change without being asked: a record that has older ones asks for no change."""

_WRITTEN_WITH_THE_STATUS = frozenset(
    {
        "dag_id", "dag_run_id", "pipeline_locked_at", "not_before_at", "retry_attempt",
        "last_error", "elt_process_status", "source_to_stage_ingestion_status", "stage_to_target_ingestion_status",
        "audit_process_status", "pipeline_start_time", "pipeline_end_time",
    }
)  # fmt: skip
"""Columns that the ledger writes itself with a status: a record may have them, but the ledger's values count."""


def with_both_names(row: LedgerRow) -> Record:
    """Return a ledger row as a record, with requirement 3's names beside the ledger's own."""
    return row.as_record() | {name: getattr(row, column) for name, column in REQUIREMENT_3_NAMES.items()}


def window_of_record(record: Mapping[str, Any]) -> TimeWindow:
    """Return the window of a record, whichever names it uses; a bound without a zone is UTC.

    Raises:
        InvalidInputError: A bound is missing or is not a timestamp.
    """
    return TimeWindow(_bound(record, "query_window_start_at"), _bound(record, "query_window_end_at"))


def find_row(store: LedgerWindows, source_object: str, record: Mapping[str, Any]) -> LedgerRow:
    """Return the ledger row of a record: by its `id`, else the live row of exactly its window.

    Raises:
        InvalidInputError: There is no such row, or it belongs to another source object.
        RowMistakenError: The record has an id and a window, and the row of that id is another window's.
    """
    if record.get("id") is not None:
        row = store.get(record["id"])
        if row.source_object != source_object:
            raise InvalidInputError(
                f"the row belongs to {row.source_object}, the configuration to {source_object}",
                where=row.where,
                meaning="Its data would end up in another pipeline's target",
                remedy="Load the configuration of the row's own pipeline.",
            )
        if any(record.get(name) is not None for name in _BOUND_NAMES):
            window = window_of_record(record)
            RowIdentity(source_object, window.start, window.end).require(row)
        return row
    window = window_of_record(record)
    rows = [row for row in store.find(source_object=source_object, within=[window]) if row.window == window]
    if not rows:
        raise InvalidInputError(
            "no live row of the ledger has this window",
            where=f"{source_object} {window}",
            remedy="Store it first (upload_record_to_database), or plan its day.",
        )
    return rows[0]


def require_due(config: PipelineConfig, store: LedgerWindows, actor: Actor, row: LedgerRow) -> None:
    """Refuse a PENDING window that a claim would not give to this run now; `take` judges everything else.

    A window that this run had before may be taken back at any time, as when a task is cleared.

    Raises:
        InvalidInputError: The window is outside the pipeline's horizon.
        IllegalTransitionError: The window has not settled yet, or rests after a failed attempt.
    """
    if row.pipeline_final_status != Status.PENDING or row.is_invalidated_flag:
        return
    if any(mine.id == row.id for mine in store.claimed_by(actor.dag_id, actor.dag_run_id)):
        return
    window = row.window
    config.horizon.require(local_day_of(window.start, config.timezone), config.source_object)
    request = RunRequest(ranges=(window,), max_windows=1, dry_run=True)
    if not store_and_validate(config, store, actor, request)["would_claim"]:
        raise IllegalTransitionError(
            "the window is PENDING and can't be IN_PROGRESS yet",
            where=row.where,
            meaning=f"It ended less than {config.x_time_back} ago, or rests until {row.not_before_at}",
            remedy="Wait; the pipeline's own runs claim it in time.",
        )


def require_not_held(row: LedgerRow, actor: Actor) -> None:
    """Refuse a window that another run holds; whether it is finished or replaced does not matter here.

    Raises:
        WindowHeldError: The message names the holder.
    """
    try:
        transitions.take(row, actor, row.fence, row.record_last_updated_at)  # only checked, never applied
    except (WindowFinishedError, WindowInvalidatedError):
        return


def delete_loaded(pipeline: Pipeline, attempt: WindowAttempt) -> int:
    """Delete the window at the target under the fence; a window that was loaded goes back to its start.

    The ledger is written first: a crash in between leaves rows that the next publish deletes, not a phase without rows.
    """
    if attempt.row.phase_completed == Phase.STAGE_TO_TARGET:
        attempt.change(transitions.start_source_to_stage)
    source_object = attempt.row.source_object
    with pipeline.target.connected(), attempt.step("deleted at the target"):
        pipeline.target.prepare(source_object)
        return pipeline.target.delete(source_object, attempt.window, fence=attempt.fence, lifecycle_id=attempt.row.id)


def update_record(
    store: LedgerWindows,
    record: Mapping[str, Any],
    actor: Actor,
    config: PipelineConfig | None,
    run_state: RunStates,
) -> LedgerRow:
    """Turn a record's changed status into the legal transition that it means, and refuse everything else.

    - IN_PROGRESS → PENDING or FAILED, by the run that holds it: its attempt has failed. By anybody else: a take-over,
      only when the owner is gone. An attempt is counted; the ledger decides between PENDING and FAILED.
    - PENDING or FAILED → IN_PROGRESS: the actor's run takes it, when a claim might.
    - No difference: nothing is written.

    Args:
        store: The ledger.
        record: `id` and the columns to change; see the module for their names.
        actor: The one that asks.
        config: The row's pipeline; None when it no longer has a good file.
        run_state: The state of the owning run, as Airflow reports it.

    Returns:
        The row as it is afterwards.

    Raises:
        InvalidInputError: A name is unknown, or a column may not be written by hand.
        LedgerRefusedError: The transition is not legal (the message names both states), or the record is outdated.
    """
    if record.get("id") is None:
        raise InvalidInputError("the record has no id", remedy="Update a record that the ledger returned.")
    seen = store.get(record["id"])
    asked = _asked_status(seen, record)
    if asked == Status.IN_PROGRESS != seen.pipeline_final_status:
        return _take(store, seen, record, actor, config)
    is_owned = seen.pipeline_final_status == Status.IN_PROGRESS and not seen.is_held_by(actor)
    state = run_state(*seen.owner) if is_owned and seen.owner and asked != Status.IN_PROGRESS else None
    row = store.change(seen.id, _released(record, actor, config, seen, state), actor)
    _log.info("%s: asked for %s, is %s", row.where, asked, row.pipeline_final_status)
    return row


def _take(
    store: LedgerWindows, row: LedgerRow, record: Mapping[str, Any], actor: Actor, config: PipelineConfig | None
) -> LedgerRow:
    run = record.get("dag_run_id")
    if run not in (None, row.dag_run_id, actor.dag_run_id):
        raise WindowHeldError(
            f"the record names run {run} as the owner, but this is run {actor.dag_run_id}",
            where=row.where,
            meaning="A run takes windows for itself only",
            remedy="Leave dag_run_id as it is; the ledger writes it.",
        )
    if config is None:
        raise ConfigurationError(
            f"pipeline {row.pipeline_id!r} has no good configuration",
            where=row.where,
            meaning="The rows of a removed pipeline rest",
            remedy="Restore its YAML in include/pipelines, or correct it.",
        )
    require_moved_here(config)
    require_due(config, store, actor, row)
    fence = store.take(row.id, actor, row.identity).fence
    return store.change(row.id, lambda current, now: transitions.end_task(current, fence, now), actor)


def _released(
    record: Mapping[str, Any], actor: Actor, config: PipelineConfig | None, seen: LedgerRow, state: RunState | None
) -> transitions.Decision:
    max_retry_task = config.max_retry_task if config else DEFAULT_MAX_RETRY

    def decide(row: LedgerRow, now: datetime) -> Transition:
        asked = _asked_status(row, record)
        if asked == row.pipeline_final_status:
            return Transition("updated")
        _require_releasable(row, asked, record)
        reason = str(record.get("last_error") or f"set to {asked} by {actor}")
        if row.is_held_by(actor):
            return transitions.fail(row, row.fence, now, reason, max_retry_task=max_retry_task)
        gone = stale_reason(
            row,
            state if state and row.dag_run_id == seen.dag_run_id else RunState.ACTIVE,
            now,
            stale_threshold=timedelta(hours=config.stale_threshold_hours) if config else DEFAULT_STALE_THRESHOLD,
            dagrun_timeout=config.dagrun_timeout_delta if config else DEFAULT_DAGRUN_TIMEOUT,
        )
        if not gone:
            raise WindowHeldError(
                f"the window is held by run {row.dag_run_id} of {row.dag_id}",
                where=row.where,
                meaning="Its owner is not known to be gone",
                remedy="Let that run finish; cleanup_stale_locks releases the window when the run is gone.",
            )
        return transitions.take_over(row, now, gone, max_retry_task=max_retry_task)

    return decide


def _require_releasable(row: LedgerRow, asked: str, record: Mapping[str, Any]) -> None:
    status = row.pipeline_final_status
    if row.is_invalidated_flag:
        raise WindowInvalidatedError(
            f"this row was invalidated; it stays {status} and can't be {asked}",
            where=row.where,
            meaning=f"Its replacement is row {row.replaced_by_id or '(none yet)'}",
        )
    if status != Status.IN_PROGRESS or asked not in (Status.PENDING, Status.FAILED):
        remedy = (
            'To load it again, trigger the pipeline with {"windows": [[start, end]], "replace": true, "reason": "…"}.'
            if status in FINISHED
            else "COMPLETED and SKIPPED are proven by an audit or a receipt; a FAILED window is taken again, not reset."
        )
        raise IllegalTransitionError(f"{status} can't become {asked} by an update", where=row.where, remedy=remedy)
    if record.get("dag_run_id") not in (None, row.dag_run_id):
        raise WindowHeldError(
            f"the record names run {record['dag_run_id']} as the owner, it is {row.dag_run_id} of {row.dag_id}",
            where=row.where,
            remedy="Read the record again.",
        )


def _asked_status(row: LedgerRow, record: Mapping[str, Any]) -> str:
    """Return the status that a record asks for, after checking that it asks for nothing else and is not outdated."""
    where = row.where
    differences: dict[str, set[Any]] = {}
    for name, value in record.items():
        column = _NAMES.get(name, name)
        if column not in COLUMNS and name not in _NOT_COLUMNS:
            raise InvalidInputError(f"the ledger has no column {name!r}", where=where, meaning="Nothing was written")
        if column in COLUMNS and column not in _TICKING and not _same(getattr(row, column), value):
            differences.setdefault(column, set()).add(str(value))
    if not differences:
        return row.pipeline_final_status
    if _is_outdated(row, record):
        raise LedgerRefusedError(
            "the row has changed since the record was read",
            where=where,
            meaning=f"It is {row.pipeline_final_status} under fence {row.fence} now; nothing was written",
            remedy="Read the record again, and decide again.",
        )
    asked = differences.pop("pipeline_final_status", {row.pipeline_final_status})
    by_itself = asked == {row.pipeline_final_status}
    by_hand = sorted(set(differences) - (set() if by_itself else _WRITTEN_WITH_THE_STATUS))
    if by_hand:
        raise InvalidInputError(
            f"{', '.join(by_hand)} can't be written by hand",
            where=where,
            meaning="Windows, counts and proofs are written by the step that found them; nothing was written",
            remedy="Change the status only.",
        )
    if len(asked) > 1 or not asked <= set(Status):
        raise InvalidInputError(
            f"{' and '.join(sorted(asked))} is not a status", where=where, remedy=f"Use one of {', '.join(Status)}."
        )
    return str(asked.pop())


def _is_outdated(row: LedgerRow, record: Mapping[str, Any]) -> bool:
    """True when the row has changed since the record was read, as far as the record shows.

    Requirement 3 lets callers set `record_last_updated_time` to now, so only an earlier time proves something.
    """
    if record.get("fence") not in (None, row.fence):
        return True
    stamp = record.get("record_last_updated_at")
    return bool(stamp is not None and convert_to_pendulum(stamp, "UTC") < row.record_last_updated_at)


def _same(stored: Any, given: Any) -> bool:
    """True when a record says what the ledger has, in whatever form it gives instants and days."""
    if stored == given:
        return True
    try:
        if isinstance(stored, datetime):
            return bool(convert_to_pendulum(given, "UTC") == stored)
        if isinstance(stored, date):
            return str(given)[: len("2013-01-01")] == stored.isoformat()
    except InvalidInputError:
        pass
    return False


def _bound(record: Mapping[str, Any], column: str) -> datetime:
    names = (column, *(name for name, other in _NAMES.items() if other == column))
    value = next((record[name] for name in names if record.get(name) is not None), None)
    if value is None:
        raise InvalidInputError(f"the record has no {column}", remedy=f"Give one of {', '.join(names)}.")
    return convert_to_pendulum(value, "UTC")

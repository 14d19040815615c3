"""Release windows whose owner is gone, and end a pipeline run with its true result (requirement 3)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

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
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import FINISHED, Actor, Phase, Status
from include.pipeline_framework.errors import LedgerRefusedError, TerminalError
from include.pipeline_framework.ports.ledger import LedgerWindows

_log = logging.getLogger(__name__)

RunStates = Callable[[str, str], RunState]
"""A function of `(dag_id, dag_run_id)` that returns the state that Airflow reports for that run."""


def cleanup_stale_locks(
    store: LedgerWindows, configs: Mapping[str, PipelineConfig], actor: Actor, run_state: RunStates
) -> list[dict[str, Any]]:
    """Release every IN_PROGRESS window whose owner is gone; each take-over is an event with holder, age and reason.

    Rows of a pipeline whose file was deleted are judged with the framework's defaults.

    Returns:
        One entry per released window: id, source_object, reason, status.
    """
    states: dict[tuple[str, str], RunState] = {}
    released = []
    for row in store.find(statuses=[Status.IN_PROGRESS]):
        run = row.owner or ("", "")  # the table refuses a row in progress without an owner
        if run not in states:
            states[run] = run_state(*run)
        config = configs.get(row.pipeline_id)
        entry = _release_if_stale(store, row, config, actor, states[run])
        if entry:
            released.append(entry)
    return released


def finish_run(
    store: LedgerWindows, config: PipelineConfig, actor: Actor, until: Phase = Phase.AUDIT
) -> dict[str, int]:
    """End a pipeline run: give back what it still holds, then fail unless every window it ever claimed is finished.

    Invalidated windows, and windows that another run holds by now, no longer count. A PENDING window that has
    completed `until` counts as finished, because the run was asked to stop there.

    Returns:
        Windows that this run ever claimed, by status.

    Raises:
        TerminalError: A window is neither COMPLETED nor SKIPPED; the message names each with its last error.
    """
    release_held(store, config, actor)
    rows = [row for row in store.claimed_by(actor.dag_id, actor.dag_run_id) if row.is_live]
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.pipeline_final_status] = counts.get(row.pipeline_final_status, 0) + 1
    done = {*FINISHED, Status.IN_PROGRESS}
    unfinished = [r for r in rows if r.pipeline_final_status not in done and not _is_as_asked(r, until)]
    if unfinished:
        raise _unfinished(unfinished)
    return counts


def release_held(store: LedgerWindows, config: PipelineConfig, actor: Actor) -> None:
    """Give back the windows that a run still holds when it ends; each has spent an attempt."""
    for row in store.find(run=(actor.dag_id, actor.dag_run_id), statuses=[Status.IN_PROGRESS]):
        reason = "its run ended while the window was unfinished"
        store.change(row.id, _take_over(actor, reason, config.max_retry_task), actor)


def _is_as_asked(row: LedgerRow, until: Phase) -> bool:
    is_stopped = row.pipeline_final_status == Status.PENDING and until is not Phase.AUDIT
    return is_stopped and row.phase_completed in until.and_later


def _unfinished(rows: Sequence[LedgerRow]) -> TerminalError:
    lines = [
        f"{row.where} is {row.pipeline_final_status} after {row.retry_attempt} attempts"
        f" ({row.last_error or 'reopened for late data'})"
        for row in rows
    ]
    return TerminalError(
        f"{len(rows)} windows of this run are not finished: " + "; ".join(lines),
        meaning="PENDING ones are claimed again by a later run, FAILED ones wait for a person",
        remedy="Look at the errors above; clear the failed task to run a FAILED window again.",
    )


def _take_over(actor: Actor, reason: str, max_retry_task: int) -> transitions.Decision:
    """Release the row if this run still holds it; a newer claim of another run stays unchanged."""

    def decide(row: LedgerRow, now: datetime) -> Transition:
        if not row.is_held_by(actor) or row.pipeline_final_status != Status.IN_PROGRESS:
            return Transition("taken_over")
        return transitions.take_over(row, now, reason, max_retry_task=max_retry_task)

    return decide


def _release_if_stale(
    store: LedgerWindows, seen: LedgerRow, config: PipelineConfig | None, actor: Actor, run_state: RunState
) -> dict[str, Any] | None:
    stale_threshold = timedelta(hours=config.stale_threshold_hours) if config else DEFAULT_STALE_THRESHOLD
    dagrun_timeout = config.dagrun_timeout_delta if config else DEFAULT_DAGRUN_TIMEOUT
    max_retry_task = config.max_retry_task if config else DEFAULT_MAX_RETRY
    found: list[str] = []

    def decide(row: LedgerRow, now: datetime) -> Transition:
        # with another fence, a task of the run has started since Airflow was asked about it
        same_owner = all(
            getattr(row, name) == getattr(seen, name)
            for name in ("dag_id", "dag_run_id", "pipeline_final_status", "fence")
        )
        reason = same_owner and stale_reason(
            row, run_state, now, stale_threshold=stale_threshold, dagrun_timeout=dagrun_timeout
        )
        if not reason:
            return Transition("taken_over")
        found.append(reason)
        return transitions.take_over(row, now, reason, max_retry_task=max_retry_task)

    try:
        row = store.change(seen.id, decide, actor)
    except LedgerRefusedError as error:
        _log.info("left alone: %s", error)
        return None
    if not found:
        return None
    _log.warning("released %s: %s", row.where, found[0])
    return {
        "id": row.id,
        "source_object": row.source_object,
        "reason": found[0],
        "status": row.pipeline_final_status,
    }

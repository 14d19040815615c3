"""Decide when a window's owner counts as gone."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import Enum

from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.time.windows import iso_utc

DEFAULT_STALE_THRESHOLD = timedelta(hours=2)
DEFAULT_DAGRUN_TIMEOUT = timedelta(hours=12)
DEFAULT_MAX_RETRY = 3
"""The three settings where a pipeline's file doesn't give them, or the file is gone."""


class RunState(Enum):
    """The state of the DAG run that owns a window, as Airflow reports it."""

    ACTIVE = "active"
    ENDED = "ended"
    MISSING = "missing"
    UNKNOWN = "unknown"


def stale_reason(
    row: LedgerRow, run_state: RunState, now: datetime, *, stale_threshold: timedelta, dagrun_timeout: timedelta
) -> str | None:
    """Return why an IN_PROGRESS row's owner is gone, or None while it may still be running.

    A window that only waits in a living run's queue has no heartbeat and is never stale. Where Airflow can't be asked,
    the claim's age decides.
    """
    run = f"run {row.dag_run_id} of {row.dag_id}"
    if run_state is RunState.ENDED:
        return f"{run} has ended"
    if run_state is RunState.MISSING:
        return f"{run} does not exist"
    heartbeat = row.heartbeat_at
    if heartbeat is not None and heartbeat + stale_threshold < now:
        return f"{run} has been silent since {iso_utc(heartbeat)}, longer than its lease of {stale_threshold}"
    locked = row.pipeline_locked_at
    if run_state is RunState.UNKNOWN and locked is not None and locked + dagrun_timeout + stale_threshold < now:
        return (
            f"{run} claimed it at {iso_utc(locked)}; Airflow can't be asked, and dagrun_timeout {dagrun_timeout} "
            f"plus the lease of {stale_threshold} have passed"
        )
    return None

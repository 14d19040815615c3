"""Lets another system report from Python that it has moved a window; see `tasks.report_external`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from include.framework import session
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.ports.ledger import LifecycleStore
from include.wiring.workspace import Workspace


def report_external_window(
    final_config: Mapping[str, Any],
    start: datetime | str,
    end: datetime | str,
    *,
    source_count: int | None = None,
    target_count: int | None = None,
    failed: str | None = None,
    job_id: str | None = None,
    replace: str | None = None,
    store: LifecycleStore | None = None,
    actor: Actor | None = None,
) -> dict[str, Any]:
    """Report how a window of a pipeline with `moved_by: external` ended; the same report again changes nothing.

    With both counts the window is audited: equal or tolerated counts make it COMPLETED, others spend an attempt as a
    failed audit does. Without counts it is SKIPPED, done without an audit. With `failed` an attempt is spent, and a new
    report may follow.

    Args:
        final_config: The pipeline, from `load_final_config`.
        start: First instant of a planned window: aware, or as text with an offset or in the pipeline's local time.
        end: Its exclusive end.
        source_count: Rows that its system counted at the source.
        target_count: Rows that it counted at the target.
        failed: Why it could not be moved.
        job_id: The job that moved it; kept in the column `job_id`.
        replace: Why a finished window is reported again; its row is replaced then.
        store: The ledger.
        actor: Who reports.

    Returns: `id`, `pipeline_final_status`, `audit_result_status`, counts, `retry_attempt`, `last_error`, `is_new`, …

    Raises:
        ConfigurationError: This bundle moves the pipeline's data itself.
        InvalidInputError: A value is wrong, no planned window has these bounds, or it has not ended yet.
        LedgerRefusedError: The finished window has another result, or another session holds it.
    """
    config = session.pipeline_config(final_config)
    with Workspace("report_external_window", actor=actor, store=store) as workspace:
        found = workspace.report_external(
            config,
            (start, end),
            counts=(source_count, target_count),
            failed=failed,
            job_id=job_id,
            replace=replace,
        )
    return found.as_dict()

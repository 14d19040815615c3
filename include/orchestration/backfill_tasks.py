"""Bodies of the tasks that start backfill campaigns, and of the task that triggers a pipeline's next runs."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from include.orchestration import task_runs
from include.pipeline_framework.tasks import backfill
from include.wiring import assembly
from include.wiring.workspace import Workspace

_log = logging.getLogger(__name__)


def start_campaigns() -> list[dict[str, Any]]:
    """Start one campaign per pipeline of the conf; skipped if none has anything to load."""
    reports = Workspace().start_campaigns(
        task_runs.conf(), _tick, lambda source_object, hint: _log.warning("%s: %s", source_object, hint)
    )
    for report in reports:
        for window in report.pop("windows", ()):
            _log.info("%s would %s", report["source_object"], window)
        _log.info("%s", report)
    started = [report for report in reports if report["campaign_id"] is not None]
    if not started:
        task_runs.skip(f"nothing to load: {reports}")
    return started


def trigger_pipeline(campaign: dict[str, Any]) -> None:
    """Start a run of the campaign's pipeline; each run triggers the next one until the campaign has no windows left."""
    config = assembly.parsed_config(campaign["pipeline_id"])
    number = campaign["campaign_id"]
    task_runs.trigger_run(config.dag_id, f"backfill__{number}", note=f"Drains backfill campaign {number}.")


def continue_backfill(pipeline_id: str) -> None:
    """Trigger the next run while a campaign has windows that can be claimed now."""
    config, workspace = assembly.parsed_config(pipeline_id), Workspace()
    if reason := workspace.why_no_further_run(config):
        task_runs.skip(reason)
    suffix = hashlib.sha256(workspace.actor.dag_run_id.encode()).hexdigest()[:16]
    note = f"Goes on where {workspace.actor.dag_run_id} stopped."
    task_runs.trigger_run(config.dag_id, f"backfill__{suffix}", note=note)


def _tick(source_object: str) -> backfill.Tick:
    def tick(done: int, steps: int) -> None:
        if done % backfill.INSERT_AT_ONCE == 0 or done == steps:
            _log.info("%s: %d of %d windows have joined", source_object, done, steps)

    return tick

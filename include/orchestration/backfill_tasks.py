"""Bodies of the tasks that start backfill campaigns, and of the one that keeps a pipeline's runs coming."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from include.orchestration import task_runs
from include.pipeline_framework.core.records.row import FINISHED
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.records.validation import stable_until
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.tasks import backfill, planning
from include.pipeline_framework.tasks.store_and_validate import claim_options
from include.wiring import assembly, run_context

_log = logging.getLogger(__name__)


def start_campaigns() -> list[dict[str, Any]]:
    """One campaign per pipeline of the conf; skipped when none has anything to load. Every conf is checked first."""
    params, loaded, store, actor = (
        task_runs.conf(),
        assembly.all_configs(),
        assembly.lifecycle_store(),
        run_context.current_actor(),
    )
    if not params.get("pipelines"):
        raise InvalidInputError("a backfill needs to know of which pipelines", remedy='Add "pipelines": ["main"].')
    configs = planning.select_pipelines(loaded.configs, loaded.errors, params["pipelines"])
    requests, now = [(config, backfill.parse_backfill(params, config)) for config in configs], store.now()
    for config, request in requests:
        request.run.require_not_future(config.horizon, now, config.source_object)
    reports = []
    for config, request in requests:
        for told in request.run.hints:
            _log.warning("%s: %s", config.source_object, told)
        report = backfill.start_campaign(config, store, actor, request, tick=_tick(config.source_object))
        for window in report.pop("windows", ()):
            _log.info("%s would %s", config.source_object, window)
        _log.info("%s", report)
        reports.append(report)
    started = [report for report in reports if report["campaign_id"] is not None]
    if not started:
        task_runs.skip(f"nothing to load: {reports}")
    return started


def trigger_pipeline(campaign: dict[str, Any]) -> None:
    """Start a run of the campaign's pipeline; its runs go on by themselves until the campaign is drained."""
    config = assembly.parsed_config(campaign["pipeline_id"])
    number = campaign["campaign_id"]
    task_runs.trigger_run(config.dag_id, f"backfill__{number}", note=f"Drains backfill campaign {number}.")


def continue_backfill(pipeline_id: str) -> None:
    """Trigger the next run while a campaign has windows that can be claimed now.

    A run that finished no window triggers none, so that a source that is down doesn't use up every window's attempts.
    """
    config, store, actor = assembly.parsed_config(pipeline_id), assembly.lifecycle_store(), run_context.current_actor()
    mine = store.claimed_by(actor.dag_id, actor.dag_run_id)
    if actor.is_temporary or not any(row["pipeline_final_status"] in FINISHED for row in mine):
        task_runs.skip("this run finished no window, so it triggers no further one")
    options = claim_options(config, stable_until(store.now(), config.x_time_back, config.timezone), RunRequest())
    if not backfill.has_more(config, store, **options):
        task_runs.skip("no running backfill campaign has windows that could be claimed now")
    suffix = hashlib.sha256(actor.dag_run_id.encode()).hexdigest()[:16]
    task_runs.trigger_run(config.dag_id, f"backfill__{suffix}", note=f"Goes on where {actor.dag_run_id} stopped.")


def _tick(source_object: str) -> backfill.Tick:
    def tick(done: int, steps: int) -> None:
        if done % backfill.INSERT_AT_ONCE == 0 or done == steps:
            _log.info("%s: %d of %d windows have joined", source_object, done, steps)

    return tick

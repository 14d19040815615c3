"""Bodies of the tasks of the ledger's own DAGs: planner, record generation, cleanup."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from include.orchestration import task_runs
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records.run_requests import parse_date
from include.pipeline_framework.core.time.windows import TimeWindow, iso_utc
from include.pipeline_framework.tasks import cleanup_stale_locks, plan_outcomes, planning, record_generation
from include.wiring import assembly, run_context

_log = logging.getLogger(__name__)


def plan_windows() -> dict[str, Any]:
    """Plan every source that has a good configuration; returns the totals.

    The table of all, one line per source and day, and every broken file is in the log before it fails for a source that
    could not be planned. `airflow tasks test daily_planner plan_windows <date>` shows what that day would get.
    """
    params, loaded, store = task_runs.conf(), assembly.all_configs(), assembly.lifecycle_store()
    target_date = params.get("target_date") or task_runs.date_of_test()
    chosen, broken = plan_outcomes.choose_sources(loaded.configs, loaded.errors, params.get("pipelines"))
    reports = planning.plan_sources(
        chosen,
        store,
        run_context.current_actor(),
        now=store.now(),
        target_date=parse_date(target_date, "target_date", "daily_planner") if target_date else None,
        dry_run=bool(params.get("dry_run")) or run_context.current_actor().is_temporary,
        allow_future=bool(params.get("allow_future")),
        yes=bool(params.get("yes")),
    )
    for line in plan_outcomes.outcome_table(reports, loaded.errors):
        _log.info("%s", line)
    plan_outcomes.require_planned(reports, broken)
    return plan_outcomes.totals(reports)


def require_good_configurations() -> str:
    """Fail for broken pipeline files, now that the others are planned."""
    loaded = assembly.all_configs()
    plan_outcomes.require_pipelines(loaded.configs, loaded.errors)
    return f"{len(loaded.configs)} pipelines, all configurations are good"


def generate_records() -> dict[str, Any]:
    """Generate the next records of one pipeline; skipped when its day is complete."""
    params = task_runs.conf()
    config = assembly.parsed_config(params["pipeline_id"])
    generated = _generated(config, params)
    if not generated["windows"]:
        task_runs.skip(f"nothing to generate: {generated['note']}")
    return generated


def validate_records(generated: Mapping[str, Any] | None) -> list[list[str]]:
    """Judge generated records as a claim will; returns the windows of those to store, skipped when all are future data.

    Run alone (`airflow tasks test record_generation validate_records <date>`) it generates what that day lacks itself.

    Raises:
        InvalidInputError: A record is not complete: nothing is stored.
    """
    params = task_runs.conf()
    config = assembly.parsed_config(params["pipeline_id"])
    generated = generated or _generated(config, params)
    windows = [TimeWindow(*map(datetime.fromisoformat, bounds)) for bounds in generated["windows"]]
    checked = record_generation.validate_windows(
        config, windows, now=assembly.lifecycle_store().now(), allow_future=bool(params.get("allow_future"))
    )
    for label, reason in checked.reasons.items():
        _log.info("left for later: %s: %s", label, reason)
    _log.info("%s: %d of %d records are complete", generated["target_day"], len(checked.rows), len(windows))
    if not checked.rows:
        task_runs.skip(f"nothing to store: {checked.reasons or generated['note']}")
    return [[iso_utc(row["query_window_start_at"]), iso_utc(row["query_window_end_at"])] for row in checked.rows]


def store_records(windows: Sequence[Sequence[str]] | None) -> dict[str, Any]:
    """Store validated records as PENDING rows; skipped in a dry run, in a temporary test run, and without any."""
    params, actor = task_runs.conf(), run_context.current_actor()
    config = assembly.parsed_config(params["pipeline_id"])
    spans = [TimeWindow(*map(datetime.fromisoformat, bounds)) for bounds in windows or ()]
    if not spans:
        task_runs.skip("no validated record to store")
    if params["dry_run"] or actor.is_temporary:
        task_runs.skip(f"a dry run stores nothing: {[span.local_label(config.timezone) for span in spans]}")
    inserted = planning.insert_windows(config, spans, assembly.lifecycle_store(), actor)
    return {"records": [window.local_label(config.timezone) for window in spans], "stored": len(inserted)}


def _generated(config: PipelineConfig, params: Mapping[str, Any]) -> dict[str, Any]:
    store, target_date = assembly.lifecycle_store(), params.get("target_date") or task_runs.date_of_test()
    found = record_generation.next_windows(
        config,
        store,
        now=store.now(),
        target_date=parse_date(target_date, "target_date", "record_generation") if target_date else None,
        max_records=params["max_records"],
        allow_future=bool(params.get("allow_future")),
    )
    for window in found.windows:
        _log.info("generated %s", window.local_label(config.timezone))
    return {
        "target_day": found.day,
        "windows": [[iso_utc(window.start), iso_utc(window.end)] for window in found.windows],
        "note": found.note,
    }


def release_stale_locks() -> list[dict[str, Any]]:
    """Release windows whose owner is gone."""
    task_runs.conf()  # the DAG has no params: any key is a mistake
    return cleanup_stale_locks.cleanup_stale_locks(
        assembly.lifecycle_store(), assembly.all_configs().configs, run_context.current_actor(), run_context.run_state
    )

"""Bodies of the tasks of the ledger's own DAGs: planner, record generation, cleanup."""

from __future__ import annotations

import logging
from typing import Any

from include.pipeline_framework.core.run_requests import parse_date
from include.pipeline_framework.orchestration import task_runs, wiring
from include.pipeline_framework.tasks import cleanup_stale_locks, plan_outcomes, planning, record_generation

_log = logging.getLogger(__name__)


def plan_windows() -> dict[str, Any]:
    """Plan every source that has a good configuration; returns the totals.

    The table of all, one line per source and day, and every broken file is in the log before it fails for a source that
    could not be planned. `airflow tasks test daily_planner plan_windows <date>` shows what that day would get.
    """
    params, loaded, store = task_runs.conf(), wiring.all_configs(), wiring.lifecycle_store()
    target_date = params.get("target_date") or task_runs.date_of_test()
    chosen, broken = plan_outcomes.choose_sources(loaded.configs, loaded.errors, params.get("pipelines"))
    reports = planning.plan_sources(
        chosen,
        store,
        task_runs.current_actor(),
        now=store.now(),
        target_date=parse_date(target_date, "target_date", "daily_planner") if target_date else None,
        dry_run=bool(params.get("dry_run")) or task_runs.current_actor().is_temporary,
        allow_future=bool(params.get("allow_future")),
        yes=bool(params.get("yes")),
    )
    for line in plan_outcomes.outcome_table(reports, loaded.errors):
        _log.info("%s", line)
    plan_outcomes.require_planned(reports, broken)
    return plan_outcomes.totals(reports)


def require_good_configurations() -> str:
    """Fail for broken pipeline files, now that the others are planned."""
    loaded = wiring.all_configs()
    plan_outcomes.require_pipelines(loaded.configs, loaded.errors)
    return f"{len(loaded.configs)} pipelines, all configurations are good"


def generate_records() -> dict[str, Any]:
    """Generate and store the next records of one pipeline; skipped when its day is complete."""
    params, store = task_runs.conf(), wiring.lifecycle_store()
    target_date = params.get("target_date")
    report = record_generation.generate_records(
        wiring.parsed_config(params["pipeline_id"]),
        store,
        task_runs.current_actor(),
        now=store.now(),
        target_date=parse_date(target_date, "target_date", "record_generation") if target_date else None,
        max_records=params["max_records"],
        dry_run=params["dry_run"] or task_runs.current_actor().is_temporary,
        allow_future=bool(params.get("allow_future")),
    )
    if not report["records"]:
        task_runs.skip(f"nothing to generate: {report}")
    return report


def release_stale_locks() -> list[dict[str, Any]]:
    """Release windows whose owner is gone."""
    task_runs.conf()  # the DAG has no params: any key is a mistake
    return cleanup_stale_locks.cleanup_stale_locks(
        wiring.lifecycle_store(), wiring.all_configs().configs, task_runs.current_actor(), task_runs.run_state
    )

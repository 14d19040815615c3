"""Bodies of the tasks of the ledger's own DAGs: planner, record generation, cleanup."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

from include.orchestration import task_runs
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records.run_requests import parse_date
from include.pipeline_framework.core.time.windows import TimeWindow, iso_utc
from include.pipeline_framework.tasks import plan_outcomes
from include.wiring import assembly
from include.wiring.workspace import Workspace

_log = logging.getLogger(__name__)


def plan_windows() -> dict[str, Any]:
    """Plan every source that has a good configuration; return the totals.

    Before the task fails for a source that could not be planned, the log has the table of all, one line per source and
    day, and every broken file. `airflow tasks test daily_planner plan_windows <date>` shows what that day would get.
    """
    params = task_runs.conf()
    planned = Workspace().plan(
        _target_date(params, "daily_planner"),
        params.get("pipelines"),
        dry_run=bool(params.get("dry_run")),
        allow_future=bool(params.get("allow_future")),
        yes=bool(params.get("yes")),
    )
    for line in plan_outcomes.outcome_table(planned.reports, planned.loaded.errors):
        _log.info("%s", line)
    plan_outcomes.require_planned(planned.reports, planned.broken)
    return plan_outcomes.totals(planned.reports)


def require_good_configurations() -> str:
    """Fail for broken pipeline files, after the others were planned."""
    loaded = Workspace().loaded
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
    """Judge generated records as a claim will; return the windows to store, skipped if all are future data.

    If it runs alone (`airflow tasks test record_generation validate_records <date>`), it generates the missing records
    of that day itself.

    Raises:
        InvalidInputError: A record is not complete: nothing is stored.
    """
    params = task_runs.conf()
    config = assembly.parsed_config(params["pipeline_id"])
    generated = generated or _generated(config, params)
    windows = [TimeWindow(*map(datetime.fromisoformat, bounds)) for bounds in generated["windows"]]
    checked = Workspace().validate_records(config, windows, allow_future=bool(params.get("allow_future")))
    for label, reason in checked.reasons.items():
        _log.info("left for later: %s: %s", label, reason)
    _log.info("%s: %d of %d records are complete", generated["target_day"], len(checked.rows), len(windows))
    if not checked.rows:
        task_runs.skip(f"nothing to store: {checked.reasons or generated['note']}")
    return [[iso_utc(row["query_window_start_at"]), iso_utc(row["query_window_end_at"])] for row in checked.rows]


def store_records(windows: Sequence[Sequence[str]] | None) -> dict[str, Any]:
    """Store validated records as PENDING rows; skipped in a dry run, in a temporary test run, and without any."""
    params, workspace = task_runs.conf(), Workspace()
    config = assembly.parsed_config(params["pipeline_id"])
    spans = [TimeWindow(*map(datetime.fromisoformat, bounds)) for bounds in windows or ()]
    if not spans:
        task_runs.skip("no validated record to store")
    if params["dry_run"] or workspace.actor.is_temporary:
        task_runs.skip(f"a dry run stores nothing: {[span.local_label(config.timezone) for span in spans]}")
    inserted = workspace.store_records(config, spans)
    return {"records": [window.local_label(config.timezone) for window in spans], "stored": len(inserted)}


def _target_date(params: Mapping[str, Any], where: str) -> date | None:
    """Return the day of the conf, else the day that `airflow tasks test` was given."""
    asked = params.get("target_date") or task_runs.date_of_test()
    return parse_date(asked, "target_date", where) if asked else None


def _generated(config: PipelineConfig, params: Mapping[str, Any]) -> dict[str, Any]:
    found = Workspace().next_records(
        config,
        _target_date(params, "record_generation"),
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
    """Release windows whose owner has ended."""
    task_runs.conf()  # the DAG has no params: any key is a mistake
    return Workspace().release_stale()

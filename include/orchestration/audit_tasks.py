"""Bodies of the tasks of `audit_windows`: the choice of pipelines, and the comparison for one pipeline."""

from __future__ import annotations

import logging
from typing import Any

from include.orchestration import task_runs
from include.pipeline_framework.tasks import audit_requests
from include.wiring.workspace import Workspace

_log = logging.getLogger(__name__)


def choose_pipelines() -> list[str]:
    """Return the ids of the pipelines to audit, after the conf was checked for each; skipped if there is none."""
    params, loaded = task_runs.conf(), Workspace().loaded
    for error in loaded.errors.values():
        _log.warning("left out, its file is broken: %s", error)
    chosen = audit_requests.choose_pipelines(loaded, params, _log.log)
    if not chosen:
        task_runs.skip("no pipeline is enabled, or other systems move all of them")
    return chosen


def audit_pipeline(pipeline_id: str) -> dict[str, Any]:
    """Compare one pipeline's closed windows with its source, and replace what has changed."""
    report = Workspace().audit_windows(pipeline_id, task_runs.conf(), _log.warning)
    _log.info("%s", report.as_dict())
    if report.note:
        task_runs.skip(report.note)
    _log.info("%s: %s", report.source_object, report.recommendation)
    return report.as_dict()

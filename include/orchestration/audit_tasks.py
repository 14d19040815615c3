"""Bodies of the tasks of `audit_windows`: whose windows are compared again, and that of one pipeline."""

from __future__ import annotations

import logging
from typing import Any

from include.orchestration import task_runs
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.tasks import audit_requests, audit_windows, planning
from include.wiring import assembly, run_context

_log = logging.getLogger(__name__)


def choose_pipelines() -> list[str]:
    """Ids of the pipelines to audit, after the conf was checked for each; skipped when there is none.

    Without `pipelines`, a pipeline that is disabled, or that another system moves, or whose horizon the asked range
    leaves, is left out with the reason.

    Raises:
        InvalidInputError: The conf makes no sense for any, or for one of the named; nothing was compared.
        ConfigurationError: Another system moves one of the named.
    """
    params, loaded = task_runs.conf(), assembly.all_configs()
    for error in loaded.errors.values():
        _log.warning("left out, its file is broken: %s", error)
    chosen, refused = [], list[InvalidInputError]()
    for config in planning.select_pipelines(loaded.configs, loaded.errors, params.get("pipelines")):
        if config.is_external and not params.get("pipelines"):
            _log.info("left out, another system moves its data: %s", config.pipeline_id)
            continue
        try:
            audit_requests.parse_audit(params, config)
        except InvalidInputError as error:
            if params.get("pipelines"):
                raise
            refused.append(error)
            _log.warning("left out: %s", error)
            continue
        if config.enabled:
            chosen.append(config.pipeline_id)
    if refused and not chosen:
        raise refused[0]
    if not chosen:
        task_runs.skip("no pipeline is enabled, or other systems move all of them")
    return chosen


def audit_pipeline(pipeline_id: str) -> dict[str, Any]:
    """Compare one pipeline's closed windows with its source, and replace what has changed."""
    pipeline = assembly.pipeline(pipeline_id)
    request = audit_requests.parse_audit(task_runs.conf(), pipeline.config)
    for told in request.run.hints:
        _log.warning("%s: %s", pipeline.config.source_object, told)
    report = audit_windows.audit_windows(pipeline, run_context.current_actor(), request)
    _log.info("%s", report.as_dict())
    if report.note:
        task_runs.skip(report.note)
    _log.info("%s: %s", report.source_object, report.recommendation)
    return report.as_dict()

"""Bodies of the tasks of `publish_lifecycle`: find the warehouses with a mirror of the ledger, run a cycle of each."""

from __future__ import annotations

import logging
from typing import Any

from include.implementation_modules.registry import MIRRORS
from include.orchestration import task_runs
from include.pipeline_framework.config.models import EXTERNAL, AdapterSection
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError
from include.wiring import assembly
from include.wiring.workspace import Workspace

_log = logging.getLogger(__name__)


def find_mirrors() -> list[dict[str, Any]]:
    """Return one mirror per place that pipelines load into, including disabled ones; skipped if there is none."""
    task_runs.conf()  # refuses a key that is none of the DAG's, before anything is mirrored
    found: dict[str, list[str]] = {}
    loaded = Workspace().loaded
    errors = dict(loaded.errors)
    for pipeline_id in sorted(loaded.configs):
        try:
            target = assembly.runtime_config(pipeline_id).target
        except ConfigurationError as error:
            errors[pipeline_id] = error
            continue
        if target.type == EXTERNAL:
            _log.info(
                "%s: another system moves it to a place that is not told, so its rows have no mirror", pipeline_id
            )
        elif target.type in MIRRORS:
            found.setdefault(_name(target), []).append(pipeline_id)
        else:
            _log.warning("%s: a target of type %s has no mirror of the ledger", pipeline_id, target.type)
    for pipeline_id, reason in sorted(errors.items()):
        _log.warning("%s: where it loads can't be told, so its rows stay as they are: %s", pipeline_id, reason)
    if not found:
        task_runs.skip("no pipeline loads into a warehouse that can hold a mirror")
    return [{"mirror": name, "pipelines": pipelines} for name, pipelines in sorted(found.items())]


def publish(mirror: str, pipelines: list[str]) -> dict[str, Any]:
    """Run one cycle; skipped while another cycle of the same mirror is running."""
    target = assembly.runtime_config(pipelines[0]).target
    if _name(target) != mirror:
        raise InvalidInputError(
            f"the pipelines of {mirror} load into {_name(target)} now",
            where=mirror,
            meaning="Their files or Variables were changed while the run went on; nothing was mirrored",
            remedy="Nothing: the next run finds it.",
        )
    params, workspace = task_runs.conf(), Workspace()
    dry_run = bool(params.get("dry_run"))
    report = workspace.mirror(mirror, target, pipelines, is_full=bool(params.get("full")), dry_run=dry_run)
    _log.info("%s", report)
    if report.skipped_because and not (dry_run or workspace.actor.is_temporary):
        task_runs.skip(report.skipped_because)
    return report.as_dict()


def _name(target: AdapterSection) -> str:
    """Return connection, and database and schema if the pipeline names them; places don't differ by case alone."""
    place = [str(target.options[part]).lower() for part in ("database", "schema") if target.options.get(part)]
    return "/".join([str(target.connection_id), *place])

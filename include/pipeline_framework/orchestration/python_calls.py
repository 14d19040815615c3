"""What a plain Python call needs that a DAG gets from its task: who acts, a ledger, a wired pipeline.

Inside an Airflow task all of it is the task's; outside, a Python session acts as one run of its own. Airflow is not
imported unless it is there already.
"""

from __future__ import annotations

import getpass
import os
import socket
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from include.pipeline_framework.config.external import require_moved_here
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.config.problems import Problem, configuration_error, problems_of
from include.pipeline_framework.core.horizon import Horizon
from include.pipeline_framework.core.leases import RunState
from include.pipeline_framework.core.lifecycle import Actor
from include.pipeline_framework.orchestration import wiring
from include.pipeline_framework.ports import LifecycleStore, Source, Target
from include.pipeline_framework.tasks.pipeline import Pipeline

PYTHON_SESSION = "python session"
"""`dag_id` of a session outside Airflow; the blank keeps it apart from every DAG."""

_FIRST_DAY = date(1, 1, 2)  # the day before can't be shown in zones east of Greenwich


def current_actor(call: str) -> Actor:
    """The Airflow task that runs now, else this Python session: its calls belong together like the tasks of one run."""
    if _in_task():
        from include.pipeline_framework.orchestration.task_runs import current_actor as acting_task

        return acting_task()
    return Actor(PYTHON_SESSION, _session(os.getpid()), call)


def is_last_try() -> bool:
    """Whether nobody repeats this call when it fails with an error that may be retried."""
    if not _in_task():
        return True
    from include.pipeline_framework.orchestration import task_runs

    return task_runs.is_last_try()


def run_state(dag_id: str, dag_run_id: str) -> RunState:
    """What Airflow says of a run; unknown outside a task, where nobody can be asked."""
    if not _in_task():
        return RunState.UNKNOWN
    from include.pipeline_framework.orchestration import task_runs

    return task_runs.run_state(dag_id, dag_run_id)


@contextmanager
def ledger(store: LifecycleStore | None) -> Iterator[LifecycleStore]:
    """The given ledger, else the project's own, closed at the end."""
    if store is not None:
        yield store
        return
    own = wiring.lifecycle_store()
    try:
        yield own
    finally:
        getattr(own, "close", lambda: None)()


@contextmanager
def wired(final_config: Mapping[str, Any], pipeline: Pipeline | None) -> Iterator[Pipeline]:
    """The given pipeline, else one wired from the configuration, its ledger closed at the end.

    Raises:
        ConfigurationError: Another system moves the pipeline's data.
    """
    config = pipeline.config if pipeline else pipeline_config(final_config)
    require_moved_here(config)
    if pipeline is not None:
        yield pipeline
        return
    own = wiring.wire(config)
    try:
        yield own
    finally:
        getattr(own.store, "close", lambda: None)()


def source(final_config: Mapping[str, Any], pipeline: Pipeline | None) -> Source:
    """The source alone."""
    if pipeline is not None:
        return pipeline.source
    config = pipeline_config(final_config)
    require_moved_here(config)
    found: Source = wiring.adapter("source", config.source)
    found.settle = config.settle
    return found


def target(final_config: Mapping[str, Any], pipeline: Pipeline | None) -> Target:
    """The target alone."""
    if pipeline is not None:
        return pipeline.target
    config = pipeline_config(final_config)
    require_moved_here(config)
    found: Target = wiring.adapter("target", config.target)
    return found


def pipeline_config(final_config: Mapping[str, Any]) -> PipelineConfig:
    """The checked configuration of a plain dict of `load_final_config`.

    Raises:
        ConfigurationError: A setting is missing or wrong.
    """
    data = {name: final_config[name] for name in PipelineConfig.model_fields if name in final_config}
    try:
        return PipelineConfig.model_validate(data)
    except ValidationError as error:
        found = problems_of(error, PipelineConfig, data)
        problems = [Problem("final_config", path, value=value, message=message) for path, value, message in found]
        where = f"pipeline {final_config.get('pipeline_id', '(not named)')}"
        raise configuration_error(problems, where=where) from error


def horizon(final_config: Mapping[str, Any]) -> Horizon:
    """The days of a configuration; one that was written by hand without dates has no bounds."""
    start, end = (
        date.fromisoformat(str(final_config[name])) if final_config.get(name) else None
        for name in ("start_date", "end_date")
    )
    return Horizon(final_config["timezone"], start or _FIRST_DAY, end, final_config.get("enabled", True))


def _in_task() -> bool:
    if "airflow.sdk" not in sys.modules:  # whoever runs in a task has it imported
        return False
    from airflow.sdk import get_current_context

    try:
        return bool(get_current_context())
    except RuntimeError:
        return False


@lru_cache(maxsize=1)
def _session(process_id: int) -> str:
    user = os.environ.get("USER") or getpass.getuser()
    return f"{user}@{socket.gethostname()}:{process_id}-{uuid.uuid4().hex[:8]}"

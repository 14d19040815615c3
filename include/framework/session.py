"""Provides for a plain Python call what a DAG gets from its task: who acts, a ledger, a wired pipeline.

Inside an Airflow task all of it is the task's; outside, a Python session acts as one run of its own. Airflow is not
imported unless it is already loaded.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import date
from typing import Any

from pydantic import ValidationError

from include.pipeline_framework.config.external import require_moved_here
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.config.problems import Problem, configuration_error, problems_of
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.ports.source import Source
from include.pipeline_framework.ports.target import Target
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.wiring import assembly

_FIRST_DAY = date(1, 1, 2)  # the day before can't be shown in zones east of Greenwich


@contextmanager
def wired(final_config: Mapping[str, Any], pipeline: Pipeline | None) -> Iterator[Pipeline]:
    """Return the given pipeline, else one wired from the configuration, whose ledger is closed at the end.

    Raises:
        ConfigurationError: Another system moves the pipeline's data.
    """
    config = pipeline.config if pipeline else pipeline_config(final_config)
    require_moved_here(config)
    if pipeline is not None:
        yield pipeline
        return
    own = assembly.wire(config)
    try:
        yield own
    finally:
        own.store.close()


def source(final_config: Mapping[str, Any], pipeline: Pipeline | None) -> Source:
    """Return the source alone."""
    if pipeline is not None:
        return pipeline.source
    config = pipeline_config(final_config)
    require_moved_here(config)
    found: Source = assembly.adapter("source", config.source)
    found.settle = config.settle
    return found


def target(final_config: Mapping[str, Any], pipeline: Pipeline | None) -> Target:
    """Return the target alone."""
    if pipeline is not None:
        return pipeline.target
    config = pipeline_config(final_config)
    require_moved_here(config)
    found: Target = assembly.adapter("target", config.target)
    return found


def pipeline_config(final_config: Mapping[str, Any]) -> PipelineConfig:
    """Return the checked configuration of a plain dict of `load_final_config`.

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
    """Return the days of a configuration; one that was written by hand without dates has no bounds."""
    start, end = (
        date.fromisoformat(str(final_config[name])) if final_config.get(name) else None
        for name in ("start_date", "end_date")
    )
    return Horizon(final_config["timezone"], start or _FIRST_DAY, end, final_config.get("enabled", True))

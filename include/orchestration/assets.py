"""The assets that pipelines announce their windows on."""

from __future__ import annotations

from airflow.sdk import Asset

from include.pipeline_framework.config.models import PipelineConfig
from include.wiring import assembly


def target_asset(config: PipelineConfig) -> Asset:
    """The pipeline's target table; it gets one event per audited window, with `<start>/<end>` as partition key."""
    return Asset(name=f"{config.target_name}/{config.target_object or config.source_object}")


def asset_of(pipeline_id: str) -> Asset:
    """The same by the pipeline's id, for a DAG that consumes it."""
    return target_asset(assembly.parsed_config(pipeline_id))

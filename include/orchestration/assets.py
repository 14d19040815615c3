"""The assets with which pipelines announce their windows."""

from __future__ import annotations

from airflow.sdk import Asset

from include.pipeline_framework.config.models import PipelineConfig
from include.wiring import assembly


def target_asset(config: PipelineConfig) -> Asset:
    """Return the asset of the target table; each audited window is one event, with partition key `<start>/<end>`."""
    return Asset(name=f"{config.target_name}/{config.target_object or config.source_object}")


def asset_of(pipeline_id: str) -> Asset:
    """Return the same asset by the pipeline's id, for a DAG that consumes it."""
    return target_asset(assembly.shape_config(pipeline_id))

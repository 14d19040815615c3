"""What a window task works with: one pipeline's configuration and its four ports."""

from __future__ import annotations

from dataclasses import dataclass

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.ports import LifecycleStore, Source, Stage, Target


@dataclass(frozen=True)
class Pipeline:
    """A pipeline wired to its systems."""

    config: PipelineConfig
    store: LifecycleStore
    source: Source
    stage: Stage
    target: Target

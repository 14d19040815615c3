"""Define what a window task works with: one pipeline's configuration and its four ports."""

from __future__ import annotations

from dataclasses import dataclass

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.ports.ledger import LifecycleStore
from include.pipeline_framework.ports.source import Source
from include.pipeline_framework.ports.stage import Stage
from include.pipeline_framework.ports.target import Target


@dataclass(frozen=True)
class Pipeline:
    """A pipeline wired to its systems."""

    config: PipelineConfig
    store: LifecycleStore
    source: Source
    stage: Stage
    target: Target

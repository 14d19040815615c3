"""A pipeline whose adapters are built when a task first uses them.

An S3 or Snowflake client costs a fifth of a CPU second to build, and most tasks touch two of the three systems.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Any

from include.pipeline_framework.config.models import AdapterSection, PipelineConfig
from include.pipeline_framework.ports.ledger import LifecycleStore
from include.pipeline_framework.ports.source import Source
from include.pipeline_framework.ports.stage import Stage
from include.pipeline_framework.ports.target import Target
from include.pipeline_framework.tasks.pipeline import Pipeline


class WiredPipeline(Pipeline):
    """A `Pipeline` on its real systems; `build(role, section)` makes one adapter, once."""

    _build: Callable[[str, AdapterSection], Any]

    def __init__(
        self, config: PipelineConfig, store: LifecycleStore, build: Callable[[str, AdapterSection], Any]
    ) -> None:
        for name, value in (("config", config), ("store", store), ("_build", build)):
            object.__setattr__(self, name, value)  # the dataclass is frozen

    @cached_property
    def source(self) -> Source:
        """Return the source, which knows how long windows rest before they are read."""
        source: Source = self._build("source", self.config.source)
        source.settle = self.config.settle
        return source

    @cached_property
    def stage(self) -> Stage:
        """Return the stage."""
        stage: Stage = self._build("stage", self.config.stage)
        return stage

    @cached_property
    def target(self) -> Target:
        """Return the target."""
        target: Target = self._build("target", self.config.target)
        return target

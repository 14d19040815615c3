"""Handle pipelines with `moved_by: external`: another system moves the data, this bundle plans and watches it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from include.pipeline_framework.config.models import EXTERNAL, PipelineConfig
from include.pipeline_framework.config.problems import Found
from include.pipeline_framework.config.variables import PLACEHOLDER_SECTIONS
from include.pipeline_framework.errors import ConfigurationError


def require_moved_here(config: PipelineConfig) -> None:
    """Refuse to move, claim, audit or repair data that another system moves.

    Raises:
        ConfigurationError: The pipeline has `moved_by: external`.
    """
    if config.is_external:
        raise ConfigurationError(
            "another system moves its data (moved_by: external)",
            where=f"pipeline {config.pipeline_id}",
            meaning="Its windows are planned and watched here, never claimed, moved or compared; nothing was done",
            remedy=f"Have that system report its windows: python -m include.cli ledger report --pipeline "
            f"{config.pipeline_id} --start … --end …. To have this bundle move them, remove moved_by.",
        )


def require_moved_elsewhere(config: PipelineConfig) -> None:
    """Refuse a report about data that this bundle moves itself.

    Raises:
        ConfigurationError: The pipeline does not have `moved_by: external`.
    """
    if not config.is_external:
        raise ConfigurationError(
            "this bundle moves its data itself",
            where=f"pipeline {config.pipeline_id}",
            meaning="Only its own runs and their audits say how a window ended; nothing was written",
            remedy=f"Trigger {config.dag_id}, or write moved_by: external when another system moves its data.",
        )


def external_problems(data: dict[str, Any]) -> Iterator[Found]:
    """Find sections of type `external` in wrong places or with more keys; `data` is the merged file."""
    is_external = data.get("moved_by") == EXTERNAL
    for role in PLACEHOLDER_SECTIONS:
        section = data.get(role)
        if not isinstance(section, dict) or section.get("type") != EXTERNAL:
            continue
        if not is_external:
            yield (role, "type"), EXTERNAL, "only a pipeline with moved_by: external has it; name the adapter"
        for key in section.keys() - {"type"}:
            yield (
                (role, key),
                section[key],
                "a section of type external says nothing more; remove it, or name the system",
            )

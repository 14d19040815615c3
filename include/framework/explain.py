"""`why` for notebooks, scripts and Airflow's UI: the project's pipelines and ledger unless others are given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.ports.ledger import LifecycleStore
from include.wiring.workspace import Workspace


def why(
    source_object: str,
    instant: str,
    *,
    store: LifecycleStore | None = None,
    configs: Mapping[str, PipelineConfig] | None = None,
    run_state: Callable[[str, str], RunState] | None = None,
) -> dict[str, Any]:
    """Return why the window of a source at an instant is in its state, or missing, and what happens next and when.

    Args:
        source_object: The ledger's key of a pipeline.
        instant: ISO 8601 with an offset, or a local time or date of the pipeline's zone.
        store: The ledger.
        configs: Pipelines by id.
        run_state: Returns Airflow's state of a run; read through the calling task, unknown outside of one.

    Returns:
        Plain values: `state`, `sentences`, `holder`, `lease_ends_at`, `reason`, `numbers`, `next`, `next_at`, …

    Raises:
        InvalidInputError: The source is unknown, or the instant can't be read or is ambiguous.
    """
    with Workspace(store=store, configs=configs) as workspace:
        return workspace.why(source_object, instant, run_state)

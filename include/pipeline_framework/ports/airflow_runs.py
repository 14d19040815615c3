"""The port by which a person's command starts runs of a pipeline's DAG in Airflow, and follows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from include.pipeline_framework.ports.checking import AirflowState


class AirflowRuns(AirflowState, Protocol):
    """What a user with the right to trigger asks Airflow to do; every method raises `PipelineError` when it refuses."""

    def unpause(self, dag_id: str) -> None:
        """Let the DAG run."""
        ...

    def trigger(self, dag_id: str, conf: Mapping[str, Any], note: str) -> str:
        """Start a run without a logical date; return its id.

        Args:
            dag_id: The DAG.
            conf: The run's conf.
            note: What Airflow's UI shows at the run.
        """
        ...

    def run_state(self, dag_id: str, run_id: str) -> str:
        """Return the state of a run: `queued`, `running`, `success` or `failed`."""
        ...

    def run_address(self, dag_id: str, run_id: str) -> str:
        """Return the address of a run in Airflow's UI."""
        ...

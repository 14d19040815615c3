"""The port by which an adapter says whether a pipeline could use its system, before any window is claimed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from include.pipeline_framework.core.watching.verdicts import Verdict


@dataclass(frozen=True, slots=True)
class Look:
    """What a check knows of the pipeline.

    Attributes:
        connection_id: Airflow's, for remedies; empty for an adapter that needs none.
        settle: How long a window rests after its end before it is read.
        clock: Returns this machine's present instant, aware.
    """

    connection_id: str
    settle: timedelta
    clock: Callable[[], datetime]


class Check(Protocol):
    """Looks at one system through its own client.

    It changes nothing that stays, raises none of the system's errors, and goes on after a check that failed where the
    next one still makes sense. No verdict holds a secret.
    """

    def __call__(self, client: Any, options: Any, look: Look) -> Sequence[Verdict]:
        """Return the verdicts, in the order in which they were found.

        Args:
            client: What the adapter gets injected.
            options: The adapter's checked settings.
            look: What is known of the pipeline.
        """
        ...


class AirflowState(Protocol):
    """What Airflow says of its DAGs; every method raises `PipelineError` when it can't be asked."""

    def import_errors(self) -> dict[str, str]:
        """Return the last line of each import error by the file's path."""
        ...

    def is_paused(self, dag_id: str) -> bool | None:
        """Return whether the DAG is paused; None: Airflow does not know it."""
        ...

    def last_state(self, dag_id: str) -> str:
        """Return the state of the DAG's newest run; empty: it has none."""
        ...

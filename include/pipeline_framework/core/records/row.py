"""Define the words of a ledger row: its statuses and phases, and who acts on it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from include.pipeline_framework.core.time.windows import TimeWindow

TEMPORARY_RUN_PREFIX = "__airflow_temporary_run_"
"""Run ids of `airflow tasks test` without an existing run; such a run never takes or claims a window."""


class _Word(StrEnum):
    """A word of the ledger; it prints as the text that it is, also inside a dictionary."""

    def __repr__(self) -> str:
        return repr(self.value)


class Status(_Word):
    """Values of `pipeline_final_status`, `elt_process_status`, `audit_process_status` and the two phase statuses."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"


class Phase(_Word):
    """Values of `phase_completed` (NULL: none yet)."""

    SOURCE_TO_STAGE = "SOURCE_TO_STAGE"
    STAGE_TO_TARGET = "STAGE_TO_TARGET"
    AUDIT = "AUDIT"

    @property
    def and_later(self) -> tuple[Phase, ...]:
        """Return the values of `phase_completed` of a window that has reached at least this phase."""
        return tuple(Phase)[tuple(Phase).index(self) :]


FINISHED = frozenset({Status.COMPLETED, Status.SKIPPED})


@dataclass(frozen=True, slots=True)
class Actor:
    """The one that acts: a task try of a DAG run, or a person's command (then `dag_id` names the command).

    `map_index` is -1 for a task that is not mapped; `try_number` is 0 outside a scheduled try.
    """

    dag_id: str
    dag_run_id: str
    task_id: str = ""
    map_index: int = -1
    try_number: int = 0

    def __str__(self) -> str:
        index = f"[{self.map_index}]" if self.map_index >= 0 else ""
        return f"{self.dag_id}/{self.dag_run_id}/{self.task_id}{index} try {self.try_number}"

    @property
    def is_temporary(self) -> bool:
        """True when the run exists only for `airflow tasks test`."""
        return self.dag_run_id.startswith(TEMPORARY_RUN_PREFIX)


def window_of(record: Mapping[str, Any]) -> TimeWindow:
    """Return the window of a record, or of a part of a row that a statement read."""
    return TimeWindow(record["query_window_start_at"], record["query_window_end_at"])

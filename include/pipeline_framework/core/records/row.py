"""Define the words of a ledger row: its statuses and phases, who acts on it, and which window it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from include.pipeline_framework.core.time.windows import TimeWindow, iso_utc
from include.pipeline_framework.errors import (
    RowMistakenError,
)

Row = Mapping[str, Any]

TEMPORARY_RUN_PREFIX = "__airflow_temporary_run_"
"""Run ids of `airflow tasks test` without an existing run; such a run never takes or claims a window."""


class Status(StrEnum):
    """Values of `pipeline_final_status`, `elt_process_status`, `audit_process_status` and the two phase statuses."""

    PENDING = "PENDING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETED = "COMPLETED"
    SKIPPED = "SKIPPED"
    FAILED = "FAILED"


class Phase(StrEnum):
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


@dataclass(frozen=True, slots=True)
class RowIdentity:
    """The window that a row's number means; a ledger that was lost, restored or failed over may reuse the number."""

    source_object: str
    start: datetime
    end: datetime

    @classmethod
    def of(cls, row: Row) -> RowIdentity:
        """Return the identity of a ledger row."""
        return cls(row["source_object"], row["query_window_start_at"], row["query_window_end_at"])

    def require(self, row: Row) -> None:
        """Refuse a row that is another window's.

        Raises:
            RowMistakenError: The message names both windows.
        """
        if RowIdentity.of(row) != self:
            raise RowMistakenError(
                f"row {row['id']} is not {self.source_object} {iso_utc(self.start)}/{iso_utc(self.end)}",
                where=describe(row),
                meaning="The ledger has given this number to another window since the task got it: it was lost, "
                "restored or failed over. The other window's data would be moved under this name; nothing was changed",
                remedy="Trigger the pipeline again: a new run claims what the ledger knows now. "
                "Rebuild the ledger if that was not done yet.",
            )


def window_of(row: Row) -> TimeWindow:
    """Return the window of a ledger row."""
    return TimeWindow(row["query_window_start_at"], row["query_window_end_at"])


def describe(row: Row) -> str:
    """Return where an error happened: pipeline, window and row id."""
    window = f"{iso_utc(row['query_window_start_at'])}/{iso_utc(row['query_window_end_at'])}"
    return f"{row['source_object']} {window} id {row['id']}"


def is_held_by(row: Row, actor: Actor) -> bool:
    """True when the actor's DAG run owns the row, whatever its task or try."""
    return (row["dag_id"], row["dag_run_id"]) == (actor.dag_id, actor.dag_run_id)


def is_completed_by(row: Row, actor: Actor) -> bool:
    """True when the actor's run has completed the row: its process died after writing, or its task was cleared."""
    return bool(row["pipeline_final_status"] == Status.COMPLETED) and is_held_by(row, actor)

"""Several windows in one task instance: one process carries them through a phase, one by one or together.

Each window keeps its own fence, row, events, attempts and result. What fails does not stop the windows beside it: the
task does the others first, and fails then. The task of the next phase gets the windows that came so far.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowRescheduleException, AirflowSkipException

from include.orchestration import task_runs
from include.pipeline_framework.core.records.row import Status
from include.pipeline_framework.errors import TerminalError
from include.pipeline_framework.ports.ledger import LedgerReads
from include.wiring import run_context

_log = logging.getLogger(__name__)
_GO_ON = "windows_that_go_on"

Record = dict[str, Any]
"""What XCom carries of a window, see `small_record`; or a batch: `local`, the label in the grid, and `windows`."""

Done = tuple[dict[str, Any], str | None]
"""The numbers of a window, and the window as text if it is complete now."""

Work = Callable[[Sequence[Record]], Iterable[Done | Exception]]
"""Does a task's work on windows; returns what became of each, in their order."""


def batched(records: Sequence[Record], size: int) -> list[Record]:
    """Return batches of at most `size` windows, in order."""
    parts = [list(records[first : first + size]) for first in range(0, len(records), size)]
    return [{"local": _label(part), "windows": part} for part in parts]


def one_by_one(one: Callable[[Record], Done]) -> Work:
    """Return the work on windows one after the other, from the work on one, which raises as a task does."""

    def work(records: Sequence[Record]) -> Iterator[Done | Exception]:
        for record in records:
            try:
                yield one(record)
            except Exception as error:  # noqa: BLE001 - it is raised after the windows beside it
                yield error

    return work


def each(batch: Record, store: LedgerReads, work: Work, *, before: str | None = None) -> Any:
    """Do a task's work on every window of a batch, or on the one window that a record means.

    Args:
        batch: What the task was mapped over.
        store: The ledger.
        work: The work; its errors are those of a task that has one window.
        before: The task of the same group that comes before; only windows that went on from there are worked on.

    Returns:
        The numbers of every window that came through, each with its label; of a record its numbers alone.

    Raises:
        AirflowSkipException: No window came through, and none failed.
        AirflowRescheduleException: The table of the target was busy, and no window failed.
        Exception: The error of a window that failed, if there is one an error after which another try makes sense.
    """
    if "windows" not in batch:
        (outcome,) = work([batch])
        if isinstance(outcome, Exception):
            raise outcome
        result, complete = outcome
        task_runs.announce([complete] if complete else [])
        return result
    results, completed, went_on = list[dict[str, Any]](), list[str](), list[Record]()
    notes, failures = list[str](), list[Exception]()
    busy: Exception | None = None
    records = _still_wanted(_came_so_far(batch["windows"], before), store)
    for record, outcome in zip(records, work(records), strict=True):
        if isinstance(outcome, AirflowSkipException):
            notes.append(f"{record['local']}: {outcome}")
            _log.info("%s", notes[-1])
        elif isinstance(outcome, AirflowRescheduleException):
            busy = outcome
            went_on.append(record)
        elif isinstance(outcome, Exception):
            failures.append(outcome)
            _log.error("%s failed; the windows beside it go on", record["local"], exc_info=outcome)
        else:
            result, complete = outcome
            results.append({"local": record["local"], **result})
            completed += [complete] if complete else []
            went_on.append(record)
    get_current_context()["ti"].xcom_push(key=_GO_ON, value=[record["id"] for record in went_on])
    if failures:
        raise _worst(failures, len(batch["windows"]))
    if busy:
        raise busy
    if not results:
        task_runs.skip("; ".join(notes) or "no window of this batch has come so far")
    task_runs.announce(completed)
    return results


def _label(part: Sequence[Record]) -> str:
    return str(part[0]["local"]) if len(part) == 1 else f"{part[0]['local']} … {part[-1]['local']} ({len(part)})"


def _came_so_far(windows: Sequence[Record], before: str | None) -> list[Record]:
    """Return the windows that went on from the task before; all where it could not say so, because it was killed."""
    ti = get_current_context()["ti"]
    task = f"{ti.task_id.rpartition('.')[0]}.{before}"
    ids = ti.xcom_pull(task_ids=task, key=_GO_ON, map_indexes=ti.map_index) if before else None
    return [record for record in windows if ids is None or record["id"] in ids]


def _still_wanted(windows: list[Record], store: LedgerReads) -> list[Record]:
    """Leave out, in another try, what a try before has given up: another run takes it, after its rest.

    Where the run holds none of the windows any more, a person has cleared the task: then all are taken again.
    """
    actor = run_context.current_actor()
    if actor.try_number < 2:
        return windows
    own = {row.id: row for row in store.find(run=(actor.dag_id, actor.dag_run_id))}
    if not any(own[w["id"]].pipeline_final_status == Status.IN_PROGRESS for w in windows if w["id"] in own):
        return windows
    return [record for record in windows if record["id"] in own]


def _worst(failures: Sequence[Exception], windows: int) -> Exception:
    error = next((error for error in failures if not isinstance(error, TerminalError)), failures[0])
    if len(failures) > 1:
        error.add_note(f"{len(failures)} of the task's {windows} windows failed; each one's error is in the log above.")
    return error

"""Run one start of a task on one window: take it under a new fence, keep its lease alive, and record its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import structlog

from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.lifecycle.transitions import Transition
from include.pipeline_framework.core.records.ledger_row import LedgerRow, RowIdentity
from include.pipeline_framework.core.records.row import Actor, Status
from include.pipeline_framework.core.texts import storable
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    FenceLostError,
    LedgerRefusedError,
    PipelineError,
    TargetBusyError,
    TerminalError,
)
from include.pipeline_framework.ports.ledger import LedgerWindows

Result = TypeVar("Result")

HEARTBEAT_SECONDS = 30.0
LONGEST_REASON = 4_000
"""The most characters of one attempt's error that the ledger keeps; the task's log has all of it."""


class WindowAttempt:
    """The authority over one window while a task runs; every write goes through it and carries its fence."""

    def __init__(self, store: LedgerWindows, row: LedgerRow, actor: Actor) -> None:
        self._store = store
        self.row = row
        self.actor = actor
        self.fence: int = row.fence
        self.has_beaten = False
        self.log = structlog.get_logger(__name__).bind(
            pipeline=row.pipeline_id,
            window=str(self.window),
            lifecycle_id=row.id,
            fence=self.fence,
            task=actor.task_id,
            try_number=actor.try_number,
        )

    @property
    def window(self) -> TimeWindow:
        """Return the window; source range, stage path, target delete and all counts use this object."""
        return TimeWindow(self.row.query_window_start_at, self.row.query_window_end_at)

    @property
    def may_hold_lease(self) -> bool:
        """True when a lease may still run at the end: a phase's own write stops it, but a beat may follow that."""
        is_running = self.row.pipeline_final_status == Status.IN_PROGRESS
        return self.row.heartbeat_at is not None or (self.has_beaten and is_running)

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """Log how long a step took, in seconds, also when it failed."""
        started = time.monotonic()
        try:
            yield
        except Exception as error:
            self.log.warning("step failed", step=name, seconds=_since(started), error=type(error).__name__)
            raise
        self.log.info("step done", step=name, seconds=_since(started))

    def change(self, decide: Callable[..., Transition], *arguments: Any, **options: Any) -> LedgerRow:
        """Apply a function of `core.lifecycle` under this fence: `decide(row, fence, now, *arguments, **options)`.

        Raises:
            FenceLostError: A newer start owns the window; nothing was written.
            RowMistakenError: The row's number means another window by now; nothing was written.
        """
        fence, expected = self.fence, self.row.identity

        def checked(row: LedgerRow, now: datetime) -> Transition:
            expected.require(row)
            return decide(row, fence, now, *arguments, **options)

        self.row = self._store.change(self.row.id, checked, self.actor)
        return self.row

    def replace_by(self, records: Sequence[Mapping[str, Any]], reason: str) -> list[LedgerRow]:
        """Replace the window, which this task holds, by others; a later run claims them.

        Raises:
            FenceLostError: A newer start owns the window; nothing was written.
        """
        new = self._store.replace([self.row.id], records, self.actor, reason, fence=self.fence)
        self.row = self._store.get(self.row.id)
        return new

    def note_refusal(self, refusal: LedgerRefusedError) -> None:
        """Record in the ledger that this attempt, superseded by a newer one, tried to write and was refused."""
        if isinstance(refusal, FenceLostError):
            try:
                self._store.note_refusal(self.row.id, self.fence, storable(str(refusal), LONGEST_REASON), self.actor)
            except PipelineError as error:
                refusal.add_note(f"The ledger could not be told: {error}")


def run_on_window(
    store: LedgerWindows,
    record_id: int,
    actor: Actor,
    work: Callable[[WindowAttempt], Result],
    *,
    expected: RowIdentity | None,
    max_retry_task: int,
    is_last_try: bool,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> Result:
    """Take the window, do the work, and write how the work ended.

    `expected` is the window that the caller means by the row's number; None: it has just read the row.

    A failed try that Airflow repeats keeps owner and status. The last one, or a terminal error, spends an attempt: the
    row goes back to PENDING with a delay, or to FAILED.

    Raises:
        LedgerRefusedError: The window was not taken, or was lost while working; this task may not change the row.
        Exception: Any error that `work` raised, after it was written to the ledger.
    """
    attempt = WindowAttempt(store, store.take(record_id, actor, expected), actor)
    attempt.log.info("window taken", run=actor.dag_run_id, phase_completed=attempt.row.phase_completed)
    try:
        with _heartbeats(attempt, store, heartbeat_seconds), attempt.step("task"):
            result = work(attempt)
    except LedgerRefusedError as refusal:
        attempt.note_refusal(refusal)
        raise
    except TargetBusyError:
        attempt.change(transitions.end_task)  # the window waits and is still this run's; no attempt is spent
        raise
    except Exception as error:
        will_repeat = not is_last_try and not isinstance(error, TerminalError)
        _account_for_failure(attempt, error, will_repeat=will_repeat, max_retry_task=max_retry_task)
        raise
    if attempt.may_hold_lease:
        attempt.change(transitions.end_task)
    return result


def _account_for_failure(attempt: WindowAttempt, error: Exception, *, will_repeat: bool, max_retry_task: int) -> None:
    # an error may quote outside text: the ledger must be able to store it, or the row would stay IN_PROGRESS
    reason = storable(f"{attempt.actor.task_id}: {type(error).__name__}: {error}", LONGEST_REASON)
    try:
        if will_repeat:
            attempt.change(transitions.retry_later, reason)
        else:
            attempt.change(transitions.fail, reason, max_retry_task=max_retry_task)
    except PipelineError as refused:
        if isinstance(refused, LedgerRefusedError):
            attempt.note_refusal(refused)
        # A person has to see the first error; the newer owner, or cleanup, settles the row.
        error.add_note(f"The ledger could not be told: {refused}")


@contextmanager
def _heartbeats(attempt: WindowAttempt, store: LedgerWindows, every_seconds: float) -> Iterator[None]:
    """Renew the lease in a thread until the task ends, whatever fails there.

    Only a lost fence ends it earlier: it is logged, and the work's next write is refused anyway.
    """
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(every_seconds):
            try:
                store.heartbeat(attempt.row.id, attempt.fence)
                attempt.has_beaten = True
            except FenceLostError as error:
                attempt.log.warning("the window belongs to somebody else now", error=str(error))
                return
            except Exception as error:  # if the thread died of it, a healthy task would lose its lease
                attempt.log.warning(
                    "heartbeat not written, trying again",
                    error=str(error),
                    exc_info=not isinstance(error, PipelineError),
                )

    thread = threading.Thread(target=beat, name=f"heartbeat-{attempt.row.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _since(started: float) -> float:
    return round(time.monotonic() - started, 3)

"""Run one start of a task on its windows: take each under a new fence, keep its lease alive, and record its end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, TypeVar

import structlog

from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.lifecycle.transitions import Decision, Transition
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
        self.store = store
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
            self.log_step(name, started, error)
            raise
        self.log_step(name, started)

    def log_step(self, name: str, started: float, error: Exception | None = None) -> None:
        """Log a step that ended just now; `started` is a reading of `time.monotonic`."""
        seconds = round(time.monotonic() - started, 3)
        if error is None:
            self.log.info("step done", step=name, seconds=seconds)
        else:
            self.log.warning("step failed", step=name, seconds=seconds, error=type(error).__name__)

    def change(self, decide: Callable[..., Transition], *arguments: Any, **options: Any) -> LedgerRow:
        """Apply a function of `core.lifecycle` under this fence: `decide(row, fence, now, *arguments, **options)`.

        Raises:
            FenceLostError: A newer start owns the window; nothing was written.
            RowMistakenError: The row's number means another window by now; nothing was written.
        """
        self.row = self.store.change(self.row.id, self.decision(decide, *arguments, **options), self.actor)
        return self.row

    def decision(self, decide: Callable[..., Transition], *arguments: Any, **options: Any) -> Decision:
        """Return what `change` asks the ledger to do."""
        fence, expected = self.fence, self.row.identity

        def checked(row: LedgerRow, now: datetime) -> Transition:
            expected.require(row)
            return decide(row, fence, now, *arguments, **options)

        return checked

    def replace_by(self, records: Sequence[Mapping[str, Any]], reason: str) -> list[LedgerRow]:
        """Replace the window, which this task holds, by others; a later run claims them.

        Raises:
            FenceLostError: A newer start owns the window; nothing was written.
        """
        new = self.store.replace([self.row.id], records, self.actor, reason, fence=self.fence)
        self.row = self.store.get(self.row.id)
        return new

    def note_refusal(self, refusal: LedgerRefusedError) -> None:
        """Record in the ledger that this attempt, superseded by a newer one, tried to write and was refused."""
        if isinstance(refusal, FenceLostError):
            try:
                self.store.note_refusal(self.row.id, self.fence, storable(str(refusal), LONGEST_REASON), self.actor)
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
    """Take the window, do the work, and write how the work ended; see `run_on_windows`.

    Raises:
        LedgerRefusedError: The window was not taken, or was lost while working; this task may not change the row.
        Exception: Any error that `work` raised, after it was written to the ledger.
    """
    (outcome,) = run_on_windows(
        store,
        {record_id: expected},
        actor,
        each_alone(work),
        max_retry_task=max_retry_task,
        is_last_try=is_last_try,
        heartbeat_seconds=heartbeat_seconds,
    )
    if isinstance(outcome, Exception):
        raise outcome
    return outcome


def run_on_windows(
    store: LedgerWindows,
    windows: Mapping[int, RowIdentity | None],
    actor: Actor,
    work: Callable[[Sequence[WindowAttempt]], Sequence[Result | Exception]],
    *,
    max_retry_task: int,
    is_last_try: bool,
    heartbeat_seconds: float = HEARTBEAT_SECONDS,
) -> list[Result | Exception]:
    """Take the windows, do the work on those that were taken, and write for each how it ended.

    A failed try that Airflow repeats keeps owner and status. The last one, or a terminal error, spends an attempt: the
    row goes back to PENDING with a delay, or to FAILED.

    Args:
        store: The ledger.
        windows: Rows by their number, each with the window that the caller means by it; None: it has just read the row.
        actor: Who takes them.
        work: Returns the result or the error of each window; an error that it raises is that of all of them.
        max_retry_task: Attempts of a window after the first one.
        is_last_try: False when Airflow repeats the task after a passing error.
        heartbeat_seconds: How often the leases are renewed.

    Returns:
        The result of each window, or its error: it was not taken, or its work failed, and that is in the ledger.
    """
    if not windows:
        return []
    outcomes: dict[int, Result | Exception] = {}
    attempts = list[WindowAttempt]()
    for record_id, taken in _taken(store, windows, actor).items():
        if isinstance(taken, Exception):
            outcomes[record_id] = taken
        else:
            attempt = WindowAttempt(store, taken, actor)
            attempt.log.info("window taken", run=actor.dag_run_id, phase_completed=taken.phase_completed)
            attempts.append(attempt)
    if attempts:
        with _heartbeats(attempts, store, heartbeat_seconds):
            ended = _worked(attempts, work)
        for attempt, outcome in zip(attempts, ended, strict=True):
            outcomes[attempt.row.id] = _accounted(
                attempt, outcome, will_repeat=not is_last_try, max_retry_task=max_retry_task
            )
        outcomes |= change_all([attempt for attempt in attempts if _ends(attempt, outcomes)], transitions.end_task)
    return [outcomes[record_id] for record_id in windows]


def each_alone(
    work: Callable[[WindowAttempt], Result],
) -> Callable[[Sequence[WindowAttempt]], list[Result | Exception]]:
    """Return the work on several windows, one after the other, from the work on one: an error is its own window's."""

    def works(attempts: Sequence[WindowAttempt]) -> list[Result | Exception]:
        outcomes = list[Result | Exception]()
        for attempt in attempts:
            try:
                outcomes.append(work(attempt))
            except Exception as error:  # noqa: BLE001 - it is written to the ledger, and then the caller's to raise
                outcomes.append(error)
        return outcomes

    return works


def change_all(
    attempts: Sequence[WindowAttempt],
    decide: Callable[..., Transition],
    arguments: Callable[[WindowAttempt], Sequence[Any]] = lambda _: (),
) -> dict[int, Exception]:
    """Do for several attempts of one task what `WindowAttempt.change` does, in one transaction; return the errors.

    Args:
        attempts: Whose rows change.
        decide: See `WindowAttempt.change`.
        arguments: Returns further arguments of `decide` for an attempt.
    """
    if not attempts:
        return {}
    store, actor = attempts[0].store, attempts[0].actor
    try:
        found = store.change_all({one.row.id: one.decision(decide, *arguments(one)) for one in attempts}, actor)
    except Exception as error:  # noqa: BLE001 - it is every window's outcome, and the caller's to raise
        return {attempt.row.id: error for attempt in attempts}
    errors: dict[int, Exception] = {}
    for attempt in attempts:
        row = found[attempt.row.id]
        if isinstance(row, Exception):
            errors[attempt.row.id] = row
        else:
            attempt.row = row
    return errors


def _taken(
    store: LedgerWindows, windows: Mapping[int, RowIdentity | None], actor: Actor
) -> Mapping[int, LedgerRow | Exception]:
    try:
        return store.take_all(windows, actor)
    except Exception as error:  # noqa: BLE001 - it is every window's outcome, and the caller's to raise
        return dict.fromkeys(windows, error)


def _ends(attempt: WindowAttempt, outcomes: Mapping[int, object]) -> bool:
    """Return whether the end of the task is all that is left to write: a busy table has spent no attempt."""
    outcome = outcomes[attempt.row.id]
    return isinstance(outcome, TargetBusyError) or (not isinstance(outcome, Exception) and attempt.may_hold_lease)


def _worked(
    attempts: Sequence[WindowAttempt], work: Callable[[Sequence[WindowAttempt]], Sequence[Result | Exception]]
) -> Sequence[Result | Exception]:
    started = time.monotonic()
    try:
        ended = work(attempts)
    except Exception as error:  # noqa: BLE001 - it is written to the ledger, and then the caller's to raise
        ended = [error] * len(attempts)
    for attempt, outcome in zip(attempts, ended, strict=True):
        attempt.log_step("task", started, outcome if isinstance(outcome, Exception) else None)
    return ended


def _accounted(
    attempt: WindowAttempt, outcome: Result | Exception, *, will_repeat: bool, max_retry_task: int
) -> Result | Exception:
    """Write a failure of the work on a window; return the outcome, or the error of writing it."""
    try:
        if isinstance(outcome, LedgerRefusedError):
            attempt.note_refusal(outcome)
        elif isinstance(outcome, Exception) and not isinstance(outcome, TargetBusyError):
            will_repeat = will_repeat and not isinstance(outcome, TerminalError)
            _account_for_failure(attempt, outcome, will_repeat=will_repeat, max_retry_task=max_retry_task)
    except Exception as error:  # noqa: BLE001 - it is this window's outcome, and the caller's to raise
        return error
    return outcome


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
def _heartbeats(attempts: Sequence[WindowAttempt], store: LedgerWindows, every_seconds: float) -> Iterator[None]:
    """Renew the leases in a thread until the work ends, whatever fails there.

    Only a lost fence ends it earlier, for its own window: it is logged, and the work's next write is refused anyway.
    """
    stop = threading.Event()

    def beats(attempt: WindowAttempt) -> bool:
        try:
            store.heartbeat(attempt.row.id, attempt.fence)
            attempt.has_beaten = True
        except FenceLostError as error:
            attempt.log.warning("the window belongs to somebody else now", error=str(error))
            return False
        except Exception as error:  # if the thread died of it, a healthy task would lose its lease
            attempt.log.warning(
                "heartbeat not written, trying again",
                error=str(error),
                exc_info=not isinstance(error, PipelineError),
            )
        return True

    def beat() -> None:
        held = list(attempts)
        while held and not stop.wait(every_seconds):
            held = [attempt for attempt in held if beats(attempt)]

    thread = threading.Thread(target=beat, name=f"heartbeat-{attempts[0].row.id}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()

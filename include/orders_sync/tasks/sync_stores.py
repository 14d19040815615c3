"""Syncs the stores of a run: each is locked, decided and pulled, window by window, on the one session with its lock."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from include.orders_sync.core.pipelines import Store, SyncStatus, pipelines_of
from include.orders_sync.core.runs import RunOptions, StoreReport, slot_lock, store_lock, windows_of
from include.orders_sync.core.windows import OrdersWindow
from include.orders_sync.ports import OrdersDatabase, ReportClients
from include.orders_sync.tasks.pull_window import pull_window

_log = logging.getLogger(__name__)

POLL_SECONDS = 1.0

Tick = Callable[[str, str, OrdersWindow, SyncStatus], None]
"""Called after every window with store, pipeline, window, status."""


class Waiting(Protocol):
    """The wait for a store that another session holds."""

    def monotonic(self) -> float:
        """Return seconds on a clock that only goes forward."""

    def sleep(self, seconds: float) -> None:
        """Wait the given seconds."""


def take_slot(database: OrdersDatabase, options: RunOptions) -> bool:
    """Take one of the run's `max_workers` slots for this session; return False when all are taken."""
    return any(database.try_lock(slot_lock(options.run_id, slot)) for slot in range(options.max_workers))


def sync_stores(
    store_codes: Sequence[str],
    options: RunOptions,
    database: OrdersDatabase,
    clients: ReportClients,
    *,
    timezone: str,
    wait_seconds: float,
    waiting: Waiting,
    tick: Tick = lambda *_: None,
) -> list[StoreReport]:
    """Pull what each store needs, one after the other; the stores that are locked are tried again at the end.

    Args:
        store_codes: In order.
        options: The run.
        database: A session only for this call; it holds one store's lock at a time.
        clients: By pipeline.
        timezone: `pipeline_timezone`.
        wait_seconds: Longest wait for all locked stores together; then they are skipped, and their holder is named.
        waiting: The clock.
        tick: Called after every window.

    Raises:
        ServiceUnavailableError: The database is lost.
    """
    deadline = waiting.monotonic() + wait_seconds
    reports: dict[str, StoreReport] = {}
    left = list(store_codes)
    while left:
        for code in list(left):
            if not database.try_lock(store_lock(code)):
                continue
            try:
                reports[code] = _sync_locked_store(code, options, database, clients, timezone, tick)
            finally:
                database.unlock(store_lock(code))
            left.remove(code)
        if left and waiting.monotonic() >= deadline:
            reports.update({code: _skipped(code, options, database) for code in left})
            break
        if left:
            waiting.sleep(POLL_SECONDS)
    return [reports[code] for code in store_codes]


def decide(
    store: Store, pipeline: str, options: RunOptions, database: OrdersDatabase, timezone: str
) -> list[OrdersWindow]:
    """Return the windows of a store and pipeline, from the present log, without those that this run has already done.

    A run that starts again in the middle (a retry, a cleared task) makes its first decision again: its own successes
    don't count, and then they are not repeated.
    """
    if not options.decides:
        return windows_of(store, pipeline, options, ())
    log = database.store_log(pipeline, store.store_code, options.run_id, timezone)
    planned = windows_of(store, pipeline, options, log.rows)
    return [window for window in planned if (window.from_date, window.to_date) not in log.own]


def _sync_locked_store(
    code: str, options: RunOptions, database: OrdersDatabase, clients: ReportClients, timezone: str, tick: Tick
) -> StoreReport:
    for line in database.fail_dead_rows(code, options.run_id):
        _log.warning("%s", line)
    report = StoreReport(code)
    store = next(iter(database.stores(code)), None)
    if store is None:
        report.skipped = "it is no active store with a start date any more"
        return report
    for pipeline in options.pipelines:
        windows = decide(store, pipeline, options, database, timezone)
        report.planned[pipeline] = len(windows)
        report.tried[pipeline] = 0
        for window in windows:
            report.tried[pipeline] += 1
            status, message = pull_window(
                store, pipeline, window.from_date, window.to_date, options, database, clients[pipeline],
                timezone=timezone,
            )  # fmt: skip
            tick(code, pipeline, window, status)
            if message is not None and message == options.left_out:
                break  # partial, as requested: no error
            if status != SyncStatus.SUCCESS:
                report.errors[pipeline] = f"{window.from_date} to {window.to_date} {status.value}: {message}"
                break
    return report


def _skipped(code: str, options: RunOptions, database: OrdersDatabase) -> StoreReport:
    holder = database.holder(store_lock(code)) or "another run, which has just ended"
    groups = [pipelines_of(store.sync_group) for store in database.stores(code)]
    pipelines = [pipeline for pipeline in options.pipelines if any(pipeline in group for group in groups)]
    return StoreReport(code, planned=dict.fromkeys(pipelines, 0), skipped=f"locked by {holder}")

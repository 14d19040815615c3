"""A whole run in this process, for the command line, with a thread for each store in progress."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import closing

from include.orders_sync.config import OrdersConfig
from include.orders_sync.core.pipelines import SyncStatus
from include.orders_sync.core.runs import RunOptions, RunResult, StoreReport
from include.orders_sync.core.windows import OrdersWindow
from include.orders_sync.ports import OpenDatabase, ReportClients
from include.orders_sync.tasks.runs import RunPlan, finish_run, plan_run, start_run
from include.orders_sync.tasks.sync_stores import Tick, sync_stores

_log = logging.getLogger(__name__)


def run_here(
    options: RunOptions,
    config: OrdersConfig,
    open_database: OpenDatabase,
    clients: ReportClients,
    *,
    planned: Callable[[RunPlan], None] = lambda _: None,
    tick: Tick = lambda *_: None,
) -> RunResult:
    """Start, plan, pull `max_workers` stores at once, and finish; the summary row always says how the run ended.

    Ctrl-C ends the run after the windows in progress; the run then counts as failed.

    Args:
        options: The run.
        config: Time zone, time-outs and retries.
        open_database: Opens one session for the plan, one for the end, and one for each store in progress.
        clients: By pipeline.
        planned: Called with the plan before anything is pulled.
        tick: Called after every window, from several threads.

    Raises:
        PipelineError: It could not start, or its end could not be written.
    """
    with closing(open_database(options.run_id)) as database:
        # a store that can't be synced is refused before anything is written
        plan = plan_run(options, database, timezone=config.pipeline_timezone)
        start_run(options, config, database)
    planned(plan)

    interrupted = threading.Event()

    def watched_tick(store_code: str, pipeline: str, window: OrdersWindow, status: SyncStatus) -> None:
        tick(store_code, pipeline, window, status)
        if interrupted.is_set():
            raise InterruptedError("stopped by a person between two windows")

    def sync(store_code: str) -> list[StoreReport]:
        with closing(open_database(options.run_id)) as session:
            return sync_stores(
                [store_code],
                options,
                session,
                clients,
                timezone=config.pipeline_timezone,
                wait_seconds=config.store_lock_wait_seconds,
                waiting=time,
                tick=watched_tick,
            )

    with ThreadPoolExecutor(options.max_workers, thread_name_prefix="store") as pool:
        futures = {code: pool.submit(sync, code) for code in plan.store_codes}
        try:
            wait(futures.values())
        except KeyboardInterrupt:
            interrupted.set()
            pool.shutdown(cancel_futures=True)
    reports = [report for code, future in futures.items() for report in _reports(code, future)]
    with closing(open_database(options.run_id)) as database:  # a session that was idle for hours may be lost
        return finish_run(options, reports, database, planned=plan.store_codes, problems=plan.problems)


def _reports(code: str, future: Future[list[StoreReport]]) -> list[StoreReport]:
    if future.cancelled():
        return [StoreReport(code, died="not begun: the run was stopped by a person")]
    if (error := future.exception()) is None:
        return future.result()
    _log.error("store %s stopped", code, exc_info=error)
    return [StoreReport(code, died=f"{type(error).__name__}: {error}")]

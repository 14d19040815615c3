"""Bodies of the three tasks that every DAG of the orders sync has: start, one instance per store, finish."""

from __future__ import annotations

import logging
import random
import time
import uuid
from dataclasses import asdict
from datetime import UTC, timedelta
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import AirflowRescheduleException

from include.orchestration import task_runs
from include.orders_sync.core.pipelines import SyncStatus
from include.orders_sync.core.runs import RunOptions, instances, reports_of, run_id_of
from include.orders_sync.ports import OrdersDatabase
from include.orders_sync.tasks import runs
from include.orders_sync.tasks.sync_stores import sync_stores, take_slot
from include.pipeline_framework.errors import TerminalError
from include.wiring import orders_assembly, run_context

_log = logging.getLogger(__name__)

START, SYNC = "start_run", "sync_store"
_RUN, _REPORTS = "run", "reports"


def start_run(pipeline_name: str) -> list[dict[str, Any]]:
    """Write the summary row, decide, and return one mapped instance per store with windows.

    The run's options and the stores that can't be synced travel as the XCom `run`. With `dry_run` in the conf the plan
    is printed, nothing is written, and the task is skipped; a temporary run of `airflow tasks test` does the same.
    """
    context, conf, config = get_current_context(), task_runs.conf(), orders_assembly.config()
    ti, dag_run = context["ti"], context["dag_run"]
    began_at = dag_run.run_after.astimezone(UTC)  # it stays the same when the run is cleared, unlike start_date
    run_id = run_id_of(pipeline_name, f"{ti.dag_id} {ti.run_id}", began_at)
    database = orders_assembly.open_database(config)(run_id)
    try:
        options = runs.parse_options(pipeline_name, conf, config, run_id=run_id, now=database.now())
        plan = runs.plan_run(options, database, timezone=config.pipeline_timezone)
        for line in runs.plan_table(plan):
            _log.info("%s", line)
        if conf.get("dry_run") or run_context.current_actor().is_temporary:
            task_runs.skip(f"dry run: {len(plan.store_codes)} stores have windows; nothing was pulled")
        runs.start_run(options, config, database)
    finally:
        database.close()
    ti.xcom_push(
        key=_RUN,
        value={
            "options": options.to_json(), "problems": plan.problems, "stores": plan.store_codes,
            "start": uuid.uuid4().hex,
        },
    )  # fmt: skip
    return instances(plan.store_codes)


def sync_store(job: dict[str, Any]) -> None:
    """Pull what the stores of an instance need; red if a window failed or is partial, skipped if all are locked.

    Raises:
        AirflowRescheduleException: The run's `max_workers` slots are taken; the task runs later, and holds no worker.
    """
    config, ti = orders_assembly.config(), get_current_context()["ti"]
    run = ti.xcom_pull(task_ids=START, key=_RUN)
    options = RunOptions.from_json(run["options"])
    database = orders_assembly.open_database(config)(options.run_id)
    try:
        if not take_slot(database, options):
            _come_back(database, options)
        reports = sync_stores(
            job["stores"],
            options,
            database,
            orders_assembly.clients(config, options.pipelines),
            timezone=config.pipeline_timezone,
            wait_seconds=config.store_lock_wait_seconds,
            waiting=time,
        )
    finally:
        database.close()
    ti.xcom_push(key=_REPORTS, value={"start": run["start"], "reports": [asdict(report) for report in reports]})
    if errors := [
        f"{each.store_code}: {pipeline}: {text}" for each in reports for pipeline, text in each.errors.items()
    ]:
        raise TerminalError(
            "; ".join(errors),
            where=options.run_id,
            meaning=_pulled_again(options),
            remedy="Mend the cause, then clear this task.",
        )
    if reports and all(report.skipped for report in reports):
        task_runs.skip("; ".join(f"{report.store_code}: {report.skipped}" for report in reports))


def finish_run() -> None:
    """Write how the run ended, and fail if it did not end in success.

    A run of `td_orders_sync` that leaves a report out by request is partial, but does not fail.
    """
    config, ti = orders_assembly.config(), get_current_context()["ti"]
    run = ti.xcom_pull(task_ids=START, key=_RUN)
    if run is None:
        task_runs.require_no_failed_task()
        task_runs.skip("nothing was started")
    options = RunOptions.from_json(run["options"])
    pushed = ti.xcom_pull(task_ids=[SYNC], key=_REPORTS)  # a list of ids: one entry per instance, even if there is one
    reports = reports_of(run["start"], pushed)
    database = orders_assembly.open_database(config)(options.run_id)
    try:
        result = runs.finish_run(options, reports, database, planned=run["stores"], problems=run["problems"])
    finally:
        database.close()
    for line in result.text.splitlines():
        _log.info("%s", line)
    all_pulled = not run["problems"] and not any(report.skipped or report.errors for report in reports)
    by_request = options.left_out is not None and result.status == SyncStatus.PARTIAL and all_pulled
    if result.status != SyncStatus.SUCCESS and not by_request:
        raise TerminalError(
            f"the run ended {result.status.value}",
            where=options.run_id,
            meaning=result.text,
            remedy=f"What failed stands in orders_sync_log. {_pulled_again(options)}.",
        )


def _pulled_again(options: RunOptions) -> str:
    if options.decides and not options.force:
        return "The next run of the profiler pulls these dates again"
    return "The profiler does not pull again by itself what an earlier success covers; only this run does, when cleared"


def _come_back(database: OrdersDatabase, options: RunOptions) -> None:
    _log.info("all %d slots of this run are taken", options.max_workers)
    seconds = random.uniform(3, 8)  # noqa: S311 - so that waiting tasks don't return at once
    raise AirflowRescheduleException(database.now() + timedelta(seconds=seconds))

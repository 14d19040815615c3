"""The shape that every DAG of the orders sync has: start, one mapped instance for each store, finish."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from airflow.sdk import DAG, CronTriggerTimetable, Param, dag, task

from include.orchestration import orders_tasks
from include.orchestration.defaults import START_DATE, default_args
from include.orchestration.params import DATE, TEXT
from include.orders_sync.config import OrdersConfig


def orders_dag(
    dag_id: str,
    config: OrdersConfig,
    manual: str,
    params: Mapping[str, Param],
    *,
    is_scheduled: bool = False,
    runs_at_once: int = 4,
) -> DAG:
    """Return the DAG `dag_id`, which is also the name of the pipeline, or pipelines, that it runs.

    Args:
        dag_id: One of `core.pipelines`, or the profiler's.
        config: The settings of `include/orders_sync/config.yaml`.
        manual: Shown in the UI.
        params: Further params besides `store_code`, `env` and `dry_run`, which every DAG has.
        is_scheduled: The DAG also runs by the configuration's schedule; else by hand only.
        runs_at_once: The most runs at once; further runs wait.
    """
    timetable = CronTriggerTimetable(config.schedule, timezone=config.pipeline_timezone) if is_scheduled else None

    @dag(
        dag_id=dag_id,
        schedule=timetable,
        start_date=START_DATE,
        catchup=False,
        max_active_runs=runs_at_once,
        dagrun_timeout=timedelta(hours=config.run_timeout_hours),
        default_args=default_args(),
        params={
            **params,
            "store_code": Param(None, **TEXT, description="Only this store, exactly."),
            "env": Param(None, **TEXT, maxLength=32, description="run_env of the rows."),
            "dry_run": Param(False, type="boolean", description="Only print the windows."),
        },
        tags=["orders"],
        doc_md=manual,
        allowed_run_types=["scheduled", "manual"] if is_scheduled else ["manual"],
    )
    def orders() -> None:
        @task
        def start_run() -> list[dict[str, object]]:
            """Write the summary row and decide; return one entry for each mapped instance."""
            return orders_tasks.start_run(dag_id)

        @task(
            map_index_template="{{ task.op_kwargs['job']['name'] }}",
            max_active_tis_per_dagrun=config.workers_limit,
            doc_md="Pulls one store's windows, in order.",
        )
        def sync_store(job: dict[str, object]) -> None:
            """Pull what a store needs, under its lock."""
            orders_tasks.sync_store(job)

        @task(trigger_rule="all_done")
        def finish_run() -> None:
            """Write how the run ended; fails when it did not end in success."""
            orders_tasks.finish_run()

        started = start_run()
        started >> sync_store.expand(job=started) >> finish_run()

    return orders()


def date_params() -> dict[str, Param]:
    """Return `from_date` and `to_date`: the dates that a person asks for."""
    return {
        "from_date": Param(None, **DATE, description="First local date."),
        "to_date": Param(None, **DATE, description="Last local date, inclusive."),
    }

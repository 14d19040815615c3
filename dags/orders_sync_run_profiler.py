"""Decides from `orders_sync_log` which dates of every store to pull, and pulls them, stores in parallel.

**Purpose.** Each store's orders, sales and GST from its start date until today: what is missing, the last successful
days again for what arrived late, and today. Nothing is steered by hand; the log says what is missing.

**Schedule and window.** The cron schedule of `include/orders_sync/config.yaml`, in `pipeline_timezone`. A run's day
is the local date when it starts; windows have at most `window_days` days.

**Reads / writes.** Reads `store_master`, `orders_sync_log` and the CRMs (`crm_td`, `crm_uc`); writes
`orders_sync_log`, `pipeline_run_summaries`, `td_orders`, `td_sales`, `uc_gst` (`orders_postgres`).

**Parameters.** `env`, `sync_group`, `window_days`, `overlap_days`, `max_workers`, `force`, `store_code` as for
`scripts/orders_sync_run_profiler.sh`; empty: the configured value. `dry_run` prints the plan.

**The grid.** One mapped instance per store that has windows. Red: a window failed or is partial; that store and
pipeline stop for this run, the others go on. Skipped: another run holds the store; its log names it. At most
`max_workers` work at once, the others wait as up for reschedule.

**When it fails.** Whenever the run's `overall_status` is not success; `summary_text` says why.

**Re-run.** Clear a store's instance: what this run has pulled already is left alone. Clear the whole run: it decides
anew.
"""

from datetime import timedelta

from airflow.sdk import Param, dag, task
from airflow.timetables.trigger import CronTriggerTimetable

from include.orchestration import orders_tasks
from include.orchestration.defaults import START_DATE, default_args
from include.wiring import orders_assembly

config = orders_assembly.config()


@dag(
    dag_id="orders_sync_run_profiler",
    schedule=CronTriggerTimetable(config.schedule, timezone=config.pipeline_timezone),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=2,
    dagrun_timeout=timedelta(hours=config.run_timeout_hours),
    default_args=default_args(),
    params={
        "env": Param(None, type=["null", "string"], maxLength=32, description="run_env of the rows."),
        "sync_group": Param("ALL", type="string", enum=["TD", "UC", "ALL"], description="Which pipelines."),
        "window_days": Param(config.window_days, type="integer", minimum=1, description="Days of a window at most."),
        "overlap_days": Param(config.overlap_days, type="integer", minimum=0, description="Last days pulled again."),
        "max_workers": Param(
            config.max_workers, type="integer", minimum=1, maximum=config.most_workers, description="Stores at once."
        ),
        "force": Param(False, type="boolean", description="Everything from each store's start date."),
        "store_code": Param(None, type=["null", "string"], description="Only this store, exactly."),
        "dry_run": Param(False, type="boolean", description="Only print the plan."),
    },
    tags=["orders"],
    doc_md=__doc__,
    allowed_run_types=["scheduled", "manual"],
)
def orders_sync_run_profiler() -> None:
    """See the module's docstring."""

    @task
    def start_run() -> list[dict[str, object]]:
        """Write the summary row and decide; one entry per mapped instance."""
        return orders_tasks.start_run("orders_sync_run_profiler")

    @task(
        map_index_template="{{ task.op_kwargs['job']['name'] }}",
        max_active_tis_per_dagrun=config.most_workers,
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


orders_sync_run_profiler()

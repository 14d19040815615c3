"""Pulls the UC CRM's GST report of given dates, stores in parallel.

**Purpose.** Dates on demand: a correction, a store's first days.

**Schedule and window.** None: `orders_sync_run_profiler` is the scheduled one. One window from `from_date` to
`to_date`, both inclusive, local in `pipeline_timezone`; by default the configured number of days that end today.

**Reads / writes.** Reads `store_master` and the CRM (`crm_uc`); writes `orders_sync_log`, `pipeline_run_summaries`,
`uc_gst` (`orders_postgres`).

**Parameters.** `from_date`, `to_date`, `store_code` (default: every active store that has the pipeline), `env`,
`dry_run` (prints the windows).

**When it fails.** A store's window failed; the others go on. A store that another run holds is skipped, its holder
named.

**Re-run.** Clear a store's instance, or the run: its log row is updated, rows that are the same are not touched.
"""

from datetime import timedelta

from airflow.sdk import Param, dag, task

from include.orchestration import orders_tasks
from include.orchestration.defaults import START_DATE, default_args
from include.wiring import orders_assembly

config = orders_assembly.config()
_DATE = {"type": ["null", "string"], "format": "date"}


@dag(
    dag_id="uc_orders_sync",
    schedule=None,
    start_date=START_DATE,
    catchup=False,
    max_active_runs=4,
    dagrun_timeout=timedelta(hours=config.run_timeout_hours),
    default_args=default_args(),
    params={
        "from_date": Param(None, **_DATE, description="First local date."),
        "to_date": Param(None, **_DATE, description="Last local date, inclusive."),
        "store_code": Param(None, type=["null", "string"], description="Only this store, exactly."),
        "env": Param(None, type=["null", "string"], maxLength=32, description="run_env of the rows."),
        "dry_run": Param(False, type="boolean", description="Only print the windows."),
    },
    tags=["orders"],
    doc_md=__doc__,
    allowed_run_types=["manual"],
)
def uc_orders_sync() -> None:
    """See the module's docstring."""

    @task
    def start_run() -> list[dict[str, object]]:
        """Write the summary row; one entry per mapped instance."""
        return orders_tasks.start_run("uc_orders_sync")

    @task(
        map_index_template="{{ task.op_kwargs['job']['name'] }}",
        max_active_tis_per_dagrun=config.most_workers,
        doc_md="Pulls one store's window.",
    )
    def sync_store(job: dict[str, object]) -> None:
        """Pull the window of a store, under its lock."""
        orders_tasks.sync_store(job)

    @task(trigger_rule="all_done")
    def finish_run() -> None:
        """Write how the run ended."""
        orders_tasks.finish_run()

    started = start_run()
    started >> sync_store.expand(job=started) >> finish_run()


uc_orders_sync()

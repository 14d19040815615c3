"""Mirrors the ledger into the target warehouses, so that analysts find the state of every window beside the data.

**Purpose.** One table `PIPELINE_LIFECYCLE` in every database and schema that pipelines load into, with the rows of
those pipelines: every column of the ledger, instants in UTC, and `_mirrored_at`. It is a copy: nothing reads it back.

**Schedule and window.** Hourly at minute 17 UTC. The run's own date is not used: a cycle takes the rows whose
transaction was not yet visible to the cycle before, however late it was committed.

**Reads / writes.** Reads the ledger at one moment. Replaces the changed rows in one transaction of the warehouse, then
notes in `lifecycle_mirrors` how far it came. Without changed rows the warehouse is not woken. A column that is new in
the ledger is added.

**Parameters.** `full`: mirror everything again, and remove what the ledger has no more; happens by itself for a new
mirror, a restored ledger, new columns. `dry_run`: only count.

**When it fails.** The ledger or a warehouse does not answer, the role may not create or write the table, or another
table has its name. Every warehouse is a task of its own: the others are mirrored.

**Re-run.** Clear it at any time: the same rows are replaced by themselves.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from include.orchestration import mirror_tasks
from include.orchestration.defaults import START_DATE, default_args


@dag(
    dag_id="publish_lifecycle",
    schedule=CronTriggerTimetable("17 * * * *", timezone="UTC"),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=3),
    default_args=default_args(),
    params={
        "full": Param(False, type="boolean", description="Mirror everything again."),
        "dry_run": Param(False, type="boolean", description="Only count what would be mirrored."),
    },
    tags=["ledger"],
    doc_md=__doc__,
    allowed_run_types=["scheduled", "manual"],
)
def publish_lifecycle() -> None:
    """See the module's docstring."""

    @task
    def find_mirrors() -> list[dict[str, object]]:
        """Which warehouses the pipelines load into."""
        return mirror_tasks.find_mirrors()

    @task(
        multiple_outputs=False,
        map_index_template="{{ task.op_kwargs['mirror'] }}",
        doc_md="Brings one mirror up to date.",
    )
    def publish(mirror: str, pipelines: list[str]) -> dict[str, object]:
        """Bring one mirror up to date."""
        return mirror_tasks.publish(mirror, pipelines)

    publish.expand_kwargs(find_mirrors())


publish_lifecycle()

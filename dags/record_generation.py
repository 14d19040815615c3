"""Generates and validates the next records of a pipeline from its continuation point, without moving data.

**Purpose.** What the planner does for whole days, one window at a time: to see where a day continues, or to plan a few
windows by hand.

**Schedule and window.** Manual. The day is `target_date`, else the local day of now minus the pipeline's `x_time_back`;
it continues where the gapless prefix of its live rows ends.

**Reads / writes.** Reads the ledger; stores the valid records as PENDING rows, unless `dry_run`.

**Parameters.** `pipeline_id`, `target_date`, `max_records`, `dry_run`. `allow_future`: also records of time that has
not settled, and of a `target_date` after local tomorrow.

**Steps.** `generate_records` (the next windows of the day) → `validate_records` (is each record complete and settled,
as a claim will ask) → `store_records`. Validation alone, without a run and without storing anything:
`airflow tasks test record_generation validate_records 2013-03-10`.

**When it fails.** `generate_records`: the day is outside the pipeline's horizon, or after tomorrow without
`allow_future`, or the ledger does not answer. `validate_records`: a record is not complete; its reasons are in the
error, nothing is stored. A complete day and data that has not settled are not errors: the task is skipped.

**Re-run.** Clear it at any time; it goes on where the ledger ends.
"""

from datetime import timedelta

from airflow.sdk import Param, dag, task

from include.orchestration import ledger_tasks
from include.orchestration.defaults import START_DATE, default_args
from include.orchestration.params import DATE


@dag(
    dag_id="record_generation",
    schedule=None,
    start_date=START_DATE,
    catchup=False,
    max_active_runs=4,
    dagrun_timeout=timedelta(hours=1),
    default_args=default_args(),
    params={
        "pipeline_id": Param("main", type="string", description="A pipeline of include/pipelines, by its id."),
        "target_date": Param(None, **DATE, description="A local day."),
        "max_records": Param(1, type="integer", minimum=1, maximum=1024, description="At most so many records."),
        "dry_run": Param(False, type="boolean", description="Only show the records."),
        "allow_future": Param(False, type="boolean", description="Records of time that has not settled, too."),
    },
    tags=["ledger"],
    doc_md=__doc__,
)
def record_generation() -> None:
    """See the module's docstring."""

    @task(multiple_outputs=False)
    def generate_records() -> dict[str, object]:
        """The next windows of the day."""
        return ledger_tasks.generate_records()

    @task
    def validate_records(generated: dict[str, object] | None) -> list[list[str]]:
        """Let complete records pass."""
        return ledger_tasks.validate_records(generated)

    @task(multiple_outputs=False)
    def store_records(windows: list[list[str]] | None) -> dict[str, object]:
        """Store them as PENDING rows."""
        return ledger_tasks.store_records(windows)

    store_records(validate_records(generate_records()))


record_generation()

"""Generates and validates the next records of a pipeline from its continuation point, without moving data.

**Purpose.** What the planner does for whole days, one window at a time: to see where a day continues, or to plan a few
windows by hand.

**Schedule and window.** Manual. The day is `target_date`, else the local day of now minus the pipeline's `x_time_back`;
it continues where the gapless prefix of its live rows ends.

**Reads / writes.** Reads the ledger; stores the valid records as PENDING rows, unless `dry_run`.

**Parameters.** `pipeline_id`, `target_date`, `max_records`, `dry_run`. `allow_future`: also records of time that has
not settled, and of a `target_date` after local tomorrow.

**When it fails.** The day is outside the pipeline's horizon, or after tomorrow without `allow_future`, or the ledger
does not answer. A complete day and data that has not settled are not errors: the task is skipped.

**Re-run.** Clear it at any time; it goes on where the ledger ends.
"""

from datetime import timedelta

from airflow.sdk import Param, dag, task

from include.pipeline_framework.orchestration import ledger_tasks
from include.pipeline_framework.orchestration.defaults import START_DATE, default_args


@dag(
    dag_id="record_generation",
    schedule=None,
    start_date=START_DATE,
    catchup=False,
    max_active_runs=4,
    dagrun_timeout=timedelta(hours=1),
    default_args=default_args(),
    params={
        "pipeline_id": Param("main", type="string", description="File name in include/pipelines without .yaml."),
        "target_date": Param(None, type=["null", "string"], format="date", description="A local day."),
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
        """Generate, validate, store."""
        return ledger_tasks.generate_records()

    generate_records()


record_generation()

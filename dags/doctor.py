"""Looks every day whether windows could move: every system, the ledger, the DAGs that guard it.

**Purpose.** A password that has expired, a grant that was taken away, a column whose type was changed, a paused guard:
each of it is found here, with the remedy, and not by the windows that it would fail. It is what `pipelines doctor`
shows, with the workers' own connections.

**Schedule and window.** Every day at 05:00 UTC, all pipelines whose file is good and enabled. No window is touched.

**Reads / writes.** Reads catalogs, settings and rights of every source, stage and target, and the ledger. Each stage
gets one tiny object below `_doctor/`, which is deleted again; nothing else is written. Airflow's own DAGs are asked for
by the connection `airflow_api`; without it they are not looked at, and the log says so.

**Parameters.** None.

**When it fails.** `examine_shared`: a pipeline file, the ledger or a guard is not well. `examine_pipeline` is red for
each pipeline that has something wrong; the others stay green. Its log has one line a check; the error has those that
are wrong, each with its remedy. `email_list` gets the same by mail; without one the red task is the alarm.

**Re-run.** Clear it at any time, for example to see that a remedy helped.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, task

from include.orchestration import doctor_tasks
from include.orchestration.defaults import START_DATE, default_args


@dag(
    dag_id="doctor",
    schedule=CronTriggerTimetable("0 5 * * *", timezone="UTC"),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=6),
    default_args=default_args(),
    params={},
    tags=["ledger"],
    doc_md=__doc__,
    allowed_run_types=["scheduled", "manual"],
)
def doctor() -> None:
    """See the module's docstring."""

    @task
    def list_pipelines() -> list[str]:
        """All pipelines whose file is good and enabled."""
        return doctor_tasks.list_pipelines()

    @task
    def examine_shared() -> str:
        """Red when a file, the ledger or a guard is not well."""
        return doctor_tasks.examine_shared()

    @task(
        map_index_template="{{ task.op_kwargs['pipeline_id'] }}",
        doc_md="Red when a system of the pipeline is not well.",
    )
    def examine_pipeline(pipeline_id: str) -> str:
        """Red when a system of the pipeline is not well; mails its people."""
        return doctor_tasks.examine_pipeline(pipeline_id)

    pipelines = list_pipelines()
    pipelines >> examine_shared()
    examine_pipeline.expand(pipeline_id=pipelines)


doctor()

"""Alarms for windows that should be finished by now, whether or not any DAG run was ever created for them.

**Purpose.** A window is overdue when `query_window_end_at` + `x_time_back` + the pipeline's `overdue_after` has passed
and it is neither COMPLETED nor SKIPPED: PENDING because a DAG is paused or a source is down, held too long, or FAILED.
Where `fill_missing_days` is true, a local day (today, yesterday) without any window is overdue, too.

**Schedule and window.** Every 15 minutes, all pipelines whose file has `overdue_after` (the default is none: no alarm).
Never: disabled pipelines, time outside the horizon, windows of a paused or cancelled backfill campaign. Windows of a
running campaign: `overdue_after` after it was started.

**Reads / writes.** Reads the ledger, two statements for all pipelines; `overdue_alerts` keeps what people were told.

**Parameters.** None; `overdue_after`, `overdue_repeat` and `email_list` are the pipeline's.

**When it fails.** `report_overdue` of a pipeline is red while anything of it is overdue: its log has the table; the
other pipelines' stay green. `email_list` gets one mail per pipeline when something new is overdue, and again after
`overdue_repeat`. Without an `email_list` the red task is the alarm. `find_overdue`: the ledger does not answer.

**Re-run.** Clear it at any time; it doesn't mail again what it has mailed.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, task

from include.orchestration import alarm_tasks
from include.orchestration.defaults import START_DATE, default_args


@dag(
    dag_id="check_overdue_windows",
    schedule=CronTriggerTimetable("*/15 * * * *", timezone="UTC"),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(minutes=30),
    default_args=default_args(),
    params={},
    tags=["ledger"],
    doc_md=__doc__,
    allowed_run_types=["scheduled", "manual"],
)
def check_overdue_windows() -> None:
    """See the module's docstring."""

    @task
    def find_overdue() -> list[dict[str, object]]:
        """One report per pipeline that asks for alarms."""
        return alarm_tasks.find_overdue()

    @task(map_index_template="{{ task.op_kwargs['report']['pipeline_id'] }}", doc_md="Red while something is overdue.")
    def report_overdue(report: dict[str, object]) -> str:
        """Red while something of the pipeline is overdue; mails what is new."""
        return alarm_tasks.report_overdue(report)

    report_overdue.expand(report=find_overdue())


check_overdue_windows()

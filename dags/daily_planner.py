"""Plans every query window of every source a day ahead.

**Purpose.** One PENDING row per source and query window in the ledger, `pipeline_lifecycle`, before any data moves.

**Schedule and window.** Daily at 00:30 UTC: each source's local today and tomorrow and, where `fill_missing_days` is
true, past days without any row: as many as `state_manager_window_limit` windows allow, the newest first; the log tells
how many are left. The run's own date is not used; only `airflow tasks test daily_planner plan_windows 2013-11-03` shows
what that day would get, and writes nothing.

**Reads / writes.** Reads `include/pipelines/*.yaml`; writes the ledger. Only missing windows are inserted, so a partly
planned day is completed and a second run inserts nothing.

**Parameters.** `target_date` (YYYY-MM-DD, local to each source): plan exactly that day. `dry_run`: show what would be
inserted, and what would fail. `pipelines`: only these. `allow_future`: without it a `target_date` after tomorrow is
refused. `yes`: a source without any row may get more than 2,000 windows at once; without it, it gets none.

**When it fails.** `plan_windows`: the ledger does not answer, a parameter is wrong, or a source could not be planned
(its own function raised, or its first plan needs a yes). `check_configurations`: a pipeline file is broken. Either way
every other source has been planned; the log of `plan_windows` has the table and every broken file.

**Re-run.** Clear it at any time.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from include.orchestration import ledger_tasks
from include.orchestration.defaults import START_DATE, default_args
from include.orchestration.params import DATE, pipelines_param


@dag(
    dag_id="daily_planner",
    schedule=CronTriggerTimetable("30 0 * * *", timezone="UTC"),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=1),
    default_args=default_args(),
    params={
        "target_date": Param(None, **DATE, description="Plan exactly this local day."),
        "dry_run": Param(False, type="boolean", description="Only show what would be inserted."),
        "pipelines": pipelines_param("Only these pipelines."),
        "allow_future": Param(False, type="boolean", description="target_date may lie after local tomorrow."),
        "yes": Param(False, type="boolean", description="A source's first plan may have more than 2,000 windows."),
    },
    tags=["ledger"],
    doc_md=__doc__,
    allowed_run_types=["scheduled", "manual"],
)
def daily_planner() -> None:
    """See the module's docstring."""

    @task(multiple_outputs=False)
    def plan_windows() -> dict[str, object]:
        """Insert what is missing; XCom has the totals, the log the table."""
        return ledger_tasks.plan_windows()

    @task
    def check_configurations() -> str:
        """Fail for broken pipeline files."""
        return ledger_tasks.require_good_configurations()

    plan_windows() >> check_configurations()


daily_planner()

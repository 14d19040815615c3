"""Releases windows whose owner is gone, so that a crash never keeps a window for ever.

**Purpose.** A DAG run owns the windows that it claimed. When it has ended without finishing them, was deleted or timed
out, or a task of it has been silent longer than its lease, they go back to PENDING (or, attempts spent, to FAILED).

**Schedule and window.** Every five minutes, all pipelines.

**Reads / writes.** Asks Airflow's task API for the state of the owning runs; writes the ledger, one event per take-over
with holder, age, last heartbeat and reason.

**Parameters.** None; `stale_threshold_hours` and `dagrun_timeout` come from each pipeline's file.

**When it fails.** The ledger does not answer.

**Re-run.** Clear it at any time. A window of a living run that only waits in its queue is never taken.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, dag, task

from include.orchestration import ledger_tasks
from include.orchestration.defaults import START_DATE, default_args


@dag(
    dag_id="cleanup_stale_locks",
    schedule=CronTriggerTimetable("*/5 * * * *", timezone="UTC"),
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
def cleanup_stale_locks() -> None:
    """See the module's docstring."""

    @task
    def release_stale_locks() -> list[dict[str, object]]:
        """Release windows whose owner is gone."""
        return ledger_tasks.release_stale_locks()

    release_stale_locks()


cleanup_stale_locks()

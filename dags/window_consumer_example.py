"""Runs once for every window that the pipeline `main` has loaded and audited: a sample to copy for what comes next.

**Purpose.** Shows how a DAG downstream of a pipeline learns which windows are new, without a sensor and without looking
at the clock: the pipeline's target asset gets one event per window whose audit passed, and the event's partition key is
the window, `2013-03-09T05:00:00Z/2013-03-09T06:00:00Z` (half-open, UTC). This one only logs them.

**Schedule and window.** One run per event, by `PartitionedAssetTimetable`. `schedule=[asset]` would never run: Airflow
gives events with a partition key to DAGs with a partitioned timetable only. A window that is loaded again is announced
again. To take several windows at once, pass `default_partition_mapper=` to the timetable (`FixedKeyMapper("all")` joins
those that come together); the task reads all events of its run, however many they are.

**Reads / writes.** Reads the triggering events (`context["triggering_asset_events"]`) and the ledger: status and rows
at the target, by the window of the key and the pipeline whose DAG sent the event. Writes nothing.

**Parameters.** None. Started by hand there is no event, and the task is skipped.

**When it fails.** The ledger does not answer, or the event is not a pipeline's.

**Re-run.** Clear it at any time: a run keeps its events, and the ledger is read anew. While the DAG is paused, events
are not kept for it: load the windows again, or ask the ledger what is COMPLETED.
"""

from datetime import timedelta

from airflow.sdk import PartitionedAssetTimetable, dag, task

from include.orchestration import consumer_tasks
from include.orchestration.assets import asset_of
from include.orchestration.defaults import START_DATE, default_args


@dag(
    dag_id="window_consumer_example",
    schedule=PartitionedAssetTimetable(assets=asset_of("main")),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=4,
    dagrun_timeout=timedelta(hours=1),
    default_args=default_args(),
    params={},
    tags=["example"],
    doc_md=__doc__,
)
def window_consumer_example() -> None:
    """See the module's docstring."""

    @task
    def log_windows() -> list[dict[str, object]]:
        """Log the windows that triggered this run, with their rows at the target."""
        return consumer_tasks.log_announced_windows()

    log_windows()


window_consumer_example()

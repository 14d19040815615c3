"""Compares finished windows with their source once more, and has those that have changed since loaded again.

**Purpose.** Rows that arrive late, or are deleted at the source after their window was loaded, and rows that the target
has lost. Each window with late rows gets a replacement, which the pipeline's own next run loads; an unchanged one is
left alone. What would take loaded rows away beyond the pipeline's `vanished_data_limit` waits for a person.

**Schedule and window.** Daily at 03:00 UTC, every enabled pipeline: the local days that its `revisit_days` names (1, 3
and 7 days ago; what was missed is made up for), and days with windows marked `is_revisit_due_flag` that have rested for
`x_time_back`. The run's own date is not used.

**Reads / writes.** Reads the source, one histogram per day, the ledger, and the target, one statement per day. Writes
the ledger: replacements, `revisited` events, one row per day in `window_revisits`.

**Parameters.** `pipelines`: only these. `from` + `to` (local dates or ISO instants, `to` exclusive) or `target_date`
instead of the days that are due. `mode`: `count`, or `fingerprint` (reads every id: finds one row in, one out).
`check_target: false`: the target is not asked. `dry_run`: names the changes. A person's answers, with a `reason`:
`accept_vanished`: so many loaded rows may go. `keep_vanished`: they stay, and nobody is asked again while the source
stays as it is. `reload_target`: windows are loaded again whose target does not hold what was loaded. `replace_emptied`:
windows may be emptied whose source holds nothing any more.

**When it fails.** The conf makes no sense: nothing was done. Days could not be compared: all others were, and the error
names them; it is tried again. Windows wait for a person: everything else was done, and the error has their numbers and
what to answer; it fails every day until somebody has. One pipeline's failure stops no other one's audit.

**Re-run.** Clear it at any time: a window that has its replacement is not replaced again.
"""

from datetime import timedelta

from airflow.sdk import CronTriggerTimetable, Param, dag, task

from include.orchestration import audit_tasks
from include.orchestration.defaults import START_DATE, default_args
from include.orchestration.params import TEXT, pipelines_param, range_params


@dag(
    dag_id="audit_windows",
    schedule=CronTriggerTimetable("0 3 * * *", timezone="UTC"),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=1,
    dagrun_timeout=timedelta(hours=12),
    default_args=default_args(),
    params={
        "pipelines": pipelines_param("Only these pipelines."),
        **range_params(),
        "mode": Param("count", type="string", enum=["count", "fingerprint"], description="Count, or read every id."),
        "check_target": Param(True, type="boolean", description="Compare the target, too."),
        "replace_emptied": Param(False, type="boolean", description="Replace windows whose source is empty now."),
        "accept_vanished": Param(0, type="integer", minimum=0, description="So many loaded rows may go."),
        "keep_vanished": Param(False, type="boolean", description="Keep rows that the source does not show any more."),
        "reload_target": Param(False, type="boolean", description="Load again what the target has lost."),
        "dry_run": Param(False, type="boolean", description="Only name what has changed."),
        "reason": Param(None, **TEXT, description="Kept with every answer."),
    },
    tags=["ledger"],
    doc_md=__doc__,
    allowed_run_types=["scheduled", "manual"],
)
def audit_windows() -> None:
    """See the module's docstring."""

    @task
    def choose_pipelines() -> list[str]:
        """Check the conf for every pipeline."""
        return audit_tasks.choose_pipelines()

    @task(
        max_active_tis_per_dagrun=4,
        map_index_template="{{ task.op_kwargs['pipeline_id'] }}",
        doc_md="Compares one pipeline's finished windows with its source, and replaces what has changed.",
    )
    def audit_pipeline(pipeline_id: str) -> dict[str, object]:
        """Compare and replace."""
        return audit_tasks.audit_pipeline(pipeline_id)

    audit_pipeline.expand(pipeline_id=choose_pipelines())


audit_windows()

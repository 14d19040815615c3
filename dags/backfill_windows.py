"""Loads a range of windows, or loads it again: starts one backfill campaign per pipeline.

**Purpose.** Catch up days that were never planned, windows that FAILED, or load everything of a range once more. The
pipelines' own runs do it: a campaign is a row in `backfill_campaigns` and a number on its windows, and a run that
leaves some of them triggers the next one. Scheduled windows keep their share of every claim.

**Schedule and window.** None; by hand, with a conf.

**Reads / writes.** Reads `include/pipelines/*.yaml`; writes the ledger (plans, joins, replaces windows).

**Parameters.** `pipelines` (required). What: `from` + `to` (local dates or ISO instants, `to` exclusive) |
`target_date` | `windows` (list of `[start, end]` instants). `mode`: `missing` (windows without a row, and planned ones
that have not run; the default), `failed`, or `all` (those, and finished ones are replaced; needs a `reason`). `order`:
`oldest_first` or `newest_first`. `priority` (1; higher first). `concurrency`: at most so many windows in progress.
`granularity`: of the windows that it plans. `dry_run`: names exactly the windows. `allow_future`: without it a range
beyond local tomorrow is refused.

**Watch and steer.** `python -m include.cli backfill list|status|pause|resume|cancel <id>`; each takes effect at the
next claim.

**When it fails.** The conf makes no sense, or the range lies outside a pipeline's horizon: nothing was done. The ledger
does not answer: tried again, and it goes on where it stopped.

**Re-run.** Clear it at any time: the same campaign goes on.
"""

from datetime import timedelta

from airflow.sdk import Param, dag, task

from include.orchestration import backfill_tasks
from include.orchestration.defaults import START_DATE, default_args
from include.orchestration.params import TEXT, pipelines_param, range_params


@dag(
    dag_id="backfill_windows",
    schedule=None,
    start_date=START_DATE,
    catchup=False,
    max_active_runs=8,
    dagrun_timeout=timedelta(hours=6),
    default_args=default_args(),
    params={
        "pipelines": pipelines_param("Of these pipelines."),
        **range_params(),
        "windows": Param(None, type=["null", "array"], items={"type": "array"}, description="Exact windows, instants."),
        "mode": Param("missing", type="string", enum=["missing", "failed", "all"], description="Which windows."),
        "order": Param("oldest_first", type="string", enum=["oldest_first", "newest_first"]),
        "priority": Param(1, type="integer", description="Higher first, after the scheduled windows' share."),
        "concurrency": Param(None, type=["null", "integer"], minimum=1, description="Windows in progress at once."),
        "granularity": Param(None, **TEXT, description="Of new windows, such as 1h; default: the pipeline's."),
        "dry_run": Param(False, type="boolean", description="Only name the windows."),
        "reason": Param(None, **TEXT, description="Why (with mode all); kept in the ledger."),
        "allow_future": Param(False, type="boolean", description="The range may reach beyond local tomorrow."),
    },
    tags=["ledger", "backfill"],
    doc_md=__doc__,
    allowed_run_types=["manual"],
)
def backfill_windows() -> None:
    """See the module's docstring."""

    @task
    def start_campaigns() -> list[dict[str, object]]:
        """Have the windows join one campaign per pipeline; skipped when there is nothing to load."""
        return backfill_tasks.start_campaigns()

    @task(map_index_template="{{ task.op_kwargs['campaign']['source_object'] }}", doc_md="Starts the pipeline's runs.")
    def trigger_pipeline(campaign: dict[str, object]) -> None:
        """Start the pipeline whose runs load the windows."""
        backfill_tasks.trigger_pipeline(campaign)

    trigger_pipeline.expand(campaign=start_campaigns())


backfill_windows()

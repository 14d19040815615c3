"""The DAG of one pipeline file: `dags/data_pipeline_main.py` only calls `data_pipeline("main")`.

Airflow parses every file again and again, each in a fresh process, so this module imports only what a DAG's shape
needs; each task imports its body when it runs.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, CronTriggerTimetable, Param, TriggerRule, dag, task, task_group

from include.orchestration.assets import target_asset
from include.orchestration.defaults import START_DATE, default_args
from include.orchestration.params import TEXT, range_params
from include.pipeline_framework.config.external import require_moved_here
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records.run_requests import UNTIL
from include.wiring import assembly

MANUAL = """
### {description}

Moves windows of `{granularity}` (local time of `{timezone}`) from `{source}` through `{stage}` into `{target}`, and
keeps one row for each in the ledger, `pipeline_lifecycle`, under the source object `{source_object}`.

**Schedule.** `{cron}`. A run claims up to {max_windows} pending windows that ended at least {x_time_back} ago, oldest
first; which windows exist is the ledger's matter, never the run's date.

**Steps.** `populate_pipeline_batches` (repairs the ledger where that harms nothing; plans what the conf asks for) →
`store_and_validate` (the claim) → per window `pre_validation` → `source_to_stage` → `stage_to_target` → `audit` →
`continue_backfill` (triggers the next run while a campaign of `backfill_windows` has windows left) →
`cleanup_stale_locks` (always; fails the run while one of its windows is unfinished).

**Conf.** Nothing: what is due. Or one of `target_date` (local date) | `from` + `to` (local dates or ISO instants, `to`
exclusive) | `windows` (list of `[start, end]` instants): then only those, missing ones are planned first.
`max_windows`, `dry_run`. Finished windows are only loaded again with `replace: true` and a `reason`. A range beyond
local tomorrow is refused without `allow_future: true`. `until: staged | loaded | audited` names the last step: windows
stay PENDING there with all that is done, and a later run (a scheduled one, too) goes on with them. So `loaded` is the
transfer alone, and `audited` on windows that are loaded is the audit alone.

**When a task fails.** Its log says what happened, what it means and what to do. Clearing it is safe: the window is
taken back under a new fence and resumes where the ledger says; a finished one is skipped, one of another run is left
alone.
"""

_PAIR = {"type": "array", "items": {"type": "string"}, "minItems": 2, "maxItems": 2}


def data_pipeline(pipeline_id: str) -> DAG:
    """Return the pipeline's DAG.

    Raises:
        ConfigurationError: The pipeline's YAML is wrong, or another system moves its data; Airflow shows it
            as this one file's import error.
    """
    config = assembly.shape_config(pipeline_id)
    require_moved_here(config)

    @dag(
        dag_id=config.dag_id,
        schedule=_timetable(config),
        start_date=START_DATE,
        catchup=False,
        max_active_runs=4,
        dagrun_timeout=config.dagrun_timeout_delta,
        # started windows are finished first: windows complete from the first minutes on, whatever the run's size
        default_args={**default_args(config), "weight_rule": "upstream"},
        tags=["pipeline", config.source_object],
        description=config.description,
        doc_md=_manual(config),
        allowed_run_types=["scheduled", "manual", "operator_triggered"],  # Airflow's own backfill ignores the ledger
    )
    def pipeline() -> None:
        _tasks(config)

    built: DAG = pipeline()
    # Airflow copies a DAG's params into every task that is added to it, and serializes and checks each copy (3.3.2):
    # given last they are the DAG's alone, which is where the form and the tasks read them
    built.params.update(_params())
    return built


def _tasks(config: PipelineConfig) -> None:
    pipeline_id = config.pipeline_id
    loaded = target_asset(config)
    per_window: dict[str, Any] = {
        "map_index_template": "{{ task.op_kwargs['rec']['local'] }}",
        "max_active_tis_per_dagrun": config.max_active_windows,
    }
    # a window that failed does not stop those beside it in a batch: see `batches`
    later: dict[str, Any] = {} if config.windows_per_task == 1 else {"trigger_rule": TriggerRule.ALL_DONE}

    @task(multiple_outputs=False)
    def populate_pipeline_batches() -> dict[str, Any]:
        """Make sure that the windows this run may claim exist."""
        from include.orchestration import pipeline_tasks

        return pipeline_tasks.populate_pipeline_batches(pipeline_id)

    @task
    def store_and_validate() -> list[dict[str, Any]]:
        """Claim windows for this run; skipped when none is due."""
        from include.orchestration import pipeline_tasks

        return pipeline_tasks.store_and_validate(pipeline_id)

    @task(outlets=[loaded], multiple_outputs=False, **per_window)
    def pre_validation(rec: dict[str, Any]) -> Any:
        """Skip the window when the target proves that it has it."""
        from include.orchestration import pipeline_tasks

        return pipeline_tasks.pre_validate(pipeline_id, rec)

    @task(multiple_outputs=False, **per_window, **later)
    def source_to_stage(rec: dict[str, Any]) -> Any:
        """Extract completely; the manifest comes last."""
        from include.orchestration import pipeline_tasks

        return pipeline_tasks.source_to_stage(pipeline_id, rec)

    @task(multiple_outputs=False, **per_window, **later)
    def stage_to_target(rec: dict[str, Any]) -> Any:
        """Load exactly once, under the window's fence."""
        from include.orchestration import pipeline_tasks

        return pipeline_tasks.stage_to_target(pipeline_id, rec)

    @task(outlets=[loaded], multiple_outputs=False, **per_window, **later)
    def audit(rec: dict[str, Any]) -> Any:
        """Compare both ends; only now the window is COMPLETED."""
        from include.orchestration import pipeline_tasks

        return pipeline_tasks.audit(pipeline_id, rec)

    @task(trigger_rule=TriggerRule.ALL_DONE)
    def continue_backfill() -> None:
        """Trigger the next run while a backfill campaign has windows left; skipped otherwise."""
        from include.orchestration import backfill_tasks

        backfill_tasks.continue_backfill(pipeline_id)

    @task(trigger_rule=TriggerRule.ALL_DONE, retry_delay=timedelta(seconds=10), multiple_outputs=False)
    def cleanup_stale_locks() -> dict[str, int]:
        """Release what this run still holds, and let the run's state show how it ended."""
        from include.orchestration import pipeline_tasks

        return pipeline_tasks.finish_run(pipeline_id)

    @task_group
    def window(rec: dict[str, Any]) -> None:
        """One claimed window, or several: `windows_per_task`."""
        pre_validation(rec=rec) >> source_to_stage(rec=rec) >> stage_to_target(rec=rec) >> audit(rec=rec)

    claimed = store_and_validate()
    cleanup = cleanup_stale_locks().as_teardown(on_failure_fail_dagrun=True)
    populate_pipeline_batches() >> claimed
    window.expand(rec=claimed) >> continue_backfill() >> cleanup


def _timetable(config: PipelineConfig) -> CronTriggerTimetable | None:
    """Return the timetable; None if the pipeline is disabled or has no schedule: its rows then wait."""
    if not config.enabled or config.cron_schedule is None:
        return None
    return CronTriggerTimetable(config.cron_schedule, timezone=config.timezone)


def _params() -> dict[str, Param]:
    return {
        **range_params(),
        "windows": Param(
            None, type=["null", "array"], items=_PAIR, description='Exact windows: [["<start>", "<end>"], …], instants.'
        ),
        "max_windows": Param(None, type=["null", "integer"], minimum=1, maximum=1024, description="At most so many."),
        "until": Param(None, **TEXT, enum=[None, *UNTIL], description="Last step: staged, loaded or audited (all)."),
        "dry_run": Param(False, type="boolean", description="Only show what would be planned and claimed."),
        "replace": Param(False, type="boolean", description="Load finished windows of the range again."),
        "reason": Param(None, **TEXT, description="Why (with replace); kept in the ledger."),
        "allow_future": Param(False, type="boolean", description="The range may reach beyond local tomorrow."),
    }


def _manual(config: PipelineConfig) -> str:
    return MANUAL.format(
        description=config.description or config.pipeline_id,
        granularity=config.granularity,
        timezone=config.timezone,
        source=config.source_name,
        stage=config.stage_name,
        target=f"{config.target_name} {config.target_object or ''}".strip(),
        source_object=config.source_object,
        cron=config.cron_schedule or "none, manual runs only",
        max_windows=config.max_windows_per_run,
        x_time_back=config.x_time_back,
    )

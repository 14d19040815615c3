"""Finds what is wrong with the windows of every source, shows a plan, and executes a plan that somebody names.

**Purpose.** Days without windows, gaps, overlaps, windows that cross a day, drifting granularity. Every run of a
pipeline repairs by itself what harms nothing; this DAG shows everything and does the rest, too.

**Schedule and window.** Daily at 01:30 UTC, all pipelines, every day from a source's first planned one to its last,
inside its horizon. The run's own date is not used.

**Reads / writes.** Reads the ledger. A run without a conf changes no window: it stores its plan in
`state_manager_plans`, shows it in the log of `make_plan` (what, why, how many) and prints its id.

**Parameters.** `pipelines`: only these. `plan_id`: show that plan again; with `apply`: execute exactly it, each step
checked again. When it would delete data at the target, or touches more windows of a source than that pipeline's
`state_manager_window_limit`, `approve` waits for a person (Required Actions in Airflow's UI), without a worker.

**When it fails.** The ledger does not answer, the conf makes no sense, there is no such plan, or its items were
altered. No failure: a plan that is rejected, or that nobody approves in three days (`apply_plan` is skipped, the plan
stays open), and what has changed since (left alone, a warning in the log, kept in the plan's `outcome`).

**Re-run.** Clear it at any time: a plan is applied once, a crash in its middle goes on, a cleared `approve` asks again.
"""

from datetime import timedelta

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk import CronTriggerTimetable, Param, TriggerRule, dag, task

from include.orchestration import state_manager_tasks
from include.orchestration.defaults import START_DATE, default_args
from include.orchestration.params import TEXT, pipelines_param


@dag(
    dag_id="state_manager",
    schedule=CronTriggerTimetable("30 1 * * *", timezone="UTC"),
    start_date=START_DATE,
    catchup=False,
    max_active_runs=8,  # one that waits for a person stops no other one
    dagrun_timeout=timedelta(days=4),
    default_args=default_args(),
    params={
        "pipelines": pipelines_param("Only these pipelines."),
        "plan_id": Param(None, **TEXT, minLength=1, description="A stored plan: show it again."),
        "apply": Param(False, type="boolean", description="Execute exactly the plan of plan_id."),
    },
    tags=["ledger"],
    doc_md=__doc__,
    allowed_run_types=["scheduled", "manual"],
)
def state_manager() -> None:
    """See the module's docstring."""

    @task.branch
    def check_conf() -> str:
        """Make a plan, or load one; a conf that makes no sense fails here."""
        return state_manager_tasks.check_conf()

    @task(multiple_outputs=False)
    def make_plan() -> dict[str, object]:
        """Find what is wrong, store and show what would be done; changes no window."""
        return state_manager_tasks.make_plan()

    @task(multiple_outputs=False)
    def load_plan() -> dict[str, object]:
        """Show a stored plan, and whether somebody has to agree."""
        return state_manager_tasks.load_plan()

    @task.branch
    def next_step(plan: dict[str, object]) -> str | None:
        """Ask, apply, or nothing more."""
        return state_manager_tasks.next_step(plan)

    @task(trigger_rule=TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS, multiple_outputs=False)
    def apply_plan(plan: dict[str, object], approval: dict[str, object]) -> dict[str, object]:
        """Execute exactly the plan that was shown; what has changed since is left alone."""
        return state_manager_tasks.apply_plan(plan, approval)

    approve = ApprovalOperator(
        task_id="approve",
        subject="{{ ti.xcom_pull(task_ids='load_plan')['subject'] }}",
        body="{{ ti.xcom_pull(task_ids='load_plan')['body'] }}",
        defaults=ApprovalOperator.REJECT,  # nobody answered in time
        response_timeout=timedelta(days=3),
        doc_md="Waits until a person approves or rejects the plan, without a worker.",
    )
    loaded = load_plan()
    step = next_step(loaded)
    check_conf() >> [make_plan(), loaded]
    step >> approve
    step >> apply_plan(loaded, approve.output)


state_manager()

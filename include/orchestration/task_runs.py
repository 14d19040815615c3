"""Connects Airflow's task context with the use cases: who acts, is this the last try, and the state for an outcome.

Skip: there is nothing to do and nothing is wrong, or another run holds it. Fail: an error with a cause and a remedy. A
refusal of the ledger is never reported as success.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import get_current_context
from airflow.sdk.exceptions import (
    AirflowRescheduleException,
    AirflowSkipException,
    DagRunTriggerException,
)

from include.pipeline_framework.core.records.conf_keys import require_known_keys, require_whole_numbers
from include.pipeline_framework.core.records.ledger_row import RowIdentity
from include.pipeline_framework.errors import (
    InvalidInputError,
    TargetBusyError,
    TerminalError,
    WindowFinishedError,
    WindowHeldError,
    WindowInvalidatedError,
)
from include.pipeline_framework.tasks.window_attempt import WindowAttempt, run_on_windows
from include.wiring import run_context

_log = logging.getLogger(__name__)


def conf() -> dict[str, Any]:
    """Return the run's conf over the DAG's params, as plain values: what the trigger form or `--conf` gave.

    The first task of every DAG calls it, even if the DAG has no params: it refuses a key that nothing reads.

    Raises:
        InvalidInputError: A key that is none of the DAG's params, a decimal for a whole number, or a conf that this
            Airflow does not let into the params.
    """
    context = get_current_context()
    dag, given, raw = context["dag"], dict(context["params"]), dict(context["dag_run"].conf or {})
    require_known_keys([*raw, *(name for name in given if name not in raw)], list(dag.params), dag.dag_id)
    require_whole_numbers(given, {name: dag.params.get_param(name).schema for name in dag.params}, dag.dag_id)
    left_out = sorted(name for name, value in raw.items() if given.get(name) != value)
    if left_out:
        raise InvalidInputError(
            f"the run's conf is not used: {', '.join(left_out)}",
            where=dag.dag_id,
            meaning="Airflow's setting core.dag_run_conf_overrides_params is off; nothing was done",
            remedy="Turn it on (AIRFLOW__CORE__DAG_RUN_CONF_OVERRIDES_PARAMS=True), or trigger without a conf.",
        )
    return given


def date_of_test() -> str | None:
    """Return the date that `airflow tasks test` was given, as YYYY-MM-DD; None in other runs, and without a date."""
    moment = get_current_context()["dag_run"].logical_date
    return moment.date().isoformat() if moment and run_context.current_actor().is_temporary else None


def skip(message: str) -> None:
    """End the task as skipped, with the reason in its log."""
    raise AirflowSkipException(message)


def trigger_run(dag_id: str, dag_run_id: str, *, note: str) -> None:
    """End the task by triggering a run of a DAG; an existing run stays unchanged.

    Airflow does it for the task, as for its own TriggerDagRunOperator.
    """
    raise DagRunTriggerException(
        trigger_dag_id=dag_id,
        dag_run_id=dag_run_id,
        conf=None,
        reset_dag_run=False,
        skip_when_already_exists=True,
        wait_for_completion=False,
        allowed_states=[],
        failed_states=[],
        poke_interval=60,
        deferrable=False,
        note=note,
    )


def identity_of(pipeline: Any, record: dict[str, Any]) -> RowIdentity:
    """Return which window a task means by the row's number in its record."""
    start, end = (datetime.fromisoformat(record[name]) for name in ("start", "end"))
    return RowIdentity(pipeline.config.source_object, start, end)


def on_windows(
    pipeline: Any, records: Sequence[dict[str, Any]], work: Callable[[Sequence[WindowAttempt]], Sequence[Any]]
) -> list[Any]:
    """Run `work` on the windows of `records`, each under a new fence; return each one's result or error.

    Among the errors:
        RowMistakenError: The ledger has given the row's number to another window.
        AirflowSkipException: The window is finished, replaced, or held by another run; the message says what to do.
        AirflowRescheduleException: Others publish into the table; the task runs later, and holds no worker.
    """
    outcomes = run_on_windows(
        pipeline.store,
        {record["id"]: identity_of(pipeline, record) for record in records},
        run_context.current_actor(),
        work,
        max_retry_task=pipeline.config.max_retry_task,
        is_last_try=run_context.is_last_try(),
    )
    return [_as_airflows(pipeline, outcome) for outcome in outcomes]


def _as_airflows(pipeline: Any, outcome: Any) -> Any:
    """Return the exception that Airflow has for an outcome; any other outcome is returned as it is."""
    if isinstance(outcome, WindowFinishedError | WindowHeldError | WindowInvalidatedError):
        told: Exception = AirflowSkipException(str(outcome))
    elif isinstance(outcome, TargetBusyError):
        _log.info("%s", outcome)
        seconds = random.uniform(5, 15)  # noqa: S311 - so that waiting tasks don't return at once
        told = AirflowRescheduleException(pipeline.store.now() + timedelta(seconds=seconds))
    else:
        return outcome
    told.__cause__ = outcome
    return told


def require_no_failed_task() -> None:
    """Fail when another task of this run has failed; its own log says why.

    Raises:
        TerminalError: Names the failed tasks.
    """
    ti = get_current_context()["ti"]
    states = ti.get_task_states(dag_id=ti.dag_id, run_ids=[ti.run_id]).get(ti.run_id, {})
    failed = sorted(name for name, state in states.items() if getattr(state, "value", state) == "failed")
    if failed:
        raise TerminalError(
            f"{len(failed)} tasks of this run failed: {', '.join(failed)}",
            where=f"{ti.dag_id} {ti.run_id}",
            meaning="Every window that this run claimed is finished, or it claimed none",
            remedy="Read the log of the failed task; clear it, or trigger again with a corrected conf.",
        )


def announce(windows: Sequence[str]) -> None:
    """Emit the task's asset event for exactly these windows, as the ledger's rows have them; without one, no event.

    Airflow emits an event for every outlet of a successful task; a window that has not passed its audit gets none.
    """
    context = get_current_context()
    if not windows:
        context["task"].outlets = []
    for asset in context["task"].outlets:
        for window in windows:
            context["outlet_events"][asset].add_partitions(window)

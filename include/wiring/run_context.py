"""Decides once for all fronts who acts, whether this is the last try, and what Airflow knows of a run.

Inside an Airflow task all of it is the task's. Outside, a Python session acts as one run of its own, and so does a
person's command. Airflow is not imported unless it is already loaded.
"""

from __future__ import annotations

import getpass
import logging
import os
import socket
import sys
import uuid
from functools import lru_cache
from typing import Any

from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.core.records.row import Actor

_log = logging.getLogger(__name__)

PYTHON_SESSION = "python session"
"""The `dag_id` of a session outside Airflow; the blank distinguishes it from every DAG."""


def current_actor(call: str = "") -> Actor:
    """Return the present task try; outside of tasks this Python session, whose calls belong together like one run's.

    Args:
        call: What a Python session does; a task has its own name.
    """
    ti = _task_instance()
    if ti is None:
        return Actor(PYTHON_SESSION, _own_session(os.getpid()), call)
    return Actor(ti.dag_id, ti.run_id, ti.task_id, ti.map_index if ti.map_index is not None else -1, ti.try_number)


def person(command: str) -> Actor:
    """Return a person at the command line as actor."""
    return Actor(f"cli {command}", os.environ.get("USER") or getpass.getuser(), command)


def local_run(command: str) -> Actor:
    """Return a run that a person's command does in its own process; its id names no other run, also of this process."""
    return Actor(f"cli {command}", _session(), command)


def is_last_try() -> bool:
    """Return whether no further try follows if this one fails with an error that may be retried."""
    ti = _task_instance()
    return ti is None or bool(ti.try_number > ti.max_tries)


def run_state(dag_id: str, dag_run_id: str) -> RunState:
    """Return what Airflow's task API says of a DAG run; 404: it does not exist, any other error: unknown.

    A holder whose id no DAG can have (a person's Python session, a command) is unknown to Airflow, not missing: its
    lease decides. Outside of tasks there is no API to ask.
    """
    ti = _task_instance()
    if ti is None or " " in dag_id:
        return RunState.UNKNOWN
    from airflow.sdk.exceptions import AirflowRuntimeError

    try:
        state = ti.get_dagrun_state(dag_id=dag_id, run_id=dag_run_id)
    except AirflowRuntimeError as error:
        detail = getattr(error.error, "detail", None) or {}
        if detail.get("status_code") == 404:
            return RunState.MISSING
        _log.warning("Airflow can't tell the state of run %s of %s: %s", dag_run_id, dag_id, error)
        return RunState.UNKNOWN
    # an enum's str() is its qualified name, and the task SDK has returned both enums and plain text
    return RunState.ENDED if getattr(state, "value", state) in ("success", "failed") else RunState.ACTIVE


def _task_instance() -> Any:
    """Return the task instance that this process runs; None outside of tasks."""
    if "airflow.sdk" not in sys.modules:  # a process that runs a task has imported it
        return None
    from airflow.sdk import get_current_context

    try:
        return get_current_context()["ti"]
    except RuntimeError:
        return None


@lru_cache(maxsize=1)
def _own_session(process_id: int) -> str:
    """Return this process's session; a process that was forked from it has another one."""
    del process_id
    return _session()


def _session() -> str:
    user = os.environ.get("USER") or getpass.getuser()
    return f"{user}@{socket.gethostname()}:{os.getpid()}-{uuid.uuid4().hex[:8]}"

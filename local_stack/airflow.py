"""Airflow's four long-running processes, each started and stopped on its own.

Not `airflow standalone`: on SIGTERM it leaves its children behind (3.3.2).
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import signal
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx

from local_stack import processes
from local_stack.environment import environment
from local_stack.errors import LocalStackError, ServerStartError
from local_stack.home import REPO, Home, write_private
from local_stack.ports import HOST, RULES
from local_stack.servers.postgres import Postgres
from local_stack.state import State
from local_stack.waiting import STANDSTILL_SECONDS, Patience, run_child, work_of

# Stopped in this order. The API server goes last: tasks that end report to it, and the scheduler waits for them.
COMPONENTS: dict[str, tuple[str, ...]] = {
    "scheduler": ("scheduler", "--skip-serve-logs"),
    "dag-processor": ("dag-processor",),
    "triggerer": ("triggerer", "--skip-serve-logs"),
    "api-server": ("api-server",),
}
_HEALTH_NAMES = {"scheduler": "scheduler", "dag-processor": "dag_processor", "triggerer": "triggerer"}
_STOP_TIMEOUT = 60.0
_TEMPLATE = Path(__file__).parent / "airflow_local_settings.py.txt"


def process_name(component: str) -> str:
    """The name under which a component's process is recorded."""
    return f"airflow-{component}"


def log_file(home: Home, component: str) -> Path:
    """Everything that a component prints."""
    return home.airflow / "logs" / f"{component}.log"


def address(state: State) -> str:
    """Where a browser finds Airflow."""
    return f"http://{HOST}:{state.ports['airflow']}"


def dags_without_schedule(home: Home) -> Path:
    """The DAGs that start no run by themselves in this stack, one id a line; read whenever a DAG's file is parsed."""
    return home.airflow / "dags-without-schedule"


def is_started(home: Home) -> bool:
    """Whether any component was started and not stopped since."""
    return any(processes.is_recorded(home, process_name(component)) for component in COMPONENTS)


def is_alive(home: Home) -> bool:
    """Whether any component runs."""
    return any(processes.find(home, process_name(component)) for component in COMPONENTS)


def up(home: Home, state: State, report: Callable[[str, str], None]) -> None:
    """Start what does not run, and return when every component is healthy."""
    alive = {name for name in COMPONENTS if processes.find(home, process_name(name))}
    if len(alive) == len(COMPONENTS) and set(health(state)) == set(COMPONENTS):
        report("airflow", f"already running on {address(state)}")
        return
    began = time.monotonic()
    _write_files(home, state)
    _migrate(home, state, report)
    environ = {**os.environ, **environment(home)}
    for component, arguments in COMPONENTS.items():
        if component not in alive:
            stop_component(home, component)  # children of a killed process
            log = log_file(home, component)
            argv = [sys.executable, "-m", "airflow", *arguments]
            processes.spawn(home, process_name(component), argv, log=log, environ=environ)
    _wait_until_healthy(home, state, report)
    report("airflow", f"ready on {address(state)} after {time.monotonic() - began:.1f} s")


def down(home: Home, report: Callable[[str, str], None]) -> bool:
    """Stop every component, the scheduler before the API server; returns whether anything ran."""
    stopped = [_stop_and_tell(home, component, report) for component in COMPONENTS]
    return any(stopped)


def stop_component(home: Home, component: str) -> bool:
    """Stop one component and its children."""
    return processes.stop(home, process_name(component), number=signal.SIGTERM, timeout=_STOP_TIMEOUT)


def health(state: State) -> list[str]:
    """The components that Airflow itself calls healthy."""
    try:
        with urllib.request.urlopen(f"{address(state)}/api/v2/monitor/health", timeout=30) as response:  # noqa: S310
            answer: dict[str, Any] = json.load(response)
    except (urllib.error.URLError, OSError, ValueError):
        return []
    healthy = [name for name, key in _HEALTH_NAMES.items() if (answer.get(key) or {}).get("status") == "healthy"]
    return ["api-server", *healthy]


def token(state: State) -> str:
    """An API token of the stack's admin.

    Raises:
        LocalStackError: Whatever listens on the port does not know the stack's password: it is another Airflow.
    """
    answer = httpx.post(
        f"{address(state)}/auth/token",
        json={"username": "admin", "password": state.secrets["airflow_admin"]},
        timeout=300,
    )
    if answer.is_error:
        raise LocalStackError(
            f"The server on {address(state)} refuses this stack's login (HTTP {answer.status_code}).",
            f"Another Airflow took the port: stop it, or set {RULES['airflow'].variable}, then `down` and `up` again.",
        )
    return str(answer.json()["access_token"])


def _stop_and_tell(home: Home, component: str, report: Callable[[str, str], None]) -> bool:
    began = time.monotonic()
    stopped = stop_component(home, component)
    if stopped:
        report(process_name(component), f"stopped after {time.monotonic() - began:.1f} s")
    return stopped


def _write_files(home: Home, state: State) -> None:
    for folder in (home.airflow, home.airflow / "logs", home.airflow / "config"):
        folder.mkdir(exist_ok=True, mode=0o700)
    passwords = {name: state.secrets[f"airflow_{name}"] for name in ("admin", "operator", "viewer")}
    write_private(home.airflow / "passwords.json", json.dumps(passwords))
    shutil.copyfile(_TEMPLATE, home.airflow / "config" / "airflow_local_settings.py")


def _migrate(home: Home, state: State, report: Callable[[str, str], None]) -> None:
    """Run `airflow db migrate` unless this version of Airflow did on this database; the command costs seconds."""
    wanted = f"{version('apache-airflow-core')} {_revision(home, state)}"
    if state.airflow_migrated == wanted:
        return
    report("airflow", "migrating its database")
    run_child(
        [sys.executable, "-m", "airflow", "db", "migrate"],
        environ={**os.environ, **environment(home)},
        cwd=REPO,
        tell=functools.partial(report, "airflow"),
        what="`airflow db migrate`",
        remedy="Mend the cause above and run `python -m local_stack up --airflow` again.",
    )
    state.airflow_migrated = f"{version('apache-airflow-core')} {_revision(home, state)}"
    state.save(home)


def _revision(home: Home, state: State) -> str:
    """The schema revision in Airflow's database, or an empty text before the first migration."""
    import psycopg

    with psycopg.connect(Postgres(home, state).url("airflow", "airflow"), connect_timeout=300) as connection:
        try:
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
        except psycopg.errors.UndefinedTable:
            return ""
    return str(row[0]) if row else ""


def _wait_until_healthy(home: Home, state: State, report: Callable[[str, str], None]) -> None:
    def work() -> list[object]:
        found = {name: processes.find(home, process_name(name)) for name in COMPONENTS}
        return [work_of(process, log_file(home, name)) for name, process in found.items() if process is not None]

    patience = Patience(
        work, STANDSTILL_SECONDS, tell=functools.partial(report, "airflow"), what="its components still start"
    )
    while missing := sorted(set(COMPONENTS) - set(health(state))):
        dead = [name for name in COMPONENTS if processes.find(home, process_name(name)) is None]
        if dead or patience.is_over():
            name = (dead or missing)[0]
            what = "died while it started" if dead else f"has not moved for {patience.longest_seconds:.0f} s"
            log = log_file(home, name)
            raise ServerStartError(
                f"Airflow's {name} {what}. Its last lines:\n{processes.last_lines(log)}",
                f"Read {log}; if port {state.ports['airflow']} is in use, set {RULES['airflow'].variable}.",
            )
        time.sleep(0.2)
    token(state)

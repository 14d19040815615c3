"""A day of 24 small windows under Airflow's own scheduler: `python -m benchmarks.airflow_overhead --full`, long only.

Each build gets a local stack of its own, with its own settings, where one run after the other is measured:

* product, before: `data_pipeline_main` loads 9 March 2013, 24 windows of some forty flights;
* floor: a DAG of the same shape with 24 windows and empty tasks, in the product's stack.

Figures are CPU seconds of all processes of a kind, their dead children included, from the trigger to the run's end.
Afterwards the stacks are left alone for half a minute: what they use then is what every other run pays, too.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any

from benchmarks import command
from benchmarks.builds import REPO, answer
from benchmarks.comparison import Comparison, Measured, Role
from local_stack.home import cache_folder

RUN = """
import json, os, pathlib, shutil, sys, tempfile, time
from contextlib import suppress
import psutil
from local_stack import airflow, processes, stack
from local_stack.airflow_api import AirflowApi
from local_stack.flights import Days
from local_stack.home import Home
from local_stack.seed import seed

AIRFLOW = {airflow.process_name(name): name for name in airflow.COMPONENTS}
SERVERS = ("postgres", "elasticsearch", "s3", "snowflake")

def cpu():
    found = {}
    for name in (*AIRFLOW, *SERVERS):
        seconds = 0.0
        for process in processes.family(home, name):
            with suppress(psutil.Error):
                times = process.cpu_times()
                seconds += times.user + times.system + times.children_user + times.children_system
        found[AIRFLOW.get(name, name)] = seconds
    return found

def used(before):
    return {name: round(seconds - before[name], 2) for name, seconds in cpu().items()}

def run(dag_id, conf):
    before, began = cpu(), time.monotonic()
    run_id = api.trigger(dag_id, conf)
    state = api.wait(dag_id, run_id)
    seconds = time.monotonic() - began
    tasks = [task for task in api.task_instances(dag_id, run_id) if task["state"] == "success"]
    if state != "success":
        sys.exit(f"{dag_id} ended {state}")
    return {"wall": seconds, "tasks": len(tasks), "cpu": used(before)}

folder = pathlib.Path(tempfile.mkdtemp(prefix="local-stack-"))
try:
    home = Home.at(folder)
    home.create()
    home.airflow.mkdir(mode=0o700)
    airflow.dags_without_schedule(home).write_text("data_pipeline_main")
    with stack.running(home, with_airflow=True, is_durable=False) as env:
        os.environ.update(env)
        seed(env["ELASTICSEARCH_URL"], days=Days.parse("2013-03-09:2013-03-10"))
        api = AirflowApi(home)
        dags = ["data_pipeline_main", "empty_shape"]
        api.wait_for_dags(dags)
        for dag_id in dags:
            api.set_paused(dag_id, paused=False)
        found = {"floor": run("empty_shape", {"windows": 24}), "product": run(dags[0], {"target_date": "2013-03-09"})}
        time.sleep(40)  # what sessions and collectors still have to do
        before, began = cpu(), time.monotonic()
        time.sleep(30)
        found["idle"] = {name: seconds / (time.monotonic() - began) for name, seconds in used(before).items()}
finally:
    shutil.rmtree(folder, ignore_errors=True)
print(json.dumps(found))
"""

_SERVERS = ("postgres", "elasticsearch", "s3", "snowflake")


def measure(*, is_short: bool, base: Path | None) -> list[Comparison]:
    """Compare a day of windows with empty tasks, and what the stacks use when nothing runs; nothing in short form."""
    if is_short:
        return []
    product = _measure(REPO)
    before = _measure(base) if base else None
    builds: list[tuple[Role, dict[str, Any]]] = [("product", product), *([("before", before)] if before else [])]
    rows = [Measured("data_pipeline_main, one day", role, _figures(found["product"])) for role, found in builds]
    rows.append(Measured("empty tasks", "floor", _figures(product["floor"])))
    idle = [Measured("the whole stack", role, _by_kind(found["idle"], "cores")) for role, found in builds]
    called = "python -m benchmarks.airflow_overhead --full"
    return [
        Comparison("A day of windows under Airflow", "24 windows of an hour", called, rows, "CPU-s"),
        Comparison("A stack where nothing runs", "half a minute of rest", called, idle, "cores"),
    ]


def _measure(build: Path) -> dict[str, Any]:
    """Return what `RUN` prints for a copy of the build that has the empty DAG beside its own."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        copy = Path(folder) / "build"
        for name in ("dags", "include", "local_stack", "plugins"):
            shutil.copytree(build / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copyfile(Path(__file__).parent / "empty_shape.py.txt", copy / "dags" / "empty_shape.py")
        found: dict[str, Any] = answer(RUN, build=copy, environ={"LOCAL_STACK_CACHE": str(cache_folder())})
    return found


def _figures(run: dict[str, Any]) -> dict[str, float]:
    return {**_by_kind(run["cpu"], "CPU-s"), "wall s": run["wall"], "tasks": run["tasks"]}


def _by_kind(used: dict[str, float], unit: str) -> dict[str, float]:
    """Return the total and its parts: tasks run as children of the scheduler."""
    return {
        unit: sum(used.values()),
        f"scheduler and tasks {unit}": used["scheduler"],
        f"DAG processor {unit}": used["dag-processor"],
        f"API server {unit}": used["api-server"],
        f"triggerer {unit}": used["triggerer"],
        f"servers {unit}": sum(used[name] for name in _SERVERS),
    }


if __name__ == "__main__":
    command.main(measure, __doc__ or "")

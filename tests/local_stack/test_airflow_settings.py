"""What Airflow imports before it forks, and that an edited file still counts; which DAGs have no schedule."""

from __future__ import annotations

import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk import DAG, CronTriggerTimetable

from local_stack.home import REPO

TEMPLATE = REPO / "local_stack" / "airflow_local_settings.py.txt"
FORKS = """
import os, pathlib, runpy, sys
sys.argv = ["airflow", *PART.split()]
runpy.run_path(TEMPLATE, run_name="airflow_local_settings")
print("imported", NAME in sys.modules)

def in_a_fork(label):
    if (pid := os.fork()) == 0:
        kept = NAME in sys.modules
        import include.pipeline_framework.core.time.horizon as horizon
        print(label, kept, getattr(horizon, "EDITED", None), flush=True)
        os._exit(0)
    os.waitpid(pid, 0)

in_a_fork("before")
file = pathlib.Path(sys.modules["include.pipeline_framework.core.time.horizon"].__file__)
file.write_text(file.read_text() + "\\nEDITED = True\\n")
in_a_fork("after")
file.unlink()
if (pid := os.fork()) == 0:
    print("gone", NAME in sys.modules, flush=True)
    os._exit(0)
os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("part", ["dag-processor", "scheduler", "celery worker"])
def test_forks_find_the_product_imported_and_an_edited_file_counts_at_once(part: str, tmp_path: Path) -> None:
    shutil.copytree(REPO / "include", tmp_path / "include", ignore=shutil.ignore_patterns("__pycache__"))
    name = "include.orchestration.pipeline_tasks"
    code = f"TEMPLATE, NAME, PART = {str(TEMPLATE)!r}, {name!r}, {part!r}\n{FORKS}"
    environ = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "not imported before forking" not in done.stderr
    assert done.stdout.split("\n")[:-1] == ["imported True", "before True None", "after False True", "gone False"]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path))
    return runpy.run_path(str(TEMPLATE))


def scheduled(dag_id: str) -> DAG:
    return DAG(dag_id, schedule=CronTriggerTimetable("0 * * * *", timezone="UTC"))


def test_only_the_dags_of_the_file_lose_their_schedule(settings: dict[str, Any], tmp_path: Path) -> None:
    before = scheduled("one")
    settings["dag_policy"](before)
    assert before.timetable.can_be_scheduled
    (tmp_path / "dags-without-schedule").write_text("one\nthree\n")
    one, two, unscheduled = scheduled("one"), scheduled("two"), DAG("three", schedule=None)
    for dag in (one, two, unscheduled):
        settings["dag_policy"](dag)
    assert [dag.timetable.can_be_scheduled for dag in (one, two, unscheduled)] == [False, True, False]

"""`doctor` and a real Airflow: which DAGs are paused, and what the daily DAG makes of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from local_stack.home import REPO
from tests.e2e.conftest import Bench

pytestmark = pytest.mark.e2e


def asked(bench: Bench) -> tuple[int, list[dict[str, Any]]]:
    """Exit status and verdicts of the command, by the user who may only look."""
    command = [sys.executable, "-m", "include.cli", "doctor", bench.pipeline_id, "--format", "json"]
    environ = {**os.environ, **bench.env}
    done = subprocess.run(command, cwd=REPO, env=environ, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
    return done.returncode, json.loads(done.stdout)


def said(verdicts: list[dict[str, Any]], check: str, state: str) -> list[str]:
    return [one["said"] for one in verdicts if (one["role"], one["check"], one["state"]) == ("Airflow", check, state)]


def test_a_paused_dag_is_found_and_an_unpaused_one_is_well(bench: Bench) -> None:
    bench.api.set_paused(bench.dag_id, paused=True)
    try:
        status, verdicts = asked(bench)
    finally:
        bench.api.set_paused(bench.dag_id, paused=False)
    assert status == 1
    assert said(verdicts, "DAG", "wrong") == [f"{bench.dag_id} is paused: no window moves"]
    assert said(verdicts, "import errors", "ok") == ["every DAG file was parsed"]
    assert "daily_planner is not paused" in said(verdicts, "guards", "ok")
    assert any(text.startswith("audit_windows is paused: ") for text in said(verdicts, "guards", "warning"))
    _, verdicts = asked(bench)
    assert said(verdicts, "DAG", "ok") == [f"{bench.dag_id} is not paused"]
    assert [one for one in verdicts if one["pipeline_id"] and one["state"] == "wrong"] == []


def test_the_daily_dag_is_green_for_what_is_well_and_red_for_what_is_not(bench: Bench) -> None:
    bench.api.wait_for_dags(["doctor"])
    bench.api.set_paused("doctor", paused=False)
    try:
        run_id, state = bench.run({}, dag_id="doctor")
    finally:
        bench.api.set_paused("doctor", paused=True)
    tasks = bench.api.task_instances("doctor", run_id)
    states = {str(one["rendered_map_index"] or one["task_id"]): one["state"] for one in tasks}
    assert states[bench.pipeline_id] == "success"
    assert states["list_pipelines"] == "success"
    assert states["main"] == state == "failed"  # it is paused here

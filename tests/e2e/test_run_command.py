"""`run` as a person calls it: through Airflow's real API, with a DAG that is paused, followed to the end."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from local_stack.home import REPO
from tests.e2e.conftest import Bench, hours

pytestmark = pytest.mark.e2e
WINDOW = hours("2013-03-10T21:00:00Z", "2013-03-10T23:00:00Z")


def called(bench: Bench, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "include.cli", "run", bench.pipeline_id, *words]
    env = {**os.environ, **bench.env, **environ}
    return subprocess.run(command, cwd=REPO, env=env, capture_output=True, text=True, check=False)


def test_a_range_is_started_followed_and_compared(bench: Bench) -> None:
    span = ("--from", WINDOW.start.isoformat(), "--to", WINDOW.end.isoformat())
    bench.api.set_paused(bench.dag_id, paused=True)
    try:
        refused = called(bench, *span, "--watch")
        assert (refused.returncode, refused.stdout) == (2, "")
        assert f"{bench.dag_id} is paused: a run would wait" in refused.stderr
        assert bench.rows(WINDOW) == []
        done = called(bench, *span, "--watch", "--unpause")
    finally:
        bench.api.set_paused(bench.dag_id, paused=False)
    assert done.returncode == 0, done.stderr
    rows = len(bench.target_ids(WINDOW))
    assert f"2 windows: 2 completed; {rows} rows" in done.stdout
    assert f"rows in the range now: source {rows}, target {rows}: equal" in done.stdout
    assert f"/dags/{bench.dag_id}/runs/manual__" in done.stderr
    bench.assert_loaded(WINDOW)
    newest = bench.api.runs(bench.dag_id)[0]
    assert newest["triggering_user_name"] == "operator"
    assert newest["note"].endswith(f": run {bench.pipeline_id}")

    again = called(bench, *span, "--replace", "--reason", "a correction", "--watch", "--format", "json")
    found = json.loads(again.stdout)
    assert (again.returncode, found["states"], found["windows"]) == (0, ["success"], {"COMPLETED": 2})
    bench.assert_loaded(WINDOW)


def test_who_may_only_look_starts_nothing(bench: Bench) -> None:
    viewer = {"AIRFLOW_CONN_AIRFLOW_OPERATOR": bench.env["AIRFLOW_CONN_AIRFLOW_API"]}
    refused = called(bench, "--day", "2013-03-10", **viewer)
    assert refused.returncode == 2
    assert "its user may not do this (HTTP 403)" in refused.stderr
    assert "airflow_operator" in refused.stderr

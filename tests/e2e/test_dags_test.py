"""Each DAG runs under `airflow dags test`: in one process, without a scheduler, as a developer debugs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from local_stack.home import REPO
from tests.e2e.conftest import PIPELINE, Bench, conf_of, hours

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]  # five runs, one after the other

WINDOW = hours("2013-03-11T09:00Z", "2013-03-11T10:00Z")
CONFS: dict[str, dict[str, Any]] = {
    "daily_planner": {"target_date": "2013-06-01"},
    "record_generation": {"target_date": "2013-06-02", "max_records": 3},
    "cleanup_stale_locks": {},
    PIPELINE: conf_of(WINDOW),
    "audit_windows": {"from": WINDOW.start.isoformat(), "to": WINDOW.end.isoformat(), "mode": "fingerprint"},
    "publish_lifecycle": {},
}
# The command itself, several times in one interpreter: starting Airflow takes longer than most of these runs.
_COMMANDS = """
import json, sys
from airflow.cli.cli_parser import get_parser
for dag_id, conf in json.loads(sys.argv[1]).items():
    arguments = get_parser().parse_args(["dags", "test", dag_id, "--conf", json.dumps(conf)])
    arguments.func(arguments)
"""


def test_every_dag_runs_to_success(bench: Bench) -> None:
    paused = {dag_id: bench.api.set_paused(dag_id, paused=True) for dag_id in CONFS}  # the scheduler leaves them alone
    done = subprocess.run(
        [sys.executable, "-c", _COMMANDS, json.dumps(CONFS)],
        env={**os.environ, **bench.env},
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=500,
        check=False,
    )
    for dag_id, was_paused in paused.items():
        bench.api.set_paused(dag_id, paused=was_paused)
    output = (done.stdout + done.stderr)[-3000:]
    assert done.returncode == 0, output
    states = {dag_id: bench.api.runs(dag_id)[0]["state"] for dag_id in CONFS}
    assert states == dict.fromkeys(CONFS, "success"), output
    planned = "SELECT COUNT(*) AS rows FROM pipeline_lifecycle WHERE target_day = %s"
    assert bench.query(planned, "2013-06-01") == [{"rows": 24}]
    assert bench.query(planned, "2013-06-02") == [{"rows": 3}]
    assert [row["pipeline_final_status"] for row in bench.rows(WINDOW)] == ["COMPLETED"]
    mirrored = "SELECT mirror, row_count = (SELECT COUNT(*) FROM pipeline_lifecycle) AS is_all FROM lifecycle_mirrors"
    assert bench.query(mirrored) == [{"mirror": "target_snowflake", "is_all": True}]
    bench.assert_loaded(WINDOW)

"""DAGs run under `airflow dags test`: in one process, without a scheduler, as a developer debugs them.

`daily_planner` and `cleanup_stale_locks` run under the scheduler in other files.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from include.wiring import connections
from local_stack.home import REPO
from tests.e2e.conftest import Bench, conf_of, hours

pytestmark = pytest.mark.e2e

WINDOW = hours("2013-03-11T09:00Z", "2013-03-11T10:00Z")
# The command itself, several times in one interpreter: starting Airflow takes longer than most of these runs.
_COMMANDS = """
import json, sys
from airflow.cli.cli_parser import get_parser
for dag_id, conf in json.loads(sys.argv[1]):
    arguments = get_parser().parse_args(["dags", "test", dag_id, "--conf", json.dumps(conf)])
    arguments.func(arguments)
"""


def run_in_one_process(bench: Bench, *runs: tuple[str, dict[str, Any]]) -> None:
    """`airflow dags test` for each, one after the other; every one has to succeed."""
    dag_ids = {dag_id for dag_id, _ in runs}
    before = {dag_id: len(bench.api.runs(dag_id)) for dag_id in dag_ids}
    paused = {dag_id: bench.api.set_paused(dag_id, paused=True) for dag_id in dag_ids}
    done = subprocess.run(
        [sys.executable, "-c", _COMMANDS, json.dumps(runs)],
        env={**os.environ, **bench.env},
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
    )
    for dag_id, was_paused in paused.items():
        bench.api.set_paused(dag_id, paused=was_paused)
    output = (done.stdout + done.stderr)[-3000:]
    assert done.returncode == 0, output
    states = [run["state"] for dag_id in dag_ids for run in bench.api.runs(dag_id)[: -before[dag_id] or None]]
    assert states == ["success"] * len(runs), output


def test_the_dag_runs_to_success_in_one_process(bench: Bench) -> None:
    run_in_one_process(
        bench,
        ("record_generation", {"pipeline_id": bench.pipeline_id, "target_date": "2013-06-02", "max_records": 3}),
        *((bench.dag_id, conf_of(WINDOW, until=until)) for until in ("staged", "loaded", "audited")),
        ("audit_windows", conf_of(WINDOW, mode="fingerprint", pipelines=[bench.pipeline_id])),
        ("publish_lifecycle", {}),
    )
    planned = "SELECT COUNT(*) AS rows FROM pipeline_lifecycle WHERE source_object = %s AND target_day = %s"
    assert bench.query(planned, bench.source_object, "2013-06-02") == [{"rows": 3}]
    assert [row["pipeline_final_status"] for row in bench.rows(WINDOW)] == ["COMPLETED"]
    assert [row["mirror"] for row in bench.query("SELECT mirror FROM lifecycle_mirrors")] == ["target_snowflake"]
    mirrored = (
        "SELECT PIPELINE_FINAL_STATUS FROM PIPELINE_LIFECYCLE WHERE SOURCE_OBJECT = %s AND QUERY_WINDOW_START_AT = %s"
    )
    with connections.client("target_snowflake")() as connection, connection.cursor() as cursor:
        found = cursor.execute(mirrored, (bench.source_object, "2013-03-11 09:00:00")).fetchall()
    assert found == [("COMPLETED",)]
    bench.assert_loaded(WINDOW)
    assert_each_run_did_its_own_step(bench)


def assert_each_run_did_its_own_step(bench: Bench) -> None:
    """Transfer and audit were asked for alone: staged by the first run, loaded by the second, audited by the third."""
    (row,) = bench.rows(WINDOW)
    events = bench.query(
        "SELECT event, dag_run_id FROM pipeline_lifecycle_events WHERE lifecycle_id = %s ORDER BY id", row["id"]
    )
    ends = {"source_to_stage_completed", "stage_to_target_completed", "stopped", "completed"}
    assert [event["event"] for event in events if event["event"] in ends] == [
        "source_to_stage_completed",
        "stopped",
        "stage_to_target_completed",
        "stopped",
        "completed",
    ]
    assert len({event["dag_run_id"] for event in events if event["event"] == "claimed"}) == 3
    assert row["retry_attempt"] == 0

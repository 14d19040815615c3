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

from include.pipeline_framework.orchestration import connections
from local_stack.home import REPO
from tests.e2e.conftest import Bench, conf_of, hours

pytestmark = pytest.mark.e2e

WINDOW = hours("2013-03-11T09:00Z", "2013-03-11T10:00Z")
# The command itself, several times in one interpreter: starting Airflow takes longer than most of these runs.
_COMMANDS = """
import json, sys
from airflow.cli.cli_parser import get_parser
for dag_id, conf in json.loads(sys.argv[1]).items():
    arguments = get_parser().parse_args(["dags", "test", dag_id, "--conf", json.dumps(conf)])
    arguments.func(arguments)
"""


def confs_of(bench: Bench) -> dict[str, dict[str, Any]]:
    return {
        "record_generation": {"pipeline_id": bench.pipeline_id, "target_date": "2013-06-02", "max_records": 3},
        bench.dag_id: conf_of(WINDOW),
        "audit_windows": conf_of(WINDOW, mode="fingerprint", pipelines=[bench.pipeline_id]),
        "publish_lifecycle": {},
    }


def test_the_dag_runs_to_success_in_one_process(bench: Bench) -> None:
    confs = confs_of(bench)
    paused = {dag_id: bench.api.set_paused(dag_id, paused=True) for dag_id in confs}  # the scheduler leaves them alone
    done = subprocess.run(
        [sys.executable, "-c", _COMMANDS, json.dumps(confs)],
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
    states = {dag_id: bench.api.runs(dag_id)[0]["state"] for dag_id in confs}
    assert states == dict.fromkeys(confs, "success"), output
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

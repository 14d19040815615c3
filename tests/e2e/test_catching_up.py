"""The second sample pipeline under `dag.test()`: three days without a run are caught up by the next one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest

from include.pipeline_framework.config.loader import PIPELINES_DIRECTORY
from local_stack.home import REPO
from tests.e2e.conftest import Bench
from tests.integration import replaying
from tests.integration.replaying import START

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

BEFORE, AFTER = START + timedelta(hours=13), START + timedelta(days=3, hours=13)
# Runs of the DAG without conf, as the scheduler makes them; the clock that index and ledger follow is the test's.
_RUNS = """
import os, sys
from datetime import datetime
from pathlib import Path
from include.implementation_modules.postgres_lifecycle_store import PostgresLifecycleStore
from include.pipeline_framework.config import loader
loader.PIPELINES_DIRECTORY = Path(sys.argv[1])
from dags.data_pipeline_replay import dag
from local_stack.replay import grow
start, *clock = map(datetime.fromisoformat, sys.argv[2:])
for now in clock:
    grow(os.environ["ELASTICSEARCH_URL"], start, now)
    PostgresLifecycleStore.now = lambda self: now
    run = dag.test()
    moved = sum(ti.task_id == "window.audit" and ti.state == "success" for ti in run.get_task_instances())
    print("RUN", run.state, moved, flush=True)
"""


def test_three_days_without_runs_are_caught_up(bench: Bench, ledger_url: str, tmp_path: Path) -> None:
    shutil.copy(PIPELINES_DIRECTORY / "main.yaml", tmp_path)  # `dag.test()` reads every DAG file
    replaying.switch_on(tmp_path)
    ledger = {"LEDGER_URL": ledger_url, "AIRFLOW_CONN_LIFECYCLE_POSTGRES": ledger_url}
    with replaying.no_traces(bench.env["ELASTICSEARCH_URL"]):
        done = subprocess.run(
            [sys.executable, "-c", _RUNS, str(tmp_path), *(instant.isoformat() for instant in (START, BEFORE, AFTER))],
            env={**os.environ, **bench.env, **ledger},
            cwd=REPO,
            capture_output=True,
            text=True,
            timeout=500,
            check=False,
        )
        runs = [line for line in done.stdout.splitlines() if line.startswith("RUN")]
        assert runs == ["RUN success 2", "RUN success 12"], (done.stdout + done.stderr)[-3000:]
        assert replaying.ids_at_target() == replaying.left_until(START + timedelta(days=3, hours=12))
    with psycopg.connect(ledger_url) as connection:
        days = connection.execute(
            "SELECT target_day, COUNT(*) FROM pipeline_lifecycle GROUP BY 1 ORDER BY 1"
        ).fetchall()
    assert [count for _, count in days] == [4] * 5

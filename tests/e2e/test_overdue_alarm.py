"""`check_overdue_windows` under real Airflow: one red task and one mail for a pipeline that no run has ever touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from include.implementation_modules.postgres_lifecycle_store import PostgresLifecycleStore
from include.pipeline_framework.config.loader import load_all_pipelines
from include.pipeline_framework.core.lifecycle import Actor
from include.pipeline_framework.tasks.planning import insert_windows
from local_stack.home import REPO
from tests.e2e.conftest import Bench
from tests.mailbox import Mailbox, mail_server
from tests.unit.tasks.world import window

pytestmark = pytest.mark.e2e

DAG_ID = "check_overdue_windows"
PIPELINE = """
source_object: {source}
timezone: America/New_York
granularity: 1h
x_time_back: 1d
start_date: 2013-03-01
fill_missing_days: false
overdue_after: 6h
email_list: [{people}]
source: {{type: memory}}
stage: {{type: memory}}
target: {{type: memory, table: T}}
"""
_TWO_CHECKS = f"""
import sys
from pathlib import Path
from include.pipeline_framework.config import loader
loader.PIPELINES_DIRECTORY = Path(sys.argv[1])
from dags.{DAG_ID} import {DAG_ID}
for check in range(2):
    run = {DAG_ID}().test()
    states = sorted(f"{{ti.task_id}} {{ti.rendered_map_index or ''}} {{ti.state}}" for ti in run.get_task_instances())
    print("CHECK", run.state, "|", ", ".join(states))
"""


@pytest.fixture
def checks(bench: Bench, ledger_url: str, tmp_path: Path) -> tuple[list[str], Mailbox]:
    """Two windows were planned and nothing ran; then the DAG ran twice. Its outcomes, and everything it mailed."""
    (tmp_path / "late.yaml").write_text(PIPELINE.format(source="late_flights", people="ops@example.org"))
    (tmp_path / "good.yaml").write_text(PIPELINE.format(source="good_flights", people="ops@example.org"))
    (tmp_path / "unlisted.yaml").write_text(PIPELINE.format(source="unlisted_flights", people=""))
    store = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))
    configs = load_all_pipelines(tmp_path).configs
    for name in ("late", "unlisted"):
        insert_windows(configs[name], [window(0), window(1)], store, Actor("daily_planner", "planner-run", "plan"))
    store.close()
    with mail_server() as mailbox:
        ledger = {"LEDGER_URL": ledger_url, "AIRFLOW_CONN_LIFECYCLE_POSTGRES": ledger_url}
        done = subprocess.run(
            [sys.executable, "-c", _TWO_CHECKS, str(tmp_path)],
            env={**os.environ, **bench.env, **ledger, "AIRFLOW_CONN_SMTP_DEFAULT": mailbox.connection},
            cwd=REPO,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
    found = [line for line in done.stdout.splitlines() if line.startswith("CHECK")]
    assert len(found) == 2, (done.stdout + done.stderr)[-3000:]
    return found, mailbox


def test_only_the_late_pipelines_are_red_and_mailed_once(checks: tuple[list[str], Mailbox]) -> None:
    outcomes, mailbox = checks
    assert (
        outcomes
        == [
            "CHECK failed | find_overdue  success, report_overdue good success, report_overdue late failed, "
            "report_overdue unlisted failed"
        ]
        * 2
    )
    ((recipients, message),) = mailbox.mails
    assert recipients == ["ops@example.org"]
    assert str(message["Subject"]) == "[overdue] data_pipeline_late late_flights: 2 windows"
    body = message.get_body(("html",))
    assert body is not None
    assert "no run has taken it" in body.get_content()
    assert f"/dags/{DAG_ID}/runs/" in body.get_content()

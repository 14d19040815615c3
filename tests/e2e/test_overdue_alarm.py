"""`check_overdue_windows` under real Airflow: one red task and one mail for a pipeline that no run has ever touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import yaml

from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.config.loader import load_all_pipelines
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.tasks.planning import insert_windows
from local_stack.home import REPO
from tests.e2e.conftest import Bench
from tests.mailbox import Mailbox, mail_server
from tests.unit.tasks.world import window

pytestmark = pytest.mark.e2e

DAG_ID = "check_overdue_windows"
ASKED = {"overdue_after": "6h", "fill_missing_days": False}
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
    # `dag.test()` reads every DAG file anew: a pipeline without its file would be an import error for the others
    pipelines = Path(bench.env["PIPELINES_DIRECTORY"])
    shutil.copytree(pipelines, tmp_path, dirs_exist_ok=True)
    like = yaml.safe_load((pipelines / "main.yaml").read_text(encoding="utf-8"))
    for name, people in (("late", ["ops@example.org"]), ("good", ["ops@example.org"]), ("unlisted", [])):
        own = {"source_object": f"{name}_flights", "email_list": people, **ASKED}
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump({**like, **own}), encoding="utf-8")
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

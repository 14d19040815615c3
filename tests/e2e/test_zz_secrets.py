"""Runs last: whatever the other tests have made Airflow log and keep, none of the stack's secrets is in it."""

from __future__ import annotations

from pathlib import Path

import psycopg
import pytest

from local_stack.home import Home
from local_stack.state import State
from tests.e2e.conftest import conf_of, hours

pytestmark = pytest.mark.e2e

KEPT = {
    "xcom": "SELECT key || ' ' || value::text FROM xcom",
    "rendered_task_instance_fields": "SELECT rendered_fields::text FROM rendered_task_instance_fields",
    "serialized_dag": "SELECT data::text FROM serialized_dag",
    "dag_run": "SELECT conf::text FROM dag_run",
    "log": "SELECT event || ' ' || COALESCE(extra, '') FROM log",
    "import_error": "SELECT stacktrace FROM import_error",
    "asset_event": "SELECT extra::text FROM asset_event",
}
MUST_HAVE_SOMETHING = {"xcom", "rendered_task_instance_fields", "serialized_dag", "dag_run"}


@pytest.fixture(scope="module")
def home(stack_env: dict[str, str], request: pytest.FixtureRequest) -> Home:
    """All that Airflow has kept of the tests before; where this file runs alone, of one window."""
    found = Home.at(stack_env["LOCAL_STACK_HOME"])
    if not logs_of_tasks(found):
        request.getfixturevalue("bench").run(conf_of(hours("2013-03-11T11:00Z", "2013-03-11T12:00Z")))
    return found


@pytest.fixture(scope="module")
def secrets(home: Home) -> dict[str, str]:
    """All of the stack's."""
    found = State.load(home).secrets
    assert len(found) >= 8
    assert all(len(value) >= 20 for value in found.values())
    return found


def logs_of_tasks(home: Home) -> list[Path]:
    return list((home.airflow / "logs").rglob("*task_id=*/*.log"))


def test_no_log_of_airflow_holds_a_secret(home: Home, secrets: dict[str, str]) -> None:
    files = [path for path in (home.airflow / "logs").rglob("*") if path.is_file()]
    assert set(logs_of_tasks(home)) & set(files)
    leaks = {
        f"{path.name}: {name}"
        for path in files
        for text in [path.read_text(encoding="utf-8", errors="replace")]
        for name, value in secrets.items()
        if value in text
    }
    assert leaks == set()


@pytest.mark.parametrize("table", KEPT)
def test_no_table_of_airflow_holds_a_secret(stack_env: dict[str, str], secrets: dict[str, str], table: str) -> None:
    metadata = stack_env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    with psycopg.connect(metadata) as connection:
        texts = [str(text) for (text,) in connection.execute(KEPT[table].encode()).fetchall()]
    assert texts or table not in MUST_HAVE_SOMETHING
    assert {name for text in texts for name, value in secrets.items() if value in text} == set()


def test_no_row_of_the_ledger_holds_a_secret(stack_env: dict[str, str], secrets: dict[str, str]) -> None:
    for table in ("pipeline_lifecycle", "pipeline_lifecycle_events"):
        with psycopg.connect(stack_env["LEDGER_URL"]) as connection:
            lines = [str(line) for (line,) in connection.execute(f"SELECT t::text FROM {table} AS t".encode())]
        assert lines
        assert {name for line in lines for name, value in secrets.items() if value in line} == set()

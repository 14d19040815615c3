"""Runs last: whatever the other tests have made Airflow log and keep, none of the stack's secrets is in it."""

from __future__ import annotations

import psycopg
import pytest

from local_stack.state import State
from tests.e2e.conftest import Bench, conf_of, hours

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
def secrets(bench: Bench) -> dict[str, str]:
    """All of the stack's, after at least one window has moved."""
    bench.run(conf_of(hours("2013-03-11T11:00Z", "2013-03-11T12:00Z")))
    found = State.load(bench.home).secrets
    assert len(found) >= 8
    assert all(len(value) >= 20 for value in found.values())
    return found


def test_no_log_of_airflow_holds_a_secret(bench: Bench, secrets: dict[str, str]) -> None:
    files = [path for path in (bench.home.airflow / "logs").rglob("*") if path.is_file()]
    tasks = [path for path in files if "task_id=" in str(path)]
    assert tasks
    leaks = {
        f"{path.name}: {name}"
        for path in files
        for text in [path.read_text(encoding="utf-8", errors="replace")]
        for name, value in secrets.items()
        if value in text
    }
    assert leaks == set()


@pytest.mark.parametrize("table", KEPT)
def test_no_table_of_airflow_holds_a_secret(bench: Bench, secrets: dict[str, str], table: str) -> None:
    metadata = bench.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")
    with psycopg.connect(metadata) as connection:
        texts = [str(text) for (text,) in connection.execute(KEPT[table].encode()).fetchall()]
    assert texts or table not in MUST_HAVE_SOMETHING
    assert {name for text in texts for name, value in secrets.items() if value in text} == set()


def test_no_row_of_the_ledger_holds_a_secret(bench: Bench, secrets: dict[str, str]) -> None:
    for table in ("pipeline_lifecycle", "pipeline_lifecycle_events"):
        rows = bench.query(f"SELECT t::text AS line FROM {table} AS t")
        assert rows
        assert {name for row in rows for name, value in secrets.items() if value in row["line"]} == set()

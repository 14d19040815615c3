"""A database whose defaults are others than Postgres': nothing that is read, written or claimed may depend on them."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.implementation_modules.postgres.source import PostgresSource
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.tasks import state_manager
from include.pipeline_framework.tasks.audit_requests import parse_audit
from include.pipeline_framework.tasks.audit_windows import audit_windows
from include.pipeline_framework.tasks.planning import insert_windows
from include.wiring import assembly, connections
from tests.integration import moving

pytestmark = pytest.mark.integration

ODD = {
    "datestyle": "SQL, DMY",
    "intervalstyle": "sql_standard",
    "timezone": "Pacific/Apia",
    "bytea_output": "escape",
    "extra_float_digits": "-15",
    "transform_null_equals": "on",
    "default_transaction_isolation": "repeatable read",
}
HOURS = [TimeWindow(moving.DAY + timedelta(hours=n), moving.DAY + timedelta(hours=n + 1)) for n in range(24)]


@pytest.fixture(params=["repeatable read", "serializable"])
def odd_url(request: pytest.FixtureRequest, ledger_url: str) -> Iterator[str]:
    """The ledger's database, after somebody has changed all its defaults."""
    name = ledger_url.rpartition("/")[2]
    with psycopg.connect(ledger_url, autocommit=True) as connection:
        for setting, value in (ODD | {"default_transaction_isolation": request.param}).items():
            connection.execute(f"ALTER DATABASE \"{name}\" SET {setting} = '{value}'".encode())
    with psycopg.connect(ledger_url) as connection:
        assert connection.execute("SHOW datestyle").fetchone() == ("SQL, DMY",)
    yield ledger_url


def test_a_window_is_moved_audited_and_compared_again(odd_url: str, tmp_path: Path) -> None:
    name = f"odd_{uuid.uuid4().hex[:8]}"
    with psycopg.connect(odd_url, autocommit=True) as connection:
        connection.execute(f'CREATE TABLE "{name}" (id text, at timestamptz, n integer, name text)'.encode())
        rows = [(f"r{n}", moving.DAY + timedelta(minutes=n), n, "x") for n in range(90)]
        with connection.cursor() as cursor:
            cursor.executemany(f'INSERT INTO "{name}" VALUES (%s, %s, %s, %s)'.encode(), rows)
    values = {"source_object": name, "table": f"t_{name}", "directory": tmp_path / "stage"}
    (tmp_path / "moved.yaml").write_text(moving.POSTGRES_TO_POSTGRES.format(**values))
    pipeline = moving.wire(tmp_path)
    insert_windows(pipeline.config, HOURS[:2], pipeline.store, moving.actor(0))
    for row in pipeline.store.claim(name, moving.actor(1), limit=2, ended_before=pipeline.store.now()):
        moving.move(pipeline, row.id, moving.actor(1))
    found = pipeline.store.find(source_object=name)
    assert [row.pipeline_final_status for row in found] == ["COMPLETED"] * 2
    assert [row.query_window_start_at for row in found] == [window.start for window in HOURS[:2]]
    assert pipeline.target.fingerprint(name, HOURS[0]) == Fingerprint.of(f"r{n}" for n in range(60))
    report = audit_windows(pipeline, moving.actor(2), parse_audit({"target_date": "2024-05-01"}, pipeline.config))
    assert (report.windows, report.changed) == (2, {})
    repaired = state_manager.repair(pipeline.config, pipeline.store, moving.actor(3), dry_run=True)
    assert (len(repaired["inserted"]) > 0, repaired["note"]) == (True, "")
    with assembly.lifecycle_feed().lock("m") as is_mine:
        assert is_mine


def test_runs_that_claim_at_once_take_every_window_once(odd_url: str, tmp_path: Path) -> None:
    name = f"odd_{uuid.uuid4().hex[:8]}"
    values = {"source_object": name, "table": f"t_{name}", "directory": tmp_path / "stage"}
    (tmp_path / "moved.yaml").write_text(moving.POSTGRES_TO_POSTGRES.format(**values))
    pipeline = moving.wire(tmp_path)
    insert_windows(pipeline.config, HOURS, pipeline.store, moving.actor(0))
    now, start = pipeline.store.now(), threading.Barrier(4)
    claimed: dict[int, list[int]] = {}

    def run(number: int) -> None:
        store = PostgresLifecycleStore(connections.ledger_connect())
        who = Actor("data_pipeline_moved", f"run-{number}", "claim")
        start.wait()
        for attempt in range(3):
            one = Actor(who.dag_id, f"{who.dag_run_id}-{attempt}", who.task_id)
            rows = store.claim(name, one, limit=2, ended_before=now)
            claimed.setdefault(number, []).extend(row.id for row in rows)
            for row in rows:
                store.take(row.id, one)
        store.close()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    taken = [record_id for ids in claimed.values() for record_id in ids]
    assert len(taken) == len(set(taken)) == 24


def test_documents_of_a_source_do_not_depend_on_them(odd_url: str) -> None:
    with psycopg.connect(odd_url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE odd AS SELECT DATE '2024-05-01' AS id, TIMESTAMPTZ '2024-05-01 00:30+00' AS at,"
            " 0.1::float8 + 0.2::float8 AS f, INTERVAL '1 day 2 hours' AS i, '\\xff00'::bytea AS b"
        )
    options: dict[str, Any] = {"table": "odd", "time_column": "at", "id_column": "id"}
    source = PostgresSource(connections.client("lifecycle_postgres"), PostgresSource.Options(**options))
    with source.extract(HOURS[0]) as extract:
        ((document,),) = list(extract.pages())
    assert (document.id, document.event_at) == ("2024-05-01", datetime(2024, 5, 1, 0, 30, tzinfo=UTC))
    assert document.body == (
        b'{"id":"2024-05-01","at":"2024-05-01T00:30:00+00:00","f":0.30000000000000004,'
        b'"i":"1 day 02:00:00","b":"\\\\xff00"}'
    )


def test_the_orders_database_is_read_in_the_one_style_too(odd_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ORDERS_URL", odd_url)
    with connections.orders_connect("orders_postgres")() as connection:
        found = connection.execute("SELECT TIMESTAMPTZ '2024-05-01 00:30+00', DATE '2024-05-01'").fetchone()
        assert found == (datetime(2024, 5, 1, 0, 30, tzinfo=UTC), date(2024, 5, 1))
        assert connection.execute("SHOW transaction_isolation").fetchone() == ("read committed",)


def test_each_connection_is_opened_with_what_airflow_knows_then(odd_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A password may be rotated while a task runs."""
    variable = "AIRFLOW_CONN_LIFECYCLE_POSTGRES"
    monkeypatch.setenv(variable, f"{odd_url}?application_name=before")
    connects = (connections.client("lifecycle_postgres"), connections.client("lifecycle_postgres", writes=True))
    for name in ("before", "after"):
        monkeypatch.setenv(variable, f"{odd_url}?application_name={name}")
        for connect in connects:
            with connect() as connection:
                assert connection.execute("SHOW application_name").fetchone() == (name,)

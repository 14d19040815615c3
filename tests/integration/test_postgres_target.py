"""What only a real Postgres shows: session settings, its errors by name, its locks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from include.implementation_modules.memory_transfer import MemorySource, MemoryStage
from include.implementation_modules.postgres_target import PostgresTarget
from include.pipeline_framework.core.fingerprints import Fingerprint
from include.pipeline_framework.core.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    ConfigurationError,
    ServiceUnavailableError,
    TerminalError,
)
from include.pipeline_framework.ports import Document, Manifest, StageRequest

pytestmark = pytest.mark.integration

NOON = datetime(2013, 3, 9, 12, tzinfo=UTC)
WINDOW = TimeWindow(NOON, NOON + timedelta(hours=1))


def staged(stage: MemoryStage, *bodies: bytes, fence: int = 1) -> Manifest:
    content = [Document(f"d{n}", NOON + timedelta(minutes=n), body) for n, body in enumerate(bodies)]
    with MemorySource(content).extract(WINDOW) as extract:
        return stage.write(StageRequest(7, "flights", "2013-03-09", WINDOW, fence), extract)


@pytest.fixture
def connect(scratch_postgres_url: str) -> Callable[[], Any]:
    return lambda: psycopg.connect(scratch_postgres_url)


def target(connect: Callable[[], Any], **options: Any) -> PostgresTarget:
    return PostgresTarget(connect, PostgresTarget.Options(table="flights", **options))


@pytest.mark.parametrize("settings", ["-c timezone=America/New_York -c datestyle=German", "-c timezone=Asia/Kolkata"])
def test_the_sessions_time_zone_changes_nothing(scratch_postgres_url: str, settings: str) -> None:
    stage = MemoryStage()
    first = target(lambda: psycopg.connect(scratch_postgres_url), columns={"at": "timestamp", "on": "date"})
    second = target(
        lambda: psycopg.connect(scratch_postgres_url, options=settings), columns={"at": "timestamp", "on": "date"}
    )
    first.prepare("flights")
    second.prepare("flights")
    body = b'{"at": "2013-03-09T23:30:00-05:00", "on": "2013-03-09T23:30:00-05:00"}'
    manifest = staged(stage, *[body] * 60)
    result = second.publish(manifest, stage, fence=1, lifecycle_id=7)
    assert result.receipt == first.receipt("flights", WINDOW) == second.receipt("flights", WINDOW)
    for half in (TimeWindow(NOON, NOON + timedelta(minutes=30)), WINDOW):
        assert first.fingerprint("flights", half) == second.fingerprint("flights", half) != Fingerprint()
    with psycopg.connect(scratch_postgres_url) as connection:
        found = connection.execute('SELECT DISTINCT "at" AT TIME ZONE \'UTC\', "on" FROM flights').fetchall()
    assert found == [(datetime(2013, 3, 10, 4, 30), datetime(2013, 3, 10).date())]  # noqa: DTZ001
    assert second.delete("flights", WINDOW, fence=2, lifecycle_id=7) == 60


def test_a_connection_in_a_stricter_isolation_level_still_sees_the_last_receipt(connect: Callable[[], Any]) -> None:
    def strict() -> Any:
        connection = connect()
        connection.isolation_level = psycopg.IsolationLevel.SERIALIZABLE
        connection.row_factory = dict_row
        return connection

    stage = MemoryStage()
    strictly = target(strict)
    strictly.prepare("flights")
    assert strictly.publish(staged(stage, b"{}"), stage, fence=1, lifecycle_id=7).loaded.rows == 1


def test_a_document_that_jsonb_cannot_hold_is_named(connect: Callable[[], Any]) -> None:
    stage, pg = MemoryStage(), target(connect)
    pg.prepare("flights")
    manifest = staged(stage, b"{}", b'{"a": "secret\\u0000"}', b"{}")
    with pytest.raises(BadDocumentError, match="'d1'") as caught:
        pg.publish(manifest, stage, fence=1, lifecycle_id=7)
    assert "secret" not in str(caught.value)
    assert pg.fingerprint("flights", WINDOW) == Fingerprint()


def test_a_column_that_the_table_lacks_is_a_matter_of_configuration(connect: Callable[[], Any]) -> None:
    stage = MemoryStage()
    target(connect).prepare("flights")
    with pytest.raises(ConfigurationError, match="ALTER TABLE"):
        target(connect, columns={"extra": "text"}).publish(staged(stage, b"{}"), stage, fence=1, lifecycle_id=7)
    with pytest.raises(ConfigurationError, match="schema"):
        target(connect, schema_name="nowhere").prepare("flights")


def test_a_constraint_of_the_users_own_is_no_conflict(connect: Callable[[], Any]) -> None:
    stage, pg = MemoryStage(), target(connect)
    pg.prepare("flights")
    with connect() as connection:
        connection.execute("CREATE UNIQUE INDEX ON flights (_source_object)")
    with pytest.raises(TerminalError, match="23505"):
        pg.publish(staged(stage, b"{}", b"{}"), stage, fence=1, lifecycle_id=7)


def test_a_server_that_ends_the_session_inside_the_transaction_is_an_outage(connect: Callable[[], Any]) -> None:
    stage, pg = MemoryStage(), target(connect)
    pg.prepare("flights")
    manifest = staged(stage, b"{}")
    publishing_step = pg._delete_rows

    def cut(*arguments: Any) -> int:
        with connect() as admin:
            admin.execute(
                "SELECT PG_TERMINATE_BACKEND(pid) FROM pg_stat_activity "
                "WHERE datname = CURRENT_DATABASE() AND state = 'idle in transaction' AND pid <> PG_BACKEND_PID()"
            )
        return publishing_step(*arguments)

    pg._delete_rows = cut  # type: ignore[method-assign]
    with pytest.raises(ServiceUnavailableError):
        pg.publish(manifest, stage, fence=1, lifecycle_id=7)
    pg._delete_rows = publishing_step  # type: ignore[method-assign]
    assert pg.receipt("flights", WINDOW) is None
    assert pg.publish(manifest, stage, fence=2, lifecycle_id=7).loaded.rows == 1


def test_a_server_that_is_not_there_is_an_outage() -> None:
    with pytest.raises(ServiceUnavailableError) as caught:
        target(lambda: psycopg.connect("postgresql://someone:hidden@127.0.0.1:1/x")).prepare("flights")
    assert "hidden" not in str(caught.value)

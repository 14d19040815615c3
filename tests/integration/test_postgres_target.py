"""What only a real Postgres shows: session settings, its errors by name, its locks."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from include.implementation_modules.postgres.target import PostgresTarget
from include.implementation_modules.sql_warehouse import statements
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    ConfigurationError,
    FenceLostError,
    ServiceUnavailableError,
    TerminalError,
    TornStageError,
)
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.ports.stage import Manifest, StageRequest
from tests.doubles.memory_transfer import MemorySource, MemoryStage
from tests.postgres_servers import OwnPostgres, private_folder
from tests.publishing import publish_one

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
    result = publish_one(second, manifest, stage, fence=1, lifecycle_id=7)
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
    assert publish_one(strictly, staged(stage, b"{}"), stage, fence=1, lifecycle_id=7).loaded.rows == 1


def test_a_document_that_jsonb_cannot_hold_is_named(connect: Callable[[], Any]) -> None:
    stage, pg = MemoryStage(), target(connect)
    pg.prepare("flights")
    manifest = staged(stage, b"{}", b'{"a": "secret\\u0000"}', b"{}")
    with pytest.raises(BadDocumentError, match="'d1'") as caught:
        publish_one(pg, manifest, stage, fence=1, lifecycle_id=7)
    assert "secret" not in str(caught.value)
    assert pg.fingerprint("flights", WINDOW) == Fingerprint()


def test_a_column_that_the_table_lacks_is_a_matter_of_configuration(connect: Callable[[], Any]) -> None:
    stage = MemoryStage()
    target(connect).prepare("flights")
    with pytest.raises(ConfigurationError, match="ALTER TABLE"):
        publish_one(target(connect, columns={"extra": "text"}), staged(stage, b"{}"), stage, fence=1, lifecycle_id=7)
    with pytest.raises(ConfigurationError, match="schema"):
        target(connect, schema_name="nowhere").prepare("flights")


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("ADD CONSTRAINT one_row UNIQUE (_source_object)", r'"one_row" \(sqlstate 23505\)'),
        ("ADD CONSTRAINT not_d1 CHECK (_id <> 'd1')", r'"not_d1" \(sqlstate 23514\)'),
        ("ADD COLUMN reviewed TEXT NOT NULL", r'column "reviewed" .* \(sqlstate 23502\)'),
    ],
)
def test_a_constraint_of_the_users_own_is_named_and_no_conflict(
    connect: Callable[[], Any], rule: str, says: str
) -> None:
    stage, pg = MemoryStage(), target(connect)
    pg.prepare("flights")
    with connect() as connection:
        connection.execute(f"ALTER TABLE flights {rule}".encode())
    with pytest.raises(TerminalError, match=f"a rule of the table refuses a row: .*{says}.*Drop the constraint"):
        publish_one(pg, staged(stage, b"{}", b"{}"), stage, fence=1, lifecycle_id=7)
    assert pg.fingerprint("flights", WINDOW) == Fingerprint()


def test_a_server_that_ends_the_session_inside_the_transaction_is_an_outage(
    connect: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    stage, pg = MemoryStage(), target(connect)
    pg.prepare("flights")
    manifest = staged(stage, b"{}")
    publishing_step = statements.write_receipts

    def cut(*arguments: Any) -> None:
        with connect() as admin:
            admin.execute(
                "SELECT PG_TERMINATE_BACKEND(pid) FROM pg_stat_activity "
                "WHERE datname = CURRENT_DATABASE() AND state = 'idle in transaction' AND pid <> PG_BACKEND_PID()"
            )
        publishing_step(*arguments)

    with monkeypatch.context() as broken, pytest.raises(ServiceUnavailableError):
        broken.setattr(statements, "write_receipts", cut)
        publish_one(pg, manifest, stage, fence=1, lifecycle_id=7)
    assert pg.receipt("flights", WINDOW) is None
    assert publish_one(pg, manifest, stage, fence=2, lifecycle_id=7).loaded.rows == 1


@pytest.fixture
def copies(scratch_postgres_url: str) -> tuple[Callable[[], Any], list[str]]:
    """A `connect`, and the tables that its connections copy into."""
    tables: list[str] = []

    class Recording(psycopg.Cursor[Any]):
        def copy(self, statement: Any, *arguments: Any, **options: Any) -> Any:
            tables.append(str(statement).split("(")[0].split("COPY ")[1].strip())
            return super().copy(statement, *arguments, **options)

    return lambda: psycopg.connect(scratch_postgres_url, cursor_factory=Recording), tables


DIRECT, PRIVATE = '"public"."flights"', '"flights_loading"'


def ids_of(connect: Callable[[], Any]) -> list[tuple[str, int]]:
    with connect() as connection:
        return list(connection.execute("SELECT _id, _fence FROM flights ORDER BY _id").fetchall())


def test_only_rows_of_a_window_that_nothing_was_loaded_into_are_written_once(copies: Any) -> None:
    (connect, tables), stage = copies, MemoryStage()
    pg = target(connect)
    pg.prepare("flights")
    publish_one(pg, staged(stage, b"{}", b"{}"), stage, fence=1, lifecycle_id=7)
    assert tables == [DIRECT]
    again = publish_one(pg, staged(stage, b"{}", fence=2), stage, fence=2, lifecycle_id=7)
    assert (tables, again.deleted_rows) == ([DIRECT, PRIVATE], 2)
    pg.delete("flights", WINDOW, fence=3, lifecycle_id=7)
    publish_one(pg, staged(stage, b"{}", fence=4), stage, fence=4, lifecycle_id=7)
    assert tables == [DIRECT, PRIVATE, PRIVATE]
    assert ids_of(connect) == [("d0", 4)]


@pytest.mark.parametrize(("other_fence", "holds"), [(1, [("d0", 2), ("d1", 2)]), (3, [("d0", 3)])])
def test_a_window_that_is_loaded_while_its_rows_are_written_is_decided_by_the_receipt(
    copies: Any, monkeypatch: pytest.MonkeyPatch, other_fence: int, holds: list[tuple[str, int]]
) -> None:
    (connect, tables), stage = copies, MemoryStage()
    pg, other = target(connect), target(connect)
    pg.prepare("flights")
    take_guard = statements.take_guard

    def late(*arguments: Any) -> Any:
        monkeypatch.setattr(statements, "take_guard", take_guard)
        publish_one(other, staged(stage, b"{}", fence=other_fence), stage, fence=other_fence, lifecycle_id=7)
        return take_guard(*arguments)

    monkeypatch.setattr(statements, "take_guard", late)
    manifest = staged(stage, b"{}", b"{}", fence=2)
    if other_fence > 2:
        with pytest.raises(FenceLostError):
            publish_one(pg, manifest, stage, fence=2, lifecycle_id=7)
    else:
        assert publish_one(pg, manifest, stage, fence=2, lifecycle_id=7).deleted_rows == 1
    assert tables[:3] == [DIRECT, DIRECT, PRIVATE]
    assert ids_of(connect) == holds


def test_rows_that_nobody_has_a_receipt_for_are_replaced(copies: Any) -> None:
    (connect, tables), stage = copies, MemoryStage()
    pg = target(connect)
    pg.prepare("flights")
    with connect() as connection:
        connection.execute("INSERT INTO flights VALUES ('flights', 'stray', 1, %s, 1, 0, '', '{}')", (NOON,))
    assert publish_one(pg, staged(stage, b"{}"), stage, fence=1, lifecycle_id=7).deleted_rows == 1
    assert (tables, ids_of(connect)) == ([DIRECT, PRIVATE], [("d0", 1)])


def test_a_server_that_is_not_there_is_an_outage() -> None:
    with pytest.raises(ServiceUnavailableError) as caught:
        target(lambda: psycopg.connect("postgresql://someone:hidden@127.0.0.1:1/x")).prepare("flights")
    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    ("column", "alter", "value", "says"),
    [
        (
            "name",
            "VARCHAR(10)",
            b'"much too long for it"',
            r"'name': it is character varying\(10\) by now, text is meant",
        ),
        ("n", "SMALLINT", b"70000", r"'n': it is smallint by now, numeric\(37,0\) is meant"),
    ],
)
def test_a_value_that_an_altered_column_does_not_take_is_named(
    connect: Callable[[], Any], column: str, alter: str, value: bytes, says: str
) -> None:
    stage, found = MemoryStage(), target(connect, columns={"n": "integer", "name": "text"})
    found.prepare("flights")
    with connect() as connection:
        connection.execute(f'ALTER TABLE flights ALTER COLUMN "{column}" TYPE {alter}'.encode())
    good = b'{"n": 1, "name": null}'
    bad = b'{"n": 1, "name": %s}' % value if column == "name" else b'{"n": %s}' % value
    with pytest.raises(BadDocumentError, match=f"document 'd1' has a value that does not fit into column {says}"):
        publish_one(found, staged(stage, good, bad), stage, fence=1, lifecycle_id=7)
    assert found.fingerprint("flights", WINDOW) == Fingerprint()
    publish_one(found, staged(stage, good, fence=2), stage, fence=2, lifecycle_id=7)


def test_a_policy_that_hides_rows_of_the_target_is_named(scratch_postgres_url: str) -> None:
    """Else what is inserted seems to be lost, and the staged files would be blamed."""

    def run(*statements: str) -> None:
        with psycopg.connect(scratch_postgres_url, autocommit=True) as connection:
            for text in statements:
                connection.execute(text.encode())

    stage, found = MemoryStage(), target(lambda: psycopg.connect(scratch_postgres_url))
    found.prepare("flights")
    run("ALTER TABLE flights ENABLE ROW LEVEL SECURITY", "ALTER TABLE flights FORCE ROW LEVEL SECURITY")
    run("CREATE POLICY a_part ON flights USING (_id <> 'd0') WITH CHECK (true)")
    with pytest.raises(TerminalError, match=r"42501.*row-level security hides rows of the table"):
        publish_one(found, staged(stage, b"{}", b"{}"), stage, fence=1, lifecycle_id=7)
    with pytest.raises(TerminalError, match="42501"):
        found.fingerprint("flights", WINDOW)


def test_a_trigger_that_swallows_rows_is_not_blamed_on_the_stage(connect: Callable[[], Any]) -> None:
    stage, found = MemoryStage(), target(connect)
    found.prepare("flights")
    with connect() as connection:
        connection.execute("CREATE FUNCTION swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$")
        connection.execute("CREATE TRIGGER swallow BEFORE INSERT ON flights FOR EACH ROW EXECUTE FUNCTION swallow()")
    with pytest.raises(TornStageError, match=r"the table does not keep what is inserted.*look for triggers"):
        publish_one(found, staged(stage, b"{}"), stage, fence=1, lifecycle_id=7)


def test_a_new_column_that_the_login_may_not_add_is_named_with_the_statement_for_the_owner() -> None:
    with private_folder() as folder, OwnPostgres(folder / "own") as own:
        connect = partial(psycopg.connect, own.url())
        target(connect, columns={"n": "integer"}).prepare("flights")
        own.execute("CREATE ROLE loader LOGIN")
        own.execute("GRANT SELECT, INSERT, UPDATE, DELETE ON flights, flights_receipts TO loader")
        columns = {"n": "integer", "Tag": "text"}
        restricted = target(partial(psycopg.connect, own.url().replace("postgres@", "loader@")), columns=columns)
        with pytest.raises(ConfigurationError, match="has no column 'tag', and it can't be added") as refused:
            restricted.prepare("flights")
        assert "ALTER TABLE public.flights ADD COLUMN tag TEXT;" in refused.value.remedy
        target(connect, columns=columns).prepare("flights")
        restricted.prepare("flights")

"""What only a real Postgres can show: values as JSON, types, refusals."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest

from include.implementation_modules.postgres.source import PostgresSource
from include.implementation_modules.staged_lines import LinePage
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import BadDocumentError, ConfigurationError, ServiceUnavailableError
from include.pipeline_framework.ports.source import Document

pytestmark = pytest.mark.integration

START = datetime(2013, 3, 9, 5, tzinfo=UTC)
WINDOW = TimeWindow(START, START + timedelta(hours=1))
Connect = Callable[[], Any]


@pytest.fixture
def connect(scratch_postgres_url: str) -> Connect:
    def with_another_zone() -> Any:
        return psycopg.connect(scratch_postgres_url, options="-c TimeZone=America/New_York")

    with with_another_zone() as connection:
        connection.execute("CREATE TABLE events (id bigint, at timestamptz, local timestamp, amount numeric, raw json)")
    return with_another_zone


def insert(connect: Connect, *rows: tuple[Any, ...]) -> None:
    with connect() as connection, connection.cursor() as cursor:
        cursor.executemany("INSERT INTO events VALUES (%s, %s, %s, %s, %s)", rows)


def source(connect: Connect, **options: Any) -> PostgresSource:
    values = {"table": "events", "time_column": "at", "id_column": "id"} | options
    return PostgresSource(connect, PostgresSource.Options(**values))


def read(source: PostgresSource, window: TimeWindow = WINDOW) -> list[Document]:
    with source.extract(window) as extract:
        return [document for page in extract.pages() for document in page]


def test_a_document_is_the_row_in_utc_with_its_numbers_as_they_are(connect: Connect) -> None:
    insert(connect, (1, START, None, "0.1000000000000000055", '{"a":\n1e2, "b":"\\ud800"}'))
    (document,) = read(source(connect))
    assert document == Document("1", START, document.body)
    assert document.body == (
        b'{"id":1,"at":"2013-03-09T05:00:00+00:00","local":null,"amount":0.1000000000000000055,'
        b'"raw":{"a":1e2, "b":"\\ud800"}}'
    )


ODD_IDS = ['say "so"', r"back\slash", ',"_source":{', '"sort":[0,1]}', "a\nb", "naïve 北京"]


def test_rows_come_as_lines_whatever_their_ids_are(connect: Connect) -> None:
    with connect() as connection:
        connection.execute("ALTER TABLE events ALTER id TYPE text")
    insert(connect, *((row_id, START, None, 1, '{"a": 1}') for row_id in ODD_IDS))
    with source(connect).extract(WINDOW) as extract:
        (page,) = extract.pages()
    assert isinstance(page, LinePage)
    assert page.ids == ODD_IDS
    assert page.text.count(b"\n") == len(ODD_IDS)
    assert [(found.id, found.event_at) for found in page] == [(row_id, START) for row_id in ODD_IDS]
    assert [json.loads(found.body)["id"] for found in page] == ODD_IDS


def test_a_row_that_no_target_can_hold_does_not_hide_the_ids_of_its_page(connect: Connect) -> None:
    with connect() as connection:
        connection.execute("ALTER TABLE events ALTER id TYPE text")
    early = datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    insert(connect, *((row_id, early, None, 1, '{"a": "\\ud800"}') for row_id in ODD_IDS))
    page = read(source(connect), TimeWindow(early, early + timedelta(hours=1)))
    assert [(found.id, found.event_at) for found in page] == [(row_id, early) for row_id in ODD_IDS]


def test_only_the_named_columns_in_their_order(connect: Connect) -> None:
    insert(connect, (1, START, None, 5, None))
    (document,) = read(source(connect, columns=("amount", "id")))
    assert document.body == b'{"amount":5,"id":1}'


def test_microseconds_belong_to_exactly_one_window(connect: Connect) -> None:
    insert(connect, *((n, START + timedelta(microseconds=n), None, None, None) for n in range(4)))
    windows = [TimeWindow(START + timedelta(microseconds=n), START + timedelta(microseconds=n + 2)) for n in (0, 2)]
    assert [[found.id for found in read(source(connect), window)] for window in windows] == [["0", "1"], ["2", "3"]]


def test_infinite_times_are_undated(connect: Connect) -> None:
    insert(connect, (1, "infinity", None, None, None), (2, "-infinity", None, None, None), (3, None, None, None, None))
    assert source(connect).count_undated() == 3
    assert read(source(connect)) == []


def test_a_row_without_an_id_is_refused(connect: Connect) -> None:
    insert(connect, (None, START, None, None, None))
    with pytest.raises(BadDocumentError, match="no id"):
        read(source(connect))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"table": "nothing"}, "does not exist"),
        ({"table_schema": "nowhere"}, "does not exist"),
        ({"time_column": 'at"; DROP TABLE events; --'}, "does not exist"),
        ({"columns": ("nothing",)}, "does not exist"),
        ({"time_column": "local"}, "not of type timestamptz"),
    ],
)
def test_a_wrong_name_is_refused(connect: Connect, options: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read(source(connect, **options))
    assert source(connect).count(WINDOW) == 0


def test_the_source_never_writes(connect: Connect) -> None:
    with connect() as connection:
        connection.execute(
            "CREATE FUNCTION spoil() RETURNS timestamptz LANGUAGE sql AS 'DELETE FROM events RETURNING at'"
        )
        connection.execute("CREATE VIEW spoiling AS SELECT 1 AS id, spoil() AS at")
    with pytest.raises(ConfigurationError, match="DELETE"):
        read(source(connect, table="spoiling"))


def test_a_server_that_is_down_is_transient_and_a_wrong_password_is_not(scratch_postgres_url: str) -> None:
    def down() -> Any:
        return psycopg.connect("postgresql://reader:top-secret@127.0.0.1:1/x", connect_timeout=2)

    def wrong() -> Any:
        return psycopg.connect(scratch_postgres_url, password="top-secret")

    for refuse, expected in ((down, ServiceUnavailableError), (wrong, ConfigurationError)):
        with pytest.raises(expected) as raised:
            source(refuse).count(WINDOW)
        assert "top-secret" not in str(raised.value)


def test_a_connection_that_is_lost_half_way_is_transient(connect: Connect) -> None:
    insert(connect, *((n, START, None, None, None) for n in range(100)))
    with source(connect, page_size=10).extract(WINDOW) as extract:
        pages = extract.pages()
        next(pages)
        with connect() as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        with pytest.raises(ServiceUnavailableError):
            list(pages)


def test_bodies_are_valid_json(connect: Connect) -> None:
    insert(connect, (1, START, None, "NaN", '"\\u0000\\n"'))
    assert json.loads(read(source(connect))[0].body)["amount"] == "NaN"


def test_the_query_that_is_shown_reads_the_window(connect: Connect) -> None:
    insert(connect, (1, START, None, 1, "{}"), (2, START + timedelta(hours=1), None, 1, "{}"))
    (text,) = source(connect).queries(WINDOW)
    assert "-- start: 2013-03-09T05:00:00+00:00" in text
    with connect() as connection:
        rows = connection.execute(text.encode(), {"start": WINDOW.start, "end": WINDOW.end}).fetchall()
    assert [json.loads(bytes(line))["_id"] for (line,) in rows] == ["1"]

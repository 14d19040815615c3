"""Sources that show less than they hold, or the same document twice, without an error: each on the real server."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
import pytest
from elasticsearch import Elasticsearch

from include.implementation_modules.elasticsearch.source import ElasticsearchSource
from include.implementation_modules.postgres.source import PostgresSource
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import ConfigurationError, ServiceUnavailableError
from include.pipeline_framework.ports.source import SourcePart
from tests.postgres_servers import OwnPostgres, private_folder

pytestmark = pytest.mark.integration

START = datetime(2013, 3, 9, 5, tzinfo=UTC)
WINDOW = TimeWindow(START, START + timedelta(hours=1))


class Indices:
    """Indices whose names begin alike, so that a pattern of the test means no others."""

    def __init__(self, client: Elasticsearch) -> None:
        self.client, self.prefix = client, uuid.uuid4().hex
        self.pattern = f"{self.prefix}-*"

    def name(self, name: str) -> str:
        return f"{self.prefix}-{name}"

    def create(self, name: str, rows: int, *, first: int = 0, is_visible: bool = True, **settings: Any) -> str:
        full = self.name(name)
        self.client.indices.create(
            index=full,
            mappings={"properties": {"@timestamp": {"type": "date"}}},
            settings={"number_of_replicas": 0, **settings},
        )
        at = (START + timedelta(minutes=5)).isoformat()
        for number in range(first, first + rows):
            self.client.index(index=full, id=str(number), document={"@timestamp": at, "n": number})
        if is_visible:
            self.client.indices.refresh(index=full)
        return full

    def uuid(self, name: str) -> str:
        settings = self.client.indices.get_settings(index=self.name(name))
        return str(settings[self.name(name)]["settings"]["index"]["uuid"])

    def source(self, pattern: str | None = None, **options: Any) -> ElasticsearchSource:
        source = ElasticsearchSource(self.client, ElasticsearchSource.Options(index=pattern or self.pattern, **options))
        source.settle = timedelta(hours=1)
        return source


@pytest.fixture
def indices(elasticsearch_url: str) -> Iterator[Indices]:
    with Elasticsearch(elasticsearch_url, request_timeout=600) as client:
        indices = Indices(client)
        yield indices
        found = client.indices.get(index=indices.pattern, expand_wildcards="all")
        for name in found:
            client.indices.delete(index=name)


def read(source: Any, window: TimeWindow = WINDOW) -> list[str]:
    with source.extract(window) as extract:
        return sorted(document.id for page in extract.pages() for document in page)


def parts(source: Any) -> list[SourcePart]:
    with source.extract(WINDOW) as extract:
        return list(extract.parts)


LOOKS: dict[str, Callable[[Any], Any]] = {
    "count": lambda source: source.count(WINDOW),
    "undated": lambda source: source.count_undated(),
    "fingerprint": lambda source: source.fingerprint(WINDOW),
    "histogram": lambda source: source.histogram(WINDOW, [WINDOW]),
    "extract": read,
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_closed_index_of_a_pattern_is_refused_by_name_whatever_is_asked(
    indices: Indices, look: Callable[[Any], Any]
) -> None:
    indices.create("a", 4)
    closed = indices.create("b", 6, first=4)
    indices.client.indices.close(index=closed)
    with pytest.raises(ConfigurationError, match=rf"1 of 2 indices can't be read: {closed} \(closed\)"):
        look(indices.source())


def test_a_closed_index_is_refused_below_an_alias_too(indices: Indices) -> None:
    for name in ("a", "b"):
        indices.client.indices.put_alias(index=indices.create(name, 2), name=indices.name("alias"))
    indices.client.indices.close(index=indices.name("b"))
    with pytest.raises(ConfigurationError, match=r"can't be read: \w+-b \(closed\)"):
        read(indices.source(indices.name("alias")))


def test_closed_indices_are_left_out_when_a_person_says_so_and_named(
    indices: Indices, caplog: pytest.LogCaptureFixture
) -> None:
    indices.create("a", 4)
    indices.client.indices.close(index=indices.create("b", 6))
    with caplog.at_level("INFO"):
        assert len(read(indices.source(leave_out=("closed",)))) == 4
    assert f"left out as the pipeline's file says: {indices.name('b')}" in caplog.text
    assert len(read(indices.source(f"{indices.pattern},-{indices.name('b')}"))) == 4


def test_a_hidden_index_is_a_part_of_a_pattern(indices: Indices) -> None:
    indices.create("a", 4)
    indices.create("b", 6, first=4, hidden=True)
    source = indices.source()
    assert (source.count(WINDOW), len(read(source)), source.fingerprint(WINDOW).rows) == (10, 10, 10)
    assert source.histogram(WINDOW, [WINDOW])[0].rows == 10
    assert len(read(indices.source(leave_out=("hidden",)))) == 4


def test_a_load_says_which_indices_it_came_from_with_their_rows(indices: Indices) -> None:
    for name, rows in (("a", 4), ("b", 6), ("c", 0)):
        indices.create(name, rows, first=len(name) * 100)
    expected = [SourcePart(indices.name(n), indices.uuid(n), rows) for n, rows in (("a", 4), ("b", 6), ("c", 0))]
    assert sorted(parts(indices.source()), key=lambda part: part.name) == expected
    assert indices.source().parts() == {part.name: part.identity for part in expected}


def test_an_index_that_was_made_again_is_another_one(indices: Indices) -> None:
    indices.create("a", 1)
    before = indices.source().parts()
    indices.client.indices.delete(index=indices.name("a"))
    indices.create("a", 1)
    after = indices.source().parts()
    assert before.keys() == after.keys()
    assert before != after


@pytest.mark.parametrize(
    ("interval", "said"), [("-1", r"\(never\)"), ("2h", r"\(2h\)")], ids=["never", "later than x_time_back"]
)
def test_documents_that_become_visible_too_late_are_refused(indices: Indices, interval: str, said: str) -> None:
    indices.create("a", 5, is_visible=False, refresh_interval=interval)
    for look in LOOKS.values():
        with pytest.raises(ConfigurationError, match=said):
            look(indices.source())


def test_with_no_time_back_what_was_just_indexed_is_waited_for(indices: Indices) -> None:
    for name, number in (("a", 0), ("b", 10)):
        indices.create(name, 5, first=number, is_visible=False, refresh_interval="1s")
    source = indices.source()
    source.settle = timedelta(0)
    assert source.count(WINDOW) == 10
    indices.create("c", 1, first=20, is_visible=False, refresh_interval="30s")
    for look in LOOKS.values():
        source = indices.source()
        source.settle = timedelta(0)
        with pytest.raises(ConfigurationError, match=r"\(30s\).*0s after its end, x_time_back.*raise x_time_back"):
            look(source)


def test_an_index_may_be_refreshed_before_it_is_read(indices: Indices) -> None:
    indices.create("a", 5, is_visible=False, refresh_interval="-1")
    assert indices.source(refresh="before_reading").count(WINDOW) == 5
    indices.create("b", 3, first=10, is_visible=False, refresh_interval="-1")
    assert len(read(indices.source(refresh="before_reading"))) == 8


def test_a_bucket_counts_documents_and_not_what_they_claim_to_be(indices: Indices) -> None:
    full = indices.create("a", 1)
    indices.client.index(index=full, id="x", document={"@timestamp": START.isoformat(), "_doc_count": 40}, refresh=True)
    source = indices.source()
    assert source.histogram(WINDOW, [WINDOW])[0].rows == source.count(WINDOW) == 2
    assert [part.rows for part in parts(source)] == [2]


# --- Postgres ---------------------------------------------------------------------------------------------------------


def table_of(url: str, rows: int = 100) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE events (id bigint, at timestamptz, tenant text)")
        connection.execute(
            "INSERT INTO events SELECT n, %s, CASE WHEN n %% 2 = 0 THEN 'a' ELSE 'b' END FROM generate_series(1, %s) n",
            (START, rows),
        )


def table_source(url: str, **options: Any) -> PostgresSource:
    settings = {"table": "events", "time_column": "at", "id_column": "id", **options}
    return PostgresSource(lambda: psycopg.connect(url), PostgresSource.Options.model_validate(settings))


def run(server: OwnPostgres, sql: str, *parameters: Any) -> list[tuple[Any, ...]]:
    with psycopg.connect(server.url(), autocommit=True) as connection:
        cursor = connection.execute(sql.encode(), parameters or None)
        return cursor.fetchall() if cursor.description else []


def wait_until(server: OwnPostgres, sql: str, wanted: Any) -> None:
    """It comes about by itself; a server that has ended is an error at once."""
    while run(server, sql) != [(wanted,)]:
        time.sleep(0.05)


def has_replayed(standby: OwnPostgres, primary: OwnPostgres) -> None:
    """Wait until everything that the primary has written by now is there, too."""
    ((position,),) = run(primary, "SELECT pg_current_wal_flush_lsn()::text")
    wait_until(standby, f"SELECT pg_last_wal_replay_lsn() >= '{position}'", True)


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    with private_folder() as folder, OwnPostgres(folder / "primary") as server:
        run(server, "ALTER SYSTEM SET wal_sender_timeout = '2s'")
        run(server, "SELECT pg_reload_conf()")
        table_of(server.url())
        run(server, "CREATE ROLE reader LOGIN")
        run(server, "GRANT SELECT ON events TO reader")
        run(server, "CREATE VIEW all_events AS SELECT * FROM events")
        run(server, "GRANT SELECT ON all_events TO reader")
        run(server, "ALTER VIEW all_events SET (security_invoker = true)")
        yield server


@pytest.fixture
def standby(server: OwnPostgres) -> Iterator[OwnPostgres]:
    with private_folder() as folder, server.standby(folder / "standby") as standby:
        yield standby


@pytest.fixture
def reader(server: OwnPostgres) -> Iterator[str]:
    """An ordinary user, from whom a policy hides half of the rows."""
    run(server, "ALTER TABLE events ENABLE ROW LEVEL SECURITY")
    run(server, "CREATE POLICY own ON events TO reader USING (tenant = 'a')")
    yield server.url().replace("postgres@", "reader@")
    run(server, "DROP POLICY own ON events")
    run(server, "ALTER TABLE events DISABLE ROW LEVEL SECURITY")


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("table", ["events", "all_events"])
def test_rows_hidden_by_a_policy_are_refused(reader: str, table: str, look: Callable[[Any], Any]) -> None:
    with pytest.raises(ConfigurationError, match=r"The user may not see all of it .*42501.*BYPASSRLS"):
        look(table_source(reader, table=table))


def test_the_part_that_a_policy_shows_can_be_all_that_is_wanted(reader: str) -> None:
    assert len(read(table_source(reader, row_security="accept"))) == 50


def test_without_a_policy_an_ordinary_user_reads_everything(server: OwnPostgres) -> None:
    source = table_source(server.url().replace("postgres@", "reader@"))
    assert len(read(source)) == 100
    assert [part.name for part in parts(source)] == ["public.events"]


def test_a_table_that_was_made_again_is_another_one(scratch_postgres_url: str) -> None:
    table_of(scratch_postgres_url, 1)
    source = table_source(scratch_postgres_url)
    before = source.parts()
    with psycopg.connect(scratch_postgres_url, autocommit=True) as connection:
        connection.execute("DROP TABLE events")
    table_of(scratch_postgres_url, 1)
    assert before.keys() == source.parts().keys()
    assert before != source.parts()


def test_a_standby_that_lags_is_not_read(server: OwnPostgres, standby: OwnPostgres) -> None:
    run(server, "CREATE TABLE late (id bigint, at timestamptz)")
    ((now,),) = run(server, "SELECT clock_timestamp()")
    window = TimeWindow(now - timedelta(seconds=2), now + timedelta(milliseconds=1))
    run(server, "INSERT INTO late SELECT n, %s FROM generate_series(1, 60) n", window.start)
    has_replayed(standby, server)
    run(standby, "SELECT pg_wal_replay_pause()")
    wait_until(standby, "SELECT pg_get_wal_replay_pause_state()", "paused")
    run(server, "INSERT INTO late SELECT n, %s FROM generate_series(61, 100) n", window.start)
    lagging = table_source(standby.url(), table="late")
    future = TimeWindow(window.start, now + timedelta(hours=1))
    for look in (lambda: lagging.count(future), lambda: read(lagging, future)):
        with pytest.raises(ServiceUnavailableError, match="a standby that has replayed what was committed until"):
            look()
    lagging.settle = timedelta(days=1)
    with pytest.raises(ServiceUnavailableError, match="could be missing"):
        lagging.count(window)
    assert lagging.count_undated() == 0
    run(standby, "SELECT pg_wal_replay_resume()")
    has_replayed(standby, server)
    lagging.settle = None
    run(server, "SELECT txid_current()")  # a commit after the window's end
    has_replayed(standby, server)
    assert len(read(lagging, window)) == 100
    assert lagging.parts() == table_source(server.url(), table="late").parts()


def test_a_standby_of_an_idle_primary_knows_that_it_is_up_to_date(server: OwnPostgres, standby: OwnPostgres) -> None:
    ((now,),) = run(server, "SELECT clock_timestamp()")
    window = TimeWindow(now - timedelta(seconds=2), now - timedelta(seconds=1))
    # the primary commits nothing, but says so from time to time
    is_up_to_date = f"last_msg_send_time > '{now.isoformat()}' AND latest_end_lsn <= pg_last_wal_replay_lsn()"
    wait_until(standby, f"SELECT {is_up_to_date} FROM pg_stat_wal_receiver", True)
    assert table_source(standby.url()).count(window) == 0

"""What every `Source` promises; the same tests run in memory, on a real Elasticsearch and on a real Postgres."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

import pytest

from include.implementation_modules.elasticsearch.source import ElasticsearchSource
from include.implementation_modules.postgres.source import PostgresSource
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.core.time.windows import TimeWindow, tile
from include.pipeline_framework.ports.source import BucketCount, Document, Source
from tests.doubles.fingerprints import fingerprint_of_documents
from tests.doubles.memory_transfer import MemorySource

START = datetime(2013, 3, 9, 5, tzinfo=UTC)
HOUR, MILLISECOND = timedelta(hours=1), timedelta(milliseconds=1)
WINDOW = TimeWindow(START, START + HOUR)


class System(Protocol):
    """A source and the system behind it, which tests can change."""

    source: Source

    def put(self, documents: Mapping[str, datetime | None]) -> None: ...
    def remove(self, *ids: str) -> None: ...
    def open_views(self) -> int: ...


@dataclass
class MemorySystem:
    source: MemorySource = field(default_factory=lambda: MemorySource(options=MemorySource.Options(page_size=7)))

    def put(self, documents: Mapping[str, datetime | None]) -> None:
        for key, at in documents.items():
            if at is None:
                self.source.undated.add(key)
            else:
                self.source.add(Document(key, at, json.dumps({"name": key}).encode()))

    def remove(self, *ids: str) -> None:
        for key in ids:
            del self.source.documents[key]

    def open_views(self) -> int:
        return 0


@dataclass
class ElasticsearchSystem:
    client: Any
    index: str

    def __post_init__(self) -> None:
        properties = {"@timestamp": {"type": "date"}, "name": {"type": "keyword"}}
        settings = {"number_of_shards": 2, "number_of_replicas": 0}
        self.client.indices.create(index=self.index, mappings={"properties": properties}, settings=settings)
        options = ElasticsearchSource.Options(index=self.index, page_size=50, slices=3)
        self.source: Source = ElasticsearchSource(self.client, options)

    def put(self, documents: Mapping[str, datetime | None]) -> None:
        operations: list[Any] = []
        for key, at in documents.items():
            dated = {"@timestamp": at.isoformat()} if at else {}
            operations += [{"index": {"_id": key}}, {"name": key} | dated]
        answer = self.client.bulk(index=self.index, operations=operations, refresh=True)
        assert not answer["errors"]

    def remove(self, *ids: str) -> None:
        self.client.bulk(index=self.index, operations=[{"delete": {"_id": key}} for key in ids], refresh=True)

    def open_views(self) -> int:
        return int(
            self.client.indices.stats(index=self.index, metric="search")["_all"]["total"]["search"]["open_contexts"]
        )


@dataclass
class PostgresSystem:
    url: str

    def __post_init__(self) -> None:
        import psycopg

        self._connect = lambda: psycopg.connect(self.url)
        with self._connect() as connection:
            connection.execute('CREATE TABLE "Events; --" (name text PRIMARY KEY, "at" timestamptz)')
        named: dict[str, Any] = {"table": "Events; --", "time_column": "at", "id_column": "name"}
        options = PostgresSource.Options(**named, columns=("name",), page_size=50)
        self.source: Source = PostgresSource(self._connect, options)

    def put(self, documents: Mapping[str, datetime | None]) -> None:
        with self._connect() as connection, connection.cursor() as cursor:
            cursor.executemany('INSERT INTO "Events; --" VALUES (%s, %s)', list(documents.items()))

    def remove(self, *ids: str) -> None:
        with self._connect() as connection:
            connection.execute('DELETE FROM "Events; --" WHERE name = ANY(%s)', [list(ids)])

    def open_views(self) -> int:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        with self._connect() as connection:
            return int((connection.execute(query).fetchone() or (0,))[0])


REAL = [pytest.param(name, marks=pytest.mark.integration) for name in ("elasticsearch", "postgres")]


@pytest.fixture(params=["memory", *REAL])
def system(request: pytest.FixtureRequest) -> Iterator[System]:
    if request.param == "memory":
        yield MemorySystem()
    elif request.param == "postgres":
        yield PostgresSystem(request.getfixturevalue("scratch_postgres_url"))
    else:
        from elasticsearch import Elasticsearch

        with Elasticsearch(request.getfixturevalue("elasticsearch_url"), request_timeout=600) as client:
            elasticsearch = ElasticsearchSystem(client, f"contract-{uuid.uuid4().hex}")
            yield elasticsearch
            client.indices.delete(index=elasticsearch.index)


def read(source: Source, window: TimeWindow = WINDOW) -> list[Document]:
    with source.extract(window) as extract:
        documents = [document for page in extract.pages() for document in page]
        assert len(documents) == extract.expected_rows
    return documents


def spread(count: int, within: TimeWindow = WINDOW, prefix: str = "") -> dict[str, datetime]:
    """Ids and times, whole milliseconds, from the window's first instant on."""
    step = max(MILLISECOND, timedelta(milliseconds=within.duration // MILLISECOND // count))
    return {f"{prefix}{number:05}": within.start + number * step for number in range(count)}


def test_a_window_is_half_open(system: System) -> None:
    last = WINDOW.end - MILLISECOND
    system.put({"before": START - MILLISECOND, "first": START, "last": last, "after": WINDOW.end})
    assert sorted((document.id, document.event_at) for document in read(system.source)) == [
        ("first", START),
        ("last", last),
    ]
    following = TimeWindow(WINDOW.end, WINDOW.end + HOUR)
    assert [document.id for document in read(system.source, following)] == ["after"]
    assert (system.source.count(WINDOW), system.source.count(following)) == (2, 1)


def test_every_document_comes_once_whatever_the_pages(system: System) -> None:
    expected = spread(1_234)
    system.put(expected)
    documents = read(system.source)
    assert len(documents) == 1_234
    assert {document.id: document.event_at for document in documents} == expected
    assert {document.event_at.utcoffset() for document in documents} == {timedelta(0)}


def test_many_documents_at_one_instant_are_not_lost_between_pages(system: System) -> None:
    system.put({f"same-{number:04}": START for number in range(700)})
    assert len({document.id for document in read(system.source)}) == 700


def test_bodies_are_json_objects_on_one_line(system: System) -> None:
    system.put({"a\nb \u2028 é \U0001f6eb": START})
    (document,) = read(system.source)
    assert document.id == "a\nb \u2028 é \U0001f6eb"
    assert json.loads(document.body)["name"] == document.id
    assert b"\n" not in document.body


def test_an_empty_window_is_an_extract_of_nothing(system: System) -> None:
    system.put({"elsewhere": START - HOUR})
    assert read(system.source) == []
    assert system.source.count(WINDOW) == 0
    assert system.source.fingerprint(WINDOW) == Fingerprint()


def test_an_extract_sees_the_source_as_it_was_when_it_was_opened(system: System) -> None:
    system.put(spread(300))
    with system.source.extract(WINDOW) as extract:
        pages = extract.pages()
        seen = list(next(pages))
        system.put({"late": START + MILLISECOND})
        system.remove("00299", "00150")
        seen += [document for page in pages for document in page]
    assert sorted(document.id for document in seen) == sorted(spread(300))
    assert extract.expected_rows == 300
    assert system.source.count(WINDOW) == 299


def test_count_and_fingerprint_follow_the_source(system: System) -> None:
    system.put(spread(600))
    assert (
        system.source.fingerprint(WINDOW)
        == Fingerprint.of(spread(600))
        == fingerprint_of_documents([read(system.source)])
    )
    system.remove("00007")
    system.put({"new": START})
    assert system.source.count(WINDOW) == 600
    assert system.source.fingerprint(WINDOW) != Fingerprint.of(spread(600))
    assert system.source.fingerprint(WINDOW).rows == 600


def test_a_histogram_counts_each_bucket_with_exact_bounds(system: System) -> None:
    quarter = HOUR / 4
    system.put({"a": START, "b": START + quarter - MILLISECOND, "c": START + quarter, "d": WINDOW.end - MILLISECOND})
    system.put({"outside": WINDOW.end, "before": START - MILLISECOND})
    buckets = list(tile(WINDOW, parse_granularity("15m")))
    expected = [BucketCount(bucket, rows) for bucket, rows in zip(buckets, (2, 1, 0, 1), strict=True)]
    assert system.source.histogram(WINDOW, buckets) == expected


def test_buckets_may_be_irregular_and_leave_gaps(system: System) -> None:
    system.put(spread(60))  # one a minute
    minutes = [(0, 7), (7, 8), (20, 60)]
    buckets = [TimeWindow(START + timedelta(minutes=a), START + timedelta(minutes=b)) for a, b in minutes]
    assert [found.rows for found in system.source.histogram(WINDOW, buckets)] == [7, 1, 40]
    assert [found.rows for found in system.source.histogram(WINDOW, buckets[::-1])] == [40, 1, 7]
    assert system.source.histogram(WINDOW, []) == []


def test_documents_without_a_time_belong_to_no_window_and_are_counted(system: System) -> None:
    system.put({"dated": START, "undated-1": None, "undated-2": None})
    assert [document.id for document in read(system.source)] == ["dated"]
    assert system.source.count_undated() == 2


def test_leaving_the_context_releases_the_view_also_half_way(system: System) -> None:
    system.put(spread(500))
    with system.source.extract(WINDOW) as extract:
        next(extract.pages())
    with pytest.raises(ZeroDivisionError), system.source.extract(WINDOW) as extract:
        next(extract.pages())
        raise ZeroDivisionError
    read(system.source)
    system.source.fingerprint(WINDOW)
    assert system.open_views() == 0

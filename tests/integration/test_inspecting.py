"""What sources say of themselves before they have a pipeline, on real servers."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from elasticsearch import Elasticsearch

from include.implementation_modules.elasticsearch.inspecting import ElasticsearchInspection
from include.implementation_modules.postgres import inspecting as postgres_inspecting
from include.implementation_modules.postgres.inspecting import PostgresInspection
from include.pipeline_framework.config.pipeline_text import seen_of
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError, TransientError
from tests.integration.weblogs import DAY, index

pytestmark = pytest.mark.integration


@pytest.fixture
def name() -> str:
    return f"seen_{uuid.uuid4().hex[:10]}"


@pytest.fixture
def client(elasticsearch_url: str, name: str) -> Iterator[Elasticsearch]:
    with Elasticsearch(elasticsearch_url, request_timeout=600) as client:
        yield client
        for found in client.indices.get(index=f"{name}*", expand_wildcards="all"):
            client.indices.delete(index=found)


def test_documents_without_the_time_field_and_of_several_indices(client: Elasticsearch, name: str) -> None:
    index(client, name, 30)
    client.index(index=name, document={"n": 1}, refresh=True)
    mappings = {"properties": {"when": {"type": "date_nanos"}}}
    client.indices.create(index=f"{name}_2", mappings=mappings, settings={"refresh_interval": "90s"})
    client.index(index=f"{name}_2", document={"when": "2013-03-20T23:30:00.123456789Z"}, refresh=True)
    looks = ElasticsearchInspection(client)
    seen = looks.describe(looks.shape(f"{name}*"), "when", "Europe/Berlin")
    assert (seen.rows, seen.undated, str(seen.days[-1].day)) == (31, 1, "2013-03-21")
    assert max(each.event_at for each in seen.sample) == datetime(2013, 3, 20, 23, 30, 0, 123456, tzinfo=UTC)
    assert seen.shape.visible_after == timedelta(seconds=90)
    assert {name, f"{name}_2", f"{name}_alias"} <= set(looks.names())


def test_an_index_that_keeps_no_documents_and_one_with_comments(client: Elasticsearch, name: str) -> None:
    mappings = {"_source": {"enabled": False}, "properties": {"when": {"type": "date"}}}
    client.indices.create(index=name, mappings=mappings)
    client.index(index=name, id="bare", document={"when": DAY.isoformat()}, refresh=True)
    looks = ElasticsearchInspection(client)
    with pytest.raises(ConfigurationError, match="'bare' has no _source"):
        looks.describe(looks.shape(name), "when", "UTC")
    client.indices.create(index=f"{name}_odd", mappings={"properties": {"when": {"type": "date"}}})
    body = '{"when": "2013-03-09T05:30:00Z" /* a comment */, "n": 1}'
    headers = {"content-type": "application/json", "accept": "application/json"}
    client.perform_request("PUT", f"/{name}_odd/_doc/1?refresh=true", headers=headers, body=body)
    seen = looks.describe(looks.shape(f"{name}_odd"), "when", "UTC")
    assert (seen.rows, len(seen.sample), seen.unreadable) == (1, 0, 1)


def test_of_a_large_table_a_part_is_counted(scratch_postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with psycopg.connect(scratch_postgres_url) as connection:
        connection.execute("CREATE SCHEMA sales CREATE TABLE orders (id bigint PRIMARY KEY, at timestamptz, pad text)")
        connection.execute(
            "INSERT INTO sales.orders SELECT n, %s + n * interval '10 seconds', repeat('x', 100) "
            "FROM generate_series(1, 40000) AS n",
            (DAY,),
        )
        connection.execute("CREATE VIEW sales.seen AS SELECT * FROM sales.orders WHERE id < 100")
    looks = PostgresInspection(lambda: psycopg.connect(scratch_postgres_url))
    assert looks.names() == ["sales.orders", "sales.seen"]
    whole = looks.describe(looks.shape("sales.orders"), "at", "UTC")
    assert (whole.rows, whole.is_estimated, len(whole.days), whole.note) == (40_000, False, 5, "")
    monkeypatch.setattr(postgres_inspecting, "COUNTED_BYTES", 1_000_000)
    monkeypatch.setattr(postgres_inspecting, "SAMPLED_BYTES", 500_000)
    part = looks.describe(looks.shape("sales.orders"), "at", "UTC")
    assert part.is_estimated
    assert 20_000 < part.rows < 60_000
    assert 100 < len(part.sample) <= 460
    assert len({each.event_at.date() for each in part.sample}) > 2
    assert "no index begins with at: every window reads all of the table" in seen_of(part)["note"]
    with psycopg.connect(scratch_postgres_url) as connection:
        connection.execute("CREATE INDEX ON sales.orders (at, id)")
    assert looks.describe(looks.shape("sales.orders"), "at", "UTC").note == ""
    view = looks.describe(looks.shape("sales.seen"), "at", "UTC")
    assert (view.rows, view.is_estimated, view.shape.id_fields) == (99, False, ())


def test_a_composite_key_is_no_id_and_a_column_of_another_type_no_time(scratch_postgres_url: str) -> None:
    with psycopg.connect(scratch_postgres_url) as connection:
        connection.execute("CREATE TABLE t (a int, b int, at timestamp, u int UNIQUE, PRIMARY KEY (a, b))")
    looks = PostgresInspection(lambda: psycopg.connect(scratch_postgres_url))
    shape = looks.shape("t")
    assert (shape.id_fields, shape.time_fields) == ((), ())
    with pytest.raises(InvalidInputError, match=r"'at' is of type timestamp without time zone .*AT TIME ZONE"):
        looks.describe(shape, "at", "UTC")


def test_a_server_that_is_not_there_is_no_wrong_password() -> None:
    looks = PostgresInspection(lambda: psycopg.connect("host=127.0.0.1 port=1 user=a password=hunter2"))
    with pytest.raises(TransientError, match="did not answer") as caught:
        looks.names()
    assert "hunter2" not in str(caught.value)
    assert not isinstance(caught.value, ConfigurationError)

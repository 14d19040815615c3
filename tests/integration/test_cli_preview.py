"""`preview` on the command line, over a real ledger, Elasticsearch and target definitions."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator

import psycopg
import pytest
from elasticsearch import Elasticsearch

from include.cli.__main__ import main
from include.implementation_modules.elasticsearch.source import ElasticsearchSource
from include.implementation_modules.postgres.target import PostgresTarget
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.wiring import assembly
from tests.doubles.memory_transfer import MemoryStage

pytestmark = pytest.mark.integration


@pytest.fixture
def index(elasticsearch_url: str) -> Iterator[str]:
    """Two flights in one hour of the short day; one of them does not fit into its columns."""
    name = f"preview-{uuid.uuid4().hex}"
    with Elasticsearch(elasticsearch_url) as client:
        client.indices.create(index=name, mappings={"dynamic": False, "properties": {"@timestamp": {"type": "date"}}})
        for key, delay in (("a", "-3"), ("b", '"late"')):
            body = f'{{"@timestamp": "2013-03-10T09:15:00Z", "carrier": "UA", "dep_delay": {delay}}}'
            client.index(index=name, id=key, document=json.loads(body))
        client.indices.refresh(index=name)
        yield name
        client.indices.delete(index=name)


@pytest.fixture(autouse=True)
def _wired(index: str, elasticsearch_url: str, ledger_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    source = ElasticsearchSource(Elasticsearch(elasticsearch_url), ElasticsearchSource.Options(index=index))
    target = PostgresTarget(lambda: psycopg.connect(ledger_url), PostgresTarget.Options(table="preview_flights"))

    def pipeline(pipeline_id: str) -> Pipeline:
        store = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))
        return Pipeline(assembly.parsed_config(pipeline_id), store, source, MemoryStage(), target)

    monkeypatch.setattr(assembly, "pipeline", pipeline)
    yield
    with psycopg.connect(ledger_url) as connection:
        found = connection.execute("SELECT to_regclass('preview_flights'), count(*) FROM pipeline_lifecycle").fetchone()
    assert found == (None, 0), "nothing is written"


def test_everything_that_would_happen(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "flights", "--day", "2013-03-10"]) == 1
    text = capsys.readouterr().out
    assert "2013-03-10 America/New_York: 23 windows, 2 rows at the source now" in text
    line = next(line for line in text.splitlines() if line.startswith("2013-03-10 05:00-04:00 → 06:00-04:00"))
    assert line.split()[-4:] == ["2", "not", "planned", "yet"]
    assert "POST /_search" in text
    assert 'CREATE TABLE IF NOT EXISTS "public"."preview_flights"' in text
    assert "refused: no integer" in text
    assert "2 documents were looked at, and 1 of their values do not fit." in text
    assert "NULL in all of them, is the path right?" in text


def test_json_for_programs(capsys: pytest.CaptureFixture[str], elasticsearch_url: str, index: str) -> None:
    assert main(["preview", "main", "--day", "2013-03-10", "--format", "json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["rows"], len(found["windows"]), found["documents_looked_at"]) == (2, 23, 2)
    assert found["refused"] == [{"column": "dep_delay", "why": "no integer", "documents": 1}]
    query = json.loads(found["queries"][1].partition("\n")[2])["query"]
    with Elasticsearch(elasticsearch_url) as client:
        assert client.count(index=index, query=query)["count"] == 2


def test_a_day_that_is_none(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "main", "--day", "2013-02-30"]) == 2
    assert "--day" in capsys.readouterr().err
    assert main(["preview", "main", "--day", "2020-01-01"]) == 2
    assert "end_date" in capsys.readouterr().err

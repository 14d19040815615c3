"""Elasticsearch as a source keeps its contract, on a real node."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

import pytest

from include.implementation_modules.elasticsearch.source import ElasticsearchSource
from tests.contract.source_contract import SourceContract

pytestmark = pytest.mark.integration


class ElasticsearchSystem:
    def __init__(self, client: Any, index: str) -> None:
        self.client, self.index = client, index
        properties = {"@timestamp": {"type": "date"}, "name": {"type": "keyword"}}
        settings = {"number_of_shards": 2, "number_of_replicas": 0}
        client.indices.create(index=index, mappings={"properties": properties}, settings=settings)
        self.source = ElasticsearchSource(client, ElasticsearchSource.Options(index=index, page_size=50, slices=3))

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


class TestElasticsearchSource(SourceContract):
    @pytest.fixture
    def system(self, elasticsearch_url: str) -> Iterator[ElasticsearchSystem]:
        from elasticsearch import Elasticsearch

        with Elasticsearch(elasticsearch_url, request_timeout=600) as client:
            system = ElasticsearchSystem(client, f"contract-{uuid.uuid4().hex}")
            yield system
            client.indices.delete(index=system.index)

"""The same on Elasticsearch → S3 → Snowflake: kill -9 before a statement or object write, then normal operation."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import elasticsearch
import pytest

from include.implementation_modules.elasticsearch.source import ElasticsearchSource
from include.implementation_modules.object_storage.stage import ObjectStorageStage
from include.implementation_modules.object_storage.storage import S3Storage
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.implementation_modules.snowflake.target import SnowflakeTarget
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.wiring import connections
from tests.faults.chapters import CHAPTERS, Chapter
from tests.faults.life import Life, nowhere
from tests.faults.points import PointConnectionProxy, PointStorage, Reach, postgres_connect
from tests.faults.results import EVERY
from tests.faults.test_crash_matrix import killed_at

pytestmark = [pytest.mark.integration]

TOLD = [
    chapter
    for chapter in CHAPTERS
    if chapter.name in ("planned, claimed, moved, audited", "three windows of one batch")
]


@dataclass
class CloudLife(Life):
    """A life on the real Elasticsearch and S3 servers and the emulator behind the real connector."""

    sources_url: str = ""
    bucket: str = ""
    connect: Callable[[], Any] = field(default=lambda: None)

    @property
    def table(self) -> str:
        return f"FAULTS_{self.source_object}".upper()

    def pipeline(self, reach: Reach = nowhere, opened: Any = None) -> Pipeline:
        storage = PointStorage(S3Storage(connections.client("stage_s3"), self.bucket), reach)
        stage = ObjectStorageStage(
            storage, ObjectStorageStage.Options(bucket=self.bucket, prefix="faults", file_rows=2)
        )
        target = SnowflakeTarget(
            lambda: PointConnectionProxy(self.connect(), reach),
            SnowflakeTarget.Options(
                table=self.table, columns={"n": "integer"}, guard_wait_seconds=5, stage_name=f"{self.table}_STAGE"
            ),
        )
        source = ElasticsearchSource(
            connections.client("source_elasticsearch"), ElasticsearchSource.Options(index=self.source_object)
        )
        store = PostgresLifecycleStore(postgres_connect(self.url, reach, opened))
        return Pipeline(self.config, store, source, stage, target)

    def add(self, window: TimeWindow, count: int = 3, prefix: str = "d") -> None:
        super().add(window, count, prefix)
        operations = [
            line
            for document in self.source.documents.values()
            for line in (
                {"index": {"_id": document.id}},
                {"@timestamp": document.event_at.isoformat(), **json.loads(document.body)},
            )
        ]
        with elasticsearch.Elasticsearch(self.sources_url, request_timeout=600) as client:
            assert not client.bulk(index=self.source_object, operations=operations, refresh=True)["errors"]

    def target_ids(self) -> Counter[str]:
        with self.connect() as connection, connection.cursor() as cursor:
            return Counter(row[0] for row in cursor.execute(f'SELECT "_ID" FROM "{self.table}"').fetchall())


@pytest.fixture
def new_cloud_life(
    ledger_url: str, elasticsearch_url: str, s3_bucket: str, snowflake_connect: Callable[[], Any], tmp_path: Path
) -> Iterator[Callable[[], Life]]:
    names = list[str]()

    def make() -> Life:
        name = f"cloud_{uuid.uuid4().hex[:8]}"
        names.append(name)
        with elasticsearch.Elasticsearch(elasticsearch_url, request_timeout=600) as client:
            client.indices.create(index=name, mappings={"properties": {"@timestamp": {"type": "date"}}})
        life = CloudLife(
            ledger_url, tmp_path, name, bucket=s3_bucket, connect=snowflake_connect, sources_url=elasticsearch_url
        )
        life.pipeline().target.prepare(name)
        return life

    yield make
    with elasticsearch.Elasticsearch(elasticsearch_url, request_timeout=600) as client:
        client.indices.delete(index=names)


@pytest.mark.parametrize("chapter", TOLD, ids=[chapter.name for chapter in TOLD])
def test_killed_at_every_point(
    chapter: Chapter, new_cloud_life: Callable[[], Life], tmp_path: Path, quiet: None
) -> None:
    outcomes, names = killed_at(
        chapter, new_cloud_life, tmp_path / "points", EVERY, ", on Elasticsearch, S3 and Snowflake"
    )
    assert len(names) > 40
    assert {point: problems for point, problems in outcomes.items() if problems} == {}

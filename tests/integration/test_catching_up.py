"""A pipeline with `fill_missing_days` over an index that keeps growing: three days without any run are made up by
themselves, on real Elasticsearch, S3, the Snowflake emulator and Postgres. Only the clock is the test's."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import elasticsearch
import psycopg
import pytest
from elasticsearch import helpers

from include.pipeline_framework.core.lifecycle import Actor
from include.pipeline_framework.core.run_requests import RunRequest
from include.pipeline_framework.core.windows import TimeWindow
from include.pipeline_framework.orchestration import connections
from include.pipeline_framework.tasks.cleanup_stale_locks import finish_run
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.planning import populate_pipeline_batches
from include.pipeline_framework.tasks.state_manager import review
from include.pipeline_framework.tasks.store_and_validate import store_and_validate
from tests.integration import moving

pytestmark = pytest.mark.integration

START = datetime(2024, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Growing:
    """The pipeline, its index, and the time that both share."""

    def __init__(self, pipeline: Pipeline, client: elasticsearch.Elasticsearch, index: str) -> None:
        self.pipeline, self.client, self.index = pipeline, client, index
        self.at = START + HOUR
        self.grown_to = START
        self.runs = 0
        pipeline.store.now = lambda: self.at  # type: ignore[method-assign]

    def pass_time(self, delta: timedelta) -> None:
        """Time passes, and a document arrives every ten minutes of it."""
        self.at += delta
        actions = []
        while self.grown_to < self.at:
            number = int((self.grown_to - START) / timedelta(minutes=10))
            body = {"@timestamp": self.grown_to.isoformat(), "n": number, "name": f"document {number}"}
            actions.append({"_index": self.index, "_id": f"d{number}", "_source": body})
            self.grown_to += timedelta(minutes=10)
        helpers.bulk(self.client, actions, refresh=True)

    def run(self) -> int:
        """One scheduled run of the pipeline, task by task; how many windows it moved."""
        self.runs += 1
        pipeline, actor = self.pipeline, Actor("data_pipeline_moved", f"run-{self.runs}", "audit", 0, 1)
        populate_pipeline_batches(pipeline.config, pipeline.store, actor, RunRequest())
        claimed = store_and_validate(pipeline.config, pipeline.store, actor, RunRequest())["claimed"]
        for record in claimed:
            moving.move(pipeline, record["id"], actor)
        finish_run(pipeline.store, pipeline.config, actor)
        return len(claimed)

    def target_ids(self) -> Counter[str]:
        table = self.pipeline.config.target_object
        with connections.client("target_snowflake")() as connection, connection.cursor() as cursor:
            return Counter(row[0] for row in cursor.execute(f'SELECT "_ID" FROM "{table}"').fetchall())


@pytest.fixture
def growing(tmp_path: Path, ledger_url: str, elasticsearch_url: str, s3_bucket: str) -> Iterator[Growing]:
    del ledger_url
    name = f"growing_{uuid.uuid4().hex[:8]}"
    text = moving.ELASTICSEARCH_TO_SNOWFLAKE.format(source_object=name, table=f"T_{name}".upper(), bucket=s3_bucket)
    text = text.replace("granularity: 1h", "granularity: 4h\nfill_missing_days: true\nmax_windows_per_run: 8")
    (tmp_path / "moved.yaml").write_text(text)
    client = elasticsearch.Elasticsearch(elasticsearch_url)
    client.indices.create(
        index=name,
        settings={"number_of_shards": 1, "number_of_replicas": 0},
        mappings={"properties": {"@timestamp": {"type": "date"}}},
    )
    pipeline = moving.wire(tmp_path)
    pipeline.target.prepare(name)
    yield Growing(pipeline, client, name)
    client.indices.delete(index=name)
    client.close()


def covered(growing: Growing) -> dict[date, Any]:
    return {day: covered // HOUR for day, covered in growing.pipeline.store.covered_days(growing.index).items()}


def test_three_days_without_runs_are_caught_up(growing: Growing) -> None:
    growing.pass_time(9 * HOUR)
    assert growing.run() == 2  # two windows have ended an hour ago
    assert covered(growing) == {date(2024, 5, 1): 24, date(2024, 5, 2): 24}

    growing.pass_time(timedelta(days=3))  # nobody runs anything, planner included; documents keep arriving
    moved = []
    while not moved or moved[-1]:
        moved.append(growing.run())
    assert moved == [8, 8, 2, 0]
    assert covered(growing) == {date(2024, 5, day): 24 for day in range(1, 6)}

    settled = TimeWindow(START, START + timedelta(days=3, hours=8))
    rows = growing.pipeline.store.find(source_object=growing.index, within=[settled])
    assert [row["pipeline_final_status"] for row in rows] == ["COMPLETED"] * 20
    expected = {f"d{number}" for number in range(20 * 4 * 6)}
    assert growing.target_ids() == Counter(expected)
    (found,) = review([growing.pipeline.config], growing.pipeline.store)
    assert found.findings == ()


def test_a_day_deleted_by_hand_comes_back(growing: Growing) -> None:
    """A person deletes rows of the ledger that were never loaded; the next run plans them again."""
    growing.pass_time(3 * HOUR)
    growing.run()
    with psycopg.connect(os.environ["LEDGER_URL"], autocommit=True) as connection:
        connection.execute("DELETE FROM pipeline_lifecycle WHERE query_window_start_at >= '2024-05-01 12:00Z'")
    assert covered(growing) == {date(2024, 5, 1): 12}
    growing.run()
    assert covered(growing) == {date(2024, 5, 1): 24, date(2024, 5, 2): 24}

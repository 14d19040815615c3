"""A pipeline whose target is the sample adapter, by its dotted path: a window of real flights, moved and audited."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import elasticsearch
import pytest

from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.tasks.cleanup_stale_locks import finish_run
from include.pipeline_framework.tasks.planning import insert_windows
from local_stack import flights
from local_stack.flights import Days
from local_stack.seed import seed
from tests.integration.moving import actor, move, wire

pytestmark = pytest.mark.integration

INDEX = "flights_of_a_day"
DAY = Days.parse("2013-03-09:2013-03-10")
START = datetime(2013, 3, 9, 13, tzinfo=UTC)
WINDOW = TimeWindow(START, START + timedelta(hours=1))


@pytest.fixture
def select(
    tmp_path: Path, elasticsearch_url: str, ledger_url: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], list[Any]]]:
    """Runs a query on the target's file; pipeline, connection and the day's flights are there."""
    file = tmp_path / "warehouse.db"
    monkeypatch.setenv("AIRFLOW_CONN_TARGET_SQLITE", json.dumps({"conn_type": "sqlite", "host": str(file)}))
    text = Path(__file__).with_name("flights.yaml").read_text(encoding="utf-8")
    (tmp_path / "flights.yaml").write_text(text.replace("{directory}", str(tmp_path)), encoding="utf-8")
    seed(elasticsearch_url, days=DAY, index=INDEX)

    def select(query: str) -> list[Any]:
        connection = sqlite3.connect(file)
        try:
            return connection.execute(query).fetchall()
        finally:
            connection.close()

    yield select
    with elasticsearch.Elasticsearch(elasticsearch_url, request_timeout=600) as client:
        client.indices.delete(index=INDEX)


def test_a_window_of_flights_moves_into_the_file(select: Callable[[str], list[Any]], tmp_path: Path) -> None:
    pipeline = wire(tmp_path, "flights")
    pipeline.target.prepare(INDEX)
    insert_windows(pipeline.config, [WINDOW], pipeline.store, actor(0))
    (row,) = pipeline.store.claim(INDEX, actor(1), limit=1, ended_before=pipeline.store.now())

    result = move(pipeline, row.id, actor(1))

    left = {
        name: (flight["carrier"], flight["origin"], flight["dep_delay"], f"{flight['time_hour'][:-1]}.000000Z")
        for name, flight in flights.read(DAY)
        if WINDOW.contains(datetime.fromisoformat(flight["@timestamp"]))
    }
    assert len(left) > 20
    assert (result["source_count"], result["staged_count"], result["target_count"]) == (len(left),) * 3
    loaded = select("SELECT _id, carrier, origin, dep_delay, time_hour FROM flights")
    assert sorted(loaded) == sorted((name, *values) for name, values in left.items())
    assert finish_run(pipeline.store, pipeline.config, actor(1)) == {"COMPLETED": 1}

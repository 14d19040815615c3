"""A DAG downstream of a pipeline, under a running scheduler: it runs once for each window that was announced."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from include.pipeline_framework.config.loader import load_pipeline
from local_stack.flights import Days
from local_stack.seed import seed
from tests.e2e.conftest import Bench, conf_of, forget_earlier_sessions, hours, wait_until

pytestmark = pytest.mark.e2e

PIPELINE = "data_pipeline_main"
CONSUMER = "window_consumer_example"
WINDOW = hours("2013-07-04T04:00Z", "2013-07-04T07:00Z")
"""The source has no documents there (only three days are indexed): empty windows are announced, too."""


@pytest.fixture
def consumer(bench: Bench) -> Iterator[Bench]:
    seed(bench.env["ELASTICSEARCH_URL"], days=Days.parse("2013-03-09:2013-03-10"))
    forget_earlier_sessions(bench.env, load_pipeline("main", Path(bench.env["PIPELINES_DIRECTORY"])))
    bench.api.wait_for_dags([PIPELINE, CONSUMER])
    for dag_id in (PIPELINE, CONSUMER):
        bench.api.set_paused(dag_id, paused=False)
    yield bench
    for dag_id in (PIPELINE, CONSUMER):
        bench.api.set_paused(dag_id, paused=True)


def consumed(bench: Bench, count: int) -> dict[str, Any]:
    """By partition key, what each run of the consumer returned."""
    wait_until(bench, lambda: len(bench.api.runs(CONSUMER, ["success", "failed"])) >= count)
    runs = bench.api.runs(CONSUMER)
    assert [run["state"] for run in runs] == ["success"] * count
    return {run["partition_key"]: _returned(bench, run["dag_run_id"]) for run in runs}


def _returned(bench: Bench, run_id: str) -> Any:
    path = f"/dags/{CONSUMER}/dagRuns/{run_id}/taskInstances/log_windows/xcomEntries/return_value?deserialize=true"
    return bench.api.call("GET", path)["value"]


def test_each_announced_window_triggers_one_run_that_knows_it(consumer: Bench) -> None:
    _, state = consumer.run(conf_of(WINDOW), dag_id=PIPELINE)
    assert state == "success"
    keys = [f"2013-07-04T0{hour}:00:00Z/2013-07-04T0{hour + 1}:00:00Z" for hour in (4, 5, 6)]
    found = consumed(consumer, 3)
    assert sorted(found) == keys
    for hour, key in enumerate(keys):
        start, end = key.split("/")
        local = f"2013-07-04 0{hour}:00-04:00 → 0{hour + 1}:00-04:00"
        expected = {"source_object": "flights", "start": start, "end": end, "local": local}
        assert found[key] == [{**expected, "status": "COMPLETED", "rows": 0}]

"""A DAG downstream of a pipeline, under a running scheduler: it runs once for each window that was announced."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import Bench, conf_of, hours

pytestmark = pytest.mark.e2e

CONSUMER = "window_consumer_example"
WINDOW = hours("2013-07-04T04:00Z", "2013-07-04T07:00Z")
"""The source has no documents there (only three days are indexed): empty windows are announced, too."""


@pytest.fixture
def consumer(bench: Bench) -> Iterator[Bench]:
    bench.api.wait_for_dags([CONSUMER])
    bench.api.set_paused(CONSUMER, paused=False)
    yield bench
    bench.api.set_paused(CONSUMER, paused=True)


def consumed(bench: Bench, count: int, seconds: float = 120) -> dict[str, Any]:
    """By partition key, what each run of the consumer returned."""
    ends = time.monotonic() + seconds
    while len(bench.api.runs(CONSUMER, ["success"])) < count:
        assert time.monotonic() < ends, bench.api.runs(CONSUMER)
        time.sleep(0.5)
    runs = bench.api.runs(CONSUMER)
    assert [run["state"] for run in runs] == ["success"] * count
    return {run["partition_key"]: _returned(bench, run["dag_run_id"]) for run in runs}


def _returned(bench: Bench, run_id: str) -> Any:
    path = f"/dags/{CONSUMER}/dagRuns/{run_id}/taskInstances/log_windows/xcomEntries/return_value?deserialize=true"
    return bench.api.call("GET", path)["value"]


def test_each_announced_window_triggers_one_run_that_knows_it(consumer: Bench) -> None:
    _, state = consumer.run(conf_of(WINDOW))
    assert state == "success"
    keys = [f"2013-07-04T0{hour}:00:00Z/2013-07-04T0{hour + 1}:00:00Z" for hour in (4, 5, 6)]
    found = consumed(consumer, 3)
    assert sorted(found) == keys
    for hour, key in enumerate(keys):
        start, end = key.split("/")
        local = f"2013-07-04 0{hour}:00-04:00 → 0{hour + 1}:00-04:00"
        expected = {"source_object": "flights", "start": start, "end": end, "local": local}
        assert found[key] == [{**expected, "status": "COMPLETED", "rows": 0}]

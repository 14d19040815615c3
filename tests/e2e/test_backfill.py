"""`backfill_windows` under a running scheduler: the pipeline's own runs drain a campaign, and it can be paused."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest

from local_stack.home import REPO
from tests.e2e.conftest import PIPELINE, Bench, conf_of, hours

pytestmark = pytest.mark.e2e

MORNING = hours("2013-08-02T04:00Z", "2013-08-02T16:00Z")
"""The source has no documents there (only three days are indexed), so 12 windows are done by pre_validation alone."""


@pytest.fixture(autouse=True)
def _alone(bench: Bench) -> Iterator[None]:
    """Runs without a conf take whatever is due: rows of other tests are out of the way."""
    bench.api.wait_for_dags(["backfill_windows"])
    bench.api.set_paused("backfill_windows", paused=False)
    move = "UPDATE pipeline_lifecycle SET source_object = %s WHERE source_object = %s"
    with psycopg.connect(bench.env["LEDGER_URL"], autocommit=True) as connection:
        connection.execute(move, ("elsewhere", "flights"))
        yield
        connection.execute("DELETE FROM pipeline_lifecycle WHERE source_object = 'flights'")
        connection.execute(move, ("flights", "elsewhere"))
    bench.api.set_paused("backfill_windows", paused=True)


def command(bench: Bench, *words: str) -> tuple[int, Any]:
    """The command line as people type it; the answer as JSON where it is."""
    done = subprocess.run(
        [sys.executable, "-m", "include.cli", "backfill", *words],
        cwd=REPO, env=bench.env, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    text = done.stdout or done.stderr
    return done.returncode, json.loads(text) if text.startswith("[") else text


def wait_until(what: Callable[[], bool], seconds: float = 150) -> None:
    ends = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < ends, "it took too long"
        time.sleep(0.5)


def done(bench: Bench) -> int:
    return len(bench.query("SELECT 1 FROM pipeline_lifecycle WHERE campaign_id > 0 AND audit_result_status = 'PASSED'"))


def is_idle(bench: Bench) -> bool:
    """No run of the pipeline goes on, or waits to begin."""
    runs = [bench.api.call("GET", f"/dags/{PIPELINE}/dagRuns?state={state}") for state in ("running", "queued")]
    return not any(found["dag_runs"] for found in runs)


@pytest.mark.timeout(600)
def test_a_range_is_drained_by_runs_that_trigger_each_other(bench: Bench) -> None:
    conf = conf_of(MORNING, pipelines=["main"], order="newest_first", concurrency=4, reason="catch up")
    _, state = bench.run({**conf, "dry_run": True}, dag_id="backfill_windows")
    assert state == "success"
    assert bench.rows(MORNING) == []

    _, state = bench.run(conf, dag_id="backfill_windows")
    assert state == "success"
    ((number,),) = (tuple(row.values()) for row in bench.query("SELECT campaign_id FROM backfill_campaigns"))
    wait_until(lambda: done(bench) > 0)
    assert command(bench, "pause", str(number))[0] == 0
    wait_until(lambda: is_idle(bench))
    (paused,) = command(bench, "status", str(number), "--format", "json")[1]
    assert (paused["state"], paused["running"], paused["total"]) == ("PAUSED", 0, 12)
    assert 0 < paused["done"] < 12
    newest = [row for row in bench.rows(MORNING) if row["pipeline_final_status"] == "COMPLETED"]
    assert min(row["query_window_start_at"] for row in newest) > MORNING.start

    assert command(bench, "resume", str(number))[0] == 0
    bench.run({})  # a scheduled run would do the same; the rest is triggered by the runs
    wait_until(lambda: done(bench) == 12)
    rows = bench.rows(MORNING)
    assert [row["pipeline_final_status"] for row in rows] == ["COMPLETED"] * 12
    assert {row["campaign_id"] for row in rows} == {number}
    assert len({row["dag_run_id"] for row in rows}) >= 3
    wait_until(lambda: is_idle(bench))
    assert command(bench, "cancel", "999") == (
        2,
        "error: there is no campaign 999, or it is cancelled and can't become CANCELLED. What to do: List them with: "
        "python -m include.cli backfill list\n",
    )

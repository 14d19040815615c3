"""`backfill_windows` under a running scheduler: the pipeline's own runs drain a campaign, and it can be paused."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from local_stack.home import REPO
from tests.e2e.conftest import Bench, conf_of, hours, wait_until

pytestmark = pytest.mark.e2e

MORNING = hours("2013-08-02T04:00Z", "2013-08-02T10:00Z")
"""The source has no documents there (only three days are indexed), so 6 windows are done by pre_validation alone."""


@pytest.fixture(autouse=True)
def _unpaused(bench: Bench, alone: None) -> Iterator[None]:
    bench.api.wait_for_dags(["backfill_windows"])
    bench.api.set_paused("backfill_windows", paused=False)
    yield
    bench.api.set_paused("backfill_windows", paused=True)


def command(bench: Bench, *words: str) -> tuple[int, Any]:
    """The command line as people type it; the answer as JSON where it is."""
    done = subprocess.run(
        [sys.executable, "-m", "include.cli", "backfill", *words],
        cwd=REPO, env=bench.env, capture_output=True, text=True,
    )  # fmt: skip
    text = done.stdout or done.stderr
    return done.returncode, json.loads(text) if text.startswith("[") else text


def done(bench: Bench) -> int:
    passed = "source_object = %s AND campaign_id > 0 AND audit_result_status = 'PASSED'"
    return len(bench.query(f"SELECT 1 FROM pipeline_lifecycle WHERE {passed}", bench.source_object))


def is_idle(bench: Bench) -> bool:
    """No run of the pipeline goes on, or waits to begin."""
    return not bench.api.runs(bench.dag_id, ["running", "queued"])


def test_a_range_is_drained_by_runs_that_trigger_each_other(bench: Bench) -> None:
    conf = conf_of(MORNING, pipelines=[bench.pipeline_id], order="newest_first", concurrency=2, reason="catch up")
    _, state = bench.run({**conf, "dry_run": True}, dag_id="backfill_windows")
    assert state == "success"
    assert bench.rows(MORNING) == []

    _, state = bench.run(conf, dag_id="backfill_windows")
    assert state == "success"
    (newest_campaign,) = bench.query("SELECT MAX(campaign_id) AS number FROM backfill_campaigns")
    number = newest_campaign["number"]
    wait_until(bench, lambda: done(bench) > 0)
    assert command(bench, "pause", str(number))[0] == 0
    wait_until(bench, lambda: is_idle(bench))
    (paused,) = command(bench, "status", str(number), "--format", "json")[1]
    assert (paused["state"], paused["running"], paused["total"]) == ("PAUSED", 0, 6)
    assert 0 < paused["done"] < 6
    newest = [row for row in bench.rows(MORNING) if row["pipeline_final_status"] == "COMPLETED"]
    assert min(row["query_window_start_at"] for row in newest) > MORNING.start

    assert command(bench, "resume", str(number))[0] == 0
    bench.run({})  # a scheduled run would do the same; the rest is triggered by the runs
    wait_until(bench, lambda: done(bench) == 6)
    rows = bench.rows(MORNING)
    assert [row["pipeline_final_status"] for row in rows] == ["COMPLETED"] * 6
    assert {row["campaign_id"] for row in rows} == {number}
    assert len({row["dag_run_id"] for row in rows}) >= 3
    wait_until(bench, lambda: is_idle(bench))
    assert command(bench, "cancel", "999") == (
        2,
        "error: there is no campaign 999, or it is cancelled and can't become CANCELLED. What to do: List them with: "
        "python -m include.cli backfill list\n",
    )

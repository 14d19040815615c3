"""A pipeline's DAG under a running scheduler: what a run does with its windows, and what `airflow tasks test` shows."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys

import pytest

from local_stack.home import REPO
from tests.e2e.conftest import Bench, conf_of, hours

pytestmark = pytest.mark.e2e

MORNING = hours("2013-03-09T10:00Z", "2013-03-09T14:00Z")


@pytest.fixture(scope="module")
def moved(bench: Bench) -> str:
    """The id of one run that has moved four windows."""
    run_id, state = bench.run(conf_of(MORNING))
    assert state == "success", bench.states(run_id)
    return run_id


def test_a_planned_dst_day_has_25_windows(bench: Bench) -> None:
    assert bench.plan("2013-11-03") == "success"
    planned = "SELECT time_interval FROM pipeline_lifecycle WHERE source_object = %s AND target_day = '2013-11-03'"
    rows = bench.query(planned, bench.source_object)
    assert [row["time_interval"] for row in rows] == ["1h"] * 25


def test_a_run_moves_its_windows_names_them_and_announces_them(bench: Bench, moved: str) -> None:
    window = hours("2013-03-09T10:00Z", "2013-03-09T12:00Z")
    rows = bench.rows(window)
    assert [(row["pipeline_final_status"], row["dag_run_id"]) for row in rows] == [("COMPLETED", moved)] * 2
    bench.assert_loaded(window)
    names = {
        instance["rendered_map_index"]
        for instance in bench.api.task_instances(bench.dag_id, moved)
        if instance["task_id"] == "window.audit"
    }
    assert names == {f"2013-03-09 0{hour}:00-05:00 → 0{hour + 1}:00-05:00" for hour in range(5, 9)}
    events = bench.api.call("GET", "/assets/events?limit=1000")["asset_events"]
    keys = [event["partition_key"] for event in events if event["source_run_id"] == moved]
    assert sorted(keys) == [f"2013-03-09T{hour}:00:00Z/2013-03-09T{hour + 1}:00:00Z" for hour in range(10, 14)]


def test_an_empty_window_is_completed_and_announced_by_pre_validation(bench: Bench) -> None:
    window = hours("2013-03-09T07:00Z", "2013-03-09T08:00Z")
    run_id, state = bench.run(conf_of(window))
    assert state == "success"
    (row,) = bench.rows(window)
    assert (row["pipeline_final_status"], row["audit_result_status"], row["target_count"]) == ("COMPLETED", "PASSED", 0)
    assert bench.states(run_id)["audit"] == ["skipped"]
    events = bench.api.call("GET", "/assets/events?limit=1000")["asset_events"]
    assert [e["partition_key"] for e in events if e["source_run_id"] == run_id] == [
        "2013-03-09T07:00:00Z/2013-03-09T08:00:00Z"
    ]


def test_the_same_conf_again_changes_nothing(bench: Bench, moved: str) -> None:
    window = hours("2013-03-09T12:00Z", "2013-03-09T13:00Z")
    before = bench.rows(window)
    run_id, state = bench.run(conf_of(window))
    assert state == "success"
    assert bench.states(run_id)["store_and_validate"] == ["skipped"]
    assert bench.rows(window) == before
    bench.assert_loaded(window)


def test_replace_loads_a_finished_window_again(bench: Bench, moved: str) -> None:
    window = hours("2013-03-09T13:00Z", "2013-03-09T14:00Z")
    (old,) = bench.rows(window)
    run_id, state = bench.run(conf_of(window, replace=True, reason="test"))
    assert state == "success", bench.states(run_id)
    (new,) = bench.rows(window)
    assert (new["is_replacement_run_flag"], new["pipeline_final_status"]) == (True, "COMPLETED")
    (replaced,) = bench.query("SELECT * FROM pipeline_lifecycle WHERE id = %s", old["id"])
    assert (replaced["is_invalidated_flag"], replaced["target_deletion_done_flag"]) == (True, True)
    assert replaced["replaced_by_id"] == new["id"]
    bench.assert_loaded(window)


def test_parallel_runs_never_claim_one_window_twice(bench: Bench) -> None:
    window = hours("2013-03-10T16:00Z", "2013-03-10T20:00Z")
    run_ids = [bench.api.trigger(bench.dag_id, conf_of(window, max_windows=2)) for _ in range(3)]
    assert {bench.api.wait(bench.dag_id, run_id) for run_id in run_ids} == {"success"}
    claims = bench.query(
        "SELECT lifecycle_id, COUNT(*) AS claims FROM pipeline_lifecycle_events WHERE event = 'claimed' "
        "AND dag_run_id = ANY(%s) GROUP BY lifecycle_id",
        run_ids,
    )
    assert [claim["claims"] for claim in claims] == [1] * 4
    bench.assert_loaded(window)


def test_conf_that_makes_no_sense_fails_with_the_reason_and_plans_nothing(bench: Bench) -> None:
    own = "SELECT COUNT(*) FROM pipeline_lifecycle WHERE source_object = %s"
    before = bench.query(own, bench.source_object)
    run_id, state = bench.run({"target_date": "2015-01-01"})
    assert state == "failed"
    assert bench.states(run_id)["populate_pipeline_batches"] == ["failed"]
    assert bench.query(own, bench.source_object) == before


# The command itself, four times in one interpreter: starting Airflow takes longer than what is tested here. A DAG is
# paused for as long, as the README says: else the scheduler takes up the temporary run, too.
_COMMANDS = """
import json, sys
from airflow.cli.cli_parser import get_parser
def airflow(*words):
    print("COMMAND", words, flush=True)
    arguments = get_parser().parse_args(words)
    arguments.func(arguments)
for words in json.loads(sys.argv[1]):
    airflow("dags", "pause", words[0])
    try:
        airflow("tasks", "test", *words)
    finally:
        airflow("dags", "unpause", words[0])
"""


def test_tasks_test_shows_a_claim_and_works_on_an_existing_run_and_changes_nothing(bench: Bench, moved: str) -> None:
    bench.plan("2013-03-11")
    own = "SELECT * FROM pipeline_lifecycle WHERE source_object = %s ORDER BY id"
    before = bench.query(own, bench.source_object)
    record = json.dumps({"pipeline_id": bench.pipeline_id, "max_records": 30})
    commands = [
        [bench.dag_id, "store_and_validate", "2013-03-10"],
        [bench.dag_id, "window.source_to_stage", moved, "--map-index", "0"],
        ["daily_planner", "plan_windows", "2013-06-05"],
        ["record_generation", "validate_records", "2013-06-05", "--task-params", record],
    ]
    done = subprocess.run(
        [sys.executable, "-c", _COMMANDS, json.dumps(commands)],
        env={**os.environ, **bench.env},
        cwd=REPO,
        capture_output=True,
        text=True,
        check=False,
    )
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "would claim" in output
    assert "the window is COMPLETED already" in output
    assert re.search(rf"{bench.source_object} +2013-06-05 +24 +0 +24 +0  dry run", output), output
    assert "2013-06-05: 24 of 24 records are complete" in output
    assert bench.query(own, bench.source_object) == before

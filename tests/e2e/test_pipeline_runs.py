"""`data_pipeline_main` under a running scheduler: what a run does, and what clearing, failing and ending it does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from include.pipeline_framework.core.lifecycle import Actor
from include.pipeline_framework.core.windows import TimeWindow
from include.pipeline_framework.orchestration import connections, wiring
from include.pipeline_framework.tasks.planning import insert_windows
from local_stack.home import REPO
from tests.e2e.conftest import PIPELINE, Bench, conf_of, hours

pytestmark = pytest.mark.e2e


def states(bench: Bench, run_id: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for instance in bench.api.task_instances(PIPELINE, run_id):
        found.setdefault(instance["task_id"].removeprefix("window."), []).append(instance["state"])
    return found


def index_setting(bench: Bench, name: str, value: object) -> None:
    """Change a setting of the source's index; None puts its default back."""
    request = urllib.request.Request(
        f"{bench.env['ELASTICSEARCH_URL']}/flights/_settings",
        data=json.dumps({name: value}).encode(),
        headers={"content-type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=30).read()


def in_target(statement: str, *parameters: object) -> None:
    with connections.client("target_snowflake")() as connection, connection.cursor() as cursor:
        cursor.execute(statement, parameters)


@contextmanager
def no_reads(bench: Bench, _window: TimeWindow) -> Iterator[None]:
    """Elasticsearch refuses every read of the index: the count of pre_validation fails."""
    index_setting(bench, "index.blocks.read", True)
    try:
        yield
    finally:
        index_setting(bench, "index.blocks.read", None)


@contextmanager
def no_pages(bench: Bench, _window: TimeWindow) -> Iterator[None]:
    """Elasticsearch refuses pages of more than one document: counts work, the extract fails."""
    index_setting(bench, "index.max_result_window", 1)
    try:
        yield
    finally:
        index_setting(bench, "index.max_result_window", None)


@contextmanager
def no_column(_bench: Bench, _window: TimeWindow) -> Iterator[None]:
    """Somebody renamed a column of the target table: the load fails."""
    in_target('ALTER TABLE "FLIGHTS" RENAME COLUMN "CARRIER" TO "SOMETHING_ELSE"')
    try:
        yield
    finally:
        in_target('ALTER TABLE "FLIGHTS" RENAME COLUMN "SOMETHING_ELSE" TO "CARRIER"')


@contextmanager
def rows_lost(bench: Bench, window: TimeWindow) -> Iterator[None]:
    """Each window loses a row at the target between its load and its audit (two tasks, so seconds apart)."""
    stop = threading.Event()
    lost: set[int] = set()

    def watch() -> None:
        while not stop.wait(0.05):
            for row in bench.rows(window):
                if row["phase_completed"] == "STAGE_TO_TARGET" and row["id"] not in lost:
                    one = '(SELECT MIN("_ID") FROM "FLIGHTS" WHERE "_LIFECYCLE_ID" = %s)'
                    in_target(f'DELETE FROM "FLIGHTS" WHERE "_ID" = {one}', row["id"])
                    lost.add(row["id"])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert len(lost) == len(bench.rows(window))


def test_a_planned_dst_day_has_25_windows(bench: Bench) -> None:
    _run, state = bench.run({"target_date": "2013-11-03"}, dag_id="daily_planner")
    assert state == "success"
    rows = bench.query("SELECT time_interval FROM pipeline_lifecycle WHERE target_day = '2013-11-03'")
    assert [row["time_interval"] for row in rows] == ["1h"] * 25


def test_a_run_moves_its_windows_names_them_and_announces_them(bench: Bench) -> None:
    window = hours("2013-03-09T10:00Z", "2013-03-09T12:00Z")
    run_id, state = bench.run(conf_of(window))
    assert state == "success", states(bench, run_id)
    rows = bench.rows(window)
    assert [(row["pipeline_final_status"], row["dag_run_id"]) for row in rows] == [("COMPLETED", run_id)] * 2
    bench.assert_loaded(window)
    names = {
        instance["rendered_map_index"]
        for instance in bench.api.task_instances(PIPELINE, run_id)
        if instance["task_id"] == "window.audit"
    }
    assert names == {"2013-03-09 05:00-05:00 → 06:00-05:00", "2013-03-09 06:00-05:00 → 07:00-05:00"}
    events = bench.api.call("GET", "/assets/events?limit=1000")["asset_events"]
    keys = [event["partition_key"] for event in events if event["source_run_id"] == run_id]
    assert sorted(keys) == [
        "2013-03-09T10:00:00Z/2013-03-09T11:00:00Z",
        "2013-03-09T11:00:00Z/2013-03-09T12:00:00Z",
    ]


def test_an_empty_window_is_completed_and_announced_by_pre_validation(bench: Bench) -> None:
    window = hours("2013-03-09T07:00Z", "2013-03-09T08:00Z")
    run_id, state = bench.run(conf_of(window))
    assert state == "success"
    (row,) = bench.rows(window)
    assert (row["pipeline_final_status"], row["audit_result_status"], row["target_count"]) == ("COMPLETED", "PASSED", 0)
    assert states(bench, run_id)["audit"] == ["skipped"]
    events = bench.api.call("GET", "/assets/events?limit=1000")["asset_events"]
    assert [e["partition_key"] for e in events if e["source_run_id"] == run_id] == [
        "2013-03-09T07:00:00Z/2013-03-09T08:00:00Z"
    ]


def test_the_same_conf_again_changes_nothing(bench: Bench) -> None:
    window = hours("2013-03-09T12:00Z", "2013-03-09T13:00Z")
    bench.run(conf_of(window))
    before = bench.rows(window)
    run_id, state = bench.run(conf_of(window))
    assert state == "success"
    assert states(bench, run_id)["store_and_validate"] == ["skipped"]
    assert bench.rows(window) == before
    bench.assert_loaded(window)


def test_replace_loads_a_finished_window_again(bench: Bench) -> None:
    window = hours("2013-03-09T13:00Z", "2013-03-09T14:00Z")
    bench.run(conf_of(window))
    (old,) = bench.rows(window)
    run_id, state = bench.run(conf_of(window, replace=True, reason="test"))
    assert state == "success", states(bench, run_id)
    (new,) = bench.rows(window)
    assert (new["is_replacement_run_flag"], new["pipeline_final_status"]) == (True, "COMPLETED")
    (replaced,) = bench.query("SELECT * FROM pipeline_lifecycle WHERE id = %s", old["id"])
    assert (replaced["is_invalidated_flag"], replaced["target_deletion_done_flag"]) == (True, True)
    assert replaced["replaced_by_id"] == new["id"]
    bench.assert_loaded(window)


CLEARED = ("pre_validation", "source_to_stage", "stage_to_target", "audit")


def test_clearing_tasks_of_a_finished_run_leaves_the_target_as_it_is(bench: Bench) -> None:
    """Each task of another window, through Airflow's API as the UI does it, then the run as a whole."""
    window = hours("2013-03-09T18:00Z", "2013-03-09T22:00Z")
    run_id, state = bench.run(conf_of(window))
    assert state == "success"
    before = bench.rows(window)
    for index, task in enumerate(CLEARED):
        bench.api.clear(PIPELINE, run_id, [[f"window.{task}", index]])
        assert bench.api.wait(PIPELINE, run_id) == "success", states(bench, run_id)
        (instance,) = [
            i
            for i in bench.api.task_instances(PIPELINE, run_id)
            if (i["task_id"], i["map_index"]) == (f"window.{task}", index)
        ]
        # audit succeeds without effect and announces again; the others say that the window is finished
        assert (instance["try_number"], instance["state"]) == (2, "success" if task == "audit" else "skipped")
    bench.api.clear_run(PIPELINE, run_id)
    assert bench.api.wait(PIPELINE, run_id) == "success", states(bench, run_id)
    assert states(bench, run_id)["store_and_validate"] == ["skipped"]
    assert bench.rows(window) == before
    bench.assert_loaded(window)


@pytest.mark.parametrize(
    ("failing", "fault", "start"),
    [
        ("pre_validation", no_reads, 10),
        ("source_to_stage", no_pages, 14),
        ("stage_to_target", no_column, 18),
        ("audit", rows_lost, 22),
    ],
)
def test_clearing_any_task_of_a_failed_run_repairs_its_window(
    bench: Bench, failing: str, fault: Callable[[Bench, TimeWindow], AbstractContextManager[None]], start: int
) -> None:
    """Four windows fail in one phase; in each another task is cleared, as the UI does it, with those after it.

    A task behind the failed one can't run, as in every DAG: clearing it changes nothing.
    """
    first = datetime(2013, 3, 11, start, tzinfo=UTC)
    window = TimeWindow(first, first + timedelta(hours=len(CLEARED)))
    with fault(bench, window):
        run_id, state = bench.run(conf_of(window))
    assert state == "failed"
    assert states(bench, run_id)[failing] == ["failed"] * len(CLEARED)
    assert states(bench, run_id)["cleanup_stale_locks"] == ["failed"]
    for row in bench.rows(window):
        assert (row["pipeline_final_status"], row["retry_attempt"], row["dag_run_id"]) == ("PENDING", 1, None)
        assert "What to do" in row["last_error"] or failing == "audit"
    assert bench.target_ids(window) == Counter()

    before = bench.rows(window)
    reached = CLEARED.index(failing)
    if after := [[f"window.{task}", index] for index, task in enumerate(CLEARED) if index > reached]:
        bench.api.clear(PIPELINE, run_id, after)
        assert bench.api.wait(PIPELINE, run_id) == "failed"
        assert bench.rows(window) == before
    upto = [[f"window.{CLEARED[min(index, reached)]}", index] for index in range(len(CLEARED))]
    bench.api.clear(PIPELINE, run_id, upto)
    assert bench.api.wait(PIPELINE, run_id) == "success", states(bench, run_id)
    for row in bench.rows(window):
        assert (row["pipeline_final_status"], row["dag_run_id"]) == ("COMPLETED", run_id)
    bench.assert_loaded(window)


@pytest.mark.parametrize("cleared", ["whole run", "populate_pipeline_batches", "store_and_validate"])
def test_clearing_the_start_of_a_failed_run_repairs_all_its_windows(bench: Bench, cleared: str) -> None:
    start = 14 + ["whole run", "populate_pipeline_batches", "store_and_validate"].index(cleared)
    window = hours(f"2013-03-09T{start}:00Z", f"2013-03-09T{start + 1}:00Z")
    with no_reads(bench, window):
        run_id, state = bench.run(conf_of(window))
    assert state == "failed"
    # the cleanup alone has nothing to repair, and doesn't call an unfinished run a success
    bench.api.clear(PIPELINE, run_id, ["cleanup_stale_locks"])
    assert bench.api.wait(PIPELINE, run_id) == "failed"
    assert [row["pipeline_final_status"] for row in bench.rows(window)] == ["PENDING"]
    if cleared == "whole run":
        bench.api.clear_run(PIPELINE, run_id)
    else:
        bench.api.clear(PIPELINE, run_id, [cleared])
    assert bench.api.wait(PIPELINE, run_id) == "success", states(bench, run_id)
    (row,) = bench.rows(window)
    assert (row["pipeline_final_status"], row["dag_run_id"]) == ("COMPLETED", run_id)
    bench.assert_loaded(window)


def test_parallel_runs_never_claim_one_window_twice(bench: Bench) -> None:
    window = hours("2013-03-10T16:00Z", "2013-03-10T20:00Z")
    run_ids = [bench.api.trigger(PIPELINE, conf_of(window, max_windows=2)) for _ in range(3)]
    assert {bench.api.wait(PIPELINE, run_id) for run_id in run_ids} == {"success"}
    claims = bench.query(
        "SELECT lifecycle_id, COUNT(*) AS claims FROM pipeline_lifecycle_events WHERE event = 'claimed' "
        "AND dag_run_id = ANY(%s) GROUP BY lifecycle_id",
        run_ids,
    )
    assert [claim["claims"] for claim in claims] == [1] * 4
    bench.assert_loaded(window)


def test_a_run_that_times_out_in_mid_window_strands_nothing(bench: Bench) -> None:
    """The scheduler's own `dagrun_timeout`: it fails the run and skips its teardown; the next cleanup frees all.

    The run's start is moved back by a day in Airflow's database, so that its 12 hours are over in mid-window.
    """
    window = hours("2013-03-10T20:00Z", "2013-03-11T00:00Z")
    run_id = bench.api.trigger(PIPELINE, conf_of(window))
    until = time.monotonic() + 60
    while not any(row["phase_completed"] for row in bench.rows(window)):
        assert time.monotonic() < until
        time.sleep(0.1)
    with psycopg.connect(bench.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")) as metadata:
        metadata.execute("UPDATE dag_run SET start_date = start_date - INTERVAL '1 day' WHERE run_id = %s", [run_id])
    assert bench.api.wait(PIPELINE, run_id) == "failed"
    assert states(bench, run_id)["cleanup_stale_locks"] == ["skipped"]
    held = [row["id"] for row in bench.rows(window) if row["pipeline_final_status"] == "IN_PROGRESS"]
    assert held
    assert bench.housekeeping() == "success"
    assert {row["pipeline_final_status"] for row in bench.rows(window)} <= {"PENDING", "COMPLETED"}
    reasons = bench.query(
        "SELECT reason FROM pipeline_lifecycle_events WHERE event = 'taken_over' AND lifecycle_id = ANY(%s)", held
    )
    assert {event["reason"] for event in reasons} == {f"run {run_id} of {PIPELINE} has ended"}
    bench.query("UPDATE pipeline_lifecycle SET not_before_at = NULL WHERE NOT is_invalidated_flag RETURNING id")
    _run, state = bench.run(conf_of(window))
    assert state == "success"
    bench.assert_loaded(window)


def test_cleanup_asks_airflow_and_releases_only_what_nobody_owns(bench: Bench) -> None:
    """A run that timed out has ended without its teardown; a deleted one is unknown to Airflow (404)."""
    window = hours("2013-03-09T22:00Z", "2013-03-10T01:00Z")
    store, config = wiring.lifecycle_store(), wiring.parsed_config("main")
    ended, _state = bench.run({"target_date": "2013-03-09", "dry_run": True})
    waiting = bench.api.trigger("record_generation")  # its DAG is paused: the run stays queued
    pieces = [
        hours(f"2013-03-{at}:00Z", f"2013-03-{to}:00Z")
        for at, to in (("09T22", "09T23"), ("09T23", "10T00"), ("10T00", "10T01"))
    ]
    insert_windows(config, pieces, store, Actor("test", "test"))
    owners = [Actor(PIPELINE, ended), Actor(PIPELINE, "deleted-run"), Actor("record_generation", waiting)]
    for piece, owner in zip(pieces, owners, strict=True):
        (row,) = store.claim("flights", owner, limit=1, ended_before=store.now(), within=[piece])
        store.take(row["id"], owner)
    assert bench.housekeeping() == "success"
    rows = bench.rows(window)
    assert [row["pipeline_final_status"] for row in rows] == ["PENDING", "PENDING", "IN_PROGRESS"]
    reasons = [store.events(row["id"])[-1]["reason"] for row in rows[:2]]
    assert reasons == [f"run {ended} of {PIPELINE} has ended", f"run deleted-run of {PIPELINE} does not exist"]


def test_conf_that_makes_no_sense_fails_with_the_reason_and_plans_nothing(bench: Bench) -> None:
    before = bench.query("SELECT COUNT(*) FROM pipeline_lifecycle")
    run_id, state = bench.run({"target_date": "2015-01-01"})
    assert state == "failed"
    assert states(bench, run_id)["populate_pipeline_batches"] == ["failed"]
    assert bench.query("SELECT COUNT(*) FROM pipeline_lifecycle") == before


def test_tasks_test_shows_the_claim_and_leaves_none_behind(bench: Bench) -> None:
    bench.run({"target_date": "2013-03-11"}, dag_id="daily_planner")
    before = bench.query("SELECT * FROM pipeline_lifecycle ORDER BY id")
    bench.api.set_paused(PIPELINE, paused=True)
    done = subprocess.run(
        [sys.executable, "-m", "airflow", "tasks", "test", PIPELINE, "store_and_validate", "2013-03-10"],
        env={**os.environ, **bench.env},
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    bench.api.set_paused(PIPELINE, paused=False)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "would claim" in output
    assert bench.query("SELECT * FROM pipeline_lifecycle ORDER BY id") == before


def test_tasks_test_works_on_an_existing_run_by_map_index(bench: Bench) -> None:
    window = hours("2013-03-09T17:00Z", "2013-03-09T18:00Z")
    run_id, _state = bench.run(conf_of(window))
    before = bench.rows(window)
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "airflow",
            "tasks",
            "test",
            PIPELINE,
            "window.source_to_stage",
            run_id,
            "--map-index",
            "0",
        ],
        env={**os.environ, **bench.env},
        cwd=REPO,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "the window is COMPLETED already" in done.stdout + done.stderr
    assert bench.rows(window) == before

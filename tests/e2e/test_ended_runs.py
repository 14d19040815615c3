"""Runs that end in mid-window, under a running scheduler: nothing is stranded, and nobody living loses a window."""

from __future__ import annotations

import psycopg
import pytest

from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.tasks.planning import insert_windows
from include.wiring import assembly
from tests.e2e.conftest import Bench, conf_of, hours, wait_until

pytestmark = pytest.mark.e2e


def housekeeping(bench: Bench) -> str:
    """One run of `cleanup_stale_locks`, whose DAG is paused otherwise; returns its final state."""
    bench.api.set_paused("cleanup_stale_locks", paused=False)
    try:
        return bench.run({}, dag_id="cleanup_stale_locks")[1]
    finally:
        bench.api.set_paused("cleanup_stale_locks", paused=True)


def test_a_run_that_times_out_in_mid_window_strands_nothing(bench: Bench) -> None:
    """The scheduler's own `dagrun_timeout`: it fails the run and skips its teardown; the next cleanup frees all.

    The run's start is moved back by a day in Airflow's database, so that its 12 hours are over in mid-window.
    """
    window = hours("2013-03-10T20:00Z", "2013-03-11T00:00Z")
    run_id = bench.api.trigger(bench.dag_id, conf_of(window))
    wait_until(bench, lambda: any(row["phase_completed"] for row in bench.rows(window)))
    with psycopg.connect(bench.env["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"].replace("+psycopg2", "")) as metadata:
        metadata.execute("UPDATE dag_run SET start_date = start_date - INTERVAL '1 day' WHERE run_id = %s", [run_id])
    assert bench.api.wait(bench.dag_id, run_id) == "failed"
    assert bench.states(run_id)["cleanup_stale_locks"] == ["skipped"]
    held = [row["id"] for row in bench.rows(window) if row["pipeline_final_status"] == "IN_PROGRESS"]
    assert held
    assert housekeeping(bench) == "success"
    assert {row["pipeline_final_status"] for row in bench.rows(window)} <= {"PENDING", "COMPLETED"}
    reasons = bench.query(
        "SELECT reason FROM pipeline_lifecycle_events WHERE event = 'taken_over' AND lifecycle_id = ANY(%s)", held
    )
    assert {event["reason"] for event in reasons} == {f"run {run_id} of {bench.dag_id} has ended"}
    bench.query("UPDATE pipeline_lifecycle SET not_before_at = NULL WHERE id = ANY(%s)", held)
    _run, state = bench.run(conf_of(window))
    assert state == "success"
    bench.assert_loaded(window)


def test_cleanup_asks_airflow_and_releases_only_what_nobody_owns(bench: Bench) -> None:
    """A run that timed out has ended without its teardown; a deleted one is unknown to Airflow (404)."""
    window = hours("2013-03-09T22:00Z", "2013-03-10T01:00Z")
    store = assembly.lifecycle_store()
    ended, _state = bench.run({"target_date": "2013-03-09", "dry_run": True})
    waiting = bench.api.trigger("record_generation")  # its DAG is paused: the run stays queued
    pieces = [
        hours(f"2013-03-{at}:00Z", f"2013-03-{to}:00Z")
        for at, to in (("09T22", "09T23"), ("09T23", "10T00"), ("10T00", "10T01"))
    ]
    insert_windows(bench.config, pieces, store, Actor("test", "test"))
    owners = [Actor(bench.dag_id, ended), Actor(bench.dag_id, "deleted-run"), Actor("record_generation", waiting)]
    for piece, owner in zip(pieces, owners, strict=True):
        (row,) = store.claim(bench.source_object, owner, limit=1, ended_before=store.now(), within=[piece])
        store.take(row.id, owner)
    assert housekeeping(bench) == "success"
    rows = bench.rows(window)
    assert [row["pipeline_final_status"] for row in rows] == ["PENDING", "PENDING", "IN_PROGRESS"]
    reasons = [store.events(row["id"])[-1]["reason"] for row in rows[:2]]
    assert reasons == [f"run {ended} of {bench.dag_id} has ended", f"run deleted-run of {bench.dag_id} does not exist"]

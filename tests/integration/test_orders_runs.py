"""Runs of the orders sync on a real Postgres: summary rows, stores, slots, locks, dead runs, second runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from typing import Any

import psycopg
import pytest

from include.orders_sync.adapters.postgres_orders import PostgresOrders
from include.orders_sync.core.pipelines import PROFILER, TD, UC, SyncStatus
from include.orders_sync.core.runs import RunResult, StoreReport, slot_lock, store_lock
from include.orders_sync.tasks.runs import finish_run, parse_options, plan_run, start_run
from include.orders_sync.tasks.sync_stores import sync_stores, take_slot
from tests.orders_world import TODAY, OrdersWorld, orders_world

pytestmark = pytest.mark.integration

BOTH = "HYD0005"  # sync group ALL
TD_ONLY = "MUM0004"


@pytest.fixture
def world(orders_url: str) -> Iterator[OrdersWorld]:
    with orders_world(orders_url) as found:
        yield found


def test_the_summary_row_says_how_the_run_went(world: OrdersWorld) -> None:
    seen: list[dict[str, Any]] = []
    result = world.run(
        run_id="one", env="prod", tick=lambda *_: seen.extend(world.query("SELECT * FROM pipeline_run_summaries"))
    )
    assert seen[0]["overall_status"] == "running"
    assert seen[0]["finished_at"] is None
    (row,) = world.query("SELECT * FROM pipeline_run_summaries")
    assert (row["run_id"], row["pipeline_name"], row["run_env"]) == ("one", PROFILER, "prod")
    assert row["report_date"] == TODAY
    assert (row["overall_status"], row["summary_text"]) == ("success", result.text)
    assert row["started_at"] < row["finished_at"]
    windows = len(world.log(f"p.code = '{UC}'"))
    assert f"{UC}: 3 of 3 stores done; windows: {windows} success, 0 partial, 0 failed" in result.text


def test_nothing_to_do_is_a_success(world: OrdersWorld) -> None:
    world.query("UPDATE store_master SET start_date = '2026-12-01'")
    result = world.run()
    assert result.status == SyncStatus.SUCCESS
    assert world.log() == []


@pytest.mark.parametrize(("group", "expected"), [("TD", {TD}), ("UC", {UC}), ("ALL", {TD, UC})])
def test_the_sync_group_chooses_stores_and_pipelines(world: OrdersWorld, group: str, expected: set[str]) -> None:
    world.run(sync_group=group, window_days=200)
    assert {pipeline for pipeline, *_ in world.windows()} == expected
    wanted = {s["store_code"] for s in world.stores() if s["sync_group"] == "ALL" or group in ("ALL", s["sync_group"])}
    assert {store for _, store, *_ in world.windows()} == wanted


def test_stores_that_can_not_be_synced_are_named_and_the_others_go_on(world: OrdersWorld) -> None:
    world.query("UPDATE store_master SET sync_group = 'XX' WHERE store_code = %s", BOTH)
    world.query("UPDATE store_master SET is_active = FALSE WHERE store_code = %s", TD_ONLY)
    world.query("INSERT INTO store_master (store_code, start_date) VALUES (NULL, '2026-01-01'), ('NOSTART', NULL)")
    result = world.run(window_days=200)
    assert result.status == SyncStatus.PARTIAL
    assert f"{BOTH} left out: the sync group is 'XX'" in result.text
    assert {store for _, store, *_ in world.windows()} == {s["store_code"] for s in world.stores()} - {
        BOTH, "NOSTART", None
    }  # fmt: skip


def test_a_row_that_is_wrong_does_not_concern_runs_of_other_pipelines(world: OrdersWorld) -> None:
    world.query("UPDATE store_master SET cost_center = ' ' WHERE sync_group = 'UC'")
    assert world.run(sync_group="TD", window_days=200).status == SyncStatus.SUCCESS
    assert world.run(sync_group="UC", window_days=200).status == SyncStatus.PARTIAL


def test_a_failed_window_that_another_run_has_pulled_since_is_mended(world: OrdersWorld) -> None:
    """Who clears the red store later finds nothing left to do; the run may end well."""
    world.crm.control.faults({"kind": "bad_cell", "report": "orders", "store_code": TD_ONLY})
    failed = world.run(run_id="first", store_code=TD_ONLY, window_days=200)
    assert failed.status == SyncStatus.FAILED
    cleared, red = StoreReport(TD_ONLY), StoreReport(TD_ONLY, errors={TD: "as before"})
    assert ended(world, cleared).status == SyncStatus.FAILED
    assert world.run(run_id="between", store_code=TD_ONLY, window_days=200).status == SyncStatus.SUCCESS
    assert ended(world, red).status == SyncStatus.FAILED  # nobody has cleared it
    assert ended(world, cleared).status == SyncStatus.SUCCESS


def ended(world: OrdersWorld, report: StoreReport) -> RunResult:
    """What the last task of run `first` says when its store has left this report."""
    options = parse_options(PROFILER, {}, world.config, run_id="first", now=world.now)
    with closing(world.open_database("first")) as database:
        return finish_run(options, [report], database, planned=[TD_ONLY], problems={})


def test_a_run_whose_idle_sessions_are_ended_still_says_how_it_went(world: OrdersWorld) -> None:
    """Every session of the run that holds no lock is ended after each window."""

    def end_idle(*_: object) -> None:
        world.query(
            "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity AS a WHERE a.application_name = 'one'"
            " AND a.pid NOT IN (SELECT l.pid FROM pg_locks AS l WHERE l.locktype = 'advisory')"
        )

    result = world.run(run_id="one", max_workers=1, window_days=200, tick=end_idle)
    assert result.status == SyncStatus.SUCCESS
    assert world.query("SELECT overall_status FROM pipeline_run_summaries") == [{"overall_status": "success"}]


def test_a_day_that_was_pulled_before_its_end_is_pulled_again_when_it_is_over(world: OrdersWorld) -> None:
    """With no overlap nothing else would: the morning's pull covers the date."""
    options = {"store_code": BOTH, "overlap_days": 0, "window_days": 200}
    world.run(**options)
    world.query("UPDATE orders_sync_log SET created_at = %s", world.now)
    world.later(days=1)
    world.run(**options)
    assert [row[2:4] for row in world.windows(f"p.code = '{UC}'")][1:] == [
        ("2026-03-16", "2026-03-16"), ("2026-03-15", "2026-03-15"),
    ]  # fmt: skip
    world.query("UPDATE orders_sync_log SET created_at = %s WHERE created_at > %s", world.now, world.now)
    world.later(hours=1)
    world.run(**options)
    assert len(world.windows(f"p.code = '{UC}'")) == 3


def test_at_most_max_workers_stores_at_once(world: OrdersWorld) -> None:
    at_work: set[str] = set()
    most = 0
    lock = threading.Lock()

    class Watched(PostgresOrders):
        def fail_dead_rows(self, store_code: str, found_by: str) -> list[str]:
            nonlocal most
            with lock:
                at_work.add(store_code)
                most = max(most, len(at_work))
            return super().fail_dead_rows(store_code, found_by)

        def unlock(self, name: str) -> None:
            with lock:
                at_work.discard(name.rpartition(" ")[2])
            super().unlock(name)

    world.open_database = lambda name: Watched(lambda: psycopg.connect(world.url), name)  # type: ignore[method-assign]
    world.run(max_workers=2, window_days=30)
    assert most == 2


def test_a_run_has_max_workers_slots_and_each_goes_with_its_session(world: OrdersWorld) -> None:
    options = parse_options(PROFILER, {"max_workers": 2}, world.config, run_id="r", now=world.now)
    sessions = [world.open_database("r") for _ in range(3)]
    assert [take_slot(session, options) for session in sessions] == [True, True, False]
    sessions[0].close()
    for _ in range(100):
        if take_slot(sessions[2], options):
            break
        threading.Event().wait(0.02)
    else:
        pytest.fail("the slot outlived its session")
    assert sessions[1].holder(slot_lock("r", 0)) is not None
    for session in sessions[1:]:
        session.close()


def test_a_store_that_stays_locked_is_skipped_with_its_holder_and_the_run_is_partial(world: OrdersWorld) -> None:
    other = world.open_database("somebody else")
    assert other.try_lock(store_lock(BOTH))
    result = world.run(window_days=200)
    assert result.status == SyncStatus.PARTIAL
    assert f"{BOTH} skipped: locked by somebody else (process " in result.text
    assert f"{UC}: 2 of 2 stores done" in result.text
    assert "1 stores skipped because locked" in result.text
    assert BOTH not in {store for _, store, *_ in world.windows()}
    other.close()
    assert world.run().status == SyncStatus.SUCCESS
    world.assert_complete()


def test_a_store_that_is_locked_for_a_moment_is_waited_for(orders_url: str) -> None:
    with orders_world(orders_url, stores=5, store_lock_wait_seconds=20) as world:
        other = world.open_database("somebody else")
        assert other.try_lock(store_lock(BOTH))
        threading.Timer(0.5, other.close).start()
        assert world.run(window_days=200).status == SyncStatus.SUCCESS
        world.assert_complete()


def test_a_run_that_died_leaves_a_running_row_which_the_next_one_marks(world: OrdersWorld) -> None:
    database = world.open_database("dead")
    database.start_run("dead", PROFILER, "dev", TODAY)
    store = database.stores(BOTH)[0]
    database.start_window(TD, store, TODAY, TODAY, run_id="dead", run_env="dev")
    database.close()
    world.query("UPDATE pipeline_run_summaries SET started_at = now() - interval '13 hours'")
    result = world.run(run_id="next", store_code=BOTH)
    assert result.status == SyncStatus.SUCCESS
    (row,) = world.log("l.run_id = 'dead'")
    assert row["status"] == "failed"
    assert "run dead died in this window" in row["error_message"]
    assert "next came by" in row["error_message"]
    (summary,) = world.query("SELECT * FROM pipeline_run_summaries WHERE run_id = 'dead'")
    assert summary["overall_status"] == "failed"
    assert "did not say how it ended" in summary["summary_text"]


def test_two_profilers_at_once_never_work_on_a_store_together(world: OrdersWorld) -> None:
    world.config = world.config.model_copy(update={"store_lock_wait_seconds": 60.0})
    results: list[SyncStatus] = []
    threads = [
        threading.Thread(target=lambda name=name: results.append(world.run(run_id=name, window_days=30).status))
        for name in ("one", "two")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [SyncStatus.SUCCESS] * 2
    world.assert_complete()
    assert {row["run_id"] for row in world.log()} == {"one", "two"}
    for store in world.stores():
        rows = world.log(f"l.store_code = '{store['store_code']}'")
        for one, two in pairwise(rows):
            assert one["updated_at"] <= two["created_at"], (one, two)
    backfilled = [row[:4] for row in world.windows("l.to_date < '2026-03-15'")]
    assert len(backfilled) == len(set(backfilled))  # what one had pulled, the other did not pull again


def test_a_repeated_run_goes_on_where_it_stopped(world: OrdersWorld) -> None:
    """A retry or a cleared task keeps its run_id: its own successes are not repeated, its failures are."""
    options = parse_options(
        PROFILER, {"window_days": 30, "store_code": BOTH}, world.config, run_id="same", now=world.now
    )
    database = world.open_database("same")
    start_run(options, world.config, database)
    assert plan_run(options, database, timezone="Asia/Kolkata").store_codes == [BOTH]

    def work() -> list[Any]:
        return sync_stores(
            [BOTH], options, database, world.clients(), timezone=world.config.pipeline_timezone, wait_seconds=0,
            waiting=time,
        )  # fmt: skip

    world.crm.control.faults({"kind": "bad_cell", "report": "gst", "page": 1})
    (first,) = work()
    assert set(first.errors) == {UC}
    rows = world.log()
    (second,) = work()
    assert second.errors == {}
    assert second.planned[TD] == 0
    assert world.log(f"p.code = '{TD}'") == [row for row in rows if row["code"] == TD]
    assert {row["status"] for row in world.log()} == {"success"}
    assert world.log(f"p.code = '{UC}'")[0]["attempt_no"] == 2
    start_run(options, world.config, database)  # the whole run is cleared: it decides anew
    (third,) = work()
    assert third.planned == {TD: 1, UC: 1}
    database.close()

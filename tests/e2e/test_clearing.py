"""Clearing tasks under a running scheduler, as the UI does it: safe after success, a repair after a failure."""

from __future__ import annotations

import json
import threading
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from include.pipeline_framework.core.time.windows import TimeWindow
from include.wiring import connections
from tests.e2e.conftest import Bench, conf_of, hours

pytestmark = pytest.mark.e2e


def index_setting(bench: Bench, name: str, value: object) -> None:
    """Change a setting of the source's index; None puts its default back."""
    request = urllib.request.Request(
        f"{bench.env['ELASTICSEARCH_URL']}/{bench.index}/_settings",
        data=json.dumps({name: value}).encode(),
        headers={"content-type": "application/json"},
        method="PUT",
    )
    urllib.request.urlopen(request, timeout=30).read()


def document(bench: Bench, key: str, method: str, body: bytes | None = None) -> None:
    """Put a document into the source's index, or delete it; it is seen, or gone, at once."""
    request = urllib.request.Request(
        f"{bench.env['ELASTICSEARCH_URL']}/{bench.index}/_doc/{key}?refresh=true",
        data=body,
        headers={"content-type": "application/json"},
        method=method,
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
def odd_documents(bench: Bench, window: TimeWindow) -> Iterator[None]:
    """Each window has a document that no target can hold: counts work, the extract can't be staged."""
    hours = int(window.duration / timedelta(hours=1))
    starts = {f"odd-{window.start:%d%H}-{n}": window.start + timedelta(hours=n, minutes=1) for n in range(hours)}
    for key, at in starts.items():
        body = f'{{"@timestamp": "{at.isoformat()}" /* a comment, which Elasticsearch takes and gives back */}}'
        document(bench, key, "PUT", body.encode())
    try:
        yield
    finally:
        for key in starts:
            document(bench, key, "DELETE")


@contextmanager
def no_column(bench: Bench, _window: TimeWindow) -> Iterator[None]:
    """Somebody renamed one of the framework's own columns of the target table: the load fails."""
    in_target(f'ALTER TABLE "{bench.table}" RENAME COLUMN "_FILE" TO "SOMETHING_ELSE"')
    try:
        yield
    finally:
        in_target(f'ALTER TABLE "{bench.table}" RENAME COLUMN "SOMETHING_ELSE" TO "_FILE"')


@contextmanager
def rows_lost(bench: Bench, window: TimeWindow) -> Iterator[None]:
    """Each window loses a row at the target between its load and its audit (two tasks, so seconds apart)."""
    stop = threading.Event()
    lost: set[int] = set()

    def watch() -> None:
        while not stop.wait(0.05):
            for row in bench.rows(window):
                if row["phase_completed"] == "STAGE_TO_TARGET" and row["id"] not in lost:
                    one = f'(SELECT MIN("_ID") FROM "{bench.table}" WHERE "_LIFECYCLE_ID" = %s)'
                    in_target(f'DELETE FROM "{bench.table}" WHERE "_ID" = {one}', row["id"])
                    lost.add(row["id"])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
    assert len(lost) == len(bench.rows(window))


CLEARED = ("pre_validation", "source_to_stage", "stage_to_target", "audit")


def test_clearing_tasks_of_a_finished_run_leaves_the_target_as_it_is(bench: Bench) -> None:
    """In each window another task, through Airflow's API as the UI does it, then the run as a whole."""
    window = hours("2013-03-09T18:00Z", "2013-03-09T22:00Z")
    run_id, state = bench.run(conf_of(window))
    assert state == "success"
    before = bench.rows(window)
    cleared = {f"window.{task}": index for index, task in enumerate(CLEARED)}
    bench.api.clear(bench.dag_id, run_id, [[task, index] for task, index in cleared.items()])
    assert bench.api.wait(bench.dag_id, run_id) == "success", bench.states(run_id)
    instances = {
        instance["task_id"]: (instance["try_number"], instance["state"])
        for instance in bench.api.task_instances(bench.dag_id, run_id)
        if cleared.get(instance["task_id"]) == instance["map_index"]
    }
    # audit succeeds without effect and announces again; the others say that the window is finished
    assert instances == {task: (2, "success" if task == "window.audit" else "skipped") for task in cleared}
    bench.api.clear_run(bench.dag_id, run_id)
    assert bench.api.wait(bench.dag_id, run_id) == "success", bench.states(run_id)
    assert bench.states(run_id)["store_and_validate"] == ["skipped"]
    assert bench.rows(window) == before
    bench.assert_loaded(window)


@pytest.mark.parametrize(
    ("failing", "fault", "start"),
    [
        ("pre_validation", no_reads, 10),
        ("source_to_stage", odd_documents, 14),
        ("stage_to_target", no_column, 18),
        ("audit", rows_lost, 22),
    ],
)
def test_clearing_any_task_of_a_failed_run_repairs_its_window(
    bench: Bench, failing: str, fault: Callable[[Bench, TimeWindow], AbstractContextManager[None]], start: int
) -> None:
    """Windows fail in one phase; in one the first task is cleared, in another the failed one, as the UI does it.

    A task behind the failed one can't run, as in every DAG: clearing it changes nothing.
    """
    reached, windows = CLEARED.index(failing), 2
    first = datetime(2013, 3, 11, start, tzinfo=UTC)
    window = TimeWindow(first, first + timedelta(hours=windows))
    with fault(bench, window):
        run_id, state = bench.run(conf_of(window))
    assert state == "failed"
    assert bench.states(run_id)[failing] == ["failed"] * windows
    assert bench.states(run_id)["cleanup_stale_locks"] == ["failed"]
    for row in bench.rows(window):
        assert (row["pipeline_final_status"], row["retry_attempt"], row["dag_run_id"]) == ("PENDING", 1, None)
        assert "What to do" in row["last_error"] or failing == "audit"
    assert bench.target_ids(window) == Counter()

    before = bench.rows(window)
    if after := CLEARED[reached + 1 :][:1]:
        bench.api.clear(bench.dag_id, run_id, [[f"window.{after[0]}", 0]])
        assert bench.api.wait(bench.dag_id, run_id) == "failed"
        assert bench.rows(window) == before
    bench.api.clear(bench.dag_id, run_id, [[f"window.{CLEARED[0]}", 0], [f"window.{failing}", 1]])
    assert bench.api.wait(bench.dag_id, run_id) == "success", bench.states(run_id)
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
    bench.api.clear(bench.dag_id, run_id, ["cleanup_stale_locks"])
    assert bench.api.wait(bench.dag_id, run_id) == "failed"
    assert [row["pipeline_final_status"] for row in bench.rows(window)] == ["PENDING"]
    if cleared == "whole run":
        bench.api.clear_run(bench.dag_id, run_id)
    else:
        bench.api.clear(bench.dag_id, run_id, [cleared])
    assert bench.api.wait(bench.dag_id, run_id) == "success", bench.states(run_id)
    (row,) = bench.rows(window)
    assert (row["pipeline_final_status"], row["dag_run_id"]) == ("COMPLETED", run_id)
    bench.assert_loaded(window)

"""The orders sync under a real scheduler: one mapped instance per store, slots, red stores, clearing, skipping."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import date
from typing import Any

import psycopg
import pytest
from playwright.sync_api import expect

from include.orders_sync.core.runs import store_lock
from local_stack.crm.control import CrmControl
from local_stack.home import REPO
from tests.e2e.browser import logged_in
from tests.e2e.conftest import Bench
from tests.orders_world import query

pytestmark = pytest.mark.e2e

PROFILER = "orders_sync_run_profiler"
DAG_IDS = (PROFILER, "td_orders_sync", "uc_orders_sync")


class Orders:
    """The orders database and the CRM of the stack."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.crm = CrmControl(bench.env["CRM_URL"], bench.env["CRM_CONTROL_TOKEN"])

    def query(self, text: str, *values: Any) -> list[dict[str, Any]]:
        return query(self.bench.env["ORDERS_URL"], text, *values)

    def run(self, conf: dict[str, Any], dag_id: str = PROFILER) -> tuple[str, str]:
        return self.bench.run(conf, dag_id=dag_id)

    def instances(self, run_id: str, dag_id: str = PROFILER) -> dict[str, str]:
        """State of every mapped instance, by the name that the grid shows."""
        tasks = self.bench.api.task_instances(dag_id, run_id)
        return {task["rendered_map_index"]: task["state"] for task in tasks if task["task_id"] == "sync_store"}

    def summary(self) -> dict[str, Any]:
        """The newest run's row."""
        return self.query("SELECT * FROM pipeline_run_summaries ORDER BY started_at DESC LIMIT 1")[0]


@pytest.fixture(scope="module")
def orders(bench: Bench) -> Iterator[Orders]:
    """Five young stores: 40 days of history, few orders."""
    found = Orders(bench)
    found.query("TRUNCATE pipeline_run_summaries, orders_sync_log, store_master, td_orders, td_sales, uc_gst")
    usual = found.crm.data()
    found.crm.data(stores=5, volume=0.2, seed=7)
    bench.api.wait_for_dags(DAG_IDS)
    for dag_id in DAG_IDS:
        bench.api.set_paused(dag_id, paused=False)
    for store in found.crm.stores():
        found.query(
            "INSERT INTO store_master (store_code, cost_center, sync_group, start_date)"
            " VALUES (%s, %s, %s, current_date - 40)",
            store["store_code"], store["cost_center"], store["sync_group"],
        )  # fmt: skip
    yield found
    for dag_id in DAG_IDS:
        bench.api.set_paused(dag_id, paused=True)
    found.crm.no_faults()
    found.crm.data(**{**usual, "today": date.fromisoformat(usual["today"])})


@pytest.fixture
def synced(orders: Orders) -> Orders:
    """What was pulled last of every store is a success, whatever test has run before."""
    wanted = sum(2 if store["sync_group"] == "ALL" else 1 for store in orders.query("SELECT * FROM store_master"))
    last = orders.query(
        "SELECT DISTINCT ON (store_code, pipeline_id) status FROM orders_sync_log"
        " ORDER BY store_code, pipeline_id, created_at DESC"
    )
    if [row["status"] for row in last] != ["success"] * wanted:
        assert orders.run({})[1] == "success"
    return orders


def stores_with(orders: Orders, *groups: str) -> list[str]:
    found = orders.query("SELECT store_code FROM store_master WHERE sync_group = ANY(%s) ORDER BY 1", list(groups))
    return [row["store_code"] for row in found]


def test_a_failed_store_is_red_and_clearing_it_mends_the_run(orders: Orders) -> None:
    """From empty: every store its own instance, at most `max_workers` at once; one store's report is broken."""
    broken = stores_with(orders, "ALL")[0]
    orders.query("TRUNCATE pipeline_run_summaries, orders_sync_log")
    orders.crm.faults({"kind": "bad_cell", "report": "orders", "store_code": broken})
    run_id, state = orders.run({"max_workers": 2, "window_days": 15, "env": "e2e"})
    assert state == "failed"
    everyone = stores_with(orders, "TD", "UC", "ALL")
    assert orders.instances(run_id) == {code: "failed" if code == broken else "success" for code in everyone}
    summary = orders.summary()
    assert (summary["overall_status"], summary["run_env"]) == ("failed", "e2e")
    assert len(summary["run_id"]) <= 64
    assert f"{broken} td_orders_sync: " in summary["summary_text"]
    statuses = Counter(
        (row["store_code"] == broken, row["code"], row["status"])
        for row in orders.query(
            "SELECT p.code, l.* FROM orders_sync_log AS l JOIN pipelines AS p ON p.id = pipeline_id"
        )
    )
    assert statuses[True, "td_orders_sync", "failed"] == 1
    assert statuses[True, "td_orders_sync", "success"] == 0
    assert statuses[True, "uc_orders_sync", "success"] == 3
    assert not [key for key in statuses if not key[0] and key[2] != "success"]
    assert most_at_once(orders) <= 2

    index = sorted(everyone).index(broken)
    orders.bench.api.clear(PROFILER, run_id, [["sync_store", index]], include_downstream=True)
    assert orders.bench.api.wait(PROFILER, run_id) == "success"
    assert orders.instances(run_id)[broken] == "success"
    after = orders.summary()
    assert (after["overall_status"], after["run_id"]) == ("success", summary["run_id"])
    assert orders.query("SELECT count(*) AS n FROM pipeline_run_summaries") == [{"n": 1}]
    attempts = orders.query("SELECT max(attempt_no) AS n FROM orders_sync_log WHERE store_code = %s", broken)
    assert attempts == [{"n": 2}]


def most_at_once(orders: Orders) -> int:
    """How many stores had a window open at the same instant, from the log."""
    rows = orders.query("SELECT store_code, created_at, updated_at FROM orders_sync_log")
    return max(
        len({other["store_code"] for other in rows if other["created_at"] <= row["created_at"] < other["updated_at"]})
        for row in rows
    )


def test_a_second_run_pulls_only_the_overlap_and_a_locked_store_is_skipped(synced: Orders) -> None:
    orders = synced
    held = stores_with(orders, "ALL")[0]
    with psycopg.connect(orders.bench.env["ORDERS_URL"], autocommit=True, application_name="somebody") as other:
        other.execute("SELECT pg_advisory_lock(hashtextextended(%s, 0))", (store_lock(held),))
        run_id, state = orders.run({"env": "again"})
    assert state == "failed"  # partial
    states = orders.instances(run_id)
    assert states.pop(held) == "skipped"
    assert set(states.values()) == {"success"}
    summary = orders.summary()
    assert summary["overall_status"] == "partial"
    assert f"{held} skipped: locked by somebody (process " in summary["summary_text"]
    rows = orders.query("SELECT * FROM orders_sync_log WHERE run_env = 'again'")
    assert held not in {row["store_code"] for row in rows}
    assert {(row["to_date"] - row["from_date"]).days for row in rows} <= {0, 1}  # midnight may have passed


def test_td_and_uc_on_demand(orders: Orders) -> None:
    store = stores_with(orders, "ALL")[0]
    run_id, state = orders.run({"store_code": store, "orders_only": True}, dag_id="td_orders_sync")
    assert state == "success"  # partial, as it was asked for
    assert orders.instances(run_id, "td_orders_sync") == {store: "success"}
    assert orders.summary()["overall_status"] == "partial"
    assert orders.summary()["pipeline_name"] == "td_orders_sync"
    orders.crm.faults({"kind": "bad_cell", "report": "orders", "store_code": store})
    run_id, state = orders.run({"store_code": store, "orders_only": True}, dag_id="td_orders_sync")
    assert state == "failed"  # what was asked for failed
    assert orders.instances(run_id, "td_orders_sync") == {store: "failed"}
    run_id, state = orders.run({"store_code": store}, dag_id="uc_orders_sync")
    assert state == "success"
    (row,) = orders.query("SELECT * FROM orders_sync_log WHERE run_id = %s", orders.summary()["run_id"])
    assert ((row["to_date"] - row["from_date"]).days, row["status"]) == (89, "success")
    before = orders.query("SELECT count(*) AS n FROM pipeline_run_summaries")
    _, state = orders.run({"from_date": "2026-02-02", "to_date": "2026-02-01"}, dag_id="td_orders_sync")
    assert state == "failed"
    assert orders.query("SELECT count(*) AS n FROM pipeline_run_summaries") == before


def test_a_person_finds_every_store_in_the_grid_and_starts_a_dry_run(synced: Orders) -> None:
    orders = synced
    before, past = rows_written(orders), orders.bench.api.runs(PROFILER)[0]["dag_run_id"]
    store, *_ = stores = sorted(orders.instances(past))
    assert stores == stores_with(orders, "TD", "UC", "ALL")
    with logged_in(orders.bench.home) as page:
        page.goto(f"/dags/{PROFILER}/runs/{past}/tasks/sync_store/mapped")
        for code in stores:
            expect(page.get_by_role("link", name=code, exact=True)).to_be_visible()
        page.goto(f"/dags/{PROFILER}")
        page.get_by_role("button", name="Trigger Dag").click()
        form = page.get_by_role("dialog")
        form.locator("#element_store_code").fill(store)
        form.locator("label:has([name=element_dry_run])").click()
        form.get_by_role("button", name="Trigger", exact=True).click()
        expect(form).to_be_hidden()
    run = orders.bench.api.runs(PROFILER)[0]
    asked = {
        "env": None, "sync_group": "ALL", "window_days": 90, "overlap_days": 1, "max_workers": 3, "force": False,
        "store_code": store, "dry_run": True,
    }  # fmt: skip
    assert run["conf"] == asked
    assert orders.bench.api.wait(PROFILER, run["dag_run_id"]) == "success"
    tasks = orders.bench.api.task_instances(PROFILER, run["dag_run_id"])
    assert {task["task_id"]: task["state"] for task in tasks}["start_run"] == "skipped"
    assert rows_written(orders) == before


def test_tasks_test_prints_the_plan_and_writes_nothing(orders: Orders) -> None:
    before = rows_written(orders)
    orders.bench.api.set_paused("uc_orders_sync", paused=True)  # else the scheduler takes the temporary run up
    shown = subprocess.run(
        [sys.executable, "-m", "airflow", "tasks", "test", "uc_orders_sync", "start_run", "2026-03-15"],
        env={**os.environ, **orders.bench.env},
        cwd=REPO,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "3 windows of 3 stores" in shown, shown[-3000:]  # UC and ALL
    assert rows_written(orders) == before


def rows_written(orders: Orders) -> list[dict[str, Any]]:
    return orders.query(
        "SELECT (SELECT count(*) FROM pipeline_run_summaries) AS runs, (SELECT count(*) FROM orders_sync_log) AS rows"
    )

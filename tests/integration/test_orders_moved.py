"""Orders that the CRM dates differently, and stores in other zones: on a real Postgres and over real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import psycopg
import pytest

from include.orders_sync.adapters.postgres_orders import PostgresOrders
from include.orders_sync.config import OrdersConfig, load_config
from include.orders_sync.core.pipelines import PROFILER, TD, UC, SyncStatus
from include.orders_sync.core.runs import RunResult, run_id_of
from include.orders_sync.tasks.run_here import run_here
from include.orders_sync.tasks.runs import parse_options, plan_run
from tests.amended_crm import AmendedCrm, amended_crm
from tests.orders_world import query

pytestmark = pytest.mark.integration

NOW = datetime.fromisoformat("2026-03-15T20:00:00+05:30")


@dataclass
class World:
    """One store, its CRM and its database; `now` is the runs' clock, which the log's instants follow."""

    url: str
    crm: AmendedCrm
    config: OrdersConfig = field(default_factory=load_config)
    now: datetime = NOW
    runs: int = 0

    def run(self, pipeline: str = PROFILER, **given: Any) -> RunResult:
        self.runs += 1
        run_id = run_id_of(pipeline, f"test {self.runs}", self.now.astimezone(UTC))
        options = parse_options(pipeline, given, self.config, run_id=run_id, now=self.now)
        self.crm.asked.clear()
        return run_here(options, self.config, self.open, self.crm.clients())

    def open(self, name: str) -> PostgresOrders:
        return PostgresOrders(lambda: psycopg.connect(self.url), name)

    def plan(self) -> list[tuple[str, str, str]]:
        """What a dry run shows."""
        options = parse_options(PROFILER, {}, self.config, run_id="shown", now=self.now)
        with_it = self.open("shown")
        try:
            plan = plan_run(options, with_it, timezone=self.config.pipeline_timezone)
        finally:
            with_it.close()
        return [
            (each.pipeline, str(window.from_date), str(window.to_date))
            for each in plan.plans
            for window in each.windows
        ]

    def orders(self, where: str = "TRUE") -> dict[str, tuple[str, bool]]:
        rows = query(self.url, f"SELECT order_number, order_date, is_vanished_flag FROM td_orders WHERE {where}")
        return {row["order_number"]: (str(row["order_date"]), row["is_vanished_flag"]) for row in rows}

    def store(self, code: str = "S001", group: str = "TD", start: str = "2025-12-01", zone: str | None = None) -> None:
        query(
            self.url,
            "INSERT INTO store_master (store_code, sync_group, start_date, store_timezone) VALUES (%s, %s, %s, %s)",
            code, group, start, zone,
        )  # fmt: skip


@pytest.fixture
def world(orders_url: str) -> Iterator[World]:
    with amended_crm() as crm:
        yield World(orders_url, crm)


class TestMovedOrders:
    @pytest.mark.parametrize("moved_to", ["2026-02-01", "2025-12-20", "2026-03-13"])
    def test_one_that_is_dated_back_is_found_on_its_new_day(self, world: World, moved_to: str) -> None:
        world.store()
        world.crm.put("orders", "A", "S001", "2026-03-15T10:00:00+05:30")
        world.crm.put("orders", "B", "S001", "2026-03-15T11:00:00+05:30")
        world.run()
        assert world.orders() == {"A": ("2026-03-15", False), "B": ("2026-03-15", False)}
        world.crm.put("orders", "A", "S001", f"{moved_to}T10:00:00+05:30")
        world.run()
        assert world.orders()["A"] == ("2026-03-15", True)
        shown = world.plan()
        assert any(first <= moved_to <= last for _, first, last in shown), shown
        result = world.run()
        assert result.status == SyncStatus.SUCCESS
        assert world.orders() == {"A": (moved_to, False), "B": ("2026-03-15", False)}
        assert {(first, last) for report, _, first, last in world.crm.asked if report == "orders"} == {
            (first, last) for _, first, last in shown
        }
        assert query(world.url, "SELECT * FROM orders_sync_reopened") == []  # and then it is over
        assert [(first, last) for _, first, last in world.plan()] == [("2026-03-15", "2026-03-15")]

    def test_one_that_is_gone_for_good_is_searched_for_once(self, world: World) -> None:
        world.store()
        world.crm.put("orders", "A", "S001", "2026-03-15T10:00:00+05:30")
        world.run()
        del world.crm.rows["orders"]["A"]
        for windows in (1, 2, 1, 1):
            world.run()
            assert len([report for report, *_ in world.crm.asked if report == "orders"]) == windows
        assert world.orders() == {"A": ("2026-03-15", True)}

    def test_days_that_fail_stay_open_and_the_search_has_an_end(self, world: World) -> None:
        world.store(start="2025-10-01")
        world.crm.put("orders", "A", "S001", "2026-03-15T10:00:00+05:30")
        world.run()
        world.crm.put("orders", "A", "S001", "2025-10-02T10:00:00+05:30")  # farther back than moved_days
        world.run()
        good, world.crm.zones = world.crm.zones, {"S001": "America/New_York"}
        world.crm.put("orders", "X", "S001", "2026-03-14T20:00:00-04:00")
        assert world.run().status == SyncStatus.FAILED
        world.crm.zones = good
        assert ("td_orders_sync", "2025-12-15", "2026-03-14") in world.plan()
        assert world.run().status == SyncStatus.SUCCESS
        assert (world.orders()["A"][1], world.orders()["X"]) == (True, ("2026-03-15", False))
        assert world.run(TD, from_date="2025-10-01", to_date="2025-10-03").status == SyncStatus.SUCCESS
        assert world.orders()["A"] == ("2025-10-02", False)

    def test_it_can_be_switched_off(self, world: World) -> None:
        world.config = world.config.model_copy(update={"moved_days": 0})
        world.store()
        world.crm.put("orders", "A", "S001", "2026-03-15T10:00:00+05:30")
        world.run()
        del world.crm.rows["orders"]["A"]
        world.run()
        assert len(world.plan()) == 1

    def test_reports_of_both_pipelines_open_their_own_days_only(self, world: World) -> None:
        world.store(group="ALL")
        world.crm.put("gst", "I", "S001", "2026-03-15T10:00:00+05:30")
        world.run()
        world.crm.put("gst", "I", "S001", "2026-03-01T10:00:00+05:30")
        world.run()
        assert [pipeline for pipeline, *_ in world.plan()] == [TD, UC, UC]
        world.run()
        found = query(world.url, "SELECT invoice_date, is_vanished_flag FROM uc_gst")
        assert found == [{"invoice_date": date(2026, 3, 1), "is_vanished_flag": False}]


class TestZones:
    @pytest.mark.parametrize("zone", ["America/New_York", "Pacific/Auckland"])
    def test_a_store_has_its_own_days_and_its_own_today(self, world: World, zone: str) -> None:
        world.store(zone=zone)
        world.crm.zones["S001"] = zone
        for number in range(60):
            world.crm.put("orders", f"O{number}", "S001", (NOW - timedelta(hours=1 + number)).isoformat())
        result = world.run()
        assert result.status == SyncStatus.SUCCESS, result.text
        today = NOW.astimezone(ZoneInfo(zone)).date()
        expected = {
            f"O{number}": (str((NOW - timedelta(hours=1 + number)).astimezone(ZoneInfo(zone)).date()), False)
            for number in range(60)
        }
        assert world.orders() == expected
        last = query(world.url, "SELECT max(to_date) AS last FROM orders_sync_log")
        assert last == [{"last": today}]

    def test_a_given_window_ends_with_the_stores_today(self, world: World) -> None:
        world.store(zone="America/Los_Angeles")
        world.now = datetime.fromisoformat("2026-03-15T08:00:00+05:30")  # the 14th there
        world.crm.zones["S001"] = "America/Los_Angeles"
        assert world.run(TD, from_date="2026-03-10").status == SyncStatus.SUCCESS
        assert {(first, last) for _, _, first, last in world.crm.asked} == {("2026-03-10", "2026-03-14")}
        assert world.run(TD, from_date="2026-03-15").status == SyncStatus.SUCCESS
        assert world.crm.asked == []

    def test_without_a_zone_the_message_says_where_to_put_it(self, world: World) -> None:
        world.store()
        world.crm.zones["S001"] = "America/New_York"
        world.crm.put("orders", "A", "S001", "2026-03-14T20:00:00-04:00")
        result = world.run(window_days=1)
        assert result.status == SyncStatus.FAILED
        assert "which was not asked for" in result.text
        assert "store_master.store_timezone" in result.text

    @pytest.mark.parametrize(("zone", "told"), [("Mars/Base", "not an IANA time zone"), ("CET", "two meanings")])
    def test_a_wrong_zone_leaves_the_store_out(self, world: World, zone: str, told: str) -> None:
        world.store("S001", zone=zone)
        world.store("S002")
        result = world.run()
        assert result.status == SyncStatus.PARTIAL
        assert f"S001 left out: its store_timezone '{zone}' is " in result.text
        assert told in result.text
        assert {store for _, store, _, _ in world.crm.asked} == {"S002"}

    def test_a_zone_that_changes_changes_which_days_were_whole(self, world: World) -> None:
        world.store()
        world.run()
        query(world.url, "UPDATE orders_sync_log SET created_at = '2026-03-15T19:00:00Z'")  # the 16th in Kolkata
        whole = "SELECT upper(whole)::text AS end FROM orders_sync_coverage"
        assert query(world.url, whole) == [{"end": "2026-03-16"}]
        query(world.url, "UPDATE store_master SET store_timezone = 'America/New_York'")
        assert query(world.url, whole) == [{"end": "2026-03-15"}]

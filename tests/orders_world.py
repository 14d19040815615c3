"""An orders database, a CRM behind real HTTP, and runs against them: what tests of the orders sync share."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from psycopg.rows import dict_row

from include.orders_sync.adapters.http_report_client import HttpReportClient
from include.orders_sync.adapters.postgres_orders import PostgresOrders
from include.orders_sync.config import OrdersConfig, load_config
from include.orders_sync.core.pipelines import PROFILER, TD, UC
from include.orders_sync.core.reports import REPORTS, ReportSchema, check_report
from include.orders_sync.core.runs import RunResult, run_id_of
from include.orders_sync.tasks.run_here import run_here
from include.orders_sync.tasks.runs import parse_options
from include.orders_sync.tasks.sync_stores import Tick
from local_stack.crm.server import running

TODAY = date(2026, 3, 15)
NOW = "2026-03-15T20:00:00+05:30"
GROUPS = {TD: "td", UC: "uc"}


def query(url: str, text: str, *values: Any) -> list[dict[str, Any]]:
    """One statement in a transaction of its own; its rows, if it has any."""
    with psycopg.connect(url, autocommit=True, row_factory=dict_row) as connection:
        cursor = connection.execute(text.encode(), values)
        return cursor.fetchall() if cursor.description else []


@dataclass
class OrdersWorld:
    """One database and one CRM; `now` is the clock of both."""

    url: str
    crm: Any
    config: OrdersConfig
    runs: int = 0
    now: datetime = field(default_factory=lambda: datetime.fromisoformat(NOW))

    def open_database(self, session_name: str) -> PostgresOrders:
        return PostgresOrders(lambda: psycopg.connect(self.url), session_name)

    def clients(self) -> dict[str, HttpReportClient]:
        clients = {}
        for pipeline, group in GROUPS.items():
            client_id, secret = self.crm.credentials(group)
            clients[pipeline] = HttpReportClient(
                base_url=self.crm.base_url(group),
                client_id=client_id,
                client_secret=secret,
                reports=self.config.reports[pipeline],
                http=self.config.http,
                sleep=lambda seconds: time.sleep(min(seconds, 0.01)),
            )
        return clients

    def run(
        self, pipeline: str = PROFILER, *, run_id: str = "", tick: Tick = lambda *_: None, **given: Any
    ) -> RunResult:
        """One run in this process."""
        self.runs += 1
        run_id = run_id or run_id_of(pipeline, f"test {self.runs}", self.now.astimezone(UTC))
        options = parse_options(pipeline, given, self.config, run_id=run_id, now=self.now)
        return run_here(options, self.config, self.open_database, self.clients(), tick=tick)

    def query(self, text: str, *values: Any) -> list[dict[str, Any]]:
        return query(self.url, text, *values)

    def log(self, where: str = "TRUE") -> list[dict[str, Any]]:
        """Log rows with their pipeline's code, in the order in which they were begun."""
        return self.query(
            "SELECT p.code, l.* FROM orders_sync_log AS l JOIN pipelines AS p ON p.id = l.pipeline_id"
            f" WHERE {where} ORDER BY l.created_at, l.id"
        )

    def windows(self, where: str = "TRUE") -> list[tuple[str, str, str, str, str]]:
        """Pipeline, store, dates, status."""
        return [
            (row["code"], row["store_code"], str(row["from_date"]), str(row["to_date"]), row["status"])
            for row in self.log(where)
        ]

    def later(self, **delta: float) -> None:
        """Both clocks go on."""
        self.crm.control.advance(**delta)
        self.now += timedelta(**delta)

    def stores(self) -> list[dict[str, Any]]:
        return self.query("SELECT * FROM store_master WHERE is_active ORDER BY store_code")

    def assert_complete(self) -> None:
        """Every table holds exactly what the CRM has now, for every store since its start, value by value."""
        for store in self.stores():
            pipelines = {"TD": (TD,), "UC": (UC,), "ALL": (TD, UC)}[store["sync_group"]]
            for pipeline in pipelines:
                for schema in REPORTS[pipeline]:
                    self._assert_report(schema, store["store_code"], store["start_date"])

    def _assert_report(self, schema: ReportSchema, store_code: str, start: date) -> None:
        today = self.now.date()
        truth = self.crm.control.truth(schema.name, store_code, start.isoformat(), today.isoformat())
        expected = check_report(
            schema,
            truth["columns"],
            truth["rows"],
            store_code=store_code,
            from_date=start,
            to_date=today,
            timezone=self.config.pipeline_timezone,
        )
        columns = ", ".join(schema.table_columns)
        found = self.query(
            f"SELECT {columns} FROM {schema.table} WHERE store_code = %s AND NOT is_vanished_flag", store_code
        )
        assert Counter(tuple(row.values()) for row in found) == Counter(expected), (schema.name, store_code)


@contextmanager
def orders_world(
    url: str, *, stores: int = 6, volume: float = 0.3, days: int = 130, **config: Any
) -> Iterator[OrdersWorld]:
    """A CRM with so many stores, whose rows stand in `store_master`; none began more than `days` ago."""
    given = {
        "http": {"page_size": 200, "timeout_seconds": 2, "max_tries": 6, "longest_wait_seconds": 0.05},
        "store_lock_wait_seconds": 0.2,
        **config,
    }
    settings = OrdersConfig.model_validate({**load_config().model_dump(), **given})
    with running(stores=stores, volume=volume, seed=7, now=NOW, today=TODAY) as crm:
        world = OrdersWorld(url, crm, settings)
        earliest = date.fromordinal(TODAY.toordinal() - days)
        for store in crm.control.stores():
            start = max(date.fromisoformat(str(store["start_date"])), earliest)
            world.query(
                "INSERT INTO store_master (store_code, cost_center, sync_group, start_date, is_active)"
                " VALUES (%s, %s, %s, %s, %s)",
                store["store_code"],
                store["cost_center"],
                store["sync_group"],
                start,
                store["is_active"],
            )
        yield world


def environment_of(world: OrdersWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """ORDERS_URL and the CRMs' connections point at this world: for commands and DAGs."""
    monkeypatch.setenv("ORDERS_URL", world.url)
    monkeypatch.setenv("AIRFLOW_CONN_ORDERS_POSTGRES", world.url)
    for name, value in crm_connections(world.crm).items():
        monkeypatch.setenv(name, value)


def crm_connections(crm: Any) -> dict[str, str]:
    """Airflow connections of both groups, as environment variables."""
    found = {}
    for group in GROUPS.values():
        client_id, secret = crm.credentials(group)
        place = urlsplit(crm.base_url(group))
        found[f"AIRFLOW_CONN_CRM_{group.upper()}"] = json.dumps(
            {
                "conn_type": "http",
                "schema": place.scheme,
                "host": place.hostname,
                "port": place.port,
                "login": client_id,
                "password": secret,
                "extra": {"base_path": place.path},
            }
        )
    return found

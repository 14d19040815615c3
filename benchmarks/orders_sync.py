"""Two hundred stores from empty, ten in the short form: `python -m benchmarks.orders_sync [--full]`.

In one run, against one simulated CRM behind HTTP and a real Postgres of its own, two years of every store:

* ours: a profiler run from empty, then a second one, which pulls only the overlap;
* floor: the same reports fetched and decoded by the same client with as many threads, nothing checked and written.

Afterwards every table holds exactly the CRM's rows of a sample of stores, else there is no figure. An older build is
not measured: its run would need tables, and a CRM, of its own.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql

from benchmarks import command
from benchmarks.comparison import Comparison, Measured
from include.orders_sync.adapters.http_report_client import HttpReportClient
from include.orders_sync.adapters.postgres_orders import PostgresOrders
from include.orders_sync.config import load_config
from include.orders_sync.core.pipelines import PROFILER, TD, UC
from include.orders_sync.core.reports import REPORTS
from include.orders_sync.core.runs import run_id_of
from include.orders_sync.tasks.run_here import run_here
from include.orders_sync.tasks.runs import parse_options
from include.sql.migrations import ORDERS, migrate
from local_stack import stack
from local_stack.crm.server import running
from local_stack.crm.stores import StoreRow
from local_stack.orders import seed_orders

NOW = datetime(2026, 3, 15, 14, 30, tzinfo=UTC)
TODAY = NOW.date()
START = TODAY - timedelta(days=730)


WORKERS = 3
VOLUME = 0.2
"""Of the orders a day that the CRM has without it."""


def measure(*, is_short: bool, base: Path | None) -> list[Comparison]:
    """Compare both runs with fetching alone.

    Raises:
        AssertionError: A run did not end in success, or a table lacks a row.
    """
    del base  # see the module's docstring
    stores, settings = 10 if is_short else 200, load_config()
    with (
        stack.temporary(servers=("postgres",)) as env,
        running(stores=4 * stores, volume=VOLUME, seed=7, now=NOW.isoformat(), today=TODAY) as crm,
    ):
        url = env["ORDERS_URL"]
        migrate(lambda: psycopg.connect(url), ORDERS)
        both = [store["store_code"] for store in crm.control.stores() if store["sync_group"] == "ALL"]
        codes = both[:stores]
        seed_orders(url, [StoreRow(code, "CC", "ALL", START, True) for code in codes])
        clients = {pipeline: _client(crm, pipeline, settings) for pipeline in (TD, UC)}
        first, windows, seconds = _run(url, settings, clients, "first")
        again, overlap, seconds_again = _run(url, settings, clients, "again")
        rows = _compare(url, crm, codes[:: max(1, len(codes) // 10)])
        floor = _floor(clients, codes)
    assert (first, again, overlap) == ("success", "success", 2 * stores), (first, again, overlap)
    return [
        Comparison(
            name="Orders of two years from empty",
            per=f"{stores} stores, two pipelines, {rows:,} rows, {WORKERS} workers",
            command=f"python -m benchmarks.orders_sync{'' if is_short else ' --full'}",
            rows=[
                Measured("the first run, from empty", "product", {"wall s": seconds, "windows": windows}),
                Measured("the second run: the overlap", "product", {"wall s": seconds_again, "windows": overlap}),
                Measured("fetch and decode", "floor", {"wall s": floor, "windows": windows}),
            ],
            figure="wall s",
            notes=["The tables hold exactly the CRM's rows of a sample of stores. The floor is the first run's."],
        )
    ]


def _client(crm: Any, pipeline: str, settings: Any) -> HttpReportClient:
    group = pipeline[:2]
    client_id, secret = crm.credentials(group)
    return HttpReportClient(
        base_url=crm.base_url(group),
        client_id=client_id,
        client_secret=secret,
        reports=settings.reports[pipeline],
        http=settings.http,
    )


def _run(url: str, settings: Any, clients: Any, name: str) -> tuple[str, int, float]:
    options = parse_options(
        PROFILER, {"max_workers": WORKERS}, settings, run_id=run_id_of(PROFILER, name, NOW), now=NOW
    )
    began = time.perf_counter()
    result = run_here(options, settings, lambda session: PostgresOrders(lambda: psycopg.connect(url), session), clients)
    seconds = time.perf_counter() - began
    with psycopg.connect(url) as connection:
        (windows,) = connection.execute(
            "SELECT count(*) FROM orders_sync_log WHERE run_id = %s AND status = 'success'", (options.run_id,)
        ).fetchone() or (0,)
    return result.status.value, int(windows), seconds


def _compare(url: str, crm: Any, codes: list[str]) -> int:
    """All rows of all tables, after the keys of some stores were compared with the CRM's."""
    total = 0
    with psycopg.connect(url) as connection:
        for schema in (schema for schemas in REPORTS.values() for schema in schemas):
            names = {"key": sql.Identifier(schema.key), "table": sql.Identifier(schema.table)}
            keys = sql.SQL("SELECT {key} FROM {table} WHERE store_code = %s").format(**names)
            for code in codes:
                truth = crm.control.truth(schema.name, code, START.isoformat(), TODAY.isoformat())
                if sorted(key for (key,) in connection.execute(keys, (code,))) != sorted(truth["keys"]):
                    raise AssertionError(f"{schema.table} does not hold the CRM's rows of {code}")
            count = connection.execute(sql.SQL("SELECT count(*) FROM {table}").format(**names)).fetchone() or (0,)
            total += count[0]
    return total


def _floor(clients: Any, codes: list[str]) -> float:
    windows = [(START + timedelta(days=days), days) for days in range(0, 731, 90)]
    began = time.perf_counter()

    def fetch(code: str) -> None:
        for pipeline, schemas in REPORTS.items():
            for start, days in windows:
                for schema in schemas:
                    end = START + timedelta(days=min(days + 89, 730))
                    for _ in clients[pipeline].pages(schema.name, store_code=code, from_date=start, to_date=end):
                        pass

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(fetch, codes))
    return time.perf_counter() - began


if __name__ == "__main__":
    command.main(measure, __doc__ or "")

"""Two hundred stores from empty: `python -m benchmarks.orders_sync [--stores 200] [--volume 0.2] [--workers 3]`.

In one run, against one simulated CRM behind HTTP and a real Postgres of its own, two years of every store:

* ours: a profiler run from empty, then a second one, which pulls only the overlap;
* floor: the same reports fetched and decoded by the same client with as many threads, nothing checked and written.

Afterwards every table holds exactly the CRM's rows of a sample of stores, else there is no figure.
"""

from __future__ import annotations

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg
from psycopg import sql
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

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


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stores", type=int, default=200)
    parser.add_argument("--volume", type=float, default=0.2, help="of the CRM's usual orders a day")
    parser.add_argument("--workers", type=int, default=3)
    given = parser.parse_args()
    console = Console(width=110)
    settings = load_config()
    with (
        stack.temporary(servers=("postgres",)) as env,
        running(stores=4 * given.stores, volume=given.volume, seed=7, now=NOW.isoformat(), today=TODAY) as crm,
    ):
        url = env["ORDERS_URL"]
        migrate(lambda: psycopg.connect(url), ORDERS)
        both = [store["store_code"] for store in crm.control.stores() if store["sync_group"] == "ALL"]
        codes = both[: given.stores]
        seed_orders(url, [StoreRow(code, "CC", "ALL", START, True) for code in codes])
        clients = {pipeline: _client(crm, pipeline, settings) for pipeline in (TD, UC)}
        first, windows, seconds = _run(url, settings, clients, given.workers, "first", console)
        again, overlap, seconds_again = _run(url, settings, clients, given.workers, "again", console)
        rows = _compare(url, crm, codes[:: max(1, len(codes) // 10)])
        floor = _floor(clients, codes, given.workers, console)
    if (first, again, overlap) != ("success", "success", 2 * given.stores):
        raise SystemExit(f"no figure: the runs ended {first} and {again}, the second with {overlap} windows")
    table = Table(title=f"{given.stores} stores x 2 pipelines x 2 years, {given.workers} workers: {rows:,} rows")
    for column in ("", "status", "windows", "seconds", "x floor"):
        table.add_column(column, justify="right" if column in ("windows", "seconds", "x floor") else "left")
    table.add_row("floor: fetch and decode", "", f"{windows:,}", f"{floor:.0f}", "1.0")
    table.add_row("first run, from empty", first, f"{windows:,}", f"{seconds:.0f}", f"{seconds / floor:.1f}")
    table.add_row("second run: the overlap", again, f"{overlap:,}", f"{seconds_again:.1f}", "")
    console.print(table)


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


def _run(url: str, settings: Any, clients: Any, workers: int, name: str, console: Console) -> tuple[str, int, float]:
    options = parse_options(
        PROFILER, {"max_workers": workers}, settings, run_id=run_id_of(PROFILER, name, NOW), now=NOW
    )
    with Progress(console=console) as bar:
        task = bar.add_task(f"{name} run")
        began = time.perf_counter()
        result = run_here(
            options,
            settings,
            lambda session: PostgresOrders(lambda: psycopg.connect(url), session),
            clients,
            planned=lambda plan: bar.update(task, total=sum(len(each.windows) for each in plan.plans)),
            tick=lambda *_: bar.advance(task),
        )
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
                    raise SystemExit(f"{schema.table} does not hold the CRM's rows of {code}")
            count = connection.execute(sql.SQL("SELECT count(*) FROM {table}").format(**names)).fetchone() or (0,)
            total += count[0]
    return total


def _floor(clients: Any, codes: list[str], workers: int, console: Console) -> float:
    windows = [(START + timedelta(days=days), days) for days in range(0, 731, 90)]
    began = time.perf_counter()

    def fetch(code: str) -> None:
        for pipeline, schemas in REPORTS.items():
            for start, days in windows:
                for schema in schemas:
                    end = START + timedelta(days=min(days + 89, 730))
                    clients[pipeline].fetch(schema.name, store_code=code, from_date=start, to_date=end)

    with console.status("floor"), ThreadPoolExecutor(workers) as pool:
        list(pool.map(fetch, codes))
    return time.perf_counter() - began


if __name__ == "__main__":
    main()

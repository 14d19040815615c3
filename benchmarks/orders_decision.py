"""Deciding for all stores at once: `python -m benchmarks.orders_decision [--stores 10000] [--rows 730]`.

In one run, on one log of two years (`--rows` success rows a day apart per store and pipeline), in a Postgres of its
own:

* floor: one statement that reads every row of `store_master` and of `orders_sync_coverage`;
* ours: `plan_run`, both pipelines of every store, and how many statements it sends;
* peer: the same decision from the log itself, one set-based statement that aggregates every success row.

Both must find the same windows, else there is no figure. Filling the log takes the most time.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from contextlib import closing
from datetime import date
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.timing import best
from include.orders_sync.adapters.postgres_orders import PostgresOrders
from include.orders_sync.core.pipelines import PROFILER, TD, UC, SyncStatus
from include.orders_sync.core.runs import RunOptions
from include.orders_sync.core.windows import LogRow, OrdersWindow, plan_store_windows
from include.orders_sync.tasks.runs import plan_run
from include.sql.migrations import ORDERS, migrate
from local_stack import stack

TODAY = date(2026, 3, 15)
_STORES = """
INSERT INTO store_master (store_code, cost_center, sync_group, start_date)
SELECT 'S' || n, 'CC', 'ALL', %(today)s::date - 730 FROM generate_series(1, %(stores)s) AS n
"""
_LOG = """
INSERT INTO orders_sync_log (pipeline_id, run_id, run_env, store_code, from_date, to_date, status)
SELECT p.id, 'bench', 'bench', s.store_code, %(today)s::date - 730 + d, %(today)s::date - 729 + d, 'success'
FROM pipelines AS p, store_master AS s, generate_series(%(first)s::int, %(last)s::int) AS d
WHERE (d + s.id) %% 97 <> 0
"""
_FLOOR = "SELECT * FROM store_master; SELECT * FROM orders_sync_coverage"
_PEER = """
SELECT p.code, l.store_code, array_agg(l.from_date), array_agg(l.to_date)
FROM orders_sync_log AS l JOIN pipelines AS p ON p.id = l.pipeline_id
WHERE l.status = 'success' GROUP BY 1, 2
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--stores", type=int, default=10_000)
    parser.add_argument("--rows", type=int, default=730, help="per store and pipeline")
    given = parser.parse_args()
    console = Console(width=110)
    with stack.temporary(servers=("postgres",)) as env:
        url = env["ORDERS_URL"]
        migrate(lambda: psycopg.connect(url), ORDERS)
        with closing(PostgresOrders(lambda: psycopg.connect(url), "bench")) as database:
            database.keep_zone("UTC")  # as the first run does
        rows = _fill(url, given.stores, given.rows, console)
        options = RunOptions("bench", PROFILER, "bench", TODAY)
        ours, floor, peer = _measure(url, options)
    windows = sum(len(plan.windows) for plan in ours["plan"].plans)
    if peer["windows"] != {(plan.store_code, plan.pipeline): list(plan.windows) for plan in ours["plan"].plans}:
        raise SystemExit("ours and the peer disagree")
    table = Table(title=f"{given.stores:,} stores, {rows:,} log rows: {windows:,} windows")
    for column in ("", "seconds", "× floor", "statements"):
        table.add_column(column, justify="left" if not column else "right")
    table.add_row("floor: read both tables", f"{floor:.2f}", "1.0", "2")
    table.add_row("ours: plan_run", f"{ours['seconds']:.2f}", f"{ours['seconds'] / floor:.1f}", str(ours["statements"]))
    table.add_row("peer: aggregate the log", f"{peer['seconds']:.2f}", f"{peer['seconds'] / floor:.1f}", "2")
    console.print(table)


def _fill(url: str, stores: int, rows: int, console: Console) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO pipeline_run_summaries (run_id, pipeline_name, run_env, started_at, overall_status)"
            " VALUES ('bench', 'bench', 'bench', now(), 'success')"
        )
        connection.execute(_STORES, {"today": TODAY, "stores": stores})
        with console.status("filling the log") as status:
            for first in range(0, rows, 73):
                connection.execute(_LOG, {"today": TODAY, "first": first, "last": min(first + 72, rows - 1)})
                status.update(f"filling the log: {first} of {rows} days")
        connection.execute("VACUUM ANALYZE")
        (count,) = connection.execute("SELECT count(*) FROM orders_sync_log").fetchone() or (0,)
    return int(count)


class _Counted(PostgresOrders):
    statements = 0

    def _run(self, name: str, /, **parameters: Any) -> list[Any]:
        self.statements += 1
        return super()._run(name, **parameters)


def _measure(url: str, options: RunOptions) -> tuple[dict[str, Any], float, dict[str, Any]]:
    database = _Counted(lambda: psycopg.connect(url), "bench")
    database.statements = 0
    ours = {"plan": plan_run(options, database, timezone="UTC"), "statements": database.statements}
    ours["seconds"] = best(lambda: plan_run(options, database, timezone="UTC"))
    database.close()
    with psycopg.connect(url, autocommit=True) as connection:
        floor = best(lambda: [connection.execute(text).fetchall() for text in _FLOOR.split("; ")])
    began = time.perf_counter()
    windows = _from_the_log(url, options)
    return ours, floor, {"windows": windows, "seconds": time.perf_counter() - began}


def _from_the_log(url: str, options: RunOptions) -> dict[tuple[str, str], list[OrdersWindow]]:
    database = PostgresOrders(lambda: psycopg.connect(url), "peer")
    stores = database.stores()
    database.close()
    logs: dict[tuple[str, str], list[LogRow]] = defaultdict(list)
    with psycopg.connect(url) as connection:
        for code, store, first_days, last_days in connection.execute(_PEER):
            pairs = zip(first_days, last_days, strict=True)
            logs[store, code] = [LogRow(first, last, SyncStatus.SUCCESS) for first, last in pairs]
    found = {}
    for store in stores:
        for pipeline in (TD, UC):
            log = logs[store.store_code, pipeline]
            windows = plan_store_windows(store, pipeline, log, options.today, options.window_days, options.overlap_days)
            if windows:
                found[store.store_code, pipeline] = windows
    return found


if __name__ == "__main__":
    main()

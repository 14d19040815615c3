"""Deciding for ten thousand stores at once what to pull: `python -m benchmarks.orders_decision [--full]`.

In one run, on one log (730 success rows a day apart per store and pipeline, 100 in the short form, which has 500
stores), in a Postgres of its own:

* floor: one statement that reads every row of `store_master` and of `orders_sync_coverage`;
* product, before: `plan_run`, both pipelines of every store, and how many statements it sends;
* peer: the same decision from the log itself, one set-based statement that aggregates every success row.

All must find the same windows, else there is no figure. Filling the log takes the most time.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import command
from benchmarks.builds import quickest
from benchmarks.comparison import Comparison, Measured
from benchmarks.timing import best
from include.orders_sync.adapters.postgres_orders import PostgresOrders
from include.orders_sync.core.pipelines import PROFILER, TD, UC, SyncStatus
from include.orders_sync.core.runs import RunOptions
from include.orders_sync.core.windows import LogRow, OrdersWindow, plan_store_windows
from include.sql.migrations import ORDERS, migrate
from local_stack import stack

TODAY = date(2026, 3, 15)
PLAN = """
import datetime, json, sys, time
import psycopg
from include.orders_sync.adapters.postgres_orders import PostgresOrders
from include.orders_sync.core.pipelines import PROFILER
from include.orders_sync.core.runs import RunOptions
from include.orders_sync.tasks.runs import plan_run

class Counted(PostgresOrders):
    statements = 0
    def _run(self, name, /, **parameters):
        self.statements += 1
        return super()._run(name, **parameters)

options = RunOptions("bench", PROFILER, "bench", datetime.date.fromisoformat(sys.argv[2]))
database = Counted(lambda: psycopg.connect(sys.argv[1]), "bench")
seconds = []
for _ in range(4):  # the first one warms the cache
    database.statements, began = 0, time.perf_counter()
    plan = plan_run(options, database, timezone="UTC")
    seconds.append(time.perf_counter() - began)
database.close()
windows = sorted(
    [each.store_code, each.pipeline, [[str(w.from_date), str(w.to_date)] for w in each.windows]] for each in plan.plans
)
print(json.dumps({"seconds": min(seconds[1:]), "statements": database.statements, "windows": windows}))
"""
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


def measure(*, is_short: bool, base: Path | None) -> list[Comparison]:
    """Compare the time of one decision about all stores.

    Raises:
        AssertionError: Two of the ways found different windows.
    """
    stores, days = (500, 100) if is_short else (10_000, 730)
    with stack.temporary(servers=("postgres",)) as env:
        url = env["ORDERS_URL"]
        migrate(lambda: psycopg.connect(url), ORDERS)
        with closing(PostgresOrders(lambda: psycopg.connect(url), "bench")) as database:
            database.keep_zone("UTC")  # as the first run does
        count = _fill(url, stores, days)
        builds = quickest(PLAN, url, TODAY.isoformat(), base=base)
        with psycopg.connect(url, autocommit=True) as connection:
            floor = best(lambda: [connection.execute(text).fetchall() for text in _FLOOR.split("; ")])
        began = time.perf_counter()
        found = _from_the_log(url, RunOptions("bench", PROFILER, "bench", TODAY))
        peer = time.perf_counter() - began
    for each in builds.values():
        assert each["windows"] == _as_json(found), "they disagree about what to pull"
    rows = [
        Measured("plan_run", role, {"wall s": each["seconds"], "statements": each["statements"]})
        for role, each in builds.items()
    ]
    rows.append(Measured("read both tables", "floor", {"wall s": floor, "statements": 2}))
    rows.append(Measured("aggregate the log", "peer", {"wall s": peer, "statements": 2}))
    return [
        Comparison(
            name="What to pull for all stores",
            per=f"{stores:,} stores with {count:,} rows of log",
            command=f"python -m benchmarks.orders_decision{'' if is_short else ' --full'}",
            rows=rows,
            figure="wall s",
            notes=[f"All of them found the same {sum(map(len, found.values())):,} windows."],
        )
    ]


def _as_json(found: dict[tuple[str, str], list[OrdersWindow]]) -> list[Any]:
    return sorted(
        [store, pipeline, [[str(window.from_date), str(window.to_date)] for window in windows]]
        for (store, pipeline), windows in found.items()
    )


def _fill(url: str, stores: int, rows: int) -> int:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "INSERT INTO pipeline_run_summaries (run_id, pipeline_name, run_env, started_at, overall_status)"
            " VALUES ('bench', 'bench', 'bench', now(), 'success')"
        )
        connection.execute(_STORES, {"today": TODAY, "stores": stores})
        for first in range(0, rows, 73):
            connection.execute(_LOG, {"today": TODAY, "first": first, "last": min(first + 72, rows - 1)})
        connection.execute("VACUUM ANALYZE")
        (count,) = connection.execute("SELECT count(*) FROM orders_sync_log").fetchone() or (0,)
    return int(count)


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
    command.main(measure, __doc__ or "")

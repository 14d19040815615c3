"""The ledger's work that `benchmarks.ledger` measures, in a process of its own: `ledger_work.py URL|own plan|claim …`.

The process imports the build that its PYTHONPATH names, so one file measures this build and the one before. It prints
its figures as one line of JSON.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import resource
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import structlog

from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.implementation_modules.registry import options_model
from include.pipeline_framework.config.loader import load_pipeline
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.tasks.planning import plan_sources
from include.sql.migrations import migrate
from local_stack import stack

DAY = date(2013, 3, 9)
LATER = datetime(2030, 1, 1, tzinfo=UTC)


class _Counted(psycopg.Cursor[Any]):
    count = 0

    def execute(self, *arguments: Any, **options: Any) -> Any:
        _Counted.count += 1
        return super().execute(*arguments, **options)

    def copy(self, *arguments: Any, **options: Any) -> Any:
        _Counted.count += 1
        return super().copy(*arguments, **options)


def measured(work: Callable[[], object]) -> dict[str, float]:
    """Return what a piece of work took."""
    statements, wall, cpu = _Counted.count, time.perf_counter(), time.process_time()
    work()
    return {
        "wall s": time.perf_counter() - wall,
        "client CPU-s": time.process_time() - cpu,
        "statements": _Counted.count - statements,
        "RSS MB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def plan(url: str, sources: int) -> dict[str, Any]:
    """Plan a day of 96 windows for every source, then again when nothing is left to plan."""
    migrate(lambda: psycopg.connect(url))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE pipeline_lifecycle, pipeline_lifecycle_import")
    main = load_pipeline("main", options_model=options_model)
    configs = [
        main.model_copy(
            update={"pipeline_id": f"p{n}", "source_object": f"source_{n}", "granularity": "15m", "timezone": "UTC"}
        )
        for n in range(sources)
    ]
    store = PostgresLifecycleStore(lambda: psycopg.connect(url, cursor_factory=_Counted))
    store.now()

    def once() -> None:
        plan_sources(configs, store, Actor("bench", "run"), now=datetime(2013, 3, 9, tzinfo=UTC), target_date=DAY)

    figures = {"plan": measured(once), "again": measured(once)}
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE pipeline_lifecycle")
    figures["again, vacuumed"] = measured(once)
    store.close()
    return figures


def claim(url: str, workers: int, claims: int, limit: int) -> dict[str, Any]:
    """Claim windows from several processes at once; each claim is a run of its own."""
    started = time.time()
    with multiprocessing.Pool(workers) as pool:
        parts = pool.starmap(_claims, [(url, f"{started}-{n}", claims, limit) for n in range(workers)], chunksize=1)
    times = sorted(seconds for part, _ in parts for seconds in part)
    return {
        "p50 ms": times[len(times) // 2] * 1_000,
        "p99 ms": times[min(len(times) - 1, int(len(times) * 0.99))] * 1_000,
        "statements": sum(statements for _, statements in parts) / len(times),
    }


def _claims(url: str, name: str, claims: int, limit: int) -> tuple[list[float], int]:
    store = PostgresLifecycleStore(lambda: psycopg.connect(url, cursor_factory=_Counted))
    store.now()
    _Counted.count, seconds = 0, []
    for number in range(claims):
        actor = Actor("bench", f"{name}-{number}")
        began = time.perf_counter()
        store.claim(f"source-{hash((name, number)) % 20}", actor, limit=limit, ended_before=LATER)
        seconds.append(time.perf_counter() - began)
    store.close()
    return seconds, _Counted.count


@contextmanager
def _database(url: str) -> Iterator[str]:
    """Give the ledger's URL; for `own`, of a new Postgres that this process starts and stops."""
    if url != "own":
        yield url
        return
    with stack.temporary(servers=("postgres",)) as env:
        yield env["LEDGER_URL"]


def _drop(*_arguments: Any) -> Any:
    raise structlog.DropEvent


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    structlog.configure(processors=[_drop])
    work = {"plan": plan, "claim": claim}[sys.argv[2]]
    with _database(sys.argv[1]) as at:
        print(json.dumps(work(at, *map(int, sys.argv[3:]))))

"""Analysing and gap-checking a million windows: `python -m benchmarks.continuity [--windows 1000000] [--sources 40]`.

In one run, on the same windows, in a real Postgres of its own (about two minutes):

* floor: one statement that reads the three columns of every live row and adds them up;
* ours: `state_facts` of all sources (two set-based statements), then analysis, findings and plan in Python;
* peer: SQLMesh's `merge_intervals` and `compute_missing_intervals`, in an environment of its own
  (`benchmarks/requirements-peers.txt`), fed from memory: it reads no database at all.

Every planted gap must be found by both, else there is no figure.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import venv
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
from rich.console import Console
from rich.table import Table

from benchmarks.timing import best
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.continuity.state_facts import StateScope
from include.pipeline_framework.core.time.durations import Granularity
from include.pipeline_framework.tasks.state_manager import review_facts
from include.sql.migrations import migrate
from local_stack import stack

REPO = Path(__file__).resolve().parents[1]
PEERS = REPO / ".benchmark_peers"
START = datetime(2020, 1, 1, tzinfo=UTC)
GAPS = 20

PEER = """
import json, sys, time
from sqlmesh.core.config import ModelDefaultsConfig  # noqa: F401 - loads the package before the clock starts
from sqlmesh.core.node import IntervalUnit
from sqlmesh.core.snapshot.definition import compute_missing_intervals, merge_intervals
sources = json.load(open(sys.argv[1]))
began = time.perf_counter()
missing = 0
for source in sources:
    merged = tuple(merge_intervals([tuple(pair) for pair in source["intervals"]]))
    missing += len(compute_missing_intervals(IntervalUnit.HOUR, merged, source["start"], source["end"], 0, None))
print(json.dumps({"seconds": time.perf_counter() - began, "missing": missing}))
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--windows", type=int, default=1_000_000)
    parser.add_argument("--sources", type=int, default=40)
    options = parser.parse_args()
    console = Console()
    hours = options.windows // options.sources
    gaps = _gaps(options.sources, hours)
    with console.status("Starting Postgres …"), stack.temporary(servers=["postgres"]) as environment:
        url = environment["LEDGER_URL"]
        migrate(lambda: psycopg.connect(url))
        with psycopg.connect(url, autocommit=True) as connection:
            console.print(
                f"inserting {options.windows - options.sources * GAPS:,} windows of {options.sources} sources"
            )
            _insert(connection, gaps, hours)
            floor = best(lambda: connection.execute(FLOOR).fetchone())
        ours, found = _ours(url, options.sources)
    planted = options.sources * GAPS
    peer = _peer(gaps, hours)
    if (found, peer["missing"]) != (planted, planted):
        sys.exit(f"planted {planted} gaps, we found {found}, the peer {peer['missing']}: no figures")
    table = Table(title=f"{options.windows:,} windows, {options.sources} sources, {planted} gaps planted and found")
    table.add_column("what")
    table.add_column("seconds", justify="right")
    table.add_column("times the floor", justify="right")
    table.add_column("times SQLMesh", justify="right")
    for name, seconds in (
        ("floor: one scan of the rows", floor),
        ("ours: facts, analysis, findings, plan", ours),
        ("SQLMesh: merge and missing intervals, no database", peer["seconds"]),
    ):
        table.add_row(name, f"{seconds:.2f}", f"{seconds / floor:.1f}", f"{seconds / peer['seconds']:.1f}")
    console.print(table)


FLOOR = """
SELECT COUNT(*), SUM(query_window_end_at - query_window_start_at), MIN(target_day)
FROM pipeline_lifecycle WHERE NOT is_invalidated_flag
"""

INSERT = """
INSERT INTO pipeline_lifecycle (
    pipeline_id, source_name, source_object, target_name, timezone, granularity, target_day, query_window_start_at,
    query_window_end_at, time_interval, source_query_window_duration_minutes
)
SELECT 'p', 's', %(source)s, 't', 'UTC', '1h', (start_at AT TIME ZONE 'UTC')::date, start_at,
    start_at + INTERVAL '1 hour', '1h', 60
FROM GENERATE_SERIES(%(start)s::timestamptz, %(last)s, INTERVAL '1 hour') AS start_at
WHERE start_at != ALL(%(gaps)s::timestamptz[])
"""


def _gaps(sources: int, hours: int) -> list[list[datetime]]:
    """Hours without a window, for each source; neither the first nor the last, and no two beside each other."""
    chooser = random.Random(1)  # noqa: S311 - the same gaps in every run
    return [[START + timedelta(hours=h) for h in chooser.sample(range(1, hours - 1, 2), GAPS)] for _ in range(sources)]


def _insert(connection: psycopg.Connection[Any], gaps: list[list[datetime]], hours: int) -> None:
    last = START + timedelta(hours=hours - 1)
    # inserting is not measured here: the constraint's index is faster made at once
    definition = "SELECT PG_GET_CONSTRAINTDEF(oid) FROM pg_constraint WHERE conname = 'live_windows_do_not_overlap'"
    ((rule,),) = connection.execute(definition).fetchall()
    connection.execute("ALTER TABLE pipeline_lifecycle DROP CONSTRAINT live_windows_do_not_overlap")
    for number, missing in enumerate(gaps):
        values = {"source": f"source-{number}", "start": START, "last": last, "gaps": missing}
        connection.execute(INSERT, values)
    connection.execute(f"ALTER TABLE pipeline_lifecycle ADD CONSTRAINT live_windows_do_not_overlap {rule}".encode())
    connection.execute("VACUUM ANALYZE pipeline_lifecycle")


def _ours(url: str, sources: int) -> tuple[float, int]:
    store = PostgresLifecycleStore(lambda: psycopg.connect(url))
    scopes = [StateScope(f"source-{number}", "UTC", Granularity(0, 3600)) for number in range(sources)]

    def review() -> int:
        facts = store.state_facts(scopes)
        reviews = [review_facts(facts[scope.source_object], store.rows_of_days) for scope in scopes]
        return sum(len(found.findings) for found in reviews)

    try:
        found = review()
        # the last day may end before midnight: its rest is a gap that nobody planted
        return best(review), found - (sources if _has_open_end(store, scopes) else 0)
    finally:
        store.close()


def _has_open_end(store: PostgresLifecycleStore, scopes: list[StateScope]) -> bool:
    last = store.state_facts(scopes[:1])[scopes[0].source_object].last_window_end_at
    return last is not None and last.time() != datetime.min.time()


def _peer(gaps: list[list[datetime]], hours: int) -> dict[str, Any]:
    def millis(instant: datetime) -> int:
        return int(instant.timestamp() * 1000)

    end = START + timedelta(hours=hours)
    sources = []
    for missing in gaps:
        left_out = set(missing)
        starts = (START + timedelta(hours=h) for h in range(hours))
        kept = [[millis(s), millis(s + timedelta(hours=1))] for s in starts if s not in left_out]
        sources.append({"intervals": kept, "start": millis(START), "end": millis(end)})
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(sources, file)
        file.flush()
        done = subprocess.run([_peer_python(), "-c", PEER, file.name], capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


def _peer_python() -> str:
    python = PEERS / "bin" / "python"
    if not python.exists():
        Console().print("installing the peers (once) …")
        venv.create(PEERS, with_pip=True)
        requirements = REPO / "benchmarks" / "requirements-peers.txt"
        subprocess.run([str(python), "-m", "pip", "install", "-q", "-r", str(requirements)], check=True)
    return str(python)


if __name__ == "__main__":
    main()

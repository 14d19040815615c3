"""Analysing and gap-checking a million windows of forty sources: `python -m benchmarks.continuity [--full]`.

In one run, on the same windows, in a real Postgres of its own (the long form takes about two minutes):

* floor: one statement that reads the three columns of every live row and adds them up;
* product, before: `state_facts` of all sources (two set-based statements), then analysis, findings and plan in Python;
* peer: SQLMesh's `merge_intervals` and `compute_missing_intervals`, in an environment of its own
  (`benchmarks/requirements-peers.txt`), fed from memory: it reads no database at all.

Every planted gap must be found by all, else there is no figure. The short form has a hundred thousand windows.
"""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import command
from benchmarks.builds import quickest
from benchmarks.comparison import Comparison, Measured
from benchmarks.peers import peer_python
from benchmarks.timing import best
from include.sql.migrations import migrate
from local_stack import stack

START = datetime(2020, 1, 1, tzinfo=UTC)
SOURCES = 40
GAPS = 20

REVIEW = """
import datetime, json, sys, time
import psycopg
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.continuity.state_facts import StateScope
from include.pipeline_framework.core.time.durations import Granularity
from include.pipeline_framework.tasks.state_manager import review_facts
store = PostgresLifecycleStore(lambda: psycopg.connect(sys.argv[1]))
scopes = [StateScope(f"source-{number}", "UTC", Granularity(0, 3600)) for number in range(int(sys.argv[2]))]

def review():
    facts = store.state_facts(scopes)
    reviews = [review_facts(facts[scope.source_object], store.rows_of_days) for scope in scopes]
    return sum(len(found.findings) for found in reviews)

seconds = []
for _ in range(4):  # the first one warms the cache
    began = time.perf_counter()
    found = review()
    seconds.append(time.perf_counter() - began)
last = store.state_facts(scopes[:1])[scopes[0].source_object].last_window_end_at
if last is not None and last.time() != datetime.time():
    found -= len(scopes)  # the last day ends before midnight: its rest is a gap that nobody planted
store.close()
print(json.dumps({"seconds": min(seconds[1:]), "missing": found}))
"""

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


def measure(*, is_short: bool, base: Path | None) -> list[Comparison]:
    """Compare the time for all windows.

    Raises:
        AssertionError: Somebody did not find exactly the planted gaps.
    """
    windows = 100_000 if is_short else 1_000_000
    hours = windows // SOURCES
    gaps = _gaps(SOURCES, hours)
    with stack.temporary(servers=["postgres"]) as environment:
        url = environment["LEDGER_URL"]
        migrate(lambda: psycopg.connect(url))
        with psycopg.connect(url, autocommit=True) as connection:
            _insert(connection, gaps, hours)
            floor = best(lambda: connection.execute(FLOOR).fetchone())
        builds = quickest(REVIEW, url, str(SOURCES), base=base)
    peer = _peer(gaps, hours)
    found = {role: each["missing"] for role, each in (*builds.items(), ("peer", peer))}
    assert set(found.values()) == {SOURCES * GAPS}, f"planted {SOURCES * GAPS} gaps, found {found}"
    rows = [
        Measured("facts, analysis, findings, plan", role, {"wall s": each["seconds"]}) for role, each in builds.items()
    ]
    rows.append(Measured("one scan of the rows", "floor", {"wall s": floor}))
    rows.append(Measured("SQLMesh: merge and missing intervals, no database", "peer", {"wall s": peer["seconds"]}))
    return [
        Comparison(
            name="Gaps of all windows",
            per=f"{windows:,} windows of {SOURCES} sources",
            command=f"python -m benchmarks.continuity{'' if is_short else ' --full'}",
            rows=rows,
            figure="wall s",
            notes=[f"All of them found the {SOURCES * GAPS} gaps that were planted."],
        )
    ]


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
        done = subprocess.run([peer_python(), "-c", PEER, file.name], capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return answer


if __name__ == "__main__":
    command.main(measure, __doc__ or "")

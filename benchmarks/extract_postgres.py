"""A window of Postgres into a stage: `python -m benchmarks.extract_postgres [--full] [--base REVISION]`.

In one run, one after the other, over the same table of a Postgres of its own:

* floor: `COPY … TO STDOUT` of the same rows, thrown away;
* product: source and stage as a task uses them, into S3 and into a local directory, with every check;
* before: the same from the checkout to compare with;
* peer: a script with a cursor at the server, orjson and gzip.
"""

from __future__ import annotations

import os
import random
from datetime import timedelta
from pathlib import Path

import psycopg
from psycopg.types.json import Jsonb

from benchmarks.command import main
from benchmarks.comparison import Comparison, Role
from benchmarks.extract import DAY, all_ways, event
from local_stack import stack

TABLE = "bench_extract"
WAYS: tuple[tuple[str, Role, str], ...] = (
    ("COPY TO STDOUT, thrown away", "floor", "drain-postgres"),
    ("product into S3", "product", "product-postgres s3"),
    ("product into a directory", "product", "product-postgres local"),
    ("build before, into S3", "before", "product-postgres s3"),
    ("build before, into a directory", "before", "product-postgres local"),
    ("psycopg: cursor at the server, orjson, gzip", "peer", "script-postgres"),
)
_TABLE = f"""
CREATE TABLE {TABLE} (
    at timestamptz, event_id text PRIMARY KEY, user_id text, session_id text, event_type text, country text,
    device jsonb, amount double precision, latency_ms double precision, score double precision, quantity integer,
    tags text[], message text
)
"""
_COPY = f"COPY {TABLE} FROM STDIN"


def measure(*, is_short: bool, base: Path | None) -> list[Comparison]:
    """Fill a table, and measure every way."""
    rows, rounds = (200_000, 1) if is_short else (1_000_000, 3)
    bounds = {"BENCH_FIRST": DAY.isoformat(), "BENCH_LAST": (DAY + timedelta(days=1)).isoformat()}
    with stack.temporary(servers=("postgres", "s3")) as found_there:
        place = {"BENCH_URL": found_there["LEDGER_URL"], "BENCH_NAME": TABLE}
        fill(place["BENCH_URL"], rows)
        found = all_ways(WAYS, base, {**os.environ, **found_there, **bounds, **place}, rows, rounds)
    notes = [f"{rows:,} rows; the median of {rounds} runs by processor time; figures are per million."]
    called = "python -m benchmarks.extract_postgres"
    return [Comparison("Extract from Postgres and stage", "a million rows", called, found, "client CPU-s", notes)]


def fill(url: str, count: int) -> None:
    """Copy rows of one day into the table."""
    chance = random.Random(42)  # noqa: S311 - nothing secret
    with psycopg.connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(_TABLE.encode())
        with cursor.copy(_COPY.encode()) as into:
            for number in range(count):
                row = event(chance, number, count)
                into.write_row([Jsonb(value) if isinstance(value, dict) else value for value in row.values()])


if __name__ == "__main__":
    main(measure, __doc__ or "")

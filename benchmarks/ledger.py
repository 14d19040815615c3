"""The ledger beside its floor and the build before: `python -m benchmarks.ledger [--full] [--base REVISION]`.

In a Postgres of its own:

* planning 9,600 windows (long form: 96,000) beside a bare COPY of the same rows into the same table;
* the same COPY into the table without the rule that live windows never overlap;
* planning again when nothing is left to plan;
* claims from a small and a large ledger, by several workers at once;
* windows through their whole life, vacuumed by autovacuum's rule: how large the ledger is then, beside a fresh copy.

The build before runs first, in a Postgres that its own checkout starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median
from typing import Any

import psycopg
from psycopg import sql

from benchmarks import command, ledger_life
from benchmarks.comparison import Comparison, Measured
from include.sql.migrations import migrate
from include.sql.text import SqlFragment, fill
from local_stack import stack

_HERE = Path(__file__).resolve().parent
_COMMAND = "python -m benchmarks.ledger"
_TURNS = 3
_RULE = "live_windows_do_not_overlap"
_ROWS = "COPY (SELECT {names} FROM pipeline_lifecycle ORDER BY id) TO STDOUT"
_FILL = """
INSERT INTO pipeline_lifecycle (
    pipeline_id, source_name, source_object, target_name, timezone, granularity, target_day, query_window_start_at,
    query_window_end_at, time_interval, source_query_window_duration_minutes, pipeline_final_status, phase_completed,
    audit_result_status, key_x, key_y
)
SELECT
    'p', 's', 'source-' || s, 't', 'UTC', '1h', (t AT TIME ZONE 'UTC')::date, t, t + INTERVAL '1 hour', '1h', 60,
    CASE WHEN w.waits THEN 'PENDING' ELSE 'COMPLETED' END, CASE WHEN NOT w.waits THEN 'AUDIT' END,
    CASE WHEN NOT w.waits THEN 'PASSED' END, 'source-' || s || '/' || t, 'p/' || t
FROM GENERATE_SERIES(0, 19) AS s
CROSS JOIN GENERATE_SERIES(0, %(per_source)s - 1) AS h
CROSS JOIN LATERAL (SELECT TIMESTAMPTZ '1990-01-01Z' + h * INTERVAL '1 hour' AS t) AS at
CROSS JOIN LATERAL (SELECT h >= %(per_source)s - %(waiting)s AS waits) AS w
"""


def measure(*, is_short: bool, base: Path | None) -> list[Comparison]:
    """Measure all of it; short: a tenth of the windows, and fewer workers."""
    sources, sizes = (100, (2_000, 50_000)) if is_short else (1_000, (10_000, 1_000_000))
    lives = 500 if is_short else 10_000
    before = _work("own", base, "plan", sources) if base else None
    with stack.temporary(servers=("postgres",)) as env:
        url = env["LEDGER_URL"]
        product = _work(url, _HERE.parent, "plan", sources)
        floors = _floors(url)
        found = _planning(sources * 96, product, before, floors)
        found += _claims(url, sizes, (1, 4) if is_short else (1, 4, 16, 64))
        found.append(_life(url, lives))
    return found


def _work(url: str, checkout: Path, *arguments: object) -> Any:
    """Do a piece of work with the build of a checkout, and return its figures."""
    command = [sys.executable, str(_HERE / "ledger_work.py"), url, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(checkout), "PYTHONHASHSEED": "1"}
    done = subprocess.run(command, env=environment, cwd=checkout, check=True, stdout=subprocess.PIPE)
    return json.loads(done.stdout)


def _floors(url: str) -> dict[str, float]:
    """Seconds of a COPY of the planned rows into the same table, with and without the rule against overlaps."""
    with psycopg.connect(url, autocommit=True) as connection:
        names = ", ".join(
            row[0]
            for row in connection.execute(
                "SELECT attname FROM pg_attribute WHERE attrelid = 'pipeline_lifecycle'::regclass AND attnum > 0"
                " AND NOT attisdropped AND attname NOT IN ('id', 'changed_in') ORDER BY attnum"
            )
        )
        with connection.cursor().copy(fill(_ROWS, {"names": SqlFragment(names)}).encode()) as out:
            rows = b"".join(map(bytes, out))

        def copy() -> float:
            connection.execute("TRUNCATE pipeline_lifecycle, pipeline_lifecycle_import")
            began = time.perf_counter()
            with connection.cursor().copy(f"COPY pipeline_lifecycle ({names}) FROM STDIN") as into:
                into.write(rows)
            return time.perf_counter() - began

        ruled = min(copy() for _ in range(3))
        definition = _rule(connection)
        connection.execute("TRUNCATE pipeline_lifecycle, pipeline_lifecycle_import")
        connection.execute(f"ALTER TABLE pipeline_lifecycle DROP CONSTRAINT {_RULE}")
        free = min(copy() for _ in range(3))
        connection.execute("TRUNCATE pipeline_lifecycle, pipeline_lifecycle_import")
        connection.execute(f"ALTER TABLE pipeline_lifecycle ADD CONSTRAINT {_RULE} {definition}".encode())
    return {"ruled": ruled, "free": free}


def _rule(connection: psycopg.Connection[Any]) -> str:
    found = connection.execute("SELECT PG_GET_CONSTRAINTDEF(oid) FROM pg_constraint WHERE conname = %s", [_RULE])
    return str(found.fetchall()[0][0])


def _planning(windows: int, product: Any, before: Any | None, floors: dict[str, float]) -> list[Comparison]:
    def ways(what: str) -> list[Measured]:
        rows = [Measured("plan_sources", "product", product[what])]
        return rows + ([Measured("plan_sources, the build before", "before", before[what])] if before else [])

    copy = Measured("COPY of the same rows into the same table", "floor", {"wall s": floors["ruled"]})
    free = Measured("COPY into the table without the rule", "floor", {"wall s": floors["free"]})
    per = f"{windows:,} windows of {windows // 96:,} sources"
    return [
        Comparison("Plan", per, _COMMAND, [*ways("plan"), copy], "wall s"),
        Comparison(
            "The rule that live windows never overlap",
            per,
            _COMMAND,
            [Measured("COPY with the rule", "product", {"wall s": floors["ruled"]}), free],
            "wall s",
        ),
        Comparison("Plan again, nothing is missing", per, _COMMAND, ways("again"), "wall s"),
        Comparison("Plan again, after a vacuum", per, _COMMAND, ways("again, vacuumed"), "wall s"),
    ]


def _claims(url: str, sizes: tuple[int, int], workers: tuple[int, ...]) -> list[Comparison]:
    """Claim from both sizes in turns, so that a busy moment of the machine meets both."""
    urls = {size: f"{url}_of_{size}" for size in sizes}
    with psycopg.connect(url, autocommit=True) as connection:
        for of_size in urls.values():
            name = sql.Identifier(of_size.rpartition("/")[2])
            connection.execute(sql.SQL("CREATE DATABASE {}").format(name))
    for size in sizes:
        _fill(urls[size], size)
    figures: dict[tuple[int, int], dict[str, float]] = {}
    for many in workers:
        each = max(2, 128 // many)
        runs = [
            {size: _work(urls[size], _HERE.parent, "claim", many, each, 1) for size in sizes} for _ in range(_TURNS)
        ]
        for size in sizes:
            figures[size, many] = {name: median(run[size][name] for run in runs) for name in runs[0][size]}
    small, large = sizes
    return [
        Comparison(
            f"Claim a window, {many} workers",
            "a claim",
            _COMMAND,
            [
                Measured(f"from {large:,} rows", "product", figures[large, many]),
                Measured(f"from {small:,} rows", "floor", figures[small, many]),
            ],
            "p99 ms",
            [
                "Every claim is a run of its own; nearly all rows of the ledger are finished.",
                f"The median of {_TURNS} series, in turns from the one and the other.",
            ],
        )
        for many in workers
    ]


def _life(url: str, sources: int) -> Comparison:
    planned = _work(url, _HERE.parent, "plan", sources)["plan"]
    sizes = ledger_life.live(url)
    return Comparison(
        "A ledger whose windows have lived",
        f"{sources * 96:,} windows, planned, moved and audited",
        _COMMAND,
        [Measured("the ledger", "product", sizes["lived"]), Measured("a fresh copy of it", "floor", sizes["copy"])],
        "MB",
        [
            "Each window is eight versions of its row after it was planned; vacuum looks after each 96 windows.",
            f"Planning them at once took {planned['RSS MB']:,.0f} MB of memory and {planned['wall s']:,.0f} s.",
        ],
    )


def _fill(url: str, rows: int) -> None:
    """Fill a ledger of twenty sources, each with a hundred windows that wait behind finished ones."""
    migrate(lambda: psycopg.connect(url))
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("TRUNCATE pipeline_lifecycle, pipeline_lifecycle_import")
        definition = _rule(connection)
        connection.execute(f"ALTER TABLE pipeline_lifecycle DROP CONSTRAINT {_RULE}")
        connection.execute(_FILL.encode(), {"per_source": rows // 20, "waiting": 100})
        connection.execute(f"ALTER TABLE pipeline_lifecycle ADD CONSTRAINT {_RULE} {definition}".encode())
        connection.execute("VACUUM ANALYZE pipeline_lifecycle")


if __name__ == "__main__":
    command.main(measure, __doc__ or "")

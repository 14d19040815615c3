"""A report in XLSX from a CRM, and one that is ten times as large: `python -m benchmarks.orders_report [--full]`.

In one run, one after the other, against one simulated CRM behind HTTP, a thousand rows a page:

* floor: every page's bytes, thrown away;
* product: every page read, its cells checked; and the same written into its table in a real Postgres;
* before: the same from the checkout to compare with;
* peers: the same pages read with python-calamine and openpyxl. They check nothing, and give every number as a float, so
  two long order numbers may become one.

Each runs in a process of its own, so that processor time and memory are its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.builds import REPO
from benchmarks.command import main
from benchmarks.comparison import Comparison, Measured, Role
from benchmarks.peers import peer_python
from include.sql.migrations import ORDERS, migrate
from local_stack import stack
from local_stack.crm.server import running

NOW = datetime(2026, 3, 15, 14, 30, tzinfo=UTC)
TODAY = NOW.date()
DAYS = (6, 60)
WAYS: tuple[tuple[str, Role, str], ...] = (
    ("bytes fetched and thrown away", "floor", "fetch"),
    ("read and checked", "product", "product"),
    ("read, checked and written into its table", "product", "product postgres"),
    ("read and checked by the build before", "before", "product"),
    ("read, checked and written by the build before", "before", "product postgres"),
    ("python-calamine: read", "peer", "calamine"),
    ("openpyxl, read-only: read", "peer", "openpyxl"),
)


def measure(*, is_short: bool, base: Path | None) -> list[Comparison]:
    """Measure every way for both reports."""
    volume, rounds = (20.0, 1) if is_short else (100.0, 3)
    with (
        stack.temporary(servers=("postgres",)) as env,
        running(volume=volume, now=NOW.isoformat(), today=TODAY) as crm,
    ):
        migrate(lambda: psycopg.connect(env["ORDERS_URL"]), ORDERS)
        client_id, secret = crm.credentials("td")
        code = next(
            store["store_code"]
            for store in crm.control.stores()
            if store["sync_group"] == "ALL" and date.fromisoformat(store["start_date"]) < TODAY - timedelta(days=90)
        )
        given = {"base_url": crm.base_url("td"), "client_id": client_id, "secret": secret, "store_code": code}
        given |= {"orders_url": env["ORDERS_URL"], "to_date": TODAY.isoformat()}
        return [_compare(crm, {**given, "from_date": _first(days)}, base, rounds, is_short=is_short) for days in DAYS]


def _first(days: int) -> str:
    return (TODAY - timedelta(days=days - 1)).isoformat()


def _compare(crm: Any, given: dict[str, Any], base: Path | None, rounds: int, *, is_short: bool) -> Comparison:
    rows = crm.control.truth("orders", given["store_code"], given["from_date"], given["to_date"])["count"]
    found: dict[str, list[dict[str, float]]] = {}
    ways = [way for way in WAYS if way[1] != "before" or base]
    for _ in range(rounds):
        for what, role, way in ways:
            build = base if role == "before" and base else REPO
            found.setdefault(what, []).append(_run(way, build, role, {**given, "rows": rows}))
    medians = {what: sorted(all_of, key=lambda each: each["wall s"])[rounds // 2] for what, all_of in found.items()}
    return Comparison(
        name=f"A report in XLSX of {rows:,} rows",
        per=f"{rows:,} rows of twelve cells, {-(-rows // 1_000)} pages",
        command=f"python -m benchmarks.orders_report{'' if is_short else ' --full'}",
        rows=[Measured(what, role, medians[what]) for what, role, _ in ways],
        figure="wall s",
        notes=[
            f"The median of {rounds} by wall time. Most of the floor is the simulated CRM, which writes each page when"
            " it is asked for. Peers give every number as a float.",
        ],
    )


def _run(way: str, build: Path, role: Role, given: dict[str, Any]) -> dict[str, float]:
    done = subprocess.run(
        [peer_python() if role == "peer" else sys.executable, REPO / "benchmarks/orders_report_ways.py", *way.split()],
        env={**os.environ, "PYTHONPATH": str(build), "BENCH_GIVEN": json.dumps(given)},
        cwd=build,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{way}: {done.stderr[-2_000:]}")
    figures: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    if figures.pop("rows") != given["rows"]:
        raise RuntimeError(f"{way} has moved another number of rows than there are")
    return figures


if __name__ == "__main__":
    main(measure, __doc__ or "")

"""Run all benchmarks, print their tables and write docs/BENCHMARKS.md: `make bench`, `make bench FULL=1 BASE=…`.

A benchmark that fails is told at the end, and the others are still measured; the page is then left as it was.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from datetime import UTC, datetime

from rich.console import Console

from benchmarks.builds import REPO
from benchmarks.command import base_of, options
from benchmarks.comparison import Comparison
from benchmarks.report import this_machine, write
from benchmarks.tables import show

MODULES = (
    "continuity",
    "dag_parse",
    "extract",
    "extract_postgres",
    "publish",
    "ledger",
    "flights",
    "airflow_overhead",
    "orders_decision",
    "orders_report",
    "orders_sync",
)
"""All benchmarks, in the order of the page; each module has `measure`, see `comparison`."""


def main() -> None:
    """Measure, print and write."""
    parser = options(__doc__ or "")
    parser.add_argument("--only", nargs="+", choices=MODULES, default=None, help="print these, and write no page")
    given = parser.parse_args()
    console = Console()
    began, load = datetime.now(UTC), os.getloadavg()[0]  # noqa: TID251 - one of the fronts
    results: dict[str, list[Comparison]] = {}
    failed: list[str] = []
    with base_of(given) as base:
        for name in given.only or MODULES:
            console.rule(name)
            try:
                benchmark = importlib.import_module(f"benchmarks.{name}")
                results[name] = benchmark.measure(is_short=not given.full, base=base)
            except Exception:  # noqa: BLE001 - the figures of the others shall not be lost
                traceback.print_exc()
                failed.append(name)
            else:
                show(results[name])
    if failed:
        sys.exit(f"no figures of {', '.join(failed)}; docs/BENCHMARKS.md is as it was")
    if given.only is None:
        base_name = None if given.no_base else given.base
        page = write(REPO / "docs", results, this_machine(began, load), is_short=not given.full, base=base_name)
        console.print(f"wrote {page.relative_to(REPO)}")


if __name__ == "__main__":
    main()

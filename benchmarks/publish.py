"""A staged window into a table: `python -m benchmarks.publish [--full] [--base REVISION]`.

In one run, one after the other, for the Postgres and for the Snowflake emulator of the local stack:

* floor: a bare COPY. For Postgres of the rows that the product has written, ready as text, into a table of the same
  columns and index; for the emulator of the staged files into one VARIANT column, which is all that its COPY can do;
* product: the target as a task uses it, from the staged files, with every check, ten typed columns or none;
* before: the same from the checkout to compare with, which stages its own files;
* peer (Postgres): a script that reads the same files with orjson and copies row by row; it proves nothing.
"""

from __future__ import annotations

import json
import os
import random
import tempfile
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from benchmarks.builds import REPO
from benchmarks.command import main
from benchmarks.comparison import Comparison, Measured, Role
from benchmarks.extract import DAY, event, run
from local_stack import processes, stack
from local_stack.home import Home

TABLE = "bench_publish"
WAYS: Mapping[str, tuple[tuple[str, Role, str], ...]] = {
    "postgres": (
        ("product", "product", "publish postgres"),
        ("bare COPY of ready rows", "floor", "bare-copy-postgres"),
        ("build before", "before", "publish postgres"),
        ("psycopg: orjson, COPY row by row", "peer", "script-into-postgres"),
    ),
    "snowflake": (
        ("product", "product", "publish snowflake"),
        ("bare COPY INTO one VARIANT", "floor", "bare-copy-snowflake"),
        ("build before", "before", "publish snowflake"),
    ),
}
_NAMES = {"postgres": "Postgres", "snowflake": "the Snowflake emulator"}
_FIGURES = ("wall s", "client CPU-s", "server CPU-s", "RSS MB", "statements")


def measure(*, is_short: bool, base: Path | None) -> list[Comparison]:
    """Stage a window with each build, and measure every way to load it."""
    rows, rounds = (100_000, 1) if is_short else (1_000_000, 3)
    with stack.temporary(servers=("postgres", "s3", "snowflake")) as there, tempfile.TemporaryDirectory() as folder:
        events = Path(folder, "events.ndjson")
        _write(events, rows)
        given = {
            "BENCH_FIRST": DAY.isoformat(),
            "BENCH_LAST": (DAY + timedelta(days=1)).isoformat(),
            "BENCH_URL": there["LEDGER_URL"],
            "BENCH_NAME": TABLE,
            "BENCH_ROWS": str(rows),
            "BENCH_EVENTS": str(events),
        }
        stages: dict[Path, dict[str, str]] = {}
        for build in (REPO, base) if base else (REPO,):
            stages[build] = {"BENCH_MANIFEST": str(Path(folder, f"manifest-{len(stages)}"))}
            run("stage", build, {**os.environ, **there, **given, **stages[build]}, rows)
        found = []
        for kind in WAYS:
            for columns in ("columns", ""):
                measured = _all_ways(kind, columns, base, {**os.environ, **there, **given}, stages, rows, rounds)
                found.append(_comparison(kind, columns, measured, rows, rounds))
        return found


def _write(path: Path, rows: int) -> None:
    """Write events of one day, one a line."""
    chance = random.Random(42)  # noqa: S311 - nothing secret
    with path.open("w", encoding="utf-8") as file:
        for number in range(rows):
            file.write(json.dumps(event(chance, number, rows), ensure_ascii=False, separators=(",", ":")) + "\n")


def _all_ways(
    kind: str,
    columns: str,
    base: Path | None,
    environment: Mapping[str, str],
    stages: Mapping[Path, Mapping[str, str]],
    rows: int,
    rounds: int,
) -> list[Measured]:
    """Measure every way several times, in turns, and keep the run with the median wall time."""
    ways = [(*way, base if way[1] == "before" else REPO) for way in WAYS[kind]]
    found: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for what, _role, way, build in ways:
            if build is None:
                continue
            before = _processor_seconds(environment, kind)
            figures = run(f"{way} {columns}", build, {**environment, **stages[build]}, rows)
            figures["server CPU-s"] = (_processor_seconds(environment, kind) - before) * 1e6 / rows
            found.setdefault(what, []).append({name: figures[name] for name in _FIGURES if name in figures})
    medians = {what: sorted(all_of, key=lambda each: each["wall s"])[rounds // 2] for what, all_of in found.items()}
    return [Measured(what, role, medians[what]) for what, role, *_ in ways if what in medians]


def _processor_seconds(environment: Mapping[str, str], server: str) -> float:
    """Return what the server has used since it started, with the processes of connections that have ended."""
    leader = processes.find(Home.at(environment["LOCAL_STACK_HOME"]), server)
    if leader is None:
        raise RuntimeError(f"{server} has ended")
    used = sum(leader.cpu_times()[:4])
    return used + sum(sum(child.cpu_times()[:2]) for child in leader.children())


def _comparison(kind: str, columns: str, measured: list[Measured], rows: int, rounds: int) -> Comparison:
    typed = "ten typed columns" if columns else "the document alone"
    name = f"Publish into {_NAMES[kind]}, {typed}"
    notes = [f"{rows:,} rows; the median of {rounds} runs by wall time; figures of time are per million."]
    if kind == "postgres":
        notes.append("COPY comes on top of the statements.")
    return Comparison(name, "a million rows of 440 bytes", "python -m benchmarks.publish", measured, "wall s", notes)


if __name__ == "__main__":
    main(measure, __doc__ or "")

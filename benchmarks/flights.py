"""Flights of 2013, window by window from Elasticsearch over S3 into the emulator: `python -m benchmarks.flights`.

Each build gets servers of its own, one after the other, and loads the same days in one process, without Airflow: what
Airflow adds is in `airflow_overhead`.

* product: `run main --from … --to … --local`;
* before: every window's four tasks one after the other, each with log-ins of its own, as that build's tasks had them.

Where the product's time goes is sampled in a second run by py-spy. The long form loads a month with both builds, and
the year with the product.
"""

from __future__ import annotations

import json
import sys
import tempfile
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from benchmarks import command
from benchmarks.builds import REPO, answer
from benchmarks.comparison import Comparison, Measured
from benchmarks.flames import below, flame, read_stacks
from benchmarks.peers import peer_python
from local_stack.home import cache_folder

PHASES = {
    "plan, prepare and claim": ("populate_pipeline_batches", "store_and_validate"),
    "look at both ends": ("pre_validate",),
    "extract and stage": ("_staged",),
    "publish": ("_publish",),
    "audit": ("_audit",),
}
"""The phases of a window, by the functions that do them."""

RATE = 200
"""Samples a second."""

RUN = """
import json, os, resource, subprocess, sys, time
from local_stack import stack
from local_stack.flights import Days
from local_stack.seed import seed

def cpu():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime

days, command = json.loads(sys.argv[1])
with stack.temporary(servers=("postgres", "elasticsearch", "s3", "snowflake")) as env:
    seed(env["ELASTICSEARCH_URL"], days=Days.parse(days))
    used, began = cpu(), time.monotonic()
    done = subprocess.run(command, env={**os.environ, **env}, capture_output=True, text=True)
    seconds, used = time.monotonic() - began, cpu() - used
    if done.returncode:
        sys.exit(done.stderr[-2000:])
found, _ = json.JSONDecoder().raw_decode(done.stdout[done.stdout.index("{"):])  # py-spy says something, too
print(json.dumps({"seconds": seconds, "cpu": used, "found": found}))
"""

BEFORE = """
import json, os, sys
from include import framework
from include.pipeline_framework.core.records.row import Actor
from include.wiring import assembly
from include.wiring.workspace import Workspace

conf = json.loads(sys.argv[1])
parsed, config = assembly.parsed_config("main"), framework.load_final_config("main")
Workspace(actor=Actor("dag", "plan", "plan")).populate(parsed, conf)
number = 0
while True:
    run = f"run-{(number := number + 1)}"
    claimed = Workspace(actor=Actor("dag", run, "claim")).claim(parsed, conf)["claimed"]
    if not claimed:
        break
    for index, record in enumerate(claimed):
        for name in ("pre_validation", "source_to_stage", "stage_to_target", "audit"):
            result = getattr(framework, name)(config, record, actor=Actor("dag", run, name, index, 1))
            if isinstance(result, dict) and result.get("decision") in ("empty", "skip"):
                break
rows = Workspace().store.find(source_object=parsed.source_object)
print(json.dumps({
    "windows": {"COMPLETED": sum(str(row["pipeline_final_status"]) == "COMPLETED" for row in rows)},
    "source_rows": sum(row["source_count"] or 0 for row in rows),
    "target_rows": sum(row["target_count"] or 0 for row in rows),
}))
"""


def measure(*, is_short: bool, base: Path | None) -> list[Comparison]:
    """Load the same days with both builds; sample where the product's time goes."""
    first, days = date(2013, 3, 1), 2 if is_short else 31
    product, before = _loaded(first, days), _loaded(first, days, base) if base else None
    rows = [Measured("run --local", "product", product)]
    rows += [Measured("task after task", "before", before)] if before else []
    found = [_comparison(f"The flights of {days} days", rows)]
    if not is_short:
        year = Measured("run --local", "product", _loaded(date(2013, 1, 1), 365))
        found.append(_comparison("The flights of a year", [year]))
    return [*found, _where_it_goes(first + timedelta(days=days), 2)]


def _comparison(name: str, rows: list[Measured]) -> Comparison:
    windows = rows[0].figures["windows"]
    notes = ["Both ends hold the same number of rows afterwards, and every window is COMPLETED."]
    return Comparison(name, f"{windows:,.0f} windows of an hour", "python -m benchmarks.flights", rows, "wall s", notes)


def _loaded(first: date, days: int, base: Path | None = None) -> dict[str, float]:
    """Return what a build needs to load so many days."""
    last = first + timedelta(days=days)
    conf = {"from": first.isoformat(), "to": last.isoformat(), "max_windows": 96}
    program = ["-c", BEFORE, json.dumps(conf)] if base else _product(first, last)
    answered = _answer(first, last, [sys.executable, *program], base or REPO)
    found = answered["found"]
    if found["source_rows"] != found["target_rows"] or list(found["windows"]) != ["COMPLETED"]:
        raise RuntimeError(f"not everything was loaded: {found}")
    windows = found["windows"]["COMPLETED"]
    return {
        "wall s": answered["seconds"],
        "CPU-s": answered["cpu"],
        "ms a window": answered["seconds"] / windows * 1_000,
        "windows": windows,
        "rows": found["target_rows"],
    }


def _where_it_goes(first: date, days: int) -> Comparison:
    """Sample the product, and return a row and a picture for each phase."""
    last, spy = first + timedelta(days=days), Path(peer_python()).parent / "py-spy"
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        samples = Path(folder) / "samples.txt"
        sampling = [
            str(spy),
            "record",
            "--idle",
            "--rate",
            str(RATE),
            "--format",
            "raw",
            "--output",
            str(samples),
            "--",
        ]
        answered = _answer(first, last, [*sampling, sys.executable, *_product(first, last)], REPO)
        stacks = below(read_stacks(samples.read_text(encoding="utf-8")), ("run_locally",))
    windows, whole = answered["found"]["windows"]["COMPLETED"], sum(stacks.values())
    rows, pictures = list[Measured](), dict[str, str]()
    for name, functions in PHASES.items():
        part = below(stacks, functions)
        samples_of, share = sum(part.values()), sum(part.values()) / whole
        rows.append(Measured(name, "product", {"ms a window": samples_of / RATE / windows * 1_000, "%": share * 100}))
        pictures[name] = flame(part, f"{name}: {share:.0%} of the time")
    per = f"{windows:,} windows of an hour, {RATE} samples a second"
    notes = ["What is left is reading files, connections and leases. Grey in the pictures is waiting for a server."]
    called = "python -m benchmarks.flights"
    return Comparison("Where the time of a window goes", per, called, rows, "ms a window", notes, pictures)


def _product(first: date, last: date) -> list[str]:
    """Return the product's command; the last day is exclusive here, and inclusive there."""
    days = ("--from", first.isoformat(), "--to", (last - timedelta(days=1)).isoformat())
    return ["-m", "include.cli", "run", "main", *days, "--local", "--format", "json"]


def _answer(first: date, last: date, program: list[str], build: Path) -> dict[str, Any]:
    """Run a program beside the servers of a build that hold these days."""
    asked = json.dumps([f"{first}:{last}", program])
    found: dict[str, Any] = answer(RUN, asked, build=build, environ={"LOCAL_STACK_CACHE": str(cache_folder())})
    return found


if __name__ == "__main__":
    command.main(measure, __doc__ or "")

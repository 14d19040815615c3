"""`python -m tests.faults.report RESULTS.jsonl` prints docs/GUARANTEES.md from what the fault suite has recorded."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

HEAD = """# Guarantees, and what was done to break them

Written by the fault suite itself: `make faults` runs it and rewrites this page; `make faults N=10000 EVERY=1` is the
size for a night. Every line was tried on real servers (Postgres, Elasticsearch, S3; Snowflake is an emulator behind the
real connector). *Survived*: afterwards both ends held exactly the same ids, every window was finished, none was held by
nobody, the events explained every row, and each receipt was of its window's own last load. A line is written when all
its tries have been judged.

| | tried | survived | rows lost | rows doubled |
| --- | ---: | ---: | ---: | ---: |
| **all together** | {tried:,} | {survived:,} | {rows_lost:,} | {rows_doubled:,} |
"""
SECTIONS = {
    "crash matrix": """Killed at every point

The points are counted by instrumentation, not listed by hand: before every statement (BEGIN, COMMIT, COPY among them)
and every object write of a chapter. What comes after one is the point before the next. Each is tried by a process that
really dies of SIGKILL.""",
    "frozen": """Frozen inside a step, then woken

A process stops at a point; everything else is finished without it; then it goes on, as a worker does whose machine was
suspended.""",
    "directed": """Directed schedules

A process is frozen at each point of one step while others do what the random schedules seldom meet there: a
replacement beside it, a clear after a time-out and a clean-up, a rebuilt ledger. Then it wakes up.""",
    "schedules": """Random schedules

Up to seven processes, interleaved at every statement; a seed is a schedule.""",
    "state machine": """The ledger alone, under random hands

Steps, not faults: they move no data and are not in the sum above. After each, the ledger's rules are checked.""",
    "network": """Network faults

A proxy in front of each server: cut, reset, delay, half-open, truncate.""",
    "pooler": """A pooler in between

A real PgBouncer in front of ledger, source, target and orders database, in transaction and in session mode.""",
    "read-only": """A server that takes no writes

Behind the same name: switched by an administrator, for open sessions, too, or a primary that failed over to its
standby.""",
    "cluster": "A real two-node Elasticsearch cluster that loses a node",
}
HIDDEN = "\n" + (Path(__file__).parent / "hidden.md").read_text(encoding="utf-8")
GUARDS = """
## Which guard holds what

Each guard was switched off in turn; the same story that ends well with it then broke a promise.

| guard | switched off |
| --- | --- |
"""
JUSTIFIED = """
No promise needs these, what they buy was shown in the same way:

| guard | what it buys |
| --- | --- |
"""
TABLE = "| fault | tried | survived | rows lost | rows doubled |\n| --- | ---: | ---: | ---: | ---: |\n"


def page(results: list[dict[str, Any]]) -> str:
    """The page's text; results of guards are apart, they are meant to break."""
    areas: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for result in results:
        areas[result["area"]].append(result)
    guards, justified = areas.pop("guards", []), areas.pop("justified guards", [])
    numbers = ("tried", "survived", "rows_lost", "rows_doubled")
    tried = [result for area, rows in areas.items() if area != "state machine" for result in rows]
    text = HEAD.format(**{name: sum(result[name] for result in tried) for name in numbers})
    for area in sorted(areas, key=lambda name: [*SECTIONS, name].index(name)):
        text += f"\n## {SECTIONS.get(area, area.capitalize())}\n\n{TABLE}"
        for result in areas[area]:
            figures = " | ".join(f"{result[name]:,}" for name in numbers)
            text += f"| {result['fault']} | {figures} |\n"
    text += HIDDEN + GUARDS + "".join(f"| {result['guard']} | a promise was broken |\n" for result in guards)
    if justified:
        text += JUSTIFIED + "".join(f"| {result['guard']} | {result['fault']} |\n" for result in justified)
    return text


if __name__ == "__main__":
    lines = Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()
    sys.stdout.write(page([json.loads(line) for line in lines]))

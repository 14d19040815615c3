"""What the fault suite tried and what came out: one JSON line each; `python -m tests.faults.report` makes the page.

Nothing is recorded unless `FAULTS_RESULTS` names a file: `make faults` sets it, an ordinary test run doesn't. How
much is tried is set by the environment, too.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

N = int(os.environ.get("FAULTS_N", "200"))
"""Random schedules to play."""

EVERY = int(os.environ.get("FAULTS_EVERY", "24"))
"""Of the points where a process can be frozen, each n-th; killing is cheaper, so three times as many are tried."""


def record(
    area: str, fault: str, *, tried: int, survived: int, rows_lost: int = 0, rows_doubled: int = 0, guard: str = ""
) -> None:
    """Append one line of the results table.

    Args:
        area: Section of the table: `crash matrix`, `schedules`, `network`, `cluster`, `guards`, …; for
            `justified guards` the fault is what the guard buys.
        fault: What was done, in words that a reader of the table understands.
        tried: How often.
        survived: After how many of them both ends were equal and the ledger consistent.
        rows_lost: Source ids missing at the target, over all tries.
        rows_doubled: Ids more than once at the target, over all tries.
        guard: What caught it, where one guard did.
    """
    if path := os.environ.get("FAULTS_RESULTS"):
        line = {
            "area": area,
            "fault": fault,
            "tried": tried,
            "survived": survived,
            "rows_lost": rows_lost,
            "rows_doubled": rows_doubled,
            "guard": guard,
        }
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")

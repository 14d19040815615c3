"""How many windows one task instance carries through a phase, where the pipeline's file leaves that open (`auto`).

A task instance costs a process start and log-ins, some seconds in all. Small windows share that; large ones would only
wait for each other, and another try would look at all of them again.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

MOST_WINDOWS = 24
MOST_ROWS = 200_000
MOST_SECONDS = 300
"""Bounds of one task instance: windows, their rows, and the seconds that a phase of them takes."""

WORTHWHILE_SECONDS = 15
"""A task that works less than this mostly starts and ends; so much goes into one even while others could run."""

_NOTHING_KNOWN = 60.0


@dataclass(frozen=True, slots=True)
class WindowCost:
    """What a window of a source typically takes.

    Attributes:
        rows: Rows that were staged.
        seconds: Seconds of the extract.
    """

    rows: int
    seconds: float


def windows_per_task(windows: int, *, at_once: int, recent: WindowCost | None, expected_minutes: float | None) -> int:
    """Return how many windows a task instance gets, at least one.

    Args:
        windows: How many the run has claimed.
        at_once: Task instances of the run that may run at the same time.
        recent: What the source's windows around these days took; None: none was loaded yet.
        expected_minutes: Minutes that a phase is expected to take, from the pipeline's file; it counts where nothing
            was loaded yet.

    >>> windows_per_task(24, at_once=4, recent=WindowCost(rows=400, seconds=0.5), expected_minutes=5)
    24
    >>> windows_per_task(24, at_once=4, recent=WindowCost(rows=40_000, seconds=10), expected_minutes=None)
    5
    >>> windows_per_task(24, at_once=4, recent=WindowCost(rows=5_000_000, seconds=400), expected_minutes=None)
    1
    """
    if recent is None:
        seconds, rows = _NOTHING_KNOWN if expected_minutes is None else expected_minutes * 60, 0
    else:
        seconds, rows = recent.seconds, recent.rows
    allowed = min(MOST_WINDOWS, _how_many(MOST_SECONDS, seconds), _how_many(MOST_ROWS, rows))
    wanted = max(math.ceil(windows / at_once), _how_many(WORTHWHILE_SECONDS, seconds))
    most = max(1, min(windows, allowed, wanted))
    return math.ceil(windows / math.ceil(windows / most)) if windows else 1  # evenly


def _how_many(bound: float, each: float) -> int:
    return MOST_WINDOWS if each * MOST_WINDOWS <= bound else int(bound // each)

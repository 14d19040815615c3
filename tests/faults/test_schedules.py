"""Random crash-and-concurrency schedules: whatever the interleaving, no row is lost, none is there twice.

`make faults N=10000` plays that many; `FAULTS_SEED` is the first; a failure names its seed and tells its story.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable

import pytest
from rich.progress import track

from tests.faults.life import Life
from tests.faults.results import N, record
from tests.faults.schedules import Schedule

pytestmark = [pytest.mark.integration, pytest.mark.timeout(0), pytest.mark.usefixtures("quiet")]

FIRST_SEED = int(os.environ.get("FAULTS_SEED", "1"))


def test_random_schedules(new_life: Callable[[], Life]) -> None:
    broken: dict[int, list[str]] = {}
    faults: Counter[str] = Counter()
    lost = doubled = 0
    for seed in track(range(FIRST_SEED, FIRST_SEED + N), "Schedules", disable=N < 1_000):
        life = new_life()
        schedule = Schedule(life, seed)
        if problems := schedule.play():
            broken[seed] = [*problems, *schedule.story]
        faults += schedule.faults
        lost += (life.source_ids() - life.target_ids()).total()
        doubled += (life.target_ids() - life.source_ids()).total()
    what = ", ".join(f"{count} × {name}" for name, count in sorted(faults.items()))
    record(
        "schedules",
        f"{N} random schedules from seed {FIRST_SEED}: {what}",
        tried=N,
        survived=N - len(broken),
        rows_lost=lost,
        rows_doubled=doubled,
    )
    assert broken == {}, f"{len(broken)} of {N}; the first: {next(iter(broken.items()))}"

"""Directed schedules: a replacement beside a window that is being moved, a clear after a time-out, a rebuilt ledger.

As in `test_frozen.py` a process is frozen at each point of a step, others go on, then it wakes up.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import pytest

from tests.faults import directed
from tests.faults.chapters import Chapter
from tests.faults.directed import CUTS, LEDGERS, MEANWHILE, NEIGHBOURS, STAGED, TIMED_OUT, WAKES
from tests.faults.frozen import frozen_at_each_point
from tests.faults.life import Life
from tests.faults.results import EVERY, record

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("quiet")]

OFTEN = max(1, EVERY // 2)
"""Steps are short beside the chapters of `test_frozen.py`."""


@pytest.mark.parametrize("lives", [True, False], ids=["its run lives", "its run has ended"])
@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("neighbour", NEIGHBOURS, ids=[chapter.name for chapter in NEIGHBOURS])
def test_a_window_is_replaced_while_its_neighbour_is_frozen(
    neighbour: Chapter, cut: str, lives: bool, new_life: Callable[[], Life]
) -> None:
    other, in_the_end = directed.replaced_beside(CUTS[cut], lives=lives), directed.replaced_in_the_end(CUTS[cut])
    outcomes = frozen_at_each_point(neighbour, other, new_life, OFTEN, in_the_end)
    run = "whose run lives" if lives else "whose run has ended"
    judged(f"{cut} replace{'' if cut.startswith('narrower') else 's'} a window; its neighbour, {run}, is frozen "
           f"{neighbour.name}", outcomes)  # fmt: skip


@pytest.mark.parametrize("wakes", WAKES)
@pytest.mark.parametrize("step", TIMED_OUT)
def test_a_task_is_cleared_after_its_run_was_timed_out_and_cleaned_up(
    step: str, wakes: str, new_life: Callable[[], Life]
) -> None:
    chapter = TIMED_OUT[step]
    cleared = directed.cleared_after_the_time_out(chapter.name)
    outcomes = frozen_at_each_point(chapter, cleared, new_life, OFTEN, until=WAKES[wakes])
    judged(f"frozen in {step}; its run is timed out, cleaned up, and the task cleared; it wakes {wakes}", outcomes)


@pytest.mark.parametrize(("staged", "ledger", "meanwhile"), list(product(STAGED, LEDGERS, MEANWHILE)))
def test_the_ledger_is_rebuilt_while_a_publish_is_open(
    staged: str, ledger: str, meanwhile: str, own_life: Callable[[], Life]
) -> None:
    outcomes = directed.rebuilt_during_a_publish(own_life, STAGED[staged], ledger, meanwhile)
    judged(f"the ledger ({ledger}) is rebuilt, then {meanwhile}, while a start is frozen publishing {staged}", outcomes)


def judged(fault: str, tried: Any) -> None:
    """Record what came of each point, and fail if anything was broken."""
    outcomes: dict[str, list[str]] = dict(tried)
    broken = {point: problems for point, problems in outcomes.items() if problems}
    record(
        "directed",
        fault,
        tried=len(outcomes),
        survived=len(outcomes) - len(broken),
        rows_lost=sum("lost" in text for problems in broken.values() for text in problems),
        rows_doubled=sum("too many" in text for problems in broken.values() for text in problems),
    )
    assert outcomes
    assert broken == {}

"""Directed schedules: a process is frozen inside each step, everything else is finished, then it wakes up."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.faults.chapters import CHAPTERS, Chapter
from tests.faults.frozen import OTHERS, frozen_at_each_point
from tests.faults.life import Life
from tests.faults.results import EVERY, record

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("quiet")]

STORIES = {chapter.name: chapter for chapter in CHAPTERS}


@pytest.mark.parametrize("other", OTHERS)
@pytest.mark.parametrize("chapter", STORIES.values(), ids=list(STORIES))
def test_frozen_at_each_point(chapter: Chapter, other: str, new_life: Callable[[], Life]) -> None:
    outcomes = dict(frozen_at_each_point(chapter, OTHERS[other], new_life, EVERY))
    broken = {point: problems for point, problems in outcomes.items() if problems}
    record(
        "frozen",
        f"frozen inside a step, then woken: {chapter.name}; meanwhile {other}",
        tried=len(outcomes),
        survived=len(outcomes) - len(broken),
        rows_lost=sum("lost" in text for problems in broken.values() for text in problems),
        rows_doubled=sum("too many" in text for problems in broken.values() for text in problems),
    )
    assert outcomes
    assert broken == {}

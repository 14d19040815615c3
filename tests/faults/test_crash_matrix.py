"""Kill -9 at every point of a window's life, then normal operation: nothing is lost, nothing is there twice.

The points are not listed by hand: a first pass counts them. Each is tried in a forked process that really dies by
SIGKILL, on the real Postgres that sees its connections vanish, and with real files.
"""

from __future__ import annotations

import itertools
import os
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import TerminalError
from tests.faults.chapters import CHAPTERS, Chapter, life_of
from tests.faults.life import Life, Run, broken_promises, drain, hours
from tests.faults.results import EVERY, record

pytestmark = [pytest.mark.integration]


def in_a_child(work: Callable[[], None]) -> int:
    """Run it in a forked process; returns the signal that ended it, 0 for none."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    _pid, status = os.waitpid(pid, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0, "the child failed by itself"
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def points_of(chapter: Chapter, life: Life, file: Path) -> list[str]:
    def count() -> None:
        with file.open("w") as names:

            def reach(name: str) -> None:
                names.write(name + "\n")
                names.flush()

            chapter.lived(life, reach)

    assert in_a_child(count) == 0
    return file.read_text().splitlines()


def killed_at(
    chapter: Chapter, new_life: Callable[[], Life], file: Path, every: int, on: str = ""
) -> tuple[dict[str, list[str]], list[str]]:
    """Kill before every n-th point, then operate normally; what was broken, by point, and the names of all points."""
    names = points_of(chapter, life_of(chapter, new_life), file)
    outcomes: dict[str, list[str]] = {}
    lost = doubled = 0
    for number in range(0, len(names), every):
        life = life_of(chapter, new_life)

        def die_here(number: int = number, life: Life = life) -> None:
            passed = itertools.count()

            def reach(_name: str) -> None:
                if next(passed) == number:
                    os.kill(os.getpid(), signal.SIGKILL)

            chapter.lived(life, reach)

        assert in_a_child(die_here) == signal.SIGKILL, names[number]
        drain(life, chapter.windows)
        lost += (life.source_ids() - life.target_ids()).total()
        doubled += (life.target_ids() - life.source_ids()).total()
        outcomes[f"{number} {names[number]}"] = broken_promises(life, chapter.windows)
    record(
        "crash matrix",
        f"kill -9 before {len(outcomes)} of {len(names)} statements and object writes{on}: {chapter.name}",
        tried=len(outcomes),
        survived=sum(not problems for problems in outcomes.values()),
        rows_lost=lost,
        rows_doubled=doubled,
    )
    return outcomes, names


@pytest.mark.parametrize("chapter", CHAPTERS, ids=[chapter.name for chapter in CHAPTERS])
def test_killed_at_every_point(chapter: Chapter, new_life: Callable[[], Life], tmp_path: Path) -> None:
    outcomes, names = killed_at(chapter, new_life, tmp_path / "points", max(1, EVERY // 3))
    # a run ends with a commit, a deleted object, or the one read by which it sees that nothing is left
    assert names[-1] == "COMMIT" or names[-1].startswith(("delete", "Read every row that a DAG")), names
    assert {point: problems for point, problems in outcomes.items() if problems} == {}


def test_a_window_that_always_kills_its_worker_ends_failed_and_its_neighbours_complete(
    new_life: Callable[[], Life], quiet: None
) -> None:
    """Out of memory, say: its worker dies in the extract every time, in whatever run."""
    life = new_life()
    for hour in range(3):
        life.add(hours(hour, hour + 1))
    deadly, extract = hours(1, 2), life.source.extract

    def die_of_it(window: TimeWindow) -> object:
        if window == deadly:
            os.kill(os.getpid(), signal.SIGKILL)
        return extract(window)

    life.source.extract = die_of_it  # type: ignore[method-assign, assignment]
    life.max_retry_task = 2
    for number in range(5):
        pipeline = life.pipeline()
        run = Run(pipeline, f"run-{number}", RunRequest((hours(0, 3),)))
        run.plan()
        for index, claimed in enumerate(run.claim()):
            pipeline.store.close()  # each task is a process of its own
            in_a_child(lambda run=run, claimed=claimed, index=index: run.window(claimed, index))  # type: ignore[misc]
        with suppress(TerminalError):
            run.finish()
        pipeline.store.close()
    rows = pipeline.store.find(source_object=life.source_object)
    pipeline.store.close()
    assert [row.pipeline_final_status for row in rows] == ["COMPLETED", "FAILED", "COMPLETED"]
    assert rows[1].retry_attempt == 3
    assert rows[1].last_error.count("its run ended while the window was unfinished") == 3
    assert life.source_ids() - life.target_ids() == Counter(["d1.0-0", "d1.0-1", "d1.0-2"])

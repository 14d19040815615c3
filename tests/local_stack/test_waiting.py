"""A wait ends when nothing moves any more, never because a machine is slow."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psutil
import pytest

from local_stack import waiting
from local_stack.console import ProgressLines
from local_stack.errors import LocalStackError
from local_stack.waiting import Patience, run_child, work_of


class Clock:
    """Seconds that only the test moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_moves_is_waited_for_without_end(clock: Clock) -> None:
    signs = count()
    patience = Patience(lambda: next(signs), 60, clock=clock)
    for _ in range(1_000):
        clock.now += 59
        assert not patience.is_over()


def test_a_standstill_ends_the_waiting_and_a_move_begins_it_anew(clock: Clock) -> None:
    signs = iter([1, 1, 2, *[2] * 10])
    patience = Patience(lambda: next(signs), 60, clock=clock)
    over = []
    for _ in range(6):
        clock.now += 25
        over.append(patience.is_over())
    assert over == [False, False, False, False, True, True]


def test_a_person_is_told_what_is_waited_for_and_when_nothing_moves(clock: Clock) -> None:
    told: list[str] = []
    patience = Patience(lambda: clock.now < 40, 600, tell=told.append, what="still starting", clock=clock)
    for _ in range(100):
        clock.now += 1
        patience.is_over()
    assert told == [
        "still starting (20 s so far)",
        "still starting (50 s so far)",
        "still starting (80 s so far, nothing has moved for 40 s)",
    ]


def test_looking_is_not_done_more_often_than_it_is_worth(clock: Clock) -> None:
    looks: list[float] = []
    patience = Patience(lambda: looks.append(clock.now), 60, asks_every=10, clock=clock)
    for _ in range(300):
        clock.now += 0.1
        patience.is_over()
    assert len(looks) == 3


def test_work_is_processor_time_and_lines_of_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    before = work_of(psutil.Process(), log)
    log.write_text("one line\n")
    assert work_of(psutil.Process(), log) != before


def child(code: str, told: list[str] | None = None) -> None:
    run_child(
        [sys.executable, "-c", code],
        environ=os.environ,
        cwd=Path.cwd(),
        tell=(told if told is not None else []).append,
        what="the child",
        remedy="Mend it.",
    )


def test_a_child_that_succeeds() -> None:
    child("print('done')")


def test_a_child_that_fails_says_so_with_its_last_lines_and_the_remedy() -> None:
    with pytest.raises(LocalStackError) as caught:
        child("import sys; print('what is wrong'); print('and where', file=sys.stderr); sys.exit(3)")
    assert caught.value.what.startswith("the child failed with exit code 3. Its last lines:\n")
    assert {"what is wrong", "and where"} <= set(caught.value.what.splitlines())
    assert caught.value.remedy == "Mend it."


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(waiting, "STANDSTILL_SECONDS", 1.5)
    yield


def test_a_child_that_hangs_is_ended_and_one_that_works_is_not(impatient: None) -> None:
    child("import time\nend = time.monotonic() + 2.5\nwhile time.monotonic() < end: print(1, flush=True)")
    with pytest.raises(LocalStackError, match=r"the child has not moved for 2 s\. Its last lines:\nhere"):
        child("import time; print('here', flush=True); time.sleep(600)")


def test_without_a_terminal_progress_is_a_line_a_minute(clock: Clock) -> None:
    told: list[str] = []
    progress = ProgressLines("Moving windows", clock=clock, tell=told.append)
    for done in (0, 8, 16, 24, 32, 71):
        progress(done, 71)
        clock.now += 45
    assert told == ["Moving windows: 16 of 71, about 5 min to go", "Moving windows: 32 of 71, about 4 min to go"]

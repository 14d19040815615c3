"""What we started is found and stopped with its children; what we did not start is left alone."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from local_stack import processes
from local_stack.home import Home

PARENT = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(child.pid, flush=True)
time.sleep(600)
"""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home.at(tmp_path / "stack")
    home.create()
    return home


def start_with_child(home: Home) -> tuple[psutil.Process, psutil.Process]:
    log = home.logs / "it.log"
    started = processes.spawn(home, "it", [sys.executable, "-c", PARENT], log=log, environ=os.environ)
    wait_for(lambda: log.read_text().endswith("\n"))
    return psutil.Process(started.pid), psutil.Process(int(log.read_text()))


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 600
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_stop_ends_the_children_too(home: Home) -> None:
    leader, child = start_with_child(home)
    assert processes.find(home, "it") == leader
    assert processes.stop(home, "it", number=signal.SIGTERM, timeout=120)
    assert not processes.is_alive(leader)
    assert not processes.is_alive(child)
    assert not processes.is_recorded(home, "it")


def test_children_of_a_killed_process_are_found(home: Home) -> None:
    leader, child = start_with_child(home)
    leader.kill()
    wait_for(lambda: processes.find(home, "it") is None)
    assert processes.family(home, "it") == [child]
    assert processes.stop(home, "it", number=signal.SIGTERM, timeout=120)
    assert not processes.is_alive(child)


def test_pid_that_belongs_to_somebody_else_is_left_alone(home: Home) -> None:
    (home.run / "it.json").write_text(json.dumps({"pid": os.getppid(), "created_at": 1.0}))
    assert processes.find(home, "it") is None
    assert processes.family(home, "it") == []
    assert not processes.stop(home, "it", number=signal.SIGTERM, timeout=120)


def test_stopping_nothing_is_fine(home: Home) -> None:
    assert not processes.stop(home, "it", number=signal.SIGTERM, timeout=120)


def test_damaged_record_counts_as_none(home: Home) -> None:
    (home.run / "it.json").write_text("")
    assert processes.find(home, "it") is None
    assert processes.family(home, "it") == []


def test_last_lines_are_those_of_this_start(tmp_path: Path) -> None:
    log = tmp_path / "it.log"
    log.write_text("old\nnew 1\nnew 2\n")
    assert processes.last_lines(log, since=4) == "new 1\nnew 2"
    assert processes.last_lines(log, since=1000, count=1) == "new 2"

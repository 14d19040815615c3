"""One stack for a whole test run, however many processes it has: the first that needs it starts it.

The process that was started by the person (with xdist: the one that runs no test) makes the folder, tells the others by
an environment variable, and takes the stack down at the end. `TEST_STACK_HOME=<folder>` keeps the stack of that folder
running between sessions instead.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from local_stack import airflow, certificates, stack
from local_stack.environment import environment
from local_stack.home import Home

KEPT, OWN = "TEST_STACK_HOME", "TEST_RUN_STACK"


def begin() -> None:
    """Called once, before the processes that run tests are there."""
    if KEPT not in os.environ:
        os.environ[OWN] = tempfile.mkdtemp(prefix="local-stack-")


def end() -> None:
    """Called once, after the last test."""
    if own := os.environ.pop(OWN, None):
        stack.down(Home.at(own))
        shutil.rmtree(own, ignore_errors=True)


def variables() -> dict[str, str]:
    """Environment variables of the running stack; starts it when nobody did."""
    home = Home.at(os.environ.get(KEPT) or os.environ[OWN])
    home.create()
    with FileLock(home.path / "tests.lock"):
        certificates.ensure(home, trusts_others=False)
        started = home.path / "tests-started"
        if KEPT in os.environ or not started.exists():
            stack.up(home, prefer_default_ports=False, is_durable=KEPT in os.environ)
            started.touch()
    return environment(home)


@contextmanager
def with_airflow(home: Home, extra: dict[str, str]) -> Iterator[None]:
    """Airflow runs until the last process that asked for it has let go; `extra` are further variables of its own."""
    users = home.path / "tests-airflow-users"
    lock = FileLock(home.path / "tests-airflow.lock")
    with lock:
        _count(users, +1)
        before = {name: os.environ.get(name) for name in extra}
        os.environ.update(extra)
        try:
            stack.up(home, servers=(), with_airflow=True, prefer_default_ports=False)
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
    try:
        yield
    finally:
        with lock:
            if _count(users, -1) == 0 and KEPT not in os.environ:
                airflow.down(home, lambda _name, _message: None)


def _count(file: Path, change: int) -> int:
    users = int(file.read_text() or 0) if file.exists() else 0
    file.write_text(str(users + change))
    return users + change

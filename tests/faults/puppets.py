"""Threads on strings: each stops at every point of its work until it is told to go on, or to die there.

So one seed is one interleaving of several processes over real Postgres: who goes when, who is frozen in the middle of a
transaction, who is killed. A puppet that dies sends nothing more, not even a rollback; its connections are dropped.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus

BLOCKED_AFTER_SECONDS = 0.03
"""A puppet that was told to go and isn't at its next point after this long waits for somebody else's lock."""


class Killed(BaseException):
    """Raised at a point: no `except Exception` of the product can catch it, as none can catch SIGKILL."""


class Puppet:
    """One process: `work` gets the puppet, for its `reach` and for the list of its `connections`."""

    def __init__(self, name: str, work: Callable[[Puppet], None]) -> None:
        self.name = name
        self.connections: list[psycopg.Connection[Any]] = []
        self.at = ""
        self.state = "running"  # running (or blocked), waiting (at a point), done
        self.error: BaseException | None = None
        self.frozen_until = 0
        self._change = threading.Condition()
        self._may_go = False
        self._is_dying = False
        self._thread = threading.Thread(target=self._run, args=(work,), name=name, daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        return self.state != "done"

    def step(self, *, die: bool = False) -> None:
        """Let it go on to its next point, or die where it is; returns when it is there, done, or blocked."""
        with self._change:
            if not self.is_alive:
                return
            self._may_go, self._is_dying, self.state = True, self._is_dying or die, "running"
            self._change.notify_all()
        self.settle(BLOCKED_AFTER_SECONDS)

    def settle(self, seconds: float) -> None:
        """Wait until it is at a point or done, at most so long."""
        until = time.monotonic() + seconds
        with self._change:
            while self.state == "running" and (left := until - time.monotonic()) > 0:
                self._change.wait(left)

    @property
    def is_in_transaction(self) -> bool:
        """Whether it may hold locks where it stands."""
        return any(
            not connection.closed and connection.pgconn.transaction_status != TransactionStatus.IDLE
            for connection in self.connections
        )

    def _run(self, work: Callable[[Puppet], None]) -> None:
        try:
            work(self)
        except Killed:
            for connection in self.connections:
                connection.pgconn.finish()
        except BaseException as error:  # noqa: BLE001 - judged by the test, in its own thread
            self.error = error
        with self._change:
            self.state = "done"
            self._change.notify_all()

    def reach(self, name: str) -> None:
        """The point before a step of its work; blocks until it may go on."""
        with self._change:
            if self._is_dying:
                raise Killed
            self.at, self.state, self._may_go = name, "waiting", False
            self._change.notify_all()
            while not self._may_go:
                self._change.wait()
            if self._is_dying:
                raise Killed


def wait_for_any(puppets: list[Puppet], seconds: float = 300) -> None:
    """All that may move wait for locks: until one of them gets on.

    Raises:
        AssertionError: None did; the processes have locked each other out for good.
    """
    until = time.monotonic() + seconds
    while not any(puppet.state == "waiting" for puppet in puppets):
        running = [puppet for puppet in puppets if puppet.state == "running"]
        if not running:
            return
        assert time.monotonic() < until, f"deadlock: {[(puppet.name, puppet.at) for puppet in running]}"
        running[0].settle(0.01)


def leave_transactions(puppets: list[Puppet]) -> None:
    """Let each go on until it holds no lock: where it stands then, others can finish everything without it."""
    while inside := [puppet for puppet in puppets if puppet.is_alive and puppet.is_in_transaction]:
        wait_for_any(inside)
        for puppet in inside:
            if puppet.state == "waiting":
                puppet.step()


def run_out(puppets: list[Puppet]) -> None:
    """Let all of them run to their ends, one after the other where they can."""
    while alive := [puppet for puppet in puppets if puppet.is_alive]:
        wait_for_any(alive)
        for puppet in alive:
            if puppet.state == "waiting":
                puppet.step()

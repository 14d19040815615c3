"""Waits that end when nothing moves any more, not when a clock says so: a slow machine is no error.

Whatever is waited for gives a *sign* that changes while it works: CPU time and log lines of a starting server, events
in the ledger, states of tasks. Only a long standstill ends the waiting.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

import psutil

from local_stack.errors import LocalStackError

Tell = Callable[[str], None]

STANDSTILL_SECONDS = 300.0
"""A child that uses no second of CPU time and writes no line for so long hangs."""

_FIRST_WORD_SECONDS = 20.0
_POLL_SECONDS = 0.05


class Patience:
    """Counts the seconds since the last sign of life; a person is told now and then what is waited for.

    Args:
        sign: Gives the sign of life; asked every `asks_every` seconds, because looking costs something, too.
        longest_seconds: A standstill that is longer is over.
        tell: Called with what is waited for, for the first time after 20 s, then every 30 s (`every_seconds`).
        what: What is waited for: "still starting".
        clock: Seconds that only grow.
    """

    def __init__(
        self,
        sign: Callable[[], object],
        longest_seconds: float,
        *,
        tell: Tell | None = None,
        what: str = "",
        every_seconds: float = 30.0,
        asks_every: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.longest_seconds = longest_seconds
        self._ask, self._tell, self._what, self._every, self._clock = sign, tell, what, every_seconds, clock
        self._asks_every = asks_every
        self._sign = sign()
        self.began = self._moved_at = self._asked_at = clock()
        self._speaks_at = self.began + min(_FIRST_WORD_SECONDS, every_seconds)

    def is_over(self) -> bool:
        """Look once: whether the sign has been the same for longer than the longest standstill."""
        now = self._clock()
        if now - self._asked_at >= self._asks_every:
            self._asked_at, before = now, self._sign
            self._sign = self._ask()
            self._moved_at = now if self._sign != before else self._moved_at
        stood = now - self._moved_at
        if self._tell is not None and now >= self._speaks_at:
            self._speaks_at = now + self._every
            still = f", nothing has moved for {stood:.0f} s" if stood >= self._every else ""
            self._tell(f"{self._what} ({now - self.began:.0f} s so far{still})")
        return stood > self.longest_seconds


def work_of(process: psutil.Process, *logs: Path) -> tuple[int, ...]:
    """A sign of life: whole seconds of CPU time that a process and its children have used, and the size of its logs."""
    used = 0.0
    with suppress(psutil.Error):
        for member in (process, *process.children(recursive=True)):
            with suppress(psutil.Error):
                times = member.cpu_times()
                used += times.user + times.system
    return (int(used), *(log.stat().st_size for log in logs if log.exists()))


def run_child(
    argv: Sequence[str], *, environ: Mapping[str, str], cwd: Path, tell: Tell, what: str, remedy: str
) -> None:
    """Run a command to its end, however long it takes while it works; `tell` says that it goes on.

    Raises:
        LocalStackError: It failed, or it hung and was ended; with its last lines, and `remedy`.
    """
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(argv, env=dict(environ), cwd=cwd, stdout=output, stderr=subprocess.STDOUT)
        try:
            child = psutil.Process(process.pid)
            patience = Patience(
                lambda: (work_of(child), os.fstat(output.fileno()).st_size),
                STANDSTILL_SECONDS,
                tell=tell,
                what=f"{what} goes on",
            )
            while process.poll() is None:
                if patience.is_over():
                    raise LocalStackError(
                        f"{what} has not moved for {patience.longest_seconds:.0f} s.{_last_lines(output)}", remedy
                    )
                time.sleep(_POLL_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if process.returncode != 0:
            raise LocalStackError(f"{what} failed with exit code {process.returncode}.{_last_lines(output)}", remedy)


def _last_lines(output: IO[bytes], count: int = 15) -> str:
    output.seek(0)
    lines = output.read().decode(errors="replace").strip().splitlines()[-count:]
    return "\n".join([" Its last lines:", *lines]) if lines else " It printed nothing."

"""How the stack's command line looks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from local_stack.errors import LocalStackError

if TYPE_CHECKING:
    from local_stack.stack import Status

_STYLES = {"healthy": "green", "unhealthy": "yellow", "dead": "red", "stopped": "dim"}
out = Console(soft_wrap=True, highlight=False)
err = Console(stderr=True, soft_wrap=True, highlight=False)


def line(name: str, message: str) -> None:
    """One line per event, while a spinner may run below it."""
    out.print(Text.assemble((f"{name:<22}", "bold"), message))


def error(problem: LocalStackError) -> None:
    """An error and its remedy, on stderr."""
    err.print(Text.assemble(("Error: ", "bold red"), problem.what))
    err.print(Text.assemble(("What to do: ", "bold"), problem.remedy))


@contextmanager
def spinner(text: str) -> Iterator[None]:
    """Shows on a terminal that something is going on; elsewhere what is waited for says so by lines of its own."""
    with out.status(text):
        yield


def table(lines: Sequence[Status]) -> Table:
    """The table of `status`."""
    shown = Table("Server", "Address", "Pid", "State", box=None, header_style="bold", pad_edge=False)
    shown.add_column("Memory", justify="right")
    for status in lines:
        memory = f"{status.memory_bytes / 1e6:.0f} MB" if status.memory_bytes else ""
        state = Text(status.state, style=_STYLES[status.state])
        shown.add_row(status.title, status.address, str(status.pid or ""), state, memory)
    total = sum(status.memory_bytes for status in lines)
    if total:
        shown.add_row("", "", "", "", f"{total / 1e6:.0f} MB", style="bold")
    return shown


@contextmanager
def progress_bar(text: str) -> Iterator[Callable[[int, int], None]]:
    """Shows progress, moved by calling what it yields with (done, of): a bar, or where there is no terminal, lines."""
    if not out.is_terminal:
        yield ProgressLines(text)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("to go"), TimeRemainingColumn(), console=out) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, of: bar.update(task, completed=done, total=of)


class ProgressLines:
    """A line a minute: "Moving windows: 32 of 71, about 6 min to go".

    The time to go is reckoned from what was done since the first call.
    """

    def __init__(
        self,
        text: str,
        *,
        every_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
        tell: Callable[[str], None] = out.print,
    ) -> None:
        self._text, self._every, self._clock, self._tell = text, every_seconds, clock, tell
        self._began = self._told_at = clock()
        self._first: int | None = None

    def __call__(self, done: int, of: int) -> None:
        """Note where it stands; says so when the last line is a minute old."""
        self._first = done if self._first is None else self._first
        now = self._clock()
        if now - self._told_at < self._every:
            return
        self._told_at = now
        to_go = ""
        if done < of and (moved := done - self._first) > 0:
            minutes = (of - done) * (now - self._began) / moved / 60
            to_go = f", about {max(1, round(minutes))} min to go"
        self._tell(f"{self._text}: {done:,} of {of:,}{to_go}")

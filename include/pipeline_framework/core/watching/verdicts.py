"""What was looked at before any window moves, and what came out: one verdict a check, and an exit status for all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TypeVar

from include.pipeline_framework.core.time.durations import elapsed_text
from include.pipeline_framework.errors import PipelineError

T = TypeVar("T")

SKEW_NOTED, SKEW_WRONG = timedelta(seconds=5), timedelta(minutes=1)
"""A clock that is this far from ours is told, or is wrong: instants of two machines are compared all the time."""


class CheckState(StrEnum):
    """The outcome of one check."""

    OK = "ok"
    WARNING = "warning"
    """It works, and somebody should know of it."""
    WRONG = "wrong"
    """Windows would fail, or stay where they are."""
    UNKNOWN = "could not look"
    """Nothing is known, so nothing is promised."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome of one check.

    Attributes:
        role: Where it was looked: `file`, `source`, `stage`, `target`, `ledger`, `Airflow` or `production`.
        check: What was looked at, in a few words.
        state: The outcome.
        said: What was found.
        remedy: What to do about it; empty if all is well.
        pipeline_id: Of the pipeline; empty for what all pipelines share.
    """

    role: str
    check: str
    state: CheckState
    said: str
    remedy: str = ""
    pipeline_id: str = ""

    def as_record(self) -> dict[str, str]:
        """Return it as plain values by name."""
        return {**asdict(self), "state": self.state.value}


class Findings:
    """Collects the verdicts about one role, in the order in which they are found."""

    def __init__(self, role: str) -> None:
        self._role = role
        self.verdicts: list[Verdict] = []

    def ok(self, check: str, said: str) -> None:
        """Add that all is well."""
        self._add(check, CheckState.OK, said)

    def warning(self, check: str, said: str, remedy: str) -> None:
        """Add what works and should be known."""
        self._add(check, CheckState.WARNING, said, remedy)

    def wrong(self, check: str, said: str, remedy: str) -> None:
        """Add what does not work."""
        self._add(check, CheckState.WRONG, said, remedy)

    def unknown(self, check: str, said: str, remedy: str) -> None:
        """Add what could not be looked at."""
        self._add(check, CheckState.UNKNOWN, said, remedy)

    def refused(self, check: str, error: PipelineError) -> None:
        """Add an error of the framework as what does not work."""
        self.wrong(check, f"{error.what} [{error.where}]" if error.where else error.what, error.remedy)

    def unreachable(self, error: PipelineError, connection_id: str) -> None:
        """Add that a server does not answer; the error's own remedy is for tasks, which try again."""
        self.wrong("reachable", error.what, f"Check that it runs, and host, port and network to it ({connection_id}).")

    def attempt(self, check: str, work: Callable[[], T], said: Callable[[T], str] | None = None) -> T | None:
        """Run `work`, which returns no None, and return its result; an error of the framework is a verdict, and None.

        With `said` a success is a verdict, too.
        """
        try:
            done = work()
        except PipelineError as error:
            self.refused(check, error)
            return None
        if said is not None:
            self.ok(check, said(done))
        return done

    def clock(self, theirs: datetime, before: datetime, after: datetime) -> None:
        """Judge a server's clock by this machine's at asking and at the answer; all three are aware instants."""
        skew = max(before - theirs, theirs - after, timedelta())
        said = f"it differs by {elapsed_text(skew)} from this machine's" if skew else "it agrees with this machine's"
        remedy = "Let both machines follow the same time servers (NTP): instants of both are compared."
        if skew >= SKEW_WRONG:
            self.wrong("clock", said, remedy)
        elif skew >= SKEW_NOTED:
            self.warning("clock", said, remedy)
        else:
            self.ok("clock", said)

    def _add(self, check: str, state: CheckState, said: str, remedy: str = "") -> None:
        self.verdicts.append(Verdict(self._role, check, state, said, remedy))


def is_wrong(verdicts: Iterable[Verdict]) -> bool:
    """Return whether any of them is wrong; warnings, and what could not be looked at, are not."""
    return any(verdict.state is CheckState.WRONG for verdict in verdicts)


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return their numbers in one line, the worst first.

    >>> summary([Verdict("stage", "read", CheckState.OK, "read"), Verdict("stage", "list", CheckState.WRONG, "no")])
    '1 wrong, 1 ok'
    """
    found = Counter(verdict.state for verdict in verdicts)
    order = (CheckState.WRONG, CheckState.WARNING, CheckState.UNKNOWN, CheckState.OK)
    return ", ".join(f"{found[state]} {state.value}" for state in order if found[state]) or "nothing was checked"

"""The port's role for one start of a task: it takes windows, keeps its leases, and writes under its fences."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from include.pipeline_framework.core.lifecycle.transitions import Decision
from include.pipeline_framework.core.records.ledger_row import LedgerRow, RowIdentity
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.errors import PipelineError


class LedgerAttempts(Protocol):
    """The methods that take and change windows, one transaction each."""

    def take(self, record_id: int, actor: Actor, expected: RowIdentity | None = None) -> LedgerRow:
        """Start a task on a window: check that the actor's run may have it, and give it a new, greatest fence.

        With `expected`, the row is compared with the window that the actor means by the row's number.

        Raises:
            RowMistakenError: The row is another window's by now.
            WindowHeldError, WindowFinishedError, WindowInvalidatedError: See `core.lifecycle.take`.
        """
        ...

    def take_all(self, windows: Mapping[int, RowIdentity | None], actor: Actor) -> dict[int, LedgerRow | PipelineError]:
        """Do as `take` does for several rows in one transaction, each with what is expected of it.

        A row that is refused stops none beside it; its error is returned in its place.
        """
        ...

    def heartbeat(self, record_id: int, fence: int) -> None:
        """Renew the lease.

        Raises:
            FenceLostError: Another start of a task owns the window.
        """
        ...

    def change(self, record_id: int, decide: Decision, actor: Actor) -> LedgerRow:
        """Lock the row, let `decide` (a function of `core.lifecycle`) judge it, and write its transition and event.

        The changed row is returned. An error that `decide` raises passes through, and then nothing was written.
        """
        ...

    def change_all(self, decisions: Mapping[int, Decision], actor: Actor) -> dict[int, LedgerRow | PipelineError]:
        """Do as `change` does for several rows in one transaction.

        A row whose decision raised an error of the framework stops none beside it; the error is returned in its place.
        """
        ...

    def note_refusal(self, record_id: int, fence: int, reason: str, actor: Actor) -> None:
        """Append an event `refused`: the actor's start, under this fence, wanted to write after a newer start. The row
        does not change.
        """
        ...

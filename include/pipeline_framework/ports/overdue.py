"""The port that finds overdue windows and remembers which of them were reported."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from include.pipeline_framework.core.watching.overdue import Overdue, OverdueScope


class OverdueAlarms(Protocol):
    """Finds what is overdue in the ledger, and keeps what of it was reported to people."""

    def now(self) -> datetime:
        """Return the time of the ledger's clock."""
        ...

    def find_overdue(self, scopes: Sequence[OverdueScope]) -> list[Overdue]:
        """Return what is overdue, for every source that has something; the number of statements does not grow with it.

        That is: live rows inside a scope that are neither COMPLETED nor SKIPPED, of no backfill campaign or of a
        running one that was started before `asked_before`; and the scope's days without any live row.
        """
        ...

    def note_told(self, scope: OverdueScope, at: datetime) -> None:
        """Note that all that is overdue in the scope was reported at this moment; notes from long ago are deleted."""
        ...

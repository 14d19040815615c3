"""What remembers which overdue windows people were told of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from include.pipeline_framework.core.watching.overdue import Overdue, OverdueScope


class OverdueAlarms(Protocol):
    """What of the ledger is overdue, and what of it people were told."""

    def now(self) -> datetime:
        """The ledger's clock."""
        ...

    def find_overdue(self, scopes: Sequence[OverdueScope]) -> list[Overdue]:
        """What is overdue, for every source that has something; as many statements for a thousand as for one.

        Live rows inside a scope that are neither COMPLETED nor SKIPPED: of no backfill campaign, or of a running one
        that was started before `asked_before`. And the scope's days without any live row.
        """
        ...

    def note_told(self, scope: OverdueScope, at: datetime) -> None:
        """Everything of the scope that is overdue was told at this moment; what was told long ago is forgotten."""
        ...

"""The part of the ledger's port that tells how complete days are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Protocol

from include.pipeline_framework.core.watching.completeness import Completeness, CompletenessScope


class LedgerCompleteness(Protocol):
    """Counts windows by day and status."""

    def completeness(self, scopes: Sequence[CompletenessScope]) -> list[Completeness]:
        """Return the completeness of every scope, in order; a thousand sources need as many statements as one."""
        ...

    def last_days(self, until: Mapping[str, date]) -> dict[str, date]:
        """Return each source's last local day with live rows, up to its day in `until`; none for one without rows."""
        ...

"""Identify a ledger: the server, timeline and database in which its fences are issued.

A standby that lags behind its lost primary lacks fences, ids and rows when it is promoted. So does a restored backup,
and a copy gives the same ones a second time. Only a person, or something that a person has set up, can tell a failover
from the other cases, so nothing is planned, claimed or taken until the ledger is confirmed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.pipeline_framework.errors import InvalidInputError, LedgerChangedError

ID_MARGIN = 1_000_000
"""Row ids that a lost ledger, or a lost primary after its standby's last change, may have given away without a trace;
the tasks that got them still use them. It is far more than any lag holds."""


@dataclass(frozen=True, slots=True)
class LedgerIdentity:
    """The identity of a ledger.

    Attributes:
        system_identifier: Identifies the database cluster; a standby has its primary's.
        timeline: The timeline of its write-ahead log; a promotion begins a new one.
        database_oid: The oid of the database in it; a copy in the same cluster has another one.
    """

    system_identifier: int
    timeline: int
    database_oid: int

    def __str__(self) -> str:
        return f"system {self.system_identifier}, timeline {self.timeline}, database {self.database_oid}"


@dataclass(frozen=True, slots=True)
class SeenIdentity:
    """The present identity beside the recorded one, which is None when nobody has recorded any."""

    present: LedgerIdentity
    recorded: LedgerIdentity | None
    recorded_at: datetime | None = None
    recorded_by: str | None = None

    @classmethod
    def of(cls, row: Mapping[str, Any]) -> SeenIdentity:
        """Make it from a row of the ledger's view."""
        names = ("system_identifier", "timeline", "database_oid")
        recorded = [row[f"recorded_{name}"] for name in names]
        return cls(
            LedgerIdentity(*(row[name] for name in names)),
            None if None in recorded else LedgerIdentity(*recorded),
            row["recorded_at"],
            row["recorded_by"],
        )

    @property
    def is_recorded(self) -> bool:
        """True when fences may be issued."""
        return self.present == self.recorded

    @property
    def is_failover(self) -> bool:
        """True when it looks like the same database on a later timeline, and like nothing else."""
        before, now = self.recorded, self.present
        if before is None or now.timeline <= before.timeline:
            return False
        return (before.system_identifier, before.database_oid) == (now.system_identifier, now.database_oid)


def require_recorded(seen: SeenIdentity) -> None:
    """Refuse to issue fences in a ledger that is not the recorded one.

    Raises:
        LedgerChangedError: It failed over, was restored or copied, and nobody has confirmed that yet.
    """
    if not seen.is_recorded:
        raise LedgerChangedError(
            f"the ledger is not the one that was recorded: it is {seen.present}, recorded is {seen.recorded or 'none'}",
            where="ledger_identity",
            meaning=(
                "It failed over, was restored or copied, and may have lost fences, rows and ids that targets and "
                "stages know; nothing is planned, claimed or taken"
            ),
            remedy=(
                "After a failover to a standby: python -m include.cli ledger adopt-failover --apply. After a restore, "
                "or in doubt: python -m include.cli ledger rebuild --apply. A copy: let nothing run on it."
            ),
        )


def require_failover(seen: SeenIdentity) -> None:
    """Refuse to adopt a ledger that is no failover.

    Raises:
        InvalidInputError: It is another cluster, another database, or an earlier timeline.
    """
    if not seen.is_failover:
        raise InvalidInputError(
            f"this is no failover: the ledger is {seen.present}, recorded is {seen.recorded or 'none'}",
            where="ledger_identity",
            meaning=(
                "A promoted standby has its primary's system identifier and database, and a greater timeline. Here "
                "targets may have seen greater fences; nothing was changed"
            ),
            remedy="Restored or moved to another server: python -m include.cli ledger rebuild --apply.",
        )

"""Define what a target can prove: its receipts, and the rows that lie in their windows.

A receipt is *live* until a later load or delete touches a part of its window; only a live one proves anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.time.windows import TimeWindow

LOAD, DELETE = "load", "delete"


@dataclass(frozen=True, slots=True)
class Receipt:
    """The target's own proof of one publish or delete, written in the same transaction.

    Attributes:
        source_object: The source object of the window.
        window: The window; there is one receipt for exactly each window.
        fence: The fence that published; it is raised when a later fence finds its manifest already received.
        lifecycle_id: The ledger row.
        kind: `load`, or `delete` for a fenced delete (which is not an empty load).
        fingerprint: The manifest's rows and hash sum (zero for a delete).
        manifest: The manifest's location (empty for a delete).
        written_at: The target's clock, UTC.
    """

    source_object: str
    window: TimeWindow
    fence: int
    lifecycle_id: int
    kind: str
    fingerprint: Fingerprint
    manifest: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class HeldRows:
    """Rows of one source object in the target table, counted by the ledger row that loaded them.

    Attributes:
        lifecycle_id: The ledger row that the rows name.
        fingerprint: Count and hash sum of the rows.
        window: The window of a load receipt, live or not, in which the rows lie. For a total: from the first event to
            just after the last.
        is_total: True for all rows of that ledger row, inside and outside of receipts' windows.
    """

    lifecycle_id: int
    fingerprint: Fingerprint
    window: TimeWindow
    is_total: bool = False


def is_superseded(receipt: Receipt, overlapping: Iterable[Receipt]) -> bool:
    """True when a later load or delete touched (a part of) the receipt's window: it no longer proves anything."""
    return any(other.fence > receipt.fence and other.window.overlaps(receipt.window) for other in overlapping)


def live_receipts(receipts: Iterable[Receipt]) -> list[Receipt]:
    """Return the receipts of one source object that nothing supersedes, by window; no two of them overlap.

    >>> from datetime import UTC
    >>> at = lambda hour: datetime(2013, 3, 9, hour, tzinfo=UTC)
    >>> receipt = lambda a, b, fence: Receipt("s", TimeWindow(at(a), at(b)), fence, 1, LOAD, Fingerprint(), "", at(0))
    >>> [found.fence for found in live_receipts([receipt(0, 2, 5), receipt(1, 2, 7), receipt(2, 3, 1)])]
    [7, 1]
    """
    ordered = sorted(receipts, key=lambda receipt: receipt.window)
    superseded: set[Receipt] = set()
    reaching: list[Receipt] = []
    for receipt in ordered:
        reaching = [other for other in reaching if other.window.end > receipt.window.start]
        for other in reaching:
            if other.fence != receipt.fence:
                superseded.add(min(receipt, other, key=lambda one: one.fence))
        reaching.append(receipt)
    return [receipt for receipt in ordered if receipt not in superseded]

"""Define what a mirror of the ledger has seen, and decide when changed rows alone no longer bring it up to date.

A cycle reads the rows whose transaction is at or after the *watermark*: the oldest transaction that was still open when
the cycle before read the ledger. So it reads rows which that cycle could not see yet, however late they were committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MirrorColumn:
    """One column of the ledger.

    Attributes:
        name: Its name in the ledger, in lower case.
        type: Its type as Postgres spells it.
    """

    name: str
    type: str

    def __str__(self) -> str:
        """Return the column as it is remembered."""
        return f"{self.name} {self.type}"


@dataclass(frozen=True, slots=True)
class MirroredState:
    """The facts that the ledger remembers of a mirror's last cycle.

    Attributes:
        ledger: The ledger that was read.
        watermark: The transaction at which the next cycle begins.
        columns: Columns with their types, as text.
        pipelines: Pipelines whose rows are mirrored.
    """

    ledger: str
    watermark: int
    columns: tuple[str, ...]
    pipelines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LedgerMoment:
    """The ledger at one moment.

    Attributes:
        ledger: Distinguishes this ledger from a restored or rebuilt one, whose transactions have new numbers.
        oldest_open: All transactions before this one have ended and are visible.
        next_transaction: This transaction and all later ones had not begun.
        columns: The ledger's columns in their order.
        read_at: The time of its database's clock.
    """

    ledger: str
    oldest_open: int
    next_transaction: int
    columns: tuple[MirrorColumn, ...]
    read_at: datetime

    def seen_by(self, pipelines: Iterable[str]) -> MirroredState:
        """Return what to remember once the warehouse has committed."""
        return MirroredState(
            self.ledger, self.oldest_open, tuple(str(column) for column in self.columns), tuple(sorted(pipelines))
        )


def reason_for_all(last: MirroredState | None, pipelines: Iterable[str], moment: LedgerMoment) -> str | None:
    """Return why everything has to be mirrored; None when the rows changed since the last cycle are enough.

    >>> from datetime import UTC
    >>> moment = LedgerMoment("a", 7, 9, (MirrorColumn("id", "bigint"),), datetime(2013, 3, 9, tzinfo=UTC))
    >>> reason_for_all(moment.seen_by(["main"]), ["main"], moment)
    >>> reason_for_all(MirroredState("a", 7, (), ("main",)), ["main"], moment)
    'the ledger has other columns: id bigint'
    """
    if last is None:
        return "never mirrored before"
    now = moment.seen_by(pipelines)
    if last.ledger != now.ledger:
        return "another ledger: restored, rebuilt or rewritten"
    if last.watermark > moment.next_transaction:
        return "the ledger has gone back: its transactions have smaller numbers than the last cycle's"
    if last.columns != now.columns:
        changed = [column for column in now.columns if column not in last.columns]
        gone = [column for column in last.columns if column not in now.columns]
        return f"the ledger has other columns: {', '.join(changed or gone) or 'in another order'}"
    added = sorted(set(now.pipelines) - set(last.pipelines))
    return f"more pipelines load there: {', '.join(added)}" if added else None


def joined(lines: Iterable[str], max_bytes: int) -> Iterator[tuple[int, str]]:
    """Join JSON texts into few JSON arrays of at most `max_bytes` each, with their counts; a longer text stands alone.

    >>> list(joined(["[1]", "[2]", "[3]"], 9))
    [(2, '[[1],[2]]'), (1, '[[3]]')]
    """
    batch: list[str] = []
    size = 2
    for line in lines:
        length = len(line.encode()) + 1
        if batch and size + length - 1 > max_bytes:
            yield len(batch), f"[{','.join(batch)}]"
            batch, size = [], 2
        batch.append(line)
        size += length
    if batch:
        yield len(batch), f"[{','.join(batch)}]"

"""Mirror the ledger's changed rows into a table of the target warehouse (`publish_lifecycle`).

A cycle may die at any point, because of its order: it reads the changed rows at one moment of the ledger, the warehouse
replaces them in one transaction, and only then the ledger remembers that moment. After a death in between, the same
rows are repeated.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from include.pipeline_framework.ports.mirror import ChangedRows, LifecycleFeed, LifecycleMirror

ASKED_FOR = "asked for"
NEW_TABLE = "its table was not there"


@dataclass(frozen=True, slots=True)
class MirrorReport:
    """The result of a cycle.

    Attributes:
        mirror: Name of the mirror.
        rows: Rows that were mirrored, or would be.
        full_because: Why all rows were mirrored; None: changed ones only.
        skipped_because: Why the cycle was skipped; None when it was not, or when nothing had changed.
    """

    mirror: str
    rows: int = 0
    full_because: str | None = None
    skipped_because: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return JSON for XCom."""
        return {name: getattr(self, name) for name in self.__slots__}


def publish(
    mirror: str,
    pipelines: Sequence[str],
    feed: LifecycleFeed,
    warehouse: LifecycleMirror,
    *,
    is_full: bool = False,
    dry_run: bool = False,
) -> MirrorReport:
    """Bring one mirror up to date; a cycle without changed rows does not wake the warehouse.

    Args:
        mirror: Its name; the ledger remembers its watermark under it.
        pipelines: The pipelines whose rows are mirrored.
        feed: The ledger.
        warehouse: The warehouse with the table.
        is_full: When True, mirror all rows again.
        dry_run: When True, only count.
    """
    with feed.lock(mirror) as is_mine:
        if not is_mine:
            return MirrorReport(mirror, skipped_because="another cycle of this mirror is running")
        with feed.read(feed.last(mirror), pipelines, ASKED_FOR if is_full else None) as rows:
            if dry_run:
                return MirrorReport(mirror, rows.row_count, rows.full_because, "a dry run")
            if not rows.row_count and not rows.full_because:
                feed.remember(mirror, pipelines, rows)
                return MirrorReport(mirror)
            if not warehouse.prepare(rows.moment.columns) or rows.full_because:
                return _write(mirror, pipelines, feed, warehouse, rows)
        with feed.read(None, pipelines, NEW_TABLE) as rows:
            return _write(mirror, pipelines, feed, warehouse, rows)


def _write(
    mirror: str, pipelines: Sequence[str], feed: LifecycleFeed, warehouse: LifecycleMirror, rows: ChangedRows
) -> MirrorReport:
    all_of = pipelines if rows.full_because else None
    warehouse.replace(rows.moment.columns, rows.lines(), mirrored_at=rows.moment.read_at, all_of=all_of)
    feed.remember(mirror, pipelines, rows)
    return MirrorReport(mirror, rows.row_count, rows.full_because)

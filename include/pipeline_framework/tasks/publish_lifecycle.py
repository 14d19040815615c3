"""`publish_lifecycle`: the ledger's rows into a table of the target warehouse, changed ones only.

Order of a cycle, and why it is safe to die anywhere: the changed rows are read at one moment of the ledger, the
warehouse replaces them in one transaction, and only then the ledger remembers that moment. A death in between repeats
the same rows.
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
    """What a cycle did.

    Attributes:
        mirror: Name of the mirror.
        rows: Rows that were mirrored, or would be.
        full_because: Why all of them; None: changed ones only.
        skipped_because: Why nothing was done; None: something was, or nothing had changed.
    """

    mirror: str
    rows: int = 0
    full_because: str | None = None
    skipped_because: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """For XCom."""
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
        pipelines: Whose rows belong there.
        feed: The ledger.
        warehouse: Where the table is.
        is_full: Mirror everything again.
        dry_run: Only count.
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

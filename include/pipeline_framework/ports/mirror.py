"""The ports of the mirror: the ledger's side, which is copied, and the warehouse's side, which holds the copy."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from include.pipeline_framework.core.watching.mirror import LedgerMoment, MirrorColumn, MirroredState


class ChangedRows(Protocol):
    """The rows of one moment, spooled, so that the ledger's transaction has ended already."""

    @property
    def moment(self) -> LedgerMoment:
        """Return when the rows were read, and from which ledger."""
        ...

    @property
    def full_because(self) -> str | None:
        """Return why these are all rows; None when they are the changed ones only."""
        ...

    @property
    def row_count(self) -> int:
        """Return how many rows there are."""
        ...

    def lines(self) -> Iterator[str]:
        """Return each row once, as a JSON array of texts and nulls in the order of the columns; instants are UTC."""
        ...


class LifecycleFeed(Protocol):
    """The ledger's side of a mirror."""

    def lock(self, mirror: str) -> AbstractContextManager[bool]:
        """Keep other cycles of the mirror out; gives False when one is running."""
        ...

    def last(self, mirror: str) -> MirroredState | None:
        """Return the state that the last cycle left, if there was one."""
        ...

    def read(
        self, last: MirroredState | None, pipelines: Sequence[str], full_because: str | None = None
    ) -> AbstractContextManager[ChangedRows]:
        """Read the pipelines' rows that changed since `last`; all of them for `full_because`, or when it has to be."""
        ...

    def remember(self, mirror: str, pipelines: Sequence[str], rows: ChangedRows) -> None:
        """Note that the warehouse has committed these rows."""
        ...


class LifecycleMirror(Protocol):
    """The warehouse's side of a mirror."""

    def prepare(self, columns: Sequence[MirrorColumn]) -> bool:
        """Create the table, or add columns that it lacks; return True when it was created, and so is empty.

        Raises:
            ConfigurationError: Another table has its name.
        """
        ...

    def replace(
        self,
        columns: Sequence[MirrorColumn],
        lines: Iterable[str],
        *,
        mirrored_at: datetime,
        all_of: Sequence[str] | None,
    ) -> int:
        """Put the rows in the place of those with their ids, in one transaction; return how many.

        Args:
            columns: The columns that the lines hold.
            lines: See `ChangedRows.lines`.
            mirrored_at: When the ledger was read.
            all_of: Pipelines whose other rows are deleted: the lines are all rows that there are. None: changed rows.

        Raises:
            PublishConflictError: Another session writes the table, or a later cycle has written it already.
        """
        ...

"""What copies the ledger beside the data, and what that copy is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from include.pipeline_framework.core.watching.mirror import LedgerMoment, MirrorColumn, MirroredState


class ChangedRows(Protocol):
    """Rows of one moment, spooled: the ledger's transaction is over."""

    @property
    def moment(self) -> LedgerMoment:
        """When, and of which ledger."""
        ...

    @property
    def full_because(self) -> str | None:
        """Why these are all rows; None: changed ones only."""
        ...

    @property
    def row_count(self) -> int:
        """How many."""
        ...

    def lines(self) -> Iterator[str]:
        """Each row once, a JSON array of texts and nulls in the order of the columns; instants are UTC."""
        ...


class LifecycleFeed(Protocol):
    """The ledger's side of a mirror."""

    def lock(self, mirror: str) -> AbstractContextManager[bool]:
        """Keep other cycles of the mirror out; False: one is running."""
        ...

    def last(self, mirror: str) -> MirroredState | None:
        """What the last cycle left."""
        ...

    def read(
        self, last: MirroredState | None, pipelines: Sequence[str], full_because: str | None = None
    ) -> AbstractContextManager[ChangedRows]:
        """Rows of the pipelines that were changed since; all of them for that reason, or when changed ones can't do."""
        ...

    def remember(self, mirror: str, pipelines: Sequence[str], rows: ChangedRows) -> None:
        """Note that the warehouse has committed these rows."""
        ...


class LifecycleMirror(Protocol):
    """The warehouse's side."""

    def prepare(self, columns: Sequence[MirrorColumn]) -> bool:
        """Create the table, or add columns that it lacks; whether it was created, and so is empty.

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
        """Put the rows in the place of those with their ids, in one transaction; how many.

        Args:
            columns: What the lines hold.
            lines: See `ChangedRows.lines`.
            mirrored_at: When the ledger was read.
            all_of: Pipelines whose other rows go: these are all that the ledger has. None: changed rows only.

        Raises:
            PublishConflictError: Another session writes the table, or a later cycle has written it already.
        """
        ...

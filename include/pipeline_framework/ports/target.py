"""The port to a target: publish, delete, receipts, fingerprints."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.receipts import HeldRows, Receipt
from include.pipeline_framework.core.proof.vanishing import VanishedDataLimit
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import PipelineError
from include.pipeline_framework.ports.stage import Manifest, Stage


@dataclass(frozen=True, slots=True)
class PublishRequest:
    """One window to publish.

    Attributes:
        manifest: The files to load.
        fence: The fence of the task that publishes.
        lifecycle_id: Its ledger row.
        replaced: The ledger rows that this one replaces, by id, each with its window.
        ids_repeat: True when two rows may have one id; else they are refused.
        removable: How many of the rows that earlier loads left in the window may be deleted because the manifest lacks
            their ids; None: any number.
    """

    manifest: Manifest
    fence: int
    lifecycle_id: int
    replaced: Mapping[int, TimeWindow] = field(default_factory=dict)
    ids_repeat: bool = False
    removable: VanishedDataLimit | None = None

    @property
    def window(self) -> TimeWindow:
        """Return the window to publish."""
        return self.manifest.window


@dataclass(frozen=True, slots=True)
class PublishResult:
    """The result of a publish.

    Attributes:
        receipt: The receipt as it stands now.
        loaded: Rows and hash sum counted in the window after the insert, in the same transaction.
        deleted_rows: Rows removed from the window (and of replaced rows) before the insert.
        already_received: True when an earlier try committed this manifest and its answer was lost; nothing is loaded
            again.
    """

    receipt: Receipt
    loaded: Fingerprint
    deleted_rows: int = 0
    already_received: bool = False


PublishOutcome = PublishResult | PipelineError
"""What became of one window: its result, or the error that left it unchanged."""


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One typed column of a target table.

    Attributes:
        name: Column name as written in the YAML; validated as an identifier and always quoted.
        type: One of `text`, `integer`, `number`, `boolean`, `timestamp`, `date`.
        path: Where the value lives in the document: keys from the root. `{"a": {"b": 7}}` and `{"a.b": 7}` are the
            same value, as in Elasticsearch.
        format: The unit of a number in a `timestamp` or `date` column: `epoch_second` or `epoch_millis`; when empty, it
            is milliseconds, and numbers that look like seconds are refused.
    """

    name: str
    type: str
    path: tuple[str, ...]
    format: str = ""


class Target(Protocol):
    """Loads each window exactly once. Every delete, count and fingerprint is by source object *and* event time, so two
    pipelines may share one table.

    Columns of a target row: the YAML's typed columns, `_source_object`, `_id`, `_id_hash`, `_event_at` (UTC whatever
    the session's time zone), `_lifecycle_id`, `_fence`, `_file`, `doc`.
    """

    locks_table: bool
    """True when a publish locks the whole table, so that publishes should take turns."""

    def connected(self) -> AbstractContextManager[None]:
        """Let the calls of this thread share a connection while the context lasts; else each may open its own."""
        ...

    def prepare(self, source_object: str) -> None:
        """Create the table, the receipts table and this source object's guard row where missing; safe to call again."""
        ...

    def fingerprint(self, source_object: str, window: TimeWindow) -> Fingerprint:
        """Return count and id-hash sum of the window in the table now."""
        ...

    def receipt(self, source_object: str, window: TimeWindow) -> Receipt | None:
        """Return the receipt of exactly this window; None also when a later load or delete touched a part of it."""
        ...

    def confirm(self, source_object: str, window: TimeWindow, *, fence: int) -> Receipt | None:
        """Raise the live load receipt of exactly this window to this fence and return it, if its rows are still there.

        This is one transaction under the guard row: afterwards no publish or delete of an older start can touch the
        window. When there is no such receipt, or the rows differ from it, nothing is changed and None is returned.

        Raises:
            FenceLostError: As in `publish`.
        """
        ...

    def publish(
        self,
        requests: Sequence[PublishRequest],
        stage: Stage,
        *,
        turn: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> list[PublishOutcome]:
        """Load each manifest's files in a transaction under its fence; return the outcomes in the requests' order.

        Windows that are published together may share a transaction. Each has the outcome that it would have alone: an
        error of one window is returned in its place and stops none beside it. An error that is none of the framework's
        is raised; the receipts tell what was committed until then.

        Steps that touch nothing shared (the load into a private table, its checks) come before a transaction, which
        runs inside `turn()`; a window whose `turn` raised is unchanged, and that error is its outcome.

        The transaction deletes the window, and outside it only what the ledger rows of `replaced` have loaded: rows
        with such a `_lifecycle_id` within the span of those windows. Then it inserts, checks rows and fingerprint,
        writes the receipt and commits. A manifest that was received already is not loaded again: its receipt is raised
        to this fence.

        The errors of a window:
            FenceLostError: A receipt that overlaps the window carries a greater fence; nothing was changed.
            PublishConflictError: The guard row stayed locked.
            TornStageError: Files and manifest disagree; nothing was changed.
            BadDocumentError: A value can't be cast to its typed column, or an id comes twice; nothing was changed.
            RowsWouldVanishError: More rows would be deleted than `removable` allows; nothing was changed.
            InvalidInputError: The manifest is another row's; nothing was changed.
            ServiceUnavailableError: The target did not answer, before or (after reading the receipt) during commit.
        """
        ...

    def delete(self, source_object: str, window: TimeWindow, *, fence: int, lifecycle_id: int) -> int:
        """Delete the window under the fence, leave a `delete` receipt, and return the number of rows deleted.

        Raises:
            FenceLostError: As in `publish`.
        """
        ...

    def receipts(self, source_object: str) -> list[Receipt]:
        """Return every receipt of the source object, superseded ones included, by window; none when never prepared."""
        ...

    def held_rows(self, source_object: str) -> list[HeldRows]:
        """Count every row of the source object in the table, from one consistent view.

        There is a total per ledger row, and a count per ledger row and window of a load receipt (live or not) for the
        rows inside; where receipts overlap, a row counts in each. The list is empty when the source object was never
        prepared.
        """
        ...

    def fence_floor(self, source_object: str) -> int:
        """Return the fence below which all are refused; 0 when never raised, or the source object never prepared."""
        ...

    def raise_floor(self, source_object: str, floor: int) -> None:
        """Refuse from now on every publish, confirmation and delete under a fence below `floor`; a floor never sinks.

        It waits for a publish that holds the guard row: what that publish commits is in `receipts` afterwards.

        Raises:
            ConfigurationError: The source object was never prepared.
            PublishConflictError: The guard row stayed locked.
        """
        ...

"""What a target is asked for: publish, delete, receipts, fingerprints."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Protocol

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.receipts import HeldRows, Receipt
from include.pipeline_framework.core.proof.vanishing import VanishedDataLimit
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.ports.stage import Manifest, Stage


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What a publish did.

    Attributes:
        receipt: The receipt as it stands now.
        loaded: Rows and hash sum counted in the window after the insert, in the same transaction.
        deleted_rows: Rows removed from the window (and of replaced rows) before the insert.
        already_received: True when an earlier, lost answer had committed this manifest; nothing was loaded again.
    """

    receipt: Receipt
    loaded: Fingerprint
    deleted_rows: int = 0
    already_received: bool = False


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One typed column of a target table.

    Attributes:
        name: Column name as written in the YAML; validated as an identifier and always quoted.
        type: One of `text`, `integer`, `number`, `boolean`, `timestamp`, `date`.
        path: Where the value lives in the document: keys from the root. `{"a": {"b": 7}}` and `{"a.b": 7}` are the
            same value, as Elasticsearch has it.
        format: What a number in a `timestamp` or `date` column counts: `epoch_second` or `epoch_millis`; empty:
            milliseconds, and numbers that look like seconds are refused.
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
    """Whether a publish locks the whole table, so that publishes had better take turns."""

    def prepare(self, source_object: str) -> None:
        """Create what is missing (table, receipts table, this source object's guard row); safe to call again."""
        ...

    def fingerprint(self, source_object: str, window: TimeWindow) -> Fingerprint:
        """Count and id-hash sum of the window in the table, now."""
        ...

    def receipt(self, source_object: str, window: TimeWindow) -> Receipt | None:
        """The receipt of exactly this window; None, too, when a later load or delete touched a part of the window."""
        ...

    def confirm(self, source_object: str, window: TimeWindow, *, fence: int) -> Receipt | None:
        """The live load receipt of exactly this window, raised to this fence, if the table still holds its rows.

        One transaction under the guard row: afterwards no publish or delete of an older start can touch the window.
        None, and nothing changed, when there is no such receipt or the rows differ from it.

        Raises:
            FenceLostError: As in `publish`.
        """
        ...

    def publish(
        self,
        manifest: Manifest,
        stage: Stage,
        *,
        fence: int,
        lifecycle_id: int,
        replaced: Mapping[int, TimeWindow] | None = None,
        turn: Callable[[], AbstractContextManager[None]] = nullcontext,
        ids_repeat: bool = False,
        removable: VanishedDataLimit | None = None,
    ) -> PublishResult:
        """Load the manifest's files in one transaction under the fence.

        Two rows with one id are refused unless `ids_repeat` says that the source's ids do repeat. `removable` limits
        how many of the rows that earlier loads left in the window may go because the manifest lacks their ids; None:
        any number.

        Whatever touches nothing shared (the load into a private table, its checks) comes before the transaction, which
        runs inside `turn()`; an error that `turn` raises leaves the table as it was.

        Delete the window, and outside it only what the ledger rows of `replaced` (id → its window) have loaded: rows
        with such a `_lifecycle_id` within the span of those windows; insert; check rows and
        fingerprint; write the receipt; commit. A manifest that was received already is not loaded again: its receipt is
        raised to this fence.

        Raises:
            FenceLostError: A receipt that overlaps the window carries a greater fence; nothing was changed.
            PublishConflictError: The guard row stayed locked.
            TornStageError: Files and manifest disagree; nothing was changed.
            BadDocumentError: A value can't be cast to its typed column, or an id comes twice; nothing was changed.
            RowsWouldVanishError: More rows would be gone than `removable` allows; nothing was changed.
            ServiceUnavailableError: The target did not answer, before or (after reading the receipt) during commit.
        """
        ...

    def delete(self, source_object: str, window: TimeWindow, *, fence: int, lifecycle_id: int) -> int:
        """Fenced delete of the window; leaves a `delete` receipt; returns the rows deleted.

        Raises:
            FenceLostError: As in `publish`.
        """
        ...

    def receipts(self, source_object: str) -> list[Receipt]:
        """Every receipt of the source object, superseded ones too, by window; none when it was never prepared."""
        ...

    def held_rows(self, source_object: str) -> list[HeldRows]:
        """Every row of the source object in the table, counted from one consistent view.

        Once per ledger row as a total, and once per ledger row and window of a load receipt (live or not) for those
        inside; where receipts overlap, a row is inside of each. Nothing when the source object was never prepared.
        """
        ...

    def fence_floor(self, source_object: str) -> int:
        """Fences below it are refused; 0 when it was never raised, or the source object was never prepared."""
        ...

    def raise_floor(self, source_object: str, floor: int) -> None:
        """From now on refuse every publish, confirmation and delete under a fence below `floor`; a floor never sinks.

        It waits for a publish that holds the guard row: what that commits is in `receipts` afterwards.

        Raises:
            ConfigurationError: The source object was never prepared.
            PublishConflictError: The guard row stayed locked.
        """
        ...

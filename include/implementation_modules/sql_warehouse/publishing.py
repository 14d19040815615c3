"""The rules of publishing exactly once, without a database: who may write a window, and which loads are there already.

Every target reads, under the lock of its guard row, the source object's floor and the receipts that overlap the window,
and calls these functions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.receipts import LOAD, Receipt, is_superseded
from include.pipeline_framework.core.proof.vanishing import VanishedDataLimit
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    BadDocumentError,
    FenceLostError,
    InvalidInputError,
    RowsWouldVanishError,
    TornStageError,
)
from include.pipeline_framework.ports.stage import Manifest
from include.pipeline_framework.ports.target import PublishRequest


@dataclass(frozen=True, slots=True)
class Guarded:
    """The state that a transaction reads once it holds the guard row."""

    now: datetime
    floor: int
    overlapping: tuple[Receipt, ...]


def require_fence(fence: int, floor: int, overlapping: Iterable[Receipt], where: str) -> None:
    """Refuse a fence that is below the floor or older than the fence that published into the window.

    Raises:
        FenceLostError: Names the receipt or the floor that won.
    """
    if fence < floor:
        raise FenceLostError(
            f"fence {fence} is below the target's floor {floor}",
            where=where,
            meaning="The ledger was rebuilt after this fence was issued; nothing was changed",
            remedy="Nothing, if a newer run owns the window. Else let the ledger's fence sequence start at the floor.",
        )
    newest = max(overlapping, key=lambda receipt: receipt.fence, default=None)
    if newest is not None and newest.fence > fence:
        raise FenceLostError(
            f"fence {fence} is older than fence {newest.fence}, whose {newest.kind} of {newest.window} overlaps",
            where=where,
            meaning=f"Row {newest.lifecycle_id} wrote there later; nothing was changed",
            remedy="Nothing: the newer start carries on.",
        )


def exact_receipt(window: TimeWindow, overlapping: Iterable[Receipt]) -> Receipt | None:
    """Return the receipt of exactly this window, superseded or not."""
    return next((receipt for receipt in overlapping if receipt.window == window), None)


def live_receipt(window: TimeWindow, overlapping: Sequence[Receipt]) -> Receipt | None:
    """Return the receipt of exactly this window, unless it is superseded."""
    receipt = exact_receipt(window, overlapping)
    return receipt if receipt is not None and not is_superseded(receipt, overlapping) else None


def span_of(replaced: Mapping[int, TimeWindow]) -> TimeWindow | None:
    """Return the first start and the last end of the replaced windows; None if there are none."""
    windows = replaced.values()
    return TimeWindow(min(w.start for w in windows), max(w.end for w in windows)) if windows else None


def live_load(window: TimeWindow, overlapping: Sequence[Receipt]) -> Receipt | None:
    """Return the receipt of the load that proves the window's present rows: nothing has changed them since."""
    receipt = live_receipt(window, overlapping)
    return receipt if receipt is not None and receipt.kind == LOAD else None


def received(manifest: Manifest, overlapping: Sequence[Receipt]) -> bool:
    """Return whether exactly this manifest of this row was committed, and nothing has changed the window since."""
    receipt = live_load(manifest.window, overlapping)
    return receipt is not None and (receipt.manifest, receipt.lifecycle_id) == (
        manifest.location,
        manifest.lifecycle_id,
    )


def fit_together(requests: Sequence[PublishRequest]) -> bool:
    """Return whether the windows can share a load and a transaction: each row of the load belongs to one of them.

    They are of one source object, overlap nowhere, and their event times have one unit.
    """
    windows = sorted(request.window for request in requests)
    return (
        len({(request.manifest.source_object, request.manifest.time_unit) for request in requests}) == 1
        and len({request.lifecycle_id for request in requests}) == len(requests)
        and all(before.end <= after.start for before, after in pairwise(windows))
    )


def require_own_manifest(manifest: Manifest, lifecycle_id: int) -> None:
    """Refuse to load what another ledger row has staged.

    Raises:
        InvalidInputError: The ids differ.
    """
    if manifest.lifecycle_id != lifecycle_id:
        raise InvalidInputError(
            f"the manifest belongs to row {manifest.lifecycle_id}, not to row {lifecycle_id}",
            where=manifest.location,
            meaning="Nothing was changed",
            remedy="Publish each manifest under the row that staged it.",
        )


AFTER_INSERT = "After the insert the window holds"


def require_same(found: Fingerprint, manifest: Manifest, what: str, where: str) -> None:
    """Refuse rows and a hash sum that differ from the manifest's.

    Raises:
        TornStageError: They differ.
    """
    if found == manifest.fingerprint:
        return
    meaning, remedy = "The staged files are not what was staged", "Run the window again from its source."
    if what == AFTER_INSERT:
        meaning = "A staged file has changed since it was checked, or the table does not keep what is inserted"
        remedy += " If it stays, look for triggers, rules and policies of the table, or a view in its place."
    raise TornStageError(
        f"{what} {found}, the manifest says {manifest.fingerprint}",
        where=f"{where}, {manifest.location}",
        meaning=f"{meaning}; nothing was changed in the target",
        remedy=remedy,
    )


def require_distinct(repeated: tuple[str, int] | None, manifest: Manifest, where: str) -> None:
    """Refuse rows that share an id: the same document twice, or an id that names nothing.

    Args:
        repeated: One id that several rows have, and their number; None: there is none.
        manifest: What was staged.
        where: For the message.

    Raises:
        BadDocumentError: Names the id.
    """
    if repeated is not None:
        document_id, times = repeated
        raise BadDocumentError(
            f"document {document_id!r} comes {times} times",
            where=f"{where}, {manifest.location}",
            meaning="A copy of an index in the pattern, or an id column that is not unique, loads rows twice; "
            "nothing was changed in the target",
            remedy="Leave the copy out of `index` (old-*,-old-copy), or choose a unique id_column. Where ids do repeat "
            "and every row counts, say so in the pipeline's file: ids_repeat: true.",
        )


def may_take_rows_away(overlapping: Iterable[Receipt], replaced: Mapping[int, TimeWindow]) -> bool:
    """Return whether the window was loaded before: a first load can't remove rows, so no check is needed."""
    return bool(replaced) or any(receipt.kind == LOAD and receipt.fingerprint.rows for receipt in overlapping)


def require_kept(vanishing: int, held: int, limit: VanishedDataLimit, manifest: Manifest, where: str) -> None:
    """Refuse a load that removes more rows than it may.

    Args:
        vanishing: Rows of the window whose ids the manifest does not have.
        held: Rows that the window holds.
        limit: The most rows that the load may remove.
        manifest: The manifest to load.
        where: For the message.

    Raises:
        RowsWouldVanishError: The load would remove more.
    """
    if vanishing > limit.of(held):
        raise RowsWouldVanishError(
            f"{vanishing} of the window's {held} rows would be gone, {limit.of(held)} may go without a person's yes: "
            f"the source gave {manifest.fingerprint.rows} rows",
            where=where,
            meaning="The source shows less than it did: rows were deleted there, or are hidden (a closed index, an "
            "alias that points elsewhere, a right that was taken away); nothing was changed in the target",
            remedy="If it hides them, mend the source and clear this task. If they are gone for good, trigger the "
            'pipeline with {"windows": [[start, end]], "replace": true, "reason": "…"}: that is the yes.',
        )


def lineage(manifest: Manifest) -> str:
    """Return the value of `_file`: the staged file, or, for several files, the folder whose manifest lists them.

    A COPY of many files into one VARIANT column can't tell the files apart, and all targets must give the same value.
    """
    return manifest.files[0].key if len(manifest.files) == 1 else manifest.location

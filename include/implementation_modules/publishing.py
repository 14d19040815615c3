"""The rules of publishing exactly once, without a database: who may write a window, and what is there already.

Every target reads, under its guard row's lock, the source object's floor and the receipts that overlap the window, and
asks here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from include.pipeline_framework.core.fingerprints import Fingerprint
from include.pipeline_framework.core.receipts import LOAD, Receipt, is_superseded
from include.pipeline_framework.core.windows import TimeWindow
from include.pipeline_framework.errors import FenceLostError, InvalidInputError, TornStageError
from include.pipeline_framework.ports import Manifest


def require_fence(fence: int, floor: int, overlapping: Iterable[Receipt], where: str) -> None:
    """Refuse a fence that is below the floor or older than what published into the window.

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
    """The receipt of exactly this window, superseded or not."""
    return next((receipt for receipt in overlapping if receipt.window == window), None)


def live_receipt(window: TimeWindow, overlapping: Sequence[Receipt]) -> Receipt | None:
    """The receipt of exactly this window, unless it is superseded."""
    receipt = exact_receipt(window, overlapping)
    return receipt if receipt is not None and not is_superseded(receipt, overlapping) else None


def span_of(replaced: Mapping[int, TimeWindow]) -> TimeWindow | None:
    """From the first start to the last end of the windows that are replaced; None when there are none."""
    windows = replaced.values()
    return TimeWindow(min(w.start for w in windows), max(w.end for w in windows)) if windows else None


def live_load(window: TimeWindow, overlapping: Sequence[Receipt]) -> Receipt | None:
    """The receipt that proves what the window holds now: of a load, and touched by nothing since."""
    receipt = live_receipt(window, overlapping)
    return receipt if receipt is not None and receipt.kind == LOAD else None


def received(manifest: Manifest, overlapping: Sequence[Receipt]) -> bool:
    """Whether exactly this manifest of this row was committed before and nothing has touched the window since."""
    receipt = live_load(manifest.window, overlapping)
    return receipt is not None and (receipt.manifest, receipt.lifecycle_id) == (
        manifest.location,
        manifest.lifecycle_id,
    )


def require_own_manifest(manifest: Manifest, lifecycle_id: int) -> None:
    """Refuse to load what another ledger row staged.

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


def require_same(found: Fingerprint, manifest: Manifest, what: str, where: str) -> None:
    """Compare rows and hash sum with the manifest's.

    Raises:
        TornStageError: They differ.
    """
    if found != manifest.fingerprint:
        raise TornStageError(
            f"{what} {found}, the manifest says {manifest.fingerprint}",
            where=f"{where}, {manifest.location}",
            meaning="The staged files are not what was staged; nothing was changed in the target",
            remedy="Run the window again from its source.",
        )


def lineage(manifest: Manifest) -> str:
    """Value of `_file`: the staged file, or, of several, the folder whose manifest lists them.

    A COPY of many files into one VARIANT column can't tell them apart, and the targets shall agree.
    """
    return manifest.files[0].key if len(manifest.files) == 1 else manifest.location

"""Rebuild a lost ledger: find the rows that the target's receipts and the stage's manifests prove.

The newest proof of a stretch of time wins. A live load receipt says that the window is loaded: its row enters after
STAGE_TO_TARGET and is audited. A manifest that no receipt has overtaken says that it is staged: its row enters after
SOURCE_TO_STAGE and is loaded. Deletes and superseded receipts prove no loaded data, so they rebuild nothing.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from include.pipeline_framework.core.proof.receipts import LOAD, Receipt, live_receipts
from include.pipeline_framework.core.records.row import Phase, Status
from include.pipeline_framework.core.restoring.ledger_identity import ID_MARGIN
from include.pipeline_framework.core.time.windows import TimeWindow, uncovered

FENCE_MARGIN = 1_000_000
"""Fences that may have been issued without a trace in target, stage or ledger: far more than any pipeline takes."""

RECEIPT, MANIFEST = "receipt", "manifest"


@dataclass(frozen=True, slots=True)
class Proof:
    """One window that a receipt or a manifest proves.

    Attributes:
        origin: RECEIPT or MANIFEST.
        window: The window as it was loaded or staged, whatever the pipeline's grid is today.
        fence: The fence of the publish or of the extract.
        lifecycle_id: The lost ledger row; target rows and staged lines carry it.
        rows: The number of rows loaded or staged.
        columns: The row's columns that it proves: counts, fingerprints, the stage's location.
    """

    origin: str
    window: TimeWindow
    fence: int
    lifecycle_id: int
    rows: int
    columns: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision on one proof.

    Attributes:
        proof: The proof.
        refusal: Why it rebuilds nothing; empty when it rebuilds a row.
        is_in_ledger: True when live rows cover the whole window already: nothing is done.
        keeps_id: False when its row id belongs to another row by now. Then the window gets a new id and is loaded
            again, so that no target row names another window's ledger row.
    """

    proof: Proof
    refusal: str = ""
    is_in_ledger: bool = False
    keeps_id: bool = True

    @property
    def columns(self) -> dict[str, Any]:
        """Return the columns that the rebuilt row has beside those of a planned one."""
        if not self.keeps_id:
            # never SKIPPED, as the target's rows name another row; rows that the source has lost since stay there
            return {"is_replacement_run_flag": True, "removable_count": 0}
        done = {"id": self.proof.lifecycle_id, "fence": self.proof.fence, **self.proof.columns}
        done["source_to_stage_ingestion_status"] = Status.COMPLETED
        if self.proof.origin == MANIFEST:
            return {**done, "phase_completed": Phase.SOURCE_TO_STAGE}
        return {
            **done,
            "stage_to_target_ingestion_status": Status.COMPLETED,
            "elt_process_status": Status.COMPLETED,
            "phase_completed": Phase.STAGE_TO_TARGET,
        }

    @property
    def resumes(self) -> str:
        """Return where the pipeline's next run continues, for people."""
        if not self.keeps_id:
            return "from the start"
        return "at its load" if self.proof.origin == MANIFEST else "at its audit"

    @property
    def reason(self) -> str:
        """Return why the row is rebuilt, for its event."""
        row = f"row {self.proof.lifecycle_id}"
        if not self.keeps_id:
            return f"a {self.proof.origin} of {row} proves the window, but that id is another row's now: loaded again"
        if self.proof.origin == MANIFEST:
            return "a complete manifest proves that it was staged"
        gone = "" if self.proof.columns.get("stage_location") else "; its manifest is gone, the receipt has its numbers"
        return f"a live load receipt proves that it was loaded{gone}"


def fence_floor(fences: Iterable[int]) -> int:
    """Return a floor far above every known fence.

    >>> fence_floor([7, 12])
    1000012
    """
    return max(fences, default=0) + FENCE_MARGIN


def id_floor(ids: Iterable[int]) -> int:
    """Return a floor for the ids of new rows, far above every known id.

    >>> id_floor([401])
    1000401
    """
    return max(ids, default=0) + ID_MARGIN


def judge(
    proofs: Iterable[Proof],
    receipts: Sequence[Receipt],
    live: Iterable[TimeWindow],
    taken_ids: Collection[int],
    refusal: Callable[[TimeWindow], str | None],
) -> list[Verdict]:
    """Return which proofs become rows, in order of their windows; manifests that were overtaken are left out.

    Args:
        proofs: One per live load receipt, and the manifests that no receipt names.
        receipts: All receipts of the source object: they may have overtaken a manifest.
        live: Windows of the ledger's live rows.
        taken_ids: Those of the proofs' row ids that the ledger has, for whatever row.
        refusal: Returns why a window can't be a row of the pipeline; None when it can.
    """
    ledger, used = sorted(live), set(taken_ids)
    chosen: list[TimeWindow] = []
    verdicts = []
    for proof in sorted(proofs, key=lambda proof: -proof.fence):
        if proof.origin == MANIFEST and _is_overtaken(proof, receipts):
            continue
        row, newer = _overlapping(ledger, proof.window), _overlapping(chosen, proof.window)
        reason = refusal(proof.window)
        if row is not None and (row == proof.window or not uncovered(proof.window, ledger)):
            verdicts.append(Verdict(proof, "the ledger has it", is_in_ledger=True))
        elif row is not None:
            verdicts.append(Verdict(proof, f"the live row of {row} covers a part of it"))
        elif newer is not None:
            verdicts.append(Verdict(proof, f"what was staged or loaded later for {newer} is used"))
        elif reason:
            verdicts.append(Verdict(proof, reason))
        else:
            insort(chosen, proof.window)
            verdicts.append(Verdict(proof, keeps_id=proof.lifecycle_id not in used))
            used.add(proof.lifecycle_id)
    return sorted(verdicts, key=lambda verdict: (verdict.proof.window, -verdict.proof.fence))


def proving(receipts: Iterable[Receipt]) -> tuple[list[Receipt], list[tuple[Receipt, str]]]:
    """Return the live load receipts, and the others with the reason why they rebuild nothing."""
    everything = sorted(receipts, key=lambda receipt: receipt.window)
    live = live_receipts(everything)
    alive = set(live)
    others = [
        (
            receipt,
            "superseded by a later load or delete" if receipt not in alive else "a delete: nothing is loaded there",
        )
        for receipt in everything
        if receipt not in alive or receipt.kind != LOAD
    ]
    return [receipt for receipt in live if receipt.kind == LOAD], others


def _is_overtaken(proof: Proof, receipts: Iterable[Receipt]) -> bool:
    """True when the manifest was loaded, or its time was loaded or deleted later."""
    return any(receipt.fence >= proof.fence and receipt.window.overlaps(proof.window) for receipt in receipts)


def _overlapping(disjoint: Sequence[TimeWindow], window: TimeWindow) -> TimeWindow | None:
    """Return one of some windows, in order and without overlaps, that shares time with `window`."""
    place = bisect_left(disjoint, window)
    return next((other for other in disjoint[max(0, place - 1) : place + 1] if other.overlaps(window)), None)

"""Compare a ledger with what its target proves and holds: find every difference, with what to do about it.

The functions take values and return differences. A window that moved meanwhile is left out: it proves nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.receipts import LOAD, HeldRows, Receipt, live_receipts
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Phase, Status
from include.pipeline_framework.core.time.windows import TimeWindow

REPLACE = 'Load it again: trigger the pipeline with {{"windows": [["{0}", "{1}"]], "replace": true, "reason": "…"}}.'
REBUILD = "Run: python -m include.cli ledger rebuild --source {0} --apply"


class Kind(StrEnum):
    """Names what differs."""

    FENCES_BEHIND = "fences_behind"
    LOAD_NOT_PROVEN = "load_not_proven"
    LOAD_NOT_RECORDED = "load_not_recorded"
    RECEIPT_WITHOUT_ROW = "receipt_without_row"
    NUMBERS_DIFFER = "numbers_differ"
    ROW_ID_DIFFERS = "row_id_differs"
    STRAY_ROWS = "stray_rows"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference.

    Attributes:
        kind: The kind of difference.
        source_object: The source object.
        window: The time that differs; None: all time. For stray rows: all events of the ledger row that they name.
        ledger: The ledger's statement.
        target: The target's statement.
        remedy: What a person should do.
    """

    kind: Kind
    source_object: str
    window: TimeWindow | None
    ledger: str
    target: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Sides:
    """Both sides of one source object.

    Attributes:
        source_object: The source object.
        rows: All of its ledger rows, including invalidated ones.
        receipts: All of its receipts.
        held: The counts of its rows in the target table.
        last_fence: The greatest fence that the ledger knows.
        floor: The target's floor.
        moving: Windows that changed while this was read, or that a run holds.
    """

    source_object: str
    rows: Sequence[LedgerRow]
    receipts: Sequence[Receipt]
    held: Sequence[HeldRows]
    last_fence: int
    floor: int
    moving: Sequence[TimeWindow] = ()


def compare(sides: Sides) -> list[Difference]:
    """Return every difference, in order of the windows."""
    loads = {receipt.window: receipt for receipt in live_receipts(sides.receipts) if receipt.kind == LOAD}
    live = {row.window: row for row in sides.rows if row.is_live}
    known = {row.id: row for row in sides.rows}
    owed = {row.id for row in sides.rows if row.is_invalidated_flag and not row.target_deletion_done_flag}
    inside: dict[TimeWindow, list[HeldRows]] = defaultdict(list)
    for held in sides.held:
        if not held.is_total and held.window in loads:
            inside[held.window].append(held)
    found = [*_unproven(sides, live, loads), *_strays(sides, known, owed, inside)]
    for window, receipt in loads.items():
        found += _at_receipt(sides.source_object, receipt, live.get(window), known, owed, inside[window])
    still = [one for one in found if one.window and not any(map(one.window.overlaps, sides.moving))]
    return [*_fences(sides), *sorted(still, key=lambda one: (str(one.window), one.kind))]


def _fences(sides: Sides) -> Iterable[Difference]:
    newest = max([sides.floor, *(receipt.fence for receipt in sides.receipts)])
    if sides.last_fence < newest:
        yield Difference(
            Kind.FENCES_BEHIND,
            sides.source_object,
            None,
            f"the newest fence is {sides.last_fence}",
            f"fence {newest} was there already",
            "The ledger is an old one, and the target refuses its fences. " + REBUILD.format(sides.source_object),
        )


def _unproven(sides: Sides, live: dict[TimeWindow, LedgerRow], loads: Collection[TimeWindow]) -> Iterable[Difference]:
    exact = {receipt.window: receipt for receipt in sides.receipts}
    for window, row in live.items():
        if not _is_loaded(row) or window in loads:
            continue
        receipt = exact.get(window)
        said = "no receipt of this window"
        if receipt is not None:
            superseded = ", superseded since" if receipt.kind == LOAD else ""
            said = f"a {receipt.kind} under fence {receipt.fence}{superseded}"
        remedy = _replace(window) if row.is_finished else "Nothing yet: its next run audits it."
        yield Difference(Kind.LOAD_NOT_PROVEN, sides.source_object, window, _said(row), said, remedy)


def _at_receipt(
    source_object: str,
    receipt: Receipt,
    row: LedgerRow | None,
    known: dict[int, LedgerRow],
    owed: Collection[int],
    inside: Sequence[HeldRows],
) -> Iterable[Difference]:
    window = receipt.window
    proof = f"row {receipt.lifecycle_id}, fence {receipt.fence}, {receipt.fingerprint}"
    if row is None and receipt.lifecycle_id not in owed:
        remedy = REBUILD.format(source_object)
        yield Difference(Kind.RECEIPT_WITHOUT_ROW, source_object, window, "no live row of this window", proof, remedy)
    if row is not None and not _is_loaded(row) and not _knows(row, receipt, known):
        remedy = "Nothing: its next run finds the receipt and skips the window, or loads it again."
        yield Difference(Kind.LOAD_NOT_RECORDED, source_object, window, _said(row), proof, remedy)
    held = sum((part.fingerprint for part in inside), Fingerprint())
    differs = row is not None and _is_loaded(row) and _loaded(row) != receipt.fingerprint
    if differs or held != receipt.fingerprint:
        said = _said(row) if row is not None else "no live row of this window"
        numbers = f"receipt {receipt.fingerprint}; table {held}"
        yield Difference(Kind.NUMBERS_DIFFER, source_object, window, said, numbers, _replace(window))
    expected = receipt.lifecycle_id if row is None else row.id
    for part in inside:
        if part.lifecycle_id != expected and part.lifecycle_id not in owed:
            yield _other_id(source_object, window, part, row, known)


def _other_id(
    source_object: str, window: TimeWindow, part: HeldRows, row: LedgerRow | None, known: dict[int, LedgerRow]
) -> Difference:
    remedy = _replace(window)
    other = known.get(part.lifecycle_id)
    if other is not None and other.is_live:
        remedy += f" Before that, replacing row {other.id} would delete these rows."
    said = f"row {row.id}" if row is not None else "no live row of this window"
    named = f"{part.fingerprint.rows} rows of row {part.lifecycle_id}: {_named(other)}"
    return Difference(Kind.ROW_ID_DIFFERS, source_object, window, said, named, remedy)


def _strays(
    sides: Sides, known: dict[int, LedgerRow], owed: Collection[int], inside: dict[TimeWindow, list[HeldRows]]
) -> Iterable[Difference]:
    received: dict[int, Fingerprint] = defaultdict(Fingerprint)
    for parts in inside.values():
        for part in parts:
            received[part.lifecycle_id] += part.fingerprint
    for held in sides.held:
        stray = held.fingerprint.rows - received[held.lifecycle_id].rows
        if held.is_total and stray and held.lifecycle_id not in owed:
            yield Difference(
                Kind.STRAY_ROWS,
                sides.source_object,
                held.window,
                f"row {held.lifecycle_id}: {_named(known.get(held.lifecycle_id))}",
                f"{stray} of its {held.fingerprint.rows} rows lie in no window of a live load receipt",
                f"Look at them (_lifecycle_id = {held.lifecycle_id}). A run of the windows they lie in replaces them; "
                "where the pipeline has no window, delete them by hand.",
            )


def _is_loaded(row: LedgerRow) -> bool:
    return row.phase_completed in (Phase.STAGE_TO_TARGET, Phase.AUDIT) or row.pipeline_final_status == Status.SKIPPED


def _knows(row: LedgerRow, receipt: Receipt, known: dict[int, LedgerRow]) -> bool:
    """True when a row that is to be loaded (again) knows the present load: its own, or that of a row it replaces."""
    own = receipt.lifecycle_id == row.id and row.loaded_count is not None and _loaded(row) == receipt.fingerprint
    other = known.get(receipt.lifecycle_id)
    return bool(own or (other is not None and other.is_invalidated_flag))


def _loaded(row: LedgerRow) -> Fingerprint:
    return Fingerprint(int(row.loaded_count or 0), int(row.loaded_fingerprint or 0))


def _said(row: LedgerRow) -> str:
    after = f" after {row.phase_completed}" if row.phase_completed else ""
    loaded = f", loaded {_loaded(row)}" if _is_loaded(row) else ", not loaded"
    return f"row {row.id} {row.pipeline_final_status}{after}{loaded}"


def _named(row: LedgerRow | None) -> str:
    if row is None:
        return "unknown to the ledger"
    if row.is_invalidated_flag:
        return "invalidated, its rows deleted" if row.target_deletion_done_flag else "invalidated"
    return f"{row.pipeline_final_status}, of {row.window}"


def _replace(window: TimeWindow) -> str:
    return REPLACE.format(*str(window).split("/"))

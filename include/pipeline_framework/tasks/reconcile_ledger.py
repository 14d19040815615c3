"""Read both sides of a ledger and compare them; nothing is changed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Status
from include.pipeline_framework.core.restoring import reconcile
from include.pipeline_framework.core.restoring.reconcile import Difference, Sides
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.tasks.pipeline import Pipeline


def reconcile_ledger(pipeline: Pipeline) -> list[Difference]:
    """Return every difference between the ledger, the target's receipts and the rows of the target's table.

    The ledger is read before and after the target: a window that changed in between, or that a run holds, is not
    compared.
    """
    store, target, source_object = pipeline.store, pipeline.target, pipeline.config.source_object
    before = store.find(source_object=source_object, include_invalidated=True)
    receipts, held = target.receipts(source_object), target.held_rows(source_object)
    floor = target.fence_floor(source_object)
    rows = store.find(source_object=source_object, include_invalidated=True)
    last_fence = store.last_fence()  # last: every fence of a receipt was issued before the receipt was read
    moving = _moving(before, rows)
    return reconcile.compare(Sides(source_object, rows, receipts, held, last_fence, floor, moving))


def _moving(before: Iterable[LedgerRow], after: Sequence[LedgerRow]) -> list[TimeWindow]:
    stamps = {row.id: row.record_last_updated_at for row in before}
    return [
        row.window
        for row in after
        if row.pipeline_final_status == Status.IN_PROGRESS or row.record_last_updated_at != stamps.get(row.id)
    ]

"""Values as parameters of the target's statements; `answers` is the way back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.implementation_modules.sql_warehouse.publishing import lineage, span_of
from include.pipeline_framework.core.proof.receipts import Receipt
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.ports.target import PublishRequest


def of_window(source_object: str, window: TimeWindow) -> dict[str, Any]:
    """Return what every statement about a window of a source object has."""
    return {"source_object": source_object, "start": window.start, "end": window.end}


def of_replaced(window: TimeWindow, replaced: Mapping[int, TimeWindow]) -> dict[str, Any]:
    """Return ids of replaced ledger rows and the span of their windows; another ledger may have used these ids."""
    span = span_of(replaced) or window
    return {"replaced": list(replaced) or [None], "replaced_start": span.start, "replaced_end": span.end}


def of_loading(request: PublishRequest) -> dict[str, Any]:
    """Return the framework's own columns, which every row of a window's load has."""
    return {
        "source_object": request.manifest.source_object,
        "lifecycle_id": request.lifecycle_id,
        "fence": request.fence,
        "file": lineage(request.manifest),
    }


def of_receipt(receipt: Receipt) -> dict[str, Any]:
    """Return a receipt."""
    return {
        **of_window(receipt.source_object, receipt.window),
        "kind": receipt.kind,
        "fence": receipt.fence,
        "lifecycle_id": receipt.lifecycle_id,
        "row_count": receipt.fingerprint.rows,
        "hash_sum": receipt.fingerprint.hash_sum,
        "manifest": receipt.manifest,
        "now": receipt.written_at,
    }

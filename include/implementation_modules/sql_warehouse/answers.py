"""Rows of the target's statements as values."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.receipts import HeldRows, Receipt
from include.pipeline_framework.core.time.windows import TimeWindow

TICK = timedelta(microseconds=1)
"""The finest difference of two event times in a target."""


def receipt_of(row: Sequence[Any]) -> Receipt:
    """Return a row of `read_receipts` or `all_receipts` as a receipt."""
    kind, source_object, start, end, fence, lifecycle_id, rows, hash_sum, manifest = row[:9]
    return Receipt(
        source_object,
        TimeWindow(utc(start), utc(end)),
        int(fence),
        int(lifecycle_id),
        kind,
        Fingerprint(int(rows), int(hash_sum)),
        manifest,
        utc(row[10]),
    )


def held_rows_of(row: Sequence[Any]) -> HeldRows:
    """Return a row of `held_rows` as a value; a total includes its first and last event."""
    part, lifecycle_id, start, end, rows, hash_sum = row
    is_total = part == "total"
    window = TimeWindow(utc(start), utc(end) + (TICK if is_total else timedelta()))
    return HeldRows(int(lifecycle_id), Fingerprint(int(rows), int(hash_sum)), window, is_total)


def utc(value: datetime | str) -> datetime:
    """Return an instant in UTC: ISO 8601 text where the database has no type for instants; without a zone it is UTC."""
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)

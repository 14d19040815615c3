"""The statements of a target that several of its use cases share, over one session; for several windows each is one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from include.implementation_modules.sql_warehouse import parameters
from include.implementation_modules.sql_warehouse.answers import receipt_of, utc
from include.implementation_modules.sql_warehouse.publishing import Guarded, exact_receipt
from include.implementation_modules.sql_warehouse.session import Session
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.receipts import Receipt
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import ConfigurationError


class MissingObjectError(ConfigurationError):
    """A table, column or stage that a statement names does not exist, or the role can't see it."""


def require_guard(session: Session, updated: int) -> None:
    """Refuse to go on when the update of the guard row found none.

    Raises:
        MissingObjectError: The source object was never prepared.
    """
    if updated < 1:
        raise MissingObjectError(
            "the receipts table has no guard row for this source object",
            where=session.where,
            meaning="Without it two publishes could run at once; nothing was changed",
            remedy="Call prepare() for this source object before anything publishes in parallel.",
        )


def take_guard(session: Session, source_object: str, windows: Sequence[TimeWindow]) -> list[Guarded]:
    """Lock the guard row until the transaction ends; return for each window what `read_guarded` finds after that.

    Raises:
        MissingObjectError: The source object was never prepared.
        PublishConflictError: The row stayed locked.
    """
    require_guard(session, session.change("take_guard", {"source_object": source_object}))
    return read_guarded(session, source_object, windows)


def read_guarded(session: Session, source_object: str, windows: Sequence[TimeWindow]) -> list[Guarded]:
    """Return the floor, the time, and the receipts that overlap it, for each window."""
    asked = [parameters.of_window(source_object, window) for window in windows]
    return [_guarded(rows) for rows in session.run_each("read_receipts", asked)]


def count_windows(session: Session, source_object: str, windows: Sequence[TimeWindow]) -> list[Fingerprint]:
    """Return rows and hash sum of each window in the table."""
    asked = [parameters.of_window(source_object, window) for window in windows]
    return [Fingerprint(int(rows), int(hash_sum)) for ((rows, hash_sum),) in session.run_each("count_window", asked)]


def count_distinct(
    session: Session, source_object: str, windows: Sequence[TimeWindow]
) -> list[tuple[Fingerprint, int]]:
    """Return rows and hash sum of each window in the table, and the number of different id hashes."""
    asked = [parameters.of_window(source_object, window) for window in windows]
    return [
        (Fingerprint(int(rows), int(hash_sum)), int(hashes))
        for ((rows, hash_sum, hashes),) in session.run_each("count_distinct", asked)
    ]


def delete_rows(session: Session, source_object: str, window: TimeWindow, replaced: Mapping[int, TimeWindow]) -> int:
    """Delete the window, and what the replaced ledger rows have loaded; return the number of rows."""
    bound = {**parameters.of_window(source_object, window), **parameters.of_replaced(window, replaced)}
    return session.change("delete_rows", bound)


def write_receipts(session: Session, receipts: Sequence[tuple[Receipt, Guarded]]) -> None:
    """Write each window's receipt over the one that it had under the guard row, or as its first one."""
    first = []
    for receipt, found in receipts:
        bound = parameters.of_receipt(receipt)
        if exact_receipt(receipt.window, found.overlapping) is None:
            first.append(bound)
        else:
            session.change("update_receipt", bound)
    if first:
        session.change_each("insert_receipt", "receipt", first)


def _guarded(rows: Sequence[Sequence[Any]]) -> Guarded:
    guards = [row for row in rows if row[0] == "guard"]
    receipts = tuple(receipt_of(row) for row in rows if row[0] != "guard")
    now = utc(rows[0][-1]) if rows else datetime.min.replace(tzinfo=UTC)
    return Guarded(now, max((int(row[9]) for row in guards), default=0), receipts)

"""Converts between the ledger's rows in Postgres and plain Python values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg

from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.ports.ledger import PlanInsert, Record

_JSON = json.JSONEncoder(default=lambda other: other.isoformat() if hasattr(other, "isoformat") else str(other))


def ledger_rows(records: Iterable[Record]) -> list[LedgerRow]:
    """Return the typed rows of records with every column."""
    return [LedgerRow.of(record) for record in records]


def planned_outcome(records: Sequence[Mapping[str, Any]], inserted: list[Record]) -> PlanInsert:
    """Return the outcome of an insert: the rows that it returned, and those that it skipped."""
    there = {(row["source_object"], row["query_window_start_at"]) for row in inserted}
    refused = [dict(r) for r in records if (r["source_object"], r["query_window_start_at"]) not in there]
    return PlanInsert(ledger_rows(inserted), refused)


def only_row(rows: list[Record], record_id: int | None = None) -> Record:
    """Return the first row, or raise an error that no row has this id."""
    if not rows:
        raise InvalidInputError(
            f"there is no ledger row {record_id}", remedy="List the rows with: python -m include.cli ledger show."
        )
    return rows[0]


def loaded_row(row: Record) -> Record:
    """Return a row with instants in UTC, whatever the session's zone, and whole numerics (fingerprints) as int."""
    for name, value in row.items():
        if isinstance(value, datetime):
            row[name] = value.astimezone(UTC)
        elif isinstance(value, Decimal) and name.endswith("_fingerprint"):
            row[name] = int(value)
    return row


def brief_error(error: psycopg.DataError | UnicodeEncodeError) -> str:
    """Return the server's first line; its DETAIL would quote the row. Errors of the client have one line."""
    said = error.diag.message_primary if isinstance(error, psycopg.DataError) else None
    return " ".join((said or str(error)).split())[:200]


def json_text(value: Any) -> str:
    """Return JSON with exact integers of any size; instants as ISO text, decimals as text."""
    return _JSON.encode(value)


def actor_parameters(actor: Actor) -> dict[str, Any]:
    """Return an actor as a statement's parameters."""
    names = ("dag_id", "dag_run_id", "task_id", "map_index", "try_number")
    return {name: getattr(actor, name) for name in names}


def claim_parameters(
    source_object: str, limit: int, ended_before: datetime, within: Sequence[TimeWindow] | None
) -> dict[str, Any]:
    """Return the parameters for the statements of a claim."""
    return {
        "source_object": source_object,
        "limit": limit,
        "ended_before": ended_before,
        "within": multirange_text(within),
    }


def multirange_text(windows: Sequence[TimeWindow] | None) -> str | None:
    """Return the text of a tstzmultirange; Postgres joins ranges that overlap or touch."""
    if windows is None:
        return None
    return "{" + ",".join(f'["{window.start.isoformat()}","{window.end.isoformat()}")' for window in windows) + "}"

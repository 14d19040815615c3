"""Ledger rows for tests, without a ledger."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

from include.pipeline_framework.core.records.ledger_row import LedgerRow
from tests.doubles import table_rules

_PLANNED = {
    "id": 7,
    "pipeline_id": "main",
    "source_name": "elasticsearch",
    "source_object": "flights",
    "target_name": "snowflake",
    "timezone": "UTC",
    "granularity": "1h",
    "target_day": date(2013, 3, 9),
    "query_window_start_at": datetime(2013, 3, 9, 5, tzinfo=UTC),
    "query_window_end_at": datetime(2013, 3, 9, 6, tzinfo=UTC),
    "time_interval": "1h",
    "source_query_window_duration_minutes": 60,
    "record_inserted_at": datetime(2013, 3, 8, tzinfo=UTC),
    "record_last_updated_at": datetime(2013, 3, 8, tzinfo=UTC),
}
_ROW = {**table_rules.column_defaults(), **_PLANNED}


def ledger_row(**values: Any) -> LedgerRow:
    """A planned hour of the flights, with other values; the table's rules are not asked."""
    unknown = values.keys() - _ROW.keys()
    assert not unknown, f"the ledger has no columns {unknown}"
    return LedgerRow.of({**_ROW, **values})


def amended(row: LedgerRow, **changes: Any) -> LedgerRow:
    """The row with other values, as if a transition had written them."""
    return LedgerRow.of({**row.as_record(), **changes})

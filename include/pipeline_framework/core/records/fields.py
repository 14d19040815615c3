"""Read the fields of a record under any name: the ledger's columns, requirement 3's names, the UPPERCASE ones.

A record is generated under one set of names and claimed under another; a caller who asks for a field gets the same
value from both.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from include.pipeline_framework.core.records.planning import DERIVED_COLUMNS, PLAN_COLUMNS

REQUIREMENT_3_NAMES: Mapping[str, str] = {
    "window_start_time": "query_window_start_at",
    "window_end_time": "query_window_end_at",
    "pipeline_status": "pipeline_final_status",
    "audit_status": "audit_process_status",
    "audit_result": "audit_result_status",
    "record_first_created_time": "record_inserted_at",
    "record_last_updated_time": "record_last_updated_at",
}
"""Maps requirement 3's name to the ledger's column, as the view `pipeline_records` does."""

GENERATED_NAMES: Mapping[str, str] = {
    "TARGET_DAY": "target_day",
    "WINDOW_START_TIME": "query_window_start_at",
    "WINDOW_END_TIME": "query_window_end_at",
    "TIME_INTERVAL": "time_interval",
}
"""Maps the name in a generated record to the ledger's column."""

PLANNED_FIELDS = (
    *PLAN_COLUMNS, *DERIVED_COLUMNS, "timezone", "granularity", "config_hash", "target_day", "query_window_start_at",
    "query_window_end_at", "time_interval", "source_query_window_duration_minutes",
)  # fmt: skip
"""Columns that a row has from its plan on; `check_fields` may ask for these and a pipeline's own metadata."""

_SAME = {**REQUIREMENT_3_NAMES, **GENERATED_NAMES}


def value_of(record: Mapping[str, Any], field: str) -> Any:
    """Return a field's value under any of its names, or from the row's static metadata; None when neither has it.

    >>> value_of({"query_window_start_at": 5}, "WINDOW_START_TIME"), value_of({"TARGET_DAY": 9}, "target_day")
    (5, 9)
    >>> value_of({"static_metadata": {"owner": "crm"}}, "owner")
    'crm'
    """
    column = _SAME.get(field, field)
    names = (field, column, *(name for name, same in _SAME.items() if same == column))
    found = next((record[name] for name in names if record.get(name) is not None), None)
    return (record.get("static_metadata") or {}).get(field) if found is None else found


def unknown_fields(fields: Iterable[str], metadata: Iterable[str] = ()) -> str:
    """Return a text that names fields which no planned record has, each with the nearest one; empty when all are known.

    >>> unknown_fields(["TARGET_DAY", "key_x", "owner"], ["owner"])
    ''
    >>> unknown_fields(["KEY_X"])
    "'KEY_X' is no field of a planned record; did you mean key_x?"
    """
    planned = set(PLANNED_FIELDS)
    known = {*planned, *metadata, *(name for name, column in _SAME.items() if column in planned)}
    return "; ".join(
        f"{field!r} is no field of a planned record; {_nearest(field, known)}" for field in fields if field not in known
    )


def _nearest(field: str, known: set[str]) -> str:
    by_small = {name.lower(): name for name in sorted(known)}  # if both spellings are known: the ledger's
    close = difflib.get_close_matches(field.lower(), by_small, n=1, cutoff=0.6)
    return f"did you mean {by_small[close[0]]}?" if close else f"allowed: {', '.join(sorted(known))}"

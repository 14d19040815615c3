"""Validate a generated or claimed record: decide whether it can be run (requirement 3)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from include.pipeline_framework.core.records.fields import GENERATED_NAMES, value_of
from include.pipeline_framework.core.texts import shown
from include.pipeline_framework.core.time.days import is_zone
from include.pipeline_framework.core.time.durations import parse_time_back, subtract
from include.pipeline_framework.core.time.timestamps import convert_to_pendulum
from include.pipeline_framework.core.time.windows import iso_utc
from include.pipeline_framework.errors import InvalidInputError


@dataclass(frozen=True, slots=True)
class ValidationResult:
    """Holds in `reasons` one sentence per wrong field; `is_future_data` alone means "later", not "never"."""

    is_future_data: bool = False
    reasons: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_valid(self) -> bool:
        """True when the record is complete and not future data."""
        return not self.reasons and not self.is_future_data


def stable_until(now: datetime, x_time_back: str | None, timezone: str) -> datetime:
    """Return the instant up to which data counts as settled: `now - x_time_back`, its day part in local days."""
    return subtract(now, parse_time_back(x_time_back), timezone) if x_time_back else now


def is_future_data(window_end: datetime, now: datetime, x_time_back: str | None, timezone: str) -> bool:
    """True when a window (exclusive end) is not settled yet: `window_end > now - x_time_back`."""
    return window_end > stable_until(now, x_time_back, timezone)


def validate_record(
    record: Mapping[str, Any], *, check_fields: Sequence[str], now: datetime, x_time_back: str | None, timezone: str
) -> ValidationResult:
    """Check a record of `build_complete_pipeline_record` or of the ledger; every wrong field gets its own reason.

    A field of `check_fields` is complete when one of its names has a value that is neither None nor blank text.
    """
    reasons: dict[str, str] = {}
    for name in check_fields:
        value = value_of(record, name)
        if value is None:
            reasons[name] = "is missing"
        elif isinstance(value, str) and not value.strip():
            reasons[name] = "is blank"
    named = record.get("timezone")
    if named is not None and not is_zone(named):
        reasons["timezone"] = f"{shown(named)} is not a time zone"
    start, end = (_instant(record, column, reasons) for column in ("query_window_start_at", "query_window_end_at"))
    if start and end and start >= end:
        reasons["window"] = f"ends at {iso_utc(end)}, not after its start {iso_utc(start)}"
    future = end is not None and is_future_data(end, now, x_time_back, timezone)
    return ValidationResult(future, reasons)


def reasons_text(reasons: Mapping[str, str]) -> str:
    """Return what is wrong with a record, in one line.

    >>> reasons_text({"key_x": "is missing", "key_y": "is blank"})
    'record is not complete: key_x is missing; key_y is blank'
    """
    return "record is not complete: " + "; ".join(f"{name} {why}" for name, why in reasons.items())


def _instant(record: Mapping[str, Any], column: str, reasons: dict[str, str]) -> datetime | None:
    value = value_of(record, column)
    name = next((name for name, same in GENERATED_NAMES.items() if same == column and name in record), column)
    if value is None:
        reasons[name] = "is missing"
        return None
    try:
        return convert_to_pendulum(value, "UTC")  # two times of one zone would be compared by their wall clocks
    except InvalidInputError as error:
        reasons[name] = str(error)
        return None

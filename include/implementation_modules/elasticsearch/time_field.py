"""The event time of an Elasticsearch index: exact queries for a window of it, and exact reading of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import InvalidInputError

RENDERED_FORMAT = "strict_date_optional_time_nanos"
"""Elasticsearch's name of the format in which bounds and field values are written here."""

_MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True)
class TimeField:
    """A field that is mapped as `date` (milliseconds), as `date_nanos`, or as both in the indices of a pattern."""

    name: str
    types: frozenset[str]

    @property
    def is_nanoseconds(self) -> bool:
        """Return True if sort values are nanoseconds, False for milliseconds."""
        return "date_nanos" in self.types

    @property
    def sort(self) -> list[dict[str, Any]]:
        """Return `_shard_doc` first: a shard reads in this order anyway, so each page starts where the last ended."""
        # An index of the pattern without this field has no document of the window either.
        order: dict[str, Any] = {"order": "asc", "unmapped_type": "date"}
        if self.is_nanoseconds:  # also for the date fields of a pattern with both types
            order["numeric_type"] = "date_nanos"
        return [{"_shard_doc": {"order": "asc"}}, {self.name: order}]

    def range(self, window: TimeWindow) -> dict[str, Any]:
        """Return the half-open window as a query.

        A date field holds milliseconds and Elasticsearch cuts finer bounds off, which would move events between them to
        the wrong side; rounding both bounds up keeps exactly the events of the window.
        """
        start, end = window.start, window.end
        if "date" in self.types:
            start, end = _whole_milliseconds(start), _whole_milliseconds(end)
            if self.is_nanoseconds and (start, end) != (window.start, window.end):
                raise InvalidInputError(
                    f"The window {window} is finer than a millisecond",
                    where=f"time field {self.name}",
                    meaning="Some indices of the pattern hold milliseconds, others nanoseconds: no bound fits both",
                    remedy="Use a granularity of whole milliseconds.",
                )
        bounds = {"gte": _rendered(start), "lt": _rendered(end), "format": RENDERED_FORMAT}
        return {"range": {self.name: bounds}}

    def microseconds(self, sort_values: list[int]) -> list[int]:
        """Return the microseconds since 1970; nanoseconds are cut off, never rounded."""
        if self.is_nanoseconds:
            return [value // 1_000 for value in sort_values]
        return [value * 1_000 for value in sort_values]


def _whole_milliseconds(instant: datetime) -> datetime:
    """Return the next whole millisecond at or after an instant."""
    below = timedelta(microseconds=instant.microsecond % 1_000)
    return instant - below + _MILLISECOND if below else instant


def _rendered(instant: datetime) -> str:
    """Return ISO 8601 with six decimals and Z."""
    return instant.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"

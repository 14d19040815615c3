"""Planned rows, as several contracts of the ledger need them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from include.pipeline_framework.core.time.windows import TimeWindow

HOUR = timedelta(hours=1)
DAY = datetime(2013, 3, 9, 5, tzinfo=UTC)


def window(hour: int) -> TimeWindow:
    """An hour of the day."""
    return TimeWindow(DAY + hour * HOUR, DAY + (hour + 1) * HOUR)


def planned(hour: int = 0, source: str = "flights", **extra: Any) -> dict[str, Any]:
    """What a planner inserts for it."""
    piece = window(hour)
    return {
        "pipeline_id": "main",
        "source_name": "elasticsearch",
        "source_object": source,
        "target_name": "snowflake",
        "timezone": "America/New_York",
        "granularity": "1h",
        "target_day": date(2013, 3, 9),
        "query_window_start_at": piece.start,
        "query_window_end_at": piece.end,
        "time_interval": "1h",
        "source_query_window_duration_minutes": 60,
        **extra,
    }

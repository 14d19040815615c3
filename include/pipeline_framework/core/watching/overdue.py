"""Decide when a window, or a day without windows, is overdue, and write the alarm about it.

A window is overdue when `query_window_end_at + x_time_back + overdue_after` has passed and it is neither COMPLETED nor
SKIPPED, also without any DAG run. Nothing of a disabled pipeline or outside the horizon is ever overdue.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from include.pipeline_framework.core.records.row import window_of
from include.pipeline_framework.core.records.validation import stable_until
from include.pipeline_framework.core.time.days import LocalDay, local_day_of, zone
from include.pipeline_framework.core.time.durations import parse_granularity, subtract
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.core.time.windows import TimeWindow, iso_utc

MAX_SHOWN = 20
"""The most windows that an alarm names one by one."""

SHOWN = (
    "id", "query_window_start_at", "query_window_end_at", "pipeline_final_status", "retry_attempt", "dag_run_id",
    "last_error",
)  # fmt: skip
"""Columns of the rows that an alarm names."""


@dataclass(frozen=True, slots=True)
class OverdueScope:
    """Defines what counts as overdue for one source at one moment.

    Attributes:
        source_object: The source.
        start_at, end_at: Windows that lie wholly between them have had their time.
        asked_before: Windows of a backfill campaign count only when it was started before this time.
        alerted_after: Windows and days that were reported after this time are not reported again.
        days: Days that must have windows by now.
    """

    source_object: str
    start_at: datetime
    end_at: datetime
    asked_before: datetime
    alerted_after: datetime
    days: tuple[LocalDay, ...] = ()


@dataclass(frozen=True, slots=True)
class Overdue:
    """The overdue windows and days of one source.

    Attributes:
        source_object: The source.
        windows: The number of overdue windows.
        untold: How many of them were not reported lately.
        oldest_at: Start of the first overdue window.
        statuses: How many by status.
        rows: The first of them, unreported ones first: `id`, window bounds, status, attempts, holder, last error.
        days: Days without any window.
        untold_days: Those of the days that were not reported lately.
    """

    source_object: str
    windows: int = 0
    untold: int = 0
    oldest_at: datetime | None = None
    statuses: Mapping[str, int] = field(default_factory=dict)
    rows: tuple[Mapping[str, Any], ...] = ()
    days: tuple[LocalDay, ...] = ()
    untold_days: tuple[LocalDay, ...] = ()


def overdue_scope(
    source_object: str,
    horizon: Horizon,
    *,
    x_time_back: str,
    overdue_after: str | None,
    overdue_repeat: str,
    now: datetime,
) -> OverdueScope | None:
    """Return what to look at; None when nothing of the pipeline can be overdue.

    >>> from datetime import date
    >>> scope = overdue_scope("flights", Horizon("UTC", date(2013, 1, 1)), x_time_back="1h", overdue_after="6h",
    ...     overdue_repeat="1d", now=datetime(2013, 3, 9, 12, tzinfo=UTC))
    >>> scope.end_at.isoformat(), [str(day) for day in scope.days]
    ('2013-03-09T05:00:00+00:00', ['2013-03-08', '2013-03-09'])
    """
    if overdue_after is None or not horizon.enabled:
        return None
    timezone = horizon.timezone
    waited = subtract(now, parse_granularity(overdue_after), timezone)
    settled = stable_until(waited, x_time_back, timezone)
    past = horizon.clip(TimeWindow(datetime.min.replace(tzinfo=UTC), settled))
    today = local_day_of(now, timezone)
    candidates = (LocalDay(today.date - timedelta(days=1), timezone), today) if horizon.fill_missing_days else ()
    days = tuple(day for day in candidates if day.window and day.start <= waited and not horizon.refusal(day))
    if past is None and not days:
        return None
    first = LocalDay(horizon.start_date, timezone).start
    return OverdueScope(
        source_object,
        past.start if past else first,
        past.end if past else first,
        waited,
        subtract(now, parse_granularity(overdue_repeat), timezone),
        days,
    )


def alarm_lines(overdue: Overdue, timezone: str, *, is_external: bool = False) -> list[str]:
    """Return the alarm as a text: how much, since when, and the first windows with their reasons.

    Args:
        overdue: The overdue windows and days.
        timezone: The time zone of the texts.
        is_external: True when another system moves the data, so that no run takes it.

    >>> from datetime import date
    >>> alarm_lines(Overdue("flights", days=(LocalDay(date(2013, 3, 9), "UTC"),)), "UTC")[0]
    'flights: no windows on 2013-03-09, which should have been planned by now'
    """
    lines = []
    if overdue.windows and overdue.oldest_at:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(overdue.statuses.items()))
        lines.append(
            f"{overdue.source_object}: {overdue.windows} windows are overdue ({counts}), the oldest starts at "
            f"{overdue.oldest_at.astimezone(zone(timezone)).isoformat(sep=' ', timespec='minutes')} "
            f"({iso_utc(overdue.oldest_at)})"
        )
    for day in overdue.days:
        lines.append(f"{overdue.source_object}: no windows on {day}, which should have been planned by now")
    if overdue.rows:
        lines += ["", *_table(overdue.rows, timezone, _UNREPORTED if is_external else _NO_REASON)]
    if overdue.windows > len(overdue.rows):
        lines.append(f"… and {overdue.windows - len(overdue.rows)} more")
    if overdue.rows:
        example = iso_utc(overdue.rows[0]["query_window_start_at"])
        lines += ["", f"Why: python -m include.cli why {overdue.source_object} {example}"]
    if overdue.days:
        planners = "daily_planner" if is_external else "daily_planner and by every run of the pipeline"
        lines += ["", f"Days are planned by {planners}: is a DAG paused?"]
    return lines


def _table(rows: Sequence[Mapping[str, Any]], timezone: str, without: Mapping[str, str]) -> list[str]:
    cells = [("id", "window", "status", "attempts", "held by", "reason")]
    for row in rows:
        window = window_of(row)
        reason = (row["last_error"] or "").strip().splitlines()
        cells.append(
            (
                str(row["id"]),
                window.local_label(timezone),
                str(row["pipeline_final_status"]),
                str(row["retry_attempt"]),
                str(row["dag_run_id"] or "") if row["pipeline_final_status"] == "IN_PROGRESS" else "",
                reason[-1] if reason else without.get(row["pipeline_final_status"], ""),
            )
        )
    widths = [max(len(line[n]) for line in cells) for n in range(len(cells[0]))]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in cells]


_NO_REASON = {"PENDING": "no run has taken it", "IN_PROGRESS": "its run has not finished it"}
_UNREPORTED = {"PENDING": "its system has not reported it", "IN_PROGRESS": "a report of it was not finished"}

"""From when on something is overdue, and how the alarm reads."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.core.watching.overdue import Overdue, OverdueScope, alarm_lines, overdue_scope

ZONE = "America/New_York"
NOW = datetime(2013, 3, 9, 17, tzinfo=UTC)  # noon in New York


def scope(now: datetime = NOW, **changes: Any) -> OverdueScope | None:
    horizon = {"start_date": date(2013, 3, 1), "end_date": None, "enabled": True, "fill_missing_days": True}
    asked = {"x_time_back": "1h", "overdue_after": "6h", "overdue_repeat": "1d"}
    horizon |= {name: changes.pop(name) for name in list(changes) if name in horizon}
    return overdue_scope("flights", Horizon(ZONE, **horizon), **{**asked, **changes}, now=now)  # type: ignore[arg-type]


def test_a_window_has_x_time_back_and_overdue_after() -> None:
    found = scope()
    assert found is not None
    assert found.end_at == NOW - timedelta(hours=7)
    assert found.start_at == LocalDay(date(2013, 3, 1), ZONE).start
    assert (found.asked_before, found.alerted_after) == (NOW - timedelta(hours=6), NOW - timedelta(days=1))


@pytest.mark.parametrize(
    "changes",
    [
        {"overdue_after": None},
        {"enabled": False},
        {"start_date": date(2013, 3, 10)},
    ],
)
def test_what_can_never_be_overdue_is_not_looked_at(changes: dict[str, Any]) -> None:
    assert scope(**changes) is None


def test_nothing_beyond_the_horizon_counts() -> None:
    found = scope(end_date=date(2013, 3, 5))
    assert found is not None
    assert (found.end_at, found.days) == (LocalDay(date(2013, 3, 5), ZONE).start, ())


@pytest.mark.parametrize(
    ("changes", "days"),
    [
        ({}, ["2013-03-08", "2013-03-09"]),
        ({"overdue_after": "13h"}, ["2013-03-08"]),  # the day has begun twelve hours ago
        ({"fill_missing_days": False}, []),
        ({"start_date": date(2013, 3, 9)}, ["2013-03-09"]),
        ({"end_date": date(2013, 3, 9)}, ["2013-03-08"]),
    ],
)
def test_days_that_must_have_windows_by_now(changes: dict[str, Any], days: list[str]) -> None:
    found = scope(**changes)
    assert found is not None
    assert [str(day) for day in found.days] == days


@given(st.integers(0, 400 * 24), st.sampled_from(["1h", "6h", "1d"]), st.sampled_from(["1h", "1d"]))
def test_the_bounds_never_leave_the_horizon_and_never_reach_the_present(hours: int, after: str, back: str) -> None:
    horizon = Horizon(ZONE, date(2013, 3, 1), date(2014, 1, 1))
    now = datetime(2013, 2, 20, tzinfo=UTC) + timedelta(hours=hours)
    found = scope(now, end_date=horizon.end_date, overdue_after=after, x_time_back=back)
    if found is None:
        assert now < LocalDay(date(2013, 3, 4), ZONE).start
        return
    assert LocalDay(horizon.start_date, ZONE).start <= found.start_at <= found.end_at
    assert found.end_at <= min(now - timedelta(hours=2), LocalDay(date(2014, 1, 1), ZONE).start) or not (
        found.end_at > found.start_at
    )
    assert all(horizon.refusal(day) is None for day in found.days)


def test_the_alarm_counts_names_and_says_what_to_ask() -> None:
    start = datetime(2013, 3, 9, 5, tzinfo=UTC)
    row = {
        "id": 7, "query_window_start_at": start, "query_window_end_at": start + timedelta(hours=1),
        "pipeline_final_status": "FAILED", "retry_attempt": 4, "dag_run_id": "run-1", "last_error": "first\nS3 is away",
    }  # fmt: skip
    waiting = {**row, "id": 8, "pipeline_final_status": "PENDING", "retry_attempt": 0, "last_error": None}
    held = {**waiting, "id": 9, "pipeline_final_status": "IN_PROGRESS"}
    statuses = {"FAILED": 1, "PENDING": 2, "IN_PROGRESS": 1}
    lines = alarm_lines(
        Overdue("flights", 4, 4, start, statuses, (row, waiting, held), (LocalDay(date(2013, 3, 10), ZONE),)), ZONE
    )
    assert lines[:2] == [
        "flights: 4 windows are overdue (1 FAILED, 1 IN_PROGRESS, 2 PENDING), the oldest starts at "
        "2013-03-09 00:00-05:00 (2013-03-09T05:00:00Z)",
        "flights: no windows on 2013-03-10, which should have been planned by now",
    ]
    text = "\n".join(lines)
    assert "7   2013-03-09 00:00-05:00 → 01:00-05:00  FAILED       4                  S3 is away" in text
    assert "no run has taken it" in text
    assert "run-1    its run has not finished it" in text
    assert "… and 1 more" in text
    assert "python -m include.cli why flights 2013-03-09T05:00:00Z" in text
    assert "is a DAG paused?" in text

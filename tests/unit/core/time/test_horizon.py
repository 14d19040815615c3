"""Nothing outside a pipeline's horizon exists."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import InvalidInputError

ZONE = "America/New_York"
OPEN = Horizon(ZONE, date(2013, 3, 9))
CLOSED = Horizon(ZONE, date(2013, 3, 9), date(2013, 3, 12))
DISABLED = Horizon(ZONE, date(2013, 3, 9), enabled=False)


def day(text: str, zone: str = ZONE) -> LocalDay:
    return LocalDay(date.fromisoformat(text), zone)


def span(start: str, end: str) -> TimeWindow:
    return TimeWindow(*(datetime.fromisoformat(text).replace(tzinfo=UTC) for text in (start, end)))


@pytest.mark.parametrize(
    ("horizon", "asked", "refusal"),
    [
        (OPEN, "2013-03-08", "it lies before start_date 2013-03-09"),
        (OPEN, "2013-03-09", None),
        (OPEN, "2099-01-01", None),
        (CLOSED, "2013-03-11", None),
        (CLOSED, "2013-03-12", "it lies at or after end_date 2013-03-12 (exclusive)"),
        (CLOSED, "2014-01-01", "it lies at or after end_date 2013-03-12 (exclusive)"),
        (DISABLED, "2013-03-10", "the pipeline is disabled (enabled: false)"),
    ],
)
def test_a_refusal_says_why(horizon: Horizon, asked: str, refusal: str | None) -> None:
    assert horizon.refusal(day(asked)) == refusal
    if refusal is None:
        horizon.require(day(asked), "flights")
        return
    with pytest.raises(InvalidInputError) as error:
        horizon.require(day(asked), "flights")
    assert str(error.value).startswith(f"{asked} is outside the pipeline's horizon: {refusal} [flights]. Nothing was")
    assert "What to do: Ask for a day inside it" in str(error.value)


@pytest.mark.parametrize(
    ("horizon", "window", "clipped"),
    [
        (OPEN, span("2013-03-01", "2013-03-09T05:00"), None),
        (OPEN, span("2013-03-01", "2013-03-09T05:01"), span("2013-03-09T05:00", "2013-03-09T05:01")),
        (OPEN, span("2013-03-10", "2099-01-01"), span("2013-03-10", "2099-01-01")),
        (CLOSED, span("2013-03-01", "2014-01-01"), span("2013-03-09T05:00", "2013-03-12T04:00")),
        (CLOSED, span("2013-03-12T03:00", "2013-03-12T05:00"), span("2013-03-12T03:00", "2013-03-12T04:00")),
        (CLOSED, span("2013-03-12T04:00", "2013-03-12T05:00"), None),
        (DISABLED, span("2013-03-10", "2013-03-11"), None),
    ],
)
def test_clip(horizon: Horizon, window: TimeWindow, clipped: TimeWindow | None) -> None:
    assert horizon.clip(window) == clipped


def test_clip_takes_all_of_time() -> None:
    forever = TimeWindow(datetime.min.replace(tzinfo=UTC), datetime(2013, 3, 9, 6, tzinfo=UTC))
    assert OPEN.clip(forever) == span("2013-03-09T05:00", "2013-03-09T06:00")


@pytest.mark.parametrize(
    ("horizon", "window", "days"),
    [
        (CLOSED, span("2013-03-01", "2014-01-01"), ["2013-03-09", "2013-03-10", "2013-03-11"]),
        # 24 hours from noon touch two days; up to a midnight exactly, one
        (CLOSED, span("2013-03-09T17:00", "2013-03-10T17:00"), ["2013-03-09", "2013-03-10"]),
        (CLOSED, span("2013-03-10T05:00", "2013-03-11T04:00"), ["2013-03-10"]),
        (CLOSED, span("2013-03-10T05:00", "2013-03-11T04:01"), ["2013-03-10", "2013-03-11"]),
        (CLOSED, span("2013-03-01", "2013-03-02"), []),
        (DISABLED, span("2013-03-09", "2013-03-12"), []),
    ],
)
def test_the_days_of_a_range(horizon: Horizon, window: TimeWindow, days: list[str]) -> None:
    assert [str(found) for found in horizon.days(window)] == days


def test_a_skipped_day_is_left_out() -> None:
    apia = Horizon("Pacific/Apia", date(2011, 12, 1))
    window = TimeWindow(day("2011-12-29", "Pacific/Apia").start, day("2012-01-01", "Pacific/Apia").start)
    assert [str(found) for found in apia.days(window)] == ["2011-12-29", "2011-12-31"]
    assert window.duration == timedelta(days=2)

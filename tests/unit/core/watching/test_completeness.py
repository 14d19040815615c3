"""How complete days are: every state of a day, and the numbers of windows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from include.pipeline_framework.core.records.row import Status
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.core.watching.completeness import (
    CompletenessScope,
    DayState,
    Figures,
    StatusCount,
    by_month,
    completeness,
    sentence,
)

HOUR = timedelta(hours=1)
DAY = date(2013, 3, 9)
SPRING = date(2013, 3, 10)  # 23 hours in New York


def scope(
    first: date = DAY, last: date = DAY, *, settled: datetime | None = None, granularity: str = "1h", fill: bool = True
) -> CompletenessScope:
    horizon = Horizon("America/New_York", date(2013, 3, 1), date(2013, 4, 1), fill_missing_days=fill)
    settled = settled or datetime(2013, 5, 1, tzinfo=UTC)
    return CompletenessScope("flights", horizon, parse_granularity(granularity), settled, first, last)


def count(status: Status, windows: int, *, due: int | None = None, day: date = DAY) -> StatusCount:
    return StatusCount("flights", day, status, windows, windows if due is None else due, windows * HOUR)


@pytest.mark.parametrize(
    ("counts", "state", "figures"),
    [
        ([count(Status.COMPLETED, 24)], DayState.COMPLETE, Figures(completed=24)),
        (
            [count(Status.COMPLETED, 20), count(Status.SKIPPED, 4)],
            DayState.COMPLETE,
            Figures(completed=20, skipped=4),
        ),
        ([count(Status.COMPLETED, 22)], DayState.MISSING, Figures(completed=22, missing=2)),
        ([], DayState.MISSING, Figures(missing=24)),
        (
            [count(Status.COMPLETED, 20), count(Status.FAILED, 1)],
            DayState.FAILED,
            Figures(completed=20, failed=1, missing=3),
        ),
        ([count(Status.COMPLETED, 20), count(Status.PENDING, 4)], DayState.WAITING, Figures(completed=20, waiting=4)),
        (
            [count(Status.COMPLETED, 23), count(Status.IN_PROGRESS, 1)],
            DayState.RUNNING,
            Figures(completed=23, running=1),
        ),
    ],
)
def test_the_state_of_a_day_that_is_over(counts: list[StatusCount], state: DayState, figures: Figures) -> None:
    (day,) = completeness(scope(), counts).days
    assert (day.state, day.figures) == (state, figures)


def test_a_day_that_is_not_over_has_no_missing_windows() -> None:
    settled = datetime(2013, 3, 9, 17, tzinfo=UTC)
    planned = [count(Status.COMPLETED, 12), count(Status.PENDING, 10, due=0)]
    (day,) = completeness(scope(settled=settled), planned).days
    assert (day.state, day.figures) == (DayState.NOT_DUE, Figures(completed=12, not_due=10))
    (late,) = completeness(scope(settled=settled), [count(Status.PENDING, 22, due=3)]).days
    assert (late.state, late.figures) == (DayState.WAITING, Figures(waiting=3, not_due=19))
    (unplanned,) = completeness(scope(settled=settled), []).days
    assert (unplanned.state, unplanned.figures) == (DayState.NOT_DUE, Figures())


def test_a_day_that_nobody_asked_for_is_not_missing() -> None:
    (day,) = completeness(scope(fill=False), []).days
    assert (day.state, day.figures) == (DayState.NOT_ASKED, Figures())
    (begun,) = completeness(scope(fill=False), [count(Status.COMPLETED, 23)]).days
    assert (begun.state, begun.figures.missing) == (DayState.MISSING, 1)


@pytest.mark.parametrize(("granularity", "missing"), [("1h", 23), ("5h", 5), ("1d", 1), ("23h", 1)])
def test_a_short_day_has_fewer_windows(granularity: str, missing: int) -> None:
    (day,) = completeness(scope(SPRING, SPRING, granularity=granularity), []).days
    assert day.figures.missing == missing
    whole = completeness(scope(SPRING, SPRING), [count(Status.COMPLETED, 23, day=SPRING)])
    assert (whole.is_whole, whole.days[0].state) == (True, DayState.COMPLETE)


def test_only_days_of_the_horizon_are_looked_at() -> None:
    found = completeness(scope(date(2013, 2, 20), date(2013, 4, 20)), [])
    assert (found.days[0].day, found.days[-1].day, len(found.days)) == (date(2013, 3, 1), date(2013, 3, 31), 31)
    assert completeness(scope(date(2013, 5, 1), date(2013, 5, 2)), []).days == ()
    assert list(by_month(found.days)) == [(2013, 3)]


def test_the_sentence_about_a_month() -> None:
    counts = [count(Status.COMPLETED, 24), count(Status.COMPLETED, 21, day=SPRING), count(Status.FAILED, 1, day=SPRING)]
    found = completeness(scope(DAY, SPRING), counts)
    assert sentence(found.days) == "1 of 2 days, 46 windows, 1 missing, 1 failed"
    assert not found.is_whole
    asked_for = completeness(scope(DAY, SPRING, fill=False), counts[:1])
    assert sentence(asked_for.days) == "1 of 1 days, 24 windows, 1 day not asked for"


def test_as_plain_values() -> None:
    since = datetime(2013, 3, 9, 5, tzinfo=UTC)
    plain = completeness(scope(), [count(Status.COMPLETED, 23), count(Status.FAILED, 1)], since).as_dict()
    assert plain["behind_since"] == "2013-03-09T05:00:00Z"
    assert (plain["figures"]["windows"], plain["figures"]["failed"]) == (24, 1)
    assert plain["days_by_state"]["failed"] == 1
    assert plain["days"][0]["state"] == "failed"

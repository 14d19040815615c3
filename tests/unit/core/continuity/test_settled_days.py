"""From which day on a source has to be looked at."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from include.pipeline_framework.core.continuity.findings import Finding, Kind, Verdict
from include.pipeline_framework.core.continuity.settled_days import (
    SettledMark,
    first_open_day,
    settled_before,
    terms_of,
)
from include.pipeline_framework.core.continuity.state_facts import StateFacts, StateScope
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.core.time.windows import TimeWindow

START = date(2013, 1, 1)
HORIZON = Horizon("UTC", START)
NOW = datetime(2013, 3, 9, 12, tzinfo=UTC)
SCOPE = StateScope("s", "UTC", parse_granularity("1h"), HORIZON, now=NOW, counts_horizon=True)
FORTNIGHT_AGO = date(2013, 2, 23)


def finding(kind: Kind, day: date) -> Finding:
    at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Finding(kind, "s", day, TimeWindow(at, at + timedelta(hours=1)), (), Verdict.INSERT, "")


def facts(scope: StateScope = SCOPE) -> StateFacts:
    return StateFacts(scope, scope.days(()))


def test_all_days_but_the_last_two_weeks_are_settled_when_nothing_is_wrong() -> None:
    assert settled_before(facts(), []) == FORTNIGHT_AGO


def test_the_first_wrong_day_is_not_settled_and_another_granularity_is_not_wrong() -> None:
    wrong = [finding(Kind.GAP_MIDDLE, date(2013, 2, 3)), finding(Kind.MISSING_DAY, date(2013, 1, 9))]
    assert settled_before(facts(), wrong) == date(2013, 1, 9)
    assert settled_before(facts(), [finding(Kind.GRANULARITY_DRIFT, date(2013, 1, 9))]) == FORTNIGHT_AGO


def test_days_that_nobody_looked_at_are_not_settled() -> None:
    ended = replace(SCOPE, horizon=replace(HORIZON, end_date=date(2013, 1, 20)))
    assert settled_before(facts(ended), []) == date(2013, 1, 20)
    disabled = replace(SCOPE, horizon=replace(HORIZON, enabled=False))
    assert settled_before(facts(disabled), []) is None


def test_other_terms_settle_nothing() -> None:
    terms = terms_of("UTC", HORIZON)
    mark = SettledMark(1, date(2013, 2, 1), terms)
    assert first_open_day([mark], terms) == date(2013, 2, 1)
    others = (
        terms_of("Asia/Tokyo", HORIZON),
        terms_of("UTC", replace(HORIZON, start_date=date(2012, 1, 1))),
        terms_of("UTC", replace(HORIZON, fill_missing_days=False)),
    )
    assert [first_open_day([mark], other) for other in others] == [None, None, None]


def test_rows_that_were_taken_out_count_only_where_days_were_settled() -> None:
    terms = terms_of("UTC", HORIZON)
    gone = SettledMark(2, date(2013, 1, 5), None)
    assert first_open_day([gone], terms) is None
    assert first_open_day([SettledMark(1, date(2013, 2, 1), terms), gone], terms) == date(2013, 1, 5)


def test_days_before_the_first_open_one_are_left_out() -> None:
    days = replace(SCOPE, since=date(2013, 3, 1)).days([date(2013, 3, 4), date(2013, 3, 10)])
    assert [str(days[0]), str(days[-1])] == ["2013-03-01", "2013-03-10"]
    planned_only = replace(SCOPE, since=date(2013, 3, 1), counts_horizon=False)
    assert [str(day) for day in planned_only.days([date(2013, 3, 4)])] == ["2013-03-04"]

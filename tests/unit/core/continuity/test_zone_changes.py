"""Which days show other bounds than the present rules give, and which of their rows make way."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from include.pipeline_framework.core.continuity.zone_changes import (
    DayStamp,
    PlannedRow,
    ReplanScope,
    changed_days,
    held_days,
    newest,
    replan,
)
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.durations import Granularity
from include.pipeline_framework.core.time.windows import TimeWindow, merge

FIRST, SECOND, THIRD = (date(2026, 6, day) for day in (1, 2, 3))
HOUR = timedelta(hours=1)


def at(hour: float, day: date = FIRST) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + hour * HOUR


def stamp(day: date, start: float, end: float, version: str | None = "2025b") -> DayStamp:
    return DayStamp(day, version, at(start, day), at(end, day), 24)


@pytest.mark.parametrize(
    ("stamps", "days"),
    [
        pytest.param([stamp(FIRST, 0, 24), stamp(SECOND, 0, 24)], [], id="the same"),
        pytest.param([stamp(FIRST, -1, 23)], [FIRST], id="across the start"),
        pytest.param([stamp(FIRST, 1, 25)], [FIRST], id="across the end"),
        pytest.param([stamp(FIRST, 5, 20)], [], id="a part of a day shows nothing"),
        pytest.param([stamp(FIRST, 0, 23), stamp(SECOND, -1, 23)], [FIRST, SECOND], id="two days meet too early"),
        pytest.param([stamp(FIRST, 0, 23), stamp(SECOND, 1, 24)], [], id="parts of two days that don't meet"),
        pytest.param([stamp(FIRST, 0, 25), stamp(SECOND, 1, 24)], [FIRST, SECOND], id="two days meet too late"),
        pytest.param([stamp(FIRST, 0, 12), stamp(FIRST, 12, 25, None)], [FIRST], id="versions of a day together"),
    ],
)
def test_changed_days(stamps: list[DayStamp], days: list[date]) -> None:
    assert sorted(changed_days(stamps, "UTC")) == days


def test_a_day_that_the_calendar_skips_by_now() -> None:
    day = date(2011, 12, 30)
    start = LocalDay(day, "Pacific/Apia").start
    stamps = [DayStamp(day, "2010a", start, start + 24 * HOUR, 24)]
    assert changed_days(stamps, "Pacific/Apia") == {day: "the calendar has no 2011-12-30 any more"}


def test_versions_compare_as_text_and_none_is_no_version() -> None:
    assert newest([stamp(FIRST, 0, 24, version) for version in ("2025b", None, "2026a", "2025c")]) == "2026a"
    assert newest([stamp(FIRST, 0, 24, None)]) is None


def test_only_newer_stamps_hold_a_day_and_the_one_that_lies_beside_it_unplanned() -> None:
    stamps = [stamp(SECOND, -1, 23, "2026a")]
    assert sorted(held_days(stamps, "UTC", "2025b")) == [FIRST, SECOND, THIRD]
    assert held_days(stamps, "UTC", "2026a") == {}
    ending = [stamp(FIRST, 0, 25, "2026a")]
    assert sorted(held_days(ending, "UTC", "2025b")) == [FIRST, SECOND]
    known = [*stamps, stamp(THIRD, 0, 24, "2026a")]
    assert sorted(held_days(known, "UTC", "2025b")) == [FIRST, SECOND]


SCOPE = ReplanScope("UTC", Granularity(0, 4 * 3_600), "2026f", at(0), lambda _day: None)


def rows(day: date, start: float, end: float, step: float = 4, *, first_id: int = 1) -> list[PlannedRow]:
    starts = [start + step * n for n in range(round((end - start) / step))]
    return [
        PlannedRow(first_id + n, TimeWindow(at(hour, day), at(hour + step, day)), day, "2025b", "PENDING", True)
        for n, hour in enumerate(starts)
    ]


def test_days_in_a_row_are_one_transaction_and_the_windows_are_the_present_grids() -> None:
    old = [*rows(FIRST, 0, 24), *rows(SECOND, 1, 25, first_id=50)]
    old[5] = PlannedRow(6, TimeWindow(at(20), at(25)), FIRST, "2025b", "PENDING", True)
    changed = {FIRST: "it ends", SECOND: "it starts"}
    (found,) = replan(changed, old, SCOPE)
    assert {row.id for row in found.rows} == {row.id for row in old}
    assert found.reason == "zone rules changed from 2025b to 2026f: it ends; it starts"
    assert [str(plan.day) for plan in found.plans] == ["2026-06-01", "2026-06-02"]
    assert [window.start for window in found.windows] == [at(4 * n) for n in range(12)]
    assert merge(found.windows) == [TimeWindow(at(0), at(48))]


def test_no_day_that_has_no_rows_yet_and_none_outside_the_horizon_is_begun() -> None:
    old = rows(SECOND, 1, 25)
    (found,) = replan({SECOND: "it starts"}, old, SCOPE)
    assert [str(plan.day) for plan in found.plans] == ["2026-06-02"]
    refusing = ReplanScope("UTC", SCOPE.granularity, "2026f", at(0), lambda _day: "it lies at or after end_date")
    (found,) = replan({SECOND: "it starts"}, old, refusing)
    assert (len(found.rows), found.windows) == (6, [])


def test_many_days_are_told_in_short() -> None:
    old = [row for n in range(6) for row in rows(FIRST + timedelta(days=n), 1, 25, first_id=1 + 10 * n)]
    (found,) = replan({FIRST + timedelta(days=n): f"day {n}" for n in range(6)}, old, SCOPE)
    assert found.reason.endswith("day 0; day 1; day 2; and so on for 3 more days")

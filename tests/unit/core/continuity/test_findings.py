"""Every planted fault is found and nothing else; after the plan every day tiles exactly."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.continuity.findings import (
    Finding,
    Kind,
    Verdict,
    analyse,
    coverage,
    drifting_days,
    find,
    prioritise,
)
from include.pipeline_framework.core.continuity.remediation import Action, PlanItem, needs_approval, remediate
from include.pipeline_framework.core.continuity.state_facts import StateRow, StateScope
from include.pipeline_framework.core.records.row import window_of
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.core.time.windows import TimeWindow, merge
from tests.doubles.facts_of_rows import gather
from tests.histories import UPDATED, History, history, plant

NEW_YORK = "America/New_York"
HOUR = timedelta(hours=1)
NOON = datetime(2013, 3, 12, 16, tzinfo=UTC)
SEEDS = range(200)


def scope_of(made: History, **changes: Any) -> StateScope:
    return replace(StateScope(made.source_object, made.timezone, parse_granularity(made.granularity)), **changes)


def review(made: History, **changes: Any) -> tuple[list[Finding], list[PlanItem]]:
    facts = gather(scope_of(made, **changes), made.rows)
    analysis = analyse(facts)
    days = {day.date for day in drifting_days(facts, analysis)}
    rows = [(row["id"], window_of(row)) for row in made.rows if row["target_day"] in days]
    findings = find(facts, analysis, rows)
    return findings, remediate(facts, analysis, findings)


def apply(made: History, items: list[PlanItem]) -> None:
    """Carry a plan out on the rows, as the ledger would."""
    gone = {row.id for item in items for row in item.rows}
    made.rows = [row for row in made.rows if row["id"] not in gone]
    for item in items:
        for window in item.windows:
            (day,) = [day for day in made.days if day.window and day.window.contains(window.start)]
            made.add(window, day, "PENDING")["id"] = 10_000 + len(made.rows)


def whole(*days: date, timezone: str = NEW_YORK, granularity: str = "1h") -> History:
    made = History("flights", timezone, granularity, [LocalDay(day, timezone) for day in days])
    for day in made.days:
        assert day.window
        plant(made, day, None, __import__("random").Random(1))
    for number, row in enumerate(made.rows, 1):
        row["id"] = number
    return made


@pytest.mark.parametrize("seed", SEEDS)
def test_what_was_planted_is_found_and_nothing_else(seed: int) -> None:
    made = history(seed, "flights")
    findings, _ = review(made)
    assert {(finding.kind.value, finding.day) for finding in findings} == made.planted


@pytest.mark.parametrize("seed", SEEDS)
def test_after_the_plan_every_day_tiles_exactly(seed: int) -> None:
    made = history(seed, "flights")
    drifts = {planted for planted in made.planted if planted[0] == Kind.GRANULARITY_DRIFT}
    _, items = review(made)
    apply(made, items)
    for day in made.days:
        assert day.window
        windows = sorted(window for row in made.rows if day.window.overlaps(window := window_of(row)))
        assert merge(windows) == [day.window]
        assert sum((window.duration for window in windows), timedelta()) == day.window.duration
    again, nothing = review(made)
    left = {(finding.kind.value, finding.day) for finding in again}
    assert {kind for kind, _ in left} <= {Kind.GRANULARITY_DRIFT}
    assert drifts <= left
    assert nothing == []


class TestWhole:
    @pytest.mark.parametrize("granularity", ["1h", "7h", "1d", "24h", "50m"])
    @pytest.mark.parametrize("timezone", [NEW_YORK, "Australia/Lord_Howe", "America/Havana"])
    def test_a_year_with_both_clock_changes_has_no_fault(self, timezone: str, granularity: str) -> None:
        days = [date(2024, 1, 1) + timedelta(days=n) for n in range(366)]
        findings, items = review(whole(*days, timezone=timezone, granularity=granularity))
        assert findings == []
        assert items == []

    def test_a_day_that_the_calendar_skips_is_not_missing(self) -> None:
        made = whole(date(2011, 12, 29), date(2011, 12, 31), timezone="Pacific/Apia")
        assert review(made) == ([], [])

    def test_nothing_is_known_of_a_source_without_rows(self) -> None:
        made = History("flights", NEW_YORK, "1h", [])
        assert review(made) == ([], [])

    def test_the_analysis_counts_what_is_there(self) -> None:
        made = whole(date(2013, 3, 9), date(2013, 3, 10), date(2013, 11, 3))
        analysis = analyse(gather(scope_of(made), made.rows))
        assert analysis.as_dict() == {
            "source_object": "flights",
            "days_looked_at": 240,
            "days_covered": 3,
            "days_on_request": 0,
            "windows": 24 + 23 + 25,
            "windows_completed": sum(row["pipeline_final_status"] == "COMPLETED" for row in made.rows),
            "windows_per_day": {"23": 1, "24": 1, "25": 1},
            "durations_minutes": {"60": 72},
            "dominant_granularity": "1h",
            "dominant_granularity_by_time": "1h",
            "first_window_start_at": "2013-03-09T05:00:00Z",
            "last_window_end_at": "2013-11-04T05:00:00Z",
        }


class TestHorizon:
    def test_a_missing_day_waits_to_be_asked_for_without_fill_missing_days(self) -> None:
        made = whole(date(2013, 3, 8), date(2013, 3, 10))
        assert review(made, fills_missing_days=False) == ([], [])
        analysis = analyse(gather(scope_of(made, fills_missing_days=False), made.rows))
        assert (analysis.days_looked_at, analysis.days_covered, analysis.days_on_request) == (3, 2, 1)
        (item,) = review(made)[1]
        assert (item.action, len(item.windows)) == (Action.INSERT, 24)

    def looking(self, **changes: Any) -> dict[str, Any]:
        """The whole horizon, at noon of 12 March 2013."""
        horizon = Horizon(NEW_YORK, **{"start_date": date(2013, 3, 8), **changes})
        return {"horizon": horizon, "now": NOON, "counts_horizon": True}

    def test_a_source_without_any_row_lacks_every_day_up_to_today(self) -> None:
        made = History("flights", NEW_YORK, "1h", [])
        findings, items = review(made, **self.looking())
        assert [(f.kind, f.day.day, f.decision) for f in findings] == [
            (Kind.MISSING_DAY, day, Verdict.INSERT) for day in range(8, 13)
        ]
        assert sum(len(item.windows) for item in items) == 4 * 24 + 23

    def test_days_before_the_first_planned_one_are_missing(self) -> None:
        """Somebody moved `start_date` back by nine days."""
        made = whole(date(2013, 3, 12), date(2013, 3, 13))
        findings, _ = review(made, **self.looking(start_date=date(2013, 3, 3)))
        assert [(f.kind, f.day) for f in findings] == [(Kind.MISSING_DAY, date(2013, 3, day)) for day in range(3, 12)]

    def test_days_that_are_planned_on_request_are_counted(self) -> None:
        made = whole(date(2013, 3, 9), date(2013, 3, 11))
        looking = {**self.looking(start_date=date(2012, 3, 12)), "fills_missing_days": False}
        assert review(made, **looking) == ([], [])
        analysis = analyse(gather(scope_of(made, **looking), made.rows))
        assert (analysis.days_looked_at, analysis.days_covered, analysis.days_on_request) == (366, 2, 364)
        assert coverage([analysis]).startswith("2 of 366 days have rows, 364 days are planned only on request")

    @pytest.mark.parametrize(
        ("changes", "days"),
        [
            ({"end_date": date(2013, 3, 10)}, [8, 9]),
            ({"start_date": date(2013, 3, 12)}, [12]),
            ({"start_date": date(2013, 3, 13)}, []),
            ({"enabled": False}, []),
        ],
    )
    def test_what_should_be_planned_by_now_ends_with_today_or_the_horizon(
        self, changes: dict[str, Any], days: list[int]
    ) -> None:
        findings, _ = review(History("flights", NEW_YORK, "1h", []), **self.looking(**changes))
        assert [finding.day.day for finding in findings] == days

    def test_a_row_of_the_far_future_makes_no_day_missing(self) -> None:
        """A slip of the pen in a target_date: one day of 2031 is planned, and part of another one."""
        made = whole(*(date(2013, 3, day) for day in range(8, 14)), date(2031, 1, 1), date(2031, 1, 5))
        made.rows = [row for row in made.rows if row["query_window_start_at"] != made.days[-1].start + 7 * HOUR]
        findings, items = review(made, **self.looking())
        assert [(f.kind, f.day, f.decision) for f in findings] == [(Kind.GAP_MIDDLE, date(2031, 1, 5), Verdict.REPORT)]
        assert items == []
        (finding,) = review(made, now=NOON)[0]  # an older table: the same
        assert finding.day == date(2031, 1, 5)

    def test_a_gap_of_tomorrow_is_filled(self) -> None:
        made = whole(*(date(2013, 3, day) for day in range(8, 14)))
        made.rows = [row for row in made.rows if row["query_window_start_at"] != made.days[-1].start + 7 * HOUR]
        (finding,) = review(made, **self.looking())[0]
        assert (finding.day, finding.decision) == (date(2013, 3, 13), Verdict.INSERT)

    def test_what_lies_outside_the_horizon_is_no_gap(self) -> None:
        made = whole(date(2013, 3, 6), date(2013, 3, 8), date(2013, 3, 9))
        made.rows = [row for row in made.rows if row["id"] not in (1, 30)]
        horizon = Horizon(NEW_YORK, date(2013, 3, 8))
        assert [finding.day for finding in review(made, horizon=horizon)[0]] == [date(2013, 3, 8)]
        assert review(made, horizon=replace(horizon, enabled=False)) == ([], [])


class TestGranularity:
    def test_a_gap_is_filled_with_its_days_own_granularity(self) -> None:
        made = whole(*(date(2013, 3, day) for day in (4, 5, 6)))
        day = LocalDay(date(2013, 3, 7), NEW_YORK)
        made.days.append(day)
        made.granularity = "30m"
        plant(made, day, None, __import__("random").Random(1))
        made.granularity = "1h"
        for number, row in enumerate(made.rows, 1):
            row["id"] = number
        made.rows = [row for row in made.rows if row["query_window_start_at"] != day.start + timedelta(hours=5)]
        (item,) = [item for item in review(made)[1] if item.action == Action.INSERT]
        assert item.windows == (TimeWindow(day.start + timedelta(hours=5), day.start + timedelta(hours=5, minutes=30)),)

    def test_the_dominant_one_is_that_of_most_windows_and_the_one_of_most_time_is_told_beside_it(self) -> None:
        made = whole(*(date(2013, 3, day) for day in (4, 5, 6)), granularity="2h")  # 36 windows
        made.granularity = "30m"
        made.days.append(LocalDay(date(2013, 3, 7), NEW_YORK))
        plant(made, made.days[-1], None, __import__("random").Random(1))  # 48
        for number, row in enumerate(made.rows, 1):
            row["id"] = number
        analysis = analyse(gather(scope_of(made), made.rows))
        assert (analysis.dominant, analysis.dominant_by_time) == (timedelta(minutes=30), timedelta(hours=2))
        shown = analysis.as_dict()
        assert (shown["dominant_granularity"], shown["dominant_granularity_by_time"]) == ("30m", "2h")

    def test_a_day_of_which_only_the_capped_last_window_is_left_gets_the_dominant_one(self) -> None:
        made = whole(*(date(2013, 3, day) for day in (4, 5, 6)), granularity="7h")
        end = LocalDay(date(2013, 3, 5), NEW_YORK).end
        made.rows = [
            row for row in made.rows if row["target_day"] != date(2013, 3, 5) or row["query_window_end_at"] == end
        ]
        (item,) = review(made)[1]
        assert [window.duration for window in item.windows] == [timedelta(hours=7)] * 3

    def test_one_tiny_row_does_not_make_a_days_granularity(self) -> None:
        made = whole(*(date(2013, 3, day) for day in (4, 5, 6)))
        day = made.days[1]
        made.rows = [row for row in made.rows if row["target_day"] != day.date]
        made.add(TimeWindow(day.start, day.start + timedelta(seconds=1)), day)["id"] = 99
        (item,) = review(made)[1]
        assert len(item.windows) == 24
        assert item.windows[0].duration == timedelta(minutes=59, seconds=59)

    def test_drift_names_the_rows_and_their_extent(self) -> None:
        made = whole(date(2013, 3, 8), date(2013, 3, 9))
        odd = made.rows[3]
        odd["query_window_end_at"] -= timedelta(minutes=30)
        made.add(TimeWindow(odd["query_window_end_at"], made.rows[4]["query_window_start_at"]), made.days[0])["id"] = 99
        (finding,) = review(made)[0]
        assert (finding.kind, finding.rows, finding.decision) == (Kind.GRANULARITY_DRIFT, (4, 99), Verdict.REPORT)
        assert finding.window.duration == timedelta(hours=1)
        assert "2 windows of 30m, where 1h is the source's dominant granularity" in finding.reason


class TestPriority:
    @staticmethod
    def row(
        number: int, status: str = "COMPLETED", updated: int = 0, inserted: int = 0, start: int = 0, length: int = 60
    ) -> StateRow:
        begin = datetime(2013, 3, 9, 5, tzinfo=UTC) + timedelta(minutes=start)
        return StateRow(
            number,
            TimeWindow(begin, begin + timedelta(minutes=length)),
            status,
            UPDATED + timedelta(minutes=updated),
            UPDATED + timedelta(minutes=inserted),
            True,
        )

    @pytest.mark.parametrize(
        ("better", "worse"),
        [
            (row(2), row(1, "PENDING", updated=99)),
            (row(2, "SKIPPED"), row(1, "FAILED")),
            (row(2, updated=1), row(1, inserted=5)),
            (row(2, "PENDING", updated=1), row(1, "PENDING")),
            (row(2, inserted=1), row(1, start=-5)),
            (row(2, start=-1), row(1, length=90)),
            (row(2, length=61), row(1)),
            (row(1), row(2)),
        ],
    )
    def test_completed_then_updated_then_the_tie_breakers(self, better: StateRow, worse: StateRow) -> None:
        assert prioritise([worse, better]) == [better, worse]
        assert prioritise([better, worse]) == [better, worse]

    def test_both_rows_of_an_overlap_are_decided_with_their_reason(self) -> None:
        made = whole(date(2013, 3, 8))
        first = made.rows[0]
        late = TimeWindow(first["query_window_start_at"] + timedelta(minutes=30), first["query_window_end_at"])
        made.add(late, made.days[0], "PENDING")["id"] = 99
        findings, items = review(made)
        assert [(f.kind, f.rows, f.decision) for f in findings] == [
            (Kind.OVERLAP, (1, 99), Verdict.KEEP),
            (Kind.OVERLAP, (99, 1), Verdict.INVALIDATE),
        ]
        assert findings[1].reason == f"row 1 is {first['pipeline_final_status']}, row 99 is PENDING"
        assert [(item.action, item.deletes_target_data) for item in items] == [(Action.INVALIDATE, False)]


class TestPlan:
    def test_a_row_over_midnight_is_replaced_on_both_days(self) -> None:
        made = whole(date(2013, 3, 8), date(2013, 3, 9))
        midnight = made.days[1].start
        made.rows = [row for row in made.rows if row["query_window_start_at"] != midnight]
        (last,) = [row for row in made.rows if row["query_window_end_at"] == midnight]
        last["query_window_end_at"] = midnight + timedelta(hours=1)
        findings, (item,) = review(made)
        assert [finding.kind for finding in findings] == [Kind.CROSSES_DAY]
        assert (item.action, [row.id for row in item.rows]) == (Action.REPLACE, [last["id"]])
        hour = timedelta(hours=1)
        assert item.windows == (TimeWindow(midnight - hour, midnight), TimeWindow(midnight, midnight + hour))
        assert item.deletes_target_data == (last["pipeline_final_status"] == "COMPLETED")

    def test_a_window_that_two_such_rows_share_joins_them(self) -> None:
        made = whole(*(date(2013, 3, day) for day in (6, 7, 8)), granularity="1d")
        first, second, _ = made.rows
        hour = timedelta(hours=1)
        first["query_window_end_at"] += hour
        second["query_window_start_at"] += hour
        second["query_window_end_at"] += hour
        made.rows[2]["query_window_start_at"] += hour
        (item,) = review(made)[1]
        assert [row.id for row in item.rows] == [1, 2]
        assert merge(item.windows) == [TimeWindow(made.days[0].start, made.days[2].start + hour)]

    def test_a_row_that_a_run_is_moving_is_only_told(self) -> None:
        made = whole(date(2013, 3, 8))
        made.rows[-1]["query_window_end_at"] += timedelta(hours=1)
        made.rows[-1]["pipeline_final_status"] = "IN_PROGRESS"
        findings, items = review(made)
        assert [(f.kind, f.decision) for f in findings] == [(Kind.CROSSES_DAY, Verdict.REPORT)]
        assert items == []

    def test_an_item_survives_json(self) -> None:
        for seed in range(40):
            _, items = review(history(seed, "flights"))
            assert [PlanItem.from_dict(item.as_dict()) for item in items] == items

    def test_a_person_is_asked_where_data_goes_or_much_is_touched(self) -> None:
        made = whole(date(2013, 3, 8), date(2013, 3, 10))
        (missing,) = review(made)[1]
        assert needs_approval([missing], 24) is None
        assert "24 windows are touched, more than 23" in str(needs_approval([missing], 23))
        deleting = replace(missing, deletes_target_data=True)
        assert "will be deleted there" in str(needs_approval([replace(deleting, rows=(None,))], 99))  # type: ignore[arg-type]

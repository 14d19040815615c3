"""Processes with two sets of time zone rules, on one ledger: what is planned anew, what is left, and what is said."""

from __future__ import annotations

import dataclasses
import logging
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Status
from include.pipeline_framework.core.records.run_requests import RunRequest, parse_request
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow, merge
from include.pipeline_framework.errors import LedgerRefusedError
from include.pipeline_framework.tasks.plan_outcomes import PlanReport, report_table, require_planned
from include.pipeline_framework.tasks.planning import plan_sources, populate_pipeline_batches
from include.pipeline_framework.tasks.state_manager import review
from include.pipeline_framework.tasks.store_and_validate import store_and_validate
from tests.doubles.memory_lifecycle_store import MemoryLifecycleStore
from tests.unit.tasks.world import PLANNER, RUN_1, config
from tests.zone_rule_sets import NEWER, OLDER, PINNED, VANCOUVER, other_rules

NOON = datetime(2026, 10, 31, 19, tzinfo=UTC)
"""Of Saturday; on Sunday clocks are set back by one set of rules, and not by the other."""
HOUR = timedelta(hours=1)
SATURDAY, SUNDAY, MONDAY, TUESDAY = date(2026, 10, 31), date(2026, 11, 1), date(2026, 11, 2), date(2026, 11, 3)


def at(day: int, hour: int) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


class Ledger:
    """One source in Vancouver, and whoever plans it."""

    def __init__(self, folder: Path, **changes: Any) -> None:
        self.folder = folder
        self.at = NOON
        self.store = MemoryLifecycleStore(lambda: self.at)
        self.config = config(timezone=VANCOUVER, start_date="2026-10-31", **changes)

    def rules(self, version: str) -> AbstractContextManager[None]:
        return nullcontext() if version == PINNED else other_rules(self.folder, version)

    def plan(self, version: str = PINNED, **options: Any) -> list[PlanReport]:
        with self.rules(version):
            return plan_sources([self.config], self.store, PLANNER, now=self.at, **options)

    def plan_days(self, version: str, *days: date) -> None:
        for day in days:
            self.plan(version, target_date=day, allow_future=True)

    def live(self) -> list[LedgerRow]:
        return self.store.find(source_object="flights")

    def at_window(self, start: datetime) -> LedgerRow:
        (row,) = (row for row in self.live() if row.query_window_start_at == start)
        return row

    def require_right_days(self, *days: date) -> None:
        """Each day is tiled by windows of its own, from its first instant to its last, by the pinned rules."""
        for day in days:
            windows = [row.window for row in self.live() if row.target_day == day]
            assert merge(windows) == [LocalDay(day, VANCOUVER).window]


def numbers(reports: list[PlanReport]) -> list[tuple[str, int, int]]:
    return [(report.day, report.expected, report.inserted) for report in reports]


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path)


class TestNewerRules:
    def test_the_days_that_differ_are_planned_anew_and_the_reason_is_kept(self, ledger: Ledger) -> None:
        ledger.plan_days(OLDER, SATURDAY, SUNDAY, MONDAY)
        old = {row.id: row for row in ledger.live()}
        assert [row.zone_rules for row in old.values()] == [OLDER] * (24 + 25 + 24)
        reports = ledger.plan()
        assert numbers(reports) == [
            ("2026-11-01", 0, 24),  # its own line, the last, counts the rest
            ("2026-11-02", 24, 24),
            ("2026-10-31", 24, 0),
            ("2026-11-01", 24, 0),
        ]
        assert reports[0].note.startswith(
            f"zone rules changed from {OLDER} to {PINNED}: the day 2026-11-01 ends at 07:00Z, not 08:00Z; "
            "the day 2026-11-02 starts at 07:00Z, not 08:00Z: 49 PENDING windows made way"
        )
        ledger.require_right_days(SATURDAY, SUNDAY, MONDAY)
        gone = [row_id for row_id, row in old.items() if row.target_day != SATURDAY]
        assert [ledger.store.get(row_id).is_invalidated_flag for row_id in gone] == [True] * 49
        reasons = {event["reason"] for event in ledger.store.events(gone[0]) if event["event"] == "invalidated"}
        assert [reason.startswith(f"zone rules changed from {OLDER}") for reason in reasons] == [True]
        assert {row.zone_rules for row in ledger.live() if row.target_day != SATURDAY} == {PINNED}

    def test_once_is_enough(self, ledger: Ledger) -> None:
        ledger.plan_days(OLDER, SATURDAY, SUNDAY, MONDAY)
        ledger.plan()
        assert numbers(ledger.plan()) == [("2026-10-31", 24, 0), ("2026-11-01", 24, 0)]

    def test_a_day_whose_bounds_are_the_same_keeps_its_windows_and_their_stamp(self, ledger: Ledger) -> None:
        ledger.plan_days(OLDER, SATURDAY)
        before = ledger.live()
        ledger.plan()
        assert [row for row in ledger.live() if row.target_day == SATURDAY] == before

    def test_rows_from_before_the_stamp_are_found_by_their_bounds(self, ledger: Ledger) -> None:
        with ledger.rules(OLDER):
            plan_sources([ledger.config], ledger.store, PLANNER, now=NOON, target_date=SUNDAY)
        for row in ledger.store.find(include_invalidated=True):
            ledger.store.amend(row.id, zone_rules=None)
        reports = ledger.plan()
        assert "zone rules changed from a version that rows don't tell to" in reports[0].note
        ledger.require_right_days(SATURDAY, SUNDAY)

    @pytest.mark.parametrize("granularity", ["4h", "1d", "7h", "30m"])
    def test_any_grid_is_the_present_one(self, tmp_path: Path, granularity: str) -> None:
        ledger, fresh = (Ledger(tmp_path, granularity=granularity) for _ in range(2))
        ledger.plan_days(OLDER, SATURDAY, SUNDAY, MONDAY, TUESDAY)
        ledger.plan()
        fresh.plan_days(PINNED, SATURDAY, SUNDAY, MONDAY, TUESDAY)
        kept = ("target_day", "query_window_start_at", "query_window_end_at", "key_x")
        assert [[getattr(row, name) for name in kept] for row in ledger.live()] == [
            [getattr(row, name) for name in kept] for row in fresh.live()
        ]

    @pytest.mark.parametrize("granularity", ["1h", "4h", "1d"])
    def test_a_day_that_begins_later_by_now_leaves_no_gap_either(self, tmp_path: Path, granularity: str) -> None:
        ledger = Ledger(tmp_path, granularity=granularity)
        ledger.plan_days(PINNED, SATURDAY, SUNDAY, MONDAY, TUESDAY)
        ledger.plan(NEWER)
        with ledger.rules(NEWER):
            ledger.require_right_days(SATURDAY, SUNDAY, MONDAY, TUESDAY)

    def test_a_dry_run_shows_it_and_changes_nothing(self, ledger: Ledger) -> None:
        ledger.plan_days(OLDER, SUNDAY, MONDAY)
        before = ledger.live()
        reports = ledger.plan(dry_run=True)
        assert ledger.live() == before
        assert "49 PENDING windows would make way" in reports[0].note
        table = "\n".join(report_table(reports))
        assert "would insert 2026-11-02 00:00-07:00 → 01:00-07:00" in table

    def test_past_windows_stay(self, ledger: Ledger) -> None:
        ledger.plan_days(OLDER, SATURDAY, SUNDAY, MONDAY)
        ledger.at = at(2, 12)
        ledger.plan()
        rows = [ledger.at_window(at(1, hour)) for hour in range(8, 24)]
        assert {(row.target_day, row.zone_rules) for row in rows} == {(SUNDAY, OLDER)}
        ledger.require_right_days(MONDAY)
        assert merge(row.window for row in ledger.live() if row.target_day < TUESDAY) == [
            TimeWindow(datetime(2026, 10, 31, 7, tzinfo=UTC), at(3, 7))
        ]

    def test_the_campaign_and_the_priority_of_a_window_stay(self, ledger: Ledger) -> None:
        ledger.plan_days(OLDER, SUNDAY, MONDAY)
        for row in ledger.store.find(include_invalidated=True):
            ledger.store.amend(row.id, campaign_id=7, priority=3)
        ledger.plan()
        rows = [row for row in ledger.live() if row.target_day in (SUNDAY, MONDAY)]
        assert {(row.campaign_id, row.priority) for row in rows} == {(7, 3)}

    @pytest.mark.parametrize("granularity", ["1h", "4h", "1d"])
    def test_a_run_that_comes_before_the_planner_does_the_same(self, tmp_path: Path, granularity: str) -> None:
        ledger, planned = (Ledger(tmp_path, granularity=granularity) for _ in range(2))
        for each in (ledger, planned):
            each.plan_days(OLDER, SATURDAY, SUNDAY, MONDAY)
        (found,) = review([ledger.config], ledger.store)
        assert (found.items, len(found.held)) == ((), 2)  # no repair of single windows
        report = populate_pipeline_batches(ledger.config, ledger.store, RUN_1, RunRequest())
        planned.plan()
        kept = ("target_day", "query_window_start_at", "query_window_end_at", "zone_rules", "key_x")
        assert [[getattr(row, name) for name in kept] for row in ledger.live()] == [
            [getattr(row, name) for name in kept] for row in planned.live()
        ]
        assert any(f"zone rules changed from {OLDER} to {PINNED}" in text for text in report["reported"])


class TestWhatStays:
    @pytest.mark.parametrize("status", ["IN_PROGRESS", "COMPLETED", "FAILED", "SKIPPED"])
    def test_what_is_begun_or_done_stays_and_only_open_time_is_planned(self, ledger: Ledger, status: str) -> None:
        ledger.plan_days(OLDER, SATURDAY, SUNDAY, MONDAY)
        edge = ledger.at_window(at(2, 7)).id  # the last hour of Sunday then, the first of Monday now
        ledger.store.amend(edge, pipeline_final_status=status)
        reports = ledger.plan()
        row = ledger.store.get(edge)
        assert (row.is_invalidated_flag, row.pipeline_final_status, row.target_day) == (False, status, SUNDAY)
        (note,) = (report.note for report in reports if "stay as they are" in report.note)
        assert f"the day 2026-11-01 ends at 07:00Z, not 08:00Z: 1 {status} of its windows stay" in note
        windows = [row.window for row in ledger.live()]
        assert merge(windows) == [TimeWindow(datetime(2026, 10, 31, 7, tzinfo=UTC), at(3, 7))]
        assert sum((window.duration for window in windows), timedelta()) == 72 * HOUR

    def test_what_the_target_may_hold_stays(self, ledger: Ledger) -> None:
        ledger.plan_days(OLDER, SUNDAY, MONDAY)
        row = ledger.at_window(at(2, 7))
        ledger.store.amend(row.id, phase_completed="STAGE_TO_TARGET")
        ledger.plan()
        assert not ledger.store.get(row.id).is_invalidated_flag

    def test_windows_that_a_person_asked_for_stay_while_they_lie_within_the_day(self, ledger: Ledger) -> None:
        asked = {"windows": [["2026-11-02T15:10:00Z", "2026-11-02T15:40:00Z"]], "allow_future": True}
        across = {"windows": [["2026-11-02T07:30:00Z", "2026-11-02T08:00:00Z"]], "allow_future": True}
        with ledger.rules(OLDER):
            for conf in (asked, across):
                request = parse_request(conf, ledger.config.horizon, "flights")
                populate_pipeline_batches(ledger.config, ledger.store, RUN_1, request)
        exact = {row.id for row in ledger.live()}
        ledger.plan_days(OLDER, SUNDAY, MONDAY)
        ledger.plan()
        stays = {row_id: not ledger.store.get(row_id).is_invalidated_flag for row_id in exact}
        assert sorted(stays.values()) == [False, True]
        ledger.require_right_days(SUNDAY, MONDAY)

    def test_what_a_run_takes_meanwhile_stays_and_nothing_is_changed(self, ledger: Ledger) -> None:
        ledger.plan_days(OLDER, SUNDAY, MONDAY)
        taken = ledger.at_window(at(2, 7)).id
        replace = ledger.store.replace

        def lose_and_replace(*arguments: Any, **options: Any) -> list[LedgerRow]:
            ledger.store.amend(taken, pipeline_final_status="COMPLETED")
            return replace(*arguments, **options)

        ledger.store.replace = lose_and_replace  # type: ignore[method-assign]
        reports = ledger.plan()
        assert "not done, the next run tries it again: only a PENDING window makes way here" in reports[0].note
        assert not any(row.is_replacement_run_flag for row in ledger.live())

    def test_while_another_run_repairs_the_source_the_next_one_does_it(self, ledger: Ledger) -> None:
        ledger.plan_days(OLDER, SUNDAY, MONDAY)
        with ledger.store.source_lock("flights"):
            assert "another run repairs this source right now" in ledger.plan()[0].note
        ledger.plan()
        ledger.require_right_days(SUNDAY, MONDAY)

    def test_rows_of_another_zone_are_none_of_it(self, ledger: Ledger) -> None:
        ledger.plan_days(OLDER, SUNDAY, MONDAY)
        ledger.config = config(timezone="UTC", start_date="2026-10-31")
        before = ledger.live()
        reports = ledger.plan(target_date=SATURDAY)
        assert [row for row in ledger.live() if row.timezone == VANCOUVER] == before
        assert not any("zone rules" in report.note for report in reports)


class TestOlderRules:
    def test_days_that_differ_are_refused_and_the_others_planned(self, ledger: Ledger) -> None:
        ledger.plan_days(PINNED, SUNDAY, MONDAY)
        before = ledger.live()
        reports = ledger.plan(OLDER)
        assert numbers(reports) == [("2026-10-31", 24, 24), ("2026-11-01", 0, 0)]
        assert reports[1].failed == (
            f"2026-11-01 is left to a process with the zone rules {PINNED}, this one has {OLDER}, where "
            "the day 2026-11-01 ends at 08:00Z, not 07:00Z"
        )
        with pytest.raises(Exception, match="left to a process with the zone rules"):
            require_planned(reports, {})
        assert [row for row in ledger.live() if row.target_day != SATURDAY] == before

    def test_a_day_beside_one_that_differs_is_refused_too(self, ledger: Ledger) -> None:
        ledger.plan_days(PINNED, SUNDAY, MONDAY)
        (report,) = ledger.plan(OLDER, target_date=TUESDAY, allow_future=True)
        assert "it lies beside a day that differs" in report.failed

    @pytest.mark.parametrize("granularity", ["1h", "1d"])
    def test_a_run_repairs_nothing_there_and_says_so(self, tmp_path: Path, granularity: str) -> None:
        ledger = Ledger(tmp_path, granularity=granularity)
        ledger.plan_days(PINNED, SATURDAY, SUNDAY, MONDAY)
        ledger.at = at(1, 12)
        before = ledger.live()
        with ledger.rules(OLDER):
            report = populate_pipeline_batches(ledger.config, ledger.store, RUN_1, RunRequest())
            (found,) = review([ledger.config], ledger.store)
        assert ledger.live() == before
        assert (report["inserted"], report["invalidated"], found.items) == ([], [], ())
        assert any(
            f"not looked at: 2026-11-02 is left to a process with the zone rules {PINNED}" in text
            for text in report["reported"]
        )

    def test_a_range_that_a_person_asks_for_is_refused(self, ledger: Ledger) -> None:
        ledger.plan_days(PINNED, SUNDAY, MONDAY)
        with ledger.rules(OLDER):
            request = parse_request({"target_date": "2026-11-01"}, ledger.config.horizon, "flights")
            with pytest.raises(LedgerRefusedError, match=r"Install the packages of constraints\.txt"):
                populate_pipeline_batches(ledger.config, ledger.store, RUN_1, request)

    def test_what_it_planned_where_nobody_knew_better_is_planned_anew_by_newer_rules(self, ledger: Ledger) -> None:
        ledger.plan_days(OLDER, SUNDAY)
        ledger.plan_days(PINNED, MONDAY)
        ledger.plan()
        ledger.require_right_days(SUNDAY, MONDAY)


class TestWhatIsSaid:
    def test_the_planner_names_its_rules(self, ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level(logging.INFO)
        ledger.plan()
        assert f"time zone rules {PINNED}, from the package tzdata" in caplog.messages

    def test_a_mismatch_is_a_warning_with_what_to_do(self, ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
        ledger.plan_days(OLDER, SATURDAY)
        caplog.clear()
        ledger.plan()
        (text,) = (record.message for record in caplog.records if record.levelno == logging.WARNING)
        assert text.startswith(
            "flights: 24 windows of 2026-10-31 to 2026-10-31 were planned with the time zone rules "
            f"{OLDER}, this process has {PINNED}, newer ones: daily_planner plans the days that differ anew"
        )
        caplog.clear()
        ledger.plan(OLDER)
        assert any(f"rules {PINNED}, this process has {OLDER}, older ones" in text for text in caplog.messages)
        assert any("install the packages of constraints.txt" in text for text in caplog.messages)

    def test_who_claims_is_warned_too(self, ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
        ledger.plan_days(PINNED, SATURDAY)
        ledger.at = at(3, 12)
        with ledger.rules(OLDER):
            store_and_validate(ledger.config, ledger.store, RUN_1, RunRequest())
        assert any(f"rules {PINNED}, this process has {OLDER}, older ones" in text for text in caplog.messages)

    def test_nothing_is_said_where_all_agree(self, ledger: Ledger, caplog: pytest.LogCaptureFixture) -> None:
        ledger.plan()
        ledger.plan()
        assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_only_pending_rows_are_invalidated_where_that_is_asked(ledger: Ledger) -> None:
    ledger.plan_days(PINNED, SATURDAY)
    row = dataclasses.replace(ledger.live()[0], pipeline_final_status=Status.FAILED)
    assert transitions.invalidate(row, NOON, "a person's").changes == {"is_invalidated_flag": True}
    with pytest.raises(LedgerRefusedError, match="only a PENDING window makes way here, this one is FAILED by now"):
        transitions.invalidate(row, NOON, "zone rules", only_pending=True)

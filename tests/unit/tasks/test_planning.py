"""The daily planner, and what one pipeline run needs before it claims."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.records.run_requests import RunRequest, parse_request
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow, iso_utc, merge
from include.pipeline_framework.errors import (
    ConfigurationError,
    InvalidInputError,
    ServiceUnavailableError,
    TerminalError,
    WindowHeldError,
)
from include.pipeline_framework.tasks.plan_outcomes import (
    PlanReport,
    report_table,
    require_pipelines,
    require_planned,
    totals,
)
from include.pipeline_framework.tasks.planning import (
    insert_windows,
    plan_sources,
    populate_pipeline_batches,
    select_pipelines,
)
from tests.doubles.memory_lifecycle_store import MemoryLifecycleStore
from tests.unit.tasks.world import DAY, PLANNER, RUN_1, RUN_2, TEMPORARY, ZONE, World, config, window

NOW = datetime(2013, 3, 12, 12, tzinfo=UTC)
CALLABLE = {"callable": "tests.unit.tasks.world:broken_function"}


def plan(store: MemoryLifecycleStore, *configs: Any, now: datetime = NOW, **options: Any) -> list[PlanReport]:
    return plan_sources(configs or [config()], store, PLANNER, now=now, **options)


def between(start: float, end: float) -> TimeWindow:
    return window(start, end - start)


def numbers(reports: list[PlanReport]) -> list[tuple[Any, ...]]:
    return [(r.source_object, r.day, r.expected, r.existing, r.inserted, r.conflicting) for r in reports]


def planned_days(store: MemoryLifecycleStore, source_object: str = "flights") -> list[str]:
    return [day.isoformat() for day in store.planned_days({source_object: None})[source_object]]


class TestTargetDate:
    @pytest.mark.parametrize(
        ("day", "granularity", "windows"),
        [
            (date(2013, 3, 9), "1h", 24),
            (date(2013, 3, 10), "1h", 23),
            (date(2013, 11, 3), "1h", 25),
            (date(2013, 11, 3), "1d", 1),
            (date(2013, 11, 3), "24h", 2),
            (date(2013, 3, 9), "7h", 4),
            (date(2013, 3, 9), "30 minutes", 48),
        ],
    )
    def test_a_day_is_covered_exactly(self, day: date, granularity: str, windows: int) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        reports = plan(store, config(granularity=granularity), target_date=day, allow_future=True)
        assert numbers(reports) == [("flights", day.isoformat(), windows, 0, windows, 0)]
        rows = store.find()
        local_day = LocalDay(day, ZONE)
        assert merge(TimeWindow(r.query_window_start_at, r.query_window_end_at) for r in rows) == [local_day.window]
        assert {row.target_day for row in rows} == {day}
        assert {row.pipeline_final_status for row in rows} == {"PENDING"}

    def test_again_inserts_nothing(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        plan(store, target_date=DAY.date)
        assert numbers(plan(store, target_date=DAY.date)) == [("flights", "2013-03-09", 24, 24, 0, 0)]
        assert len(store.find()) == 24

    def test_a_gap_is_filled_and_nothing_else(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        plan(store, target_date=DAY.date)
        lost = [row.id for row in store.find()][5:7]
        store.replace(lost, [], PLANNER, "deleted by hand")
        assert numbers(plan(store, target_date=DAY.date)) == [("flights", "2013-03-09", 24, 22, 2, 0)]
        assert store.live_windows("flights", DAY.window) == [window(hour) for hour in range(24)]

    def test_a_dry_run_shows_and_inserts_nothing(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        (report,) = plan(store, target_date=DAY.date, dry_run=True)
        assert (report.inserted, report.dry_run, len(report.windows)) == (24, True, 24)
        assert report.as_dict()["windows"][0] == "2013-03-09 00:00-05:00 → 01:00-05:00"
        assert store.find() == []

    def test_a_changed_granularity_is_tiled_around_and_counted(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        plan(store, target_date=DAY.date)
        store.replace([row.id for row in store.find()][10:], [], PLANNER, "deleted by hand")
        reports = plan(store, config(granularity="4h"), target_date=DAY.date)
        # four hours from 0, 4 and 8 are in the way, and the day goes on as it was planned
        assert numbers(reports) == [("flights", "2013-03-09", 6, 0, 14, 3)]
        assert reports[0].note == "rows of another granularity cover part of the day; the rest is filled with 1h"
        assert store.planned_days({"flights": None}) == {"flights": [DAY.date]}
        assert {row.time_interval for row in store.find()} == {"1h"}
        assert numbers(plan(store, config(granularity="4h"), target_date=DAY.date)) == [
            ("flights", "2013-03-09", 6, 0, 0, 6)
        ]

    def test_a_day_that_the_calendar_skips(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        apia = config(timezone="Pacific/Apia", start_date="2011-01-01")
        (report,) = plan(store, apia, target_date=date(2011, 12, 30))
        assert (report.expected, report.note) == (0, "the calendar of Pacific/Apia skips this day")

    @pytest.mark.parametrize(
        ("changes", "day", "note"),
        [
            ({}, date(2013, 2, 28), "it lies before start_date 2013-03-01"),
            ({"end_date": "2013-03-09"}, DAY.date, "it lies at or after end_date 2013-03-09 (exclusive)"),
            ({"enabled": False}, DAY.date, "the pipeline is disabled (enabled: false)"),
        ],
    )
    def test_outside_the_horizon_it_is_reported_and_left_alone(
        self, changes: dict[str, Any], day: date, note: str
    ) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        other = config(pipeline_id="other", source_object="other", start_date="2013-01-01")
        first, second = plan(store, config(**changes), other, target_date=day)
        assert (first.note, first.expected, first.inserted) == (note, 0, 0)
        assert (second.source_object, second.inserted) == ("other", 24)

    def test_each_source_has_its_own_day(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        tokyo = config(pipeline_id="tokyo", source_object="tokyo", timezone="Asia/Tokyo")
        plan(store, config(), tokyo, target_date=DAY.date)
        starts = {row.source_object: row.query_window_start_at for row in reversed(store.find())}
        assert starts == {"flights": DAY.start, "tokyo": datetime(2013, 3, 8, 15, tzinfo=UTC)}


class TestTheFuture:
    """Nothing after local tomorrow is planned unless somebody says that it is meant."""

    def test_a_slip_of_the_pen_is_refused_and_nothing_is_planned(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        with pytest.raises(InvalidInputError, match="2031-01-01 lies after tomorrow, 2013-03-13") as refusal:
            plan(store, target_date=date(2031, 1, 1))
        assert refusal.value.where == "flights"
        assert all(way in refusal.value.remedy for way in ('"allow_future": true', "--allow-future", "in Python"))
        assert store.find() == []

    def test_tomorrow_is_each_sources_own(self) -> None:
        """In Auckland it is the 13th already."""
        store = MemoryLifecycleStore(lambda: NOW)
        auckland = config(pipeline_id="auckland", source_object="auckland", timezone="Pacific/Auckland")
        assert plan(store, auckland, target_date=date(2013, 3, 14))[0].inserted == 24
        with pytest.raises(InvalidInputError, match="flights"):
            plan(store, auckland, config(), target_date=date(2013, 3, 14))
        assert planned_days(store) == []

    def test_a_source_whose_horizon_ends_before_is_no_reason_to_refuse(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        (report,) = plan(store, config(end_date="2014-01-01"), target_date=date(2031, 1, 1))
        assert "at or after end_date" in report.note

    def test_when_it_is_meant_it_is_planned(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        assert plan(store, target_date=date(2031, 1, 1), allow_future=True)[0].inserted == 24

    @pytest.mark.parametrize(
        "conf",
        [
            {"target_date": "2031-01-01"},
            {"target_date": "2013-03-14"},
            {"from": "2013-03-09", "to": "2013-03-15"},
            {"from": "2013-03-09T05:00:00Z", "to": "2013-03-14T04:00:01Z"},
            {"windows": [["2031-01-01T05:00:00Z", "2031-01-01T06:00:00Z"]]},
        ],
    )
    @pytest.mark.parametrize("more", [{}, {"dry_run": True}, {"replace": True, "reason": "again"}])
    def test_a_pipelines_conf(self, conf: dict[str, Any], more: dict[str, Any]) -> None:
        world = World()
        with pytest.raises(InvalidInputError, match="lies after tomorrow, 2013-03-13"):
            populate_pipeline_batches(
                world.config, world.store, RUN_1, parse_request({**conf, **more}, world.config.horizon, "flights")
            )
        assert world.store.find() == []
        asked = parse_request({**conf, **more, "allow_future": True}, world.config.horizon, "flights")
        assert populate_pipeline_batches(world.config, world.store, RUN_1, asked)["inserted"]

    def test_up_to_the_end_of_tomorrow_nobody_has_to_say_so(self) -> None:
        world = World()
        asked = parse_request({"from": "2013-03-12", "to": "2013-03-14"}, world.config.horizon, "flights")
        assert len(populate_pipeline_batches(world.config, world.store, RUN_1, asked)["inserted"]) == 48


class TestScheduled:
    def test_local_today_and_tomorrow(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        plan(store, config(fill_missing_days=False))
        assert planned_days(store) == ["2013-03-12", "2013-03-13"]

    @pytest.mark.parametrize(
        ("now", "today"), [("2013-03-12T03:59:59", "2013-03-11"), ("2013-03-12T04:00:00", "2013-03-12")]
    )
    def test_today_is_the_sources_own(self, now: str, today: str) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        plan(store, config(fill_missing_days=False), now=datetime.fromisoformat(now).replace(tzinfo=UTC))
        assert planned_days(store)[0] == today

    def test_a_new_source_is_planned_from_its_start(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        reports = plan(store, config(start_date="2013-03-09"))
        assert planned_days(store) == ["2013-03-09", "2013-03-10", "2013-03-11", "2013-03-12", "2013-03-13"]
        assert [report.inserted for report in reports] == [24, 23, 24, 24, 24]

    def test_days_that_a_sleeping_planner_missed_are_made_up(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        source = config(start_date="2013-03-10")
        plan(store, source, target_date=date(2013, 3, 10))
        plan(store, source)
        assert planned_days(store) == [f"2013-03-{day}" for day in range(10, 14)]

    def test_without_fill_missing_days_they_are_not(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        plan(store, target_date=date(2013, 3, 8))
        plan(store, config(fill_missing_days=False))
        assert planned_days(store) == ["2013-03-08", "2013-03-12", "2013-03-13"]

    def test_a_day_planned_far_ahead_keeps_today_and_tomorrow(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        source = config(start_date="2013-03-11")
        plan(store, source, target_date=date(2013, 6, 1), allow_future=True)
        plan(store, source)
        assert planned_days(store) == ["2013-03-11", "2013-03-12", "2013-03-13", "2013-06-01"]

    def test_days_before_the_first_planned_one_are_planned_newest_first_and_within_the_limit(self) -> None:
        """`start_date` was moved back: no day is forgotten, and none of them delays today."""
        store = MemoryLifecycleStore(lambda: NOW)
        plan(store, config(start_date="2013-03-11"))
        moved = config(start_date="2013-03-02", state_manager_window_limit=80)
        reports = plan(store, moved)
        assert planned_days(store) == [f"2013-03-{day:02}" for day in (8, 9, 10, 11, 12, 13)]
        assert (reports[-1].day, reports[-1].inserted) == ("2013-03-02", 0)
        assert "6 days without any row, 2013-03-02 to 2013-03-07, are not planned" in reports[-1].note
        assert "at most 80 windows" in reports[-1].note
        plan(store, moved)
        assert {report.note for report in plan(store, moved)} == {""}
        assert planned_days(store) == [f"2013-03-{day:02}" for day in range(2, 14)]

    def test_a_century_of_missing_days_is_planned_in_parts(self) -> None:
        """A typo in `start_date`."""
        store = MemoryLifecycleStore(lambda: NOW)
        plan(store, config(start_date="1913-03-01"))
        assert len(store.find()) <= 200 + 48
        assert planned_days(store)[0] == "2013-03-04"

    def test_again_inserts_nothing(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        source = config(start_date="2013-03-11")
        plan(store, source)
        rows = len(store.find())
        assert {report.inserted for report in plan(store, source)} == {0}
        assert len(store.find()) == rows

    def test_a_half_planned_today_is_completed(self) -> None:
        store, source = MemoryLifecycleStore(lambda: NOW), config(start_date="2013-03-12")
        plan(store, source)
        rows = store.find(within=[LocalDay(date(2013, 3, 12), ZONE).window])
        store.replace([row.id for row in rows][3:9], [], PLANNER, "deleted by hand")
        today = next(report for report in plan(store, source) if report.day == "2013-03-12")
        assert (today.existing, today.inserted) == (18, 6)

    @pytest.mark.parametrize(
        ("changes", "notes"),
        [
            ({"enabled": False}, ["the pipeline is disabled (enabled: false)"] * 2),
            ({"start_date": "2013-03-13"}, ["it lies before start_date 2013-03-13", ""]),
            ({"start_date": "2013-03-12", "end_date": "2013-03-13"},
             ["", "it lies at or after end_date 2013-03-13 (exclusive)"]),
            ({"start_date": "2014-01-01"}, ["it lies before start_date 2014-01-01"] * 2),
        ],
    )  # fmt: skip
    def test_the_horizon(self, changes: dict[str, Any], notes: list[str]) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        reports = plan(store, config(**changes))
        assert [report.note for report in reports] == notes
        assert len(store.find()) == 24 * notes.count("")

    def test_a_dry_run_inserts_nothing(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        assert {report.inserted for report in plan(store, config(start_date="2013-03-10"), dry_run=True)} == {24, 23}
        assert store.find() == []


class TestBrokenSources:
    def test_a_broken_source_does_not_stop_the_others_and_is_named(self) -> None:
        store = MemoryLifecycleStore(lambda: NOW)
        broken = config(source_object="broken", derived={"key_x": CALLABLE})
        reports = plan(store, broken, config(), target_date=DAY.date)
        with pytest.raises(TerminalError, match=r"broken.*ZeroDivisionError.*a bug of the pipeline") as failure:
            require_planned(reports, {})
        assert (planned_days(store, "broken"), planned_days(store)) == ([], ["2013-03-09"])
        assert "others were planned" in failure.value.meaning

    def test_a_ledger_that_is_down_is_tried_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        store = MemoryLifecycleStore(lambda: NOW)

        def down(*_arguments: Any) -> None:
            raise ServiceUnavailableError("the ledger is down")

        monkeypatch.setattr(store, "live_windows", down)
        with pytest.raises(ServiceUnavailableError):
            plan(store, target_date=DAY.date)

    def test_broken_files_fail_after_the_good_ones(self) -> None:
        require_pipelines({"main": config()}, {})
        with pytest.raises(ConfigurationError, match=r"1 pipeline files are broken: x: bad.*The other 1 pipelines"):
            require_pipelines({"main": config()}, {"x": ConfigurationError("bad")})

    def test_choosing_pipelines(self) -> None:
        configs = {"b": config(), "a": config()}
        assert select_pipelines(configs, {"x": ConfigurationError("bad")}, None) == [configs["a"], configs["b"]]
        assert select_pipelines(configs, {}, ["b"]) == [configs["b"]]
        with pytest.raises(ConfigurationError, match="bad"):
            select_pipelines(configs, {"x": ConfigurationError("bad")}, ["b", "x"])
        with pytest.raises(InvalidInputError, match=r"no pipeline 'y'"):
            select_pipelines(configs, {}, ["y"])
        assert select_pipelines(configs, {}, ["b", "data_pipeline_main"]) == [configs["b"]]


def test_the_table_for_people() -> None:
    reports = [
        PlanReport("flights", "2013-03-09", 24, 20, 4, 1, note="odd rows"),
        PlanReport("other", "2013-03-09", 24, 23, 1, dry_run=True, windows=["00:00 → 01:00"]),
    ]
    lines = report_table(reports)
    assert lines[0].split() == ["source_object", "day", "expected", "existing", "inserted", "conflicting", "note"]
    assert lines[1].split() == ["flights", "2013-03-09", "24", "20", "4", "1", "odd", "rows"]
    assert lines[2].split()[-2:] == ["dry", "run"]
    assert lines[3] == "    would insert 00:00 → 01:00"


def test_of_many_windows_only_the_ends_are_shown() -> None:
    days = [f"2013-03-{day:02}" for day in range(1, 6)]
    reports = [
        PlanReport("flights", day, 24, 0, 24, dry_run=True, windows=[f"{day} {h:02}:00" for h in range(24)])
        for day in days
    ]
    assert len(report_table(reports)) == 1 + 2 * len(days)
    assert report_table(reports)[2] == "    would insert 24 windows: 2013-03-01 00:00 to 2013-03-01 23:00"
    assert len(report_table(reports[:4])) == 1 + 25 * 4


def test_totals_do_not_grow_with_the_days() -> None:
    reports = [PlanReport(f"s{n}", f"2013-03-{day:02}", 24, 4, 20) for n in range(30) for day in range(1, 29)]
    reports += [PlanReport(f"s{n}", "2013-03-01", failed="it raised") for n in range(30)]
    found = totals(reports)
    assert (found["sources"], found["days"], found["inserted"]) == (30, 28, 30 * 28 * 20)
    assert len(found["failed"]) == 10
    assert len(json.dumps(found)) < 300


class TestReplacedMeanwhile:
    """Another run cuts the hour between this one's reading and its replacing."""

    def asked(self, world: World, *windows: TimeWindow) -> RunRequest:
        exact = [[iso_utc(one.start), iso_utc(one.end)] for one in windows]
        conf = {"windows": exact, "replace": True, "reason": "test"}
        return parse_request(conf, world.config.horizon, "flights")

    def test_it_looks_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World()
        world.plan(0)
        real = world.store.replace
        halves = [window(0, 0.5), window(0.5, 0.5)]

        def slow(*arguments: Any, **options: Any) -> Any:
            monkeypatch.setattr(world.store, "replace", real)
            populate_pipeline_batches(world.config, world.store, RUN_2, self.asked(world, *halves))
            return real(*arguments, **options)

        monkeypatch.setattr(world.store, "replace", slow)
        wide = window(0, 2)
        report = populate_pipeline_batches(world.config, world.store, RUN_1, self.asked(world, wide))
        assert report["replaced"] == [wide.local_label(ZONE)]
        assert world.store.live_windows("flights", wide) == [wide]


class TestPopulate:
    def populate(self, world: World, conf: dict[str, Any], actor: Actor = RUN_1, **options: Any) -> dict[str, Any]:
        request = parse_request(conf, world.config.horizon, "flights")
        return populate_pipeline_batches(world.config, world.store, actor, request, **options)

    def test_a_date_is_planned(self) -> None:
        world = World()
        report = self.populate(world, {"target_date": "2013-03-10"})
        assert (len(report["inserted"]), report["replaced"], report["finished"], report["dry_run"]) == (
            23,
            [],
            0,
            False,
        )
        assert report["inserted"][0] == "2013-03-10 00:00-05:00 → 01:00-05:00"

    def test_only_what_is_missing(self) -> None:
        world = World()
        world.plan(0, 1, 5)
        assert len(self.populate(world, {"target_date": "2013-03-09"})["inserted"]) == 21
        assert self.populate(world, {"target_date": "2013-03-09"})["inserted"] == []

    def test_a_range_of_instants_takes_the_grid_windows_wholly_inside(self) -> None:
        world = World()
        report = self.populate(world, {"from": "2013-03-09T05:30:00Z", "to": "2013-03-09T08:30:00Z"})
        assert report["inserted"] == ["2013-03-09 01:00-05:00 → 02:00-05:00", "2013-03-09 02:00-05:00 → 03:00-05:00"]

    @pytest.mark.parametrize("conf", [{"target_date": "2013-03-09"}, {"from": "2013-03-09", "to": "2013-03-10"}])
    def test_a_day_that_was_planned_otherwise_is_completed_in_its_own_granularity(self, conf: dict[str, Any]) -> None:
        world = World()
        world.plan(*(hour for hour in range(24) if hour not in (7, 23)))
        world.config = config(granularity="30m")
        assert self.populate(world, conf)["inserted"] == [window(7).local_label(ZONE), window(23).local_label(ZONE)]

    @pytest.mark.parametrize(
        ("live", "granularity", "hours", "planned"),
        [
            ([(0, 2)], "1h", (0, 3), [(2, 3)]),
            ([(0, 3)], "2h", (2, 8), [(3, 6), (6, 8)]),
            ([(0, 2)], "1h", (1, 4), [(2, 4)]),
            ([(0, 2), (2, 4)], "1h", (3, 5), [(4, 5)]),
        ],
    )
    def test_no_asked_window_is_left_out_where_the_day_has_longer_ones(
        self, live: list[tuple[int, int]], granularity: str, hours: tuple[int, int], planned: list[tuple[int, int]]
    ) -> None:
        world = World()
        for start, end in live:
            insert_windows(config(granularity=f"{end - start}h"), [between(start, end)], world.store, RUN_1)
        world.config = config(granularity=granularity)
        asked = between(*hours)
        report = self.populate(world, {"from": iso_utc(asked.start), "to": iso_utc(asked.end)})
        assert report["inserted"] == [between(*ends).local_label(ZONE) for ends in planned]
        assert self.populate(world, {"from": iso_utc(asked.start), "to": iso_utc(asked.end)})["inserted"] == []

    @pytest.mark.parametrize("ahead", [0, 1], ids=["today", "tomorrow"])
    @pytest.mark.parametrize("changed", ["30m", "2h", "1d"])
    def test_today_and_tomorrow_are_completed_in_their_own_granularity_too(self, ahead: int, changed: str) -> None:
        day = LocalDay(date(2013, 3, 12) + timedelta(days=ahead), ZONE)  # the world's clock shows the 12th
        world = World(start_date=str(day))
        world.plan(*(hour for hour in range(24) if hour != 5), day=day)
        world.config = config(granularity=changed, start_date=str(day))
        gap = window(5, day=day).local_label(ZONE)
        assert self.populate(world, {}, dry_run=True)["inserted"].count(gap) >= 1
        assert gap in self.populate(world, {})["inserted"]
        lengths = {row.time_interval for row in world.store.find(within=[day.window])}  # type: ignore[list-item]
        assert lengths == {"1h"}

    def test_a_range_of_days_over_the_clock_change(self) -> None:
        world = World()
        assert len(self.populate(world, {"from": "2013-03-09", "to": "2013-03-12"})["inserted"]) == 24 + 23 + 24

    def test_exact_windows_are_planned_as_they_are(self) -> None:
        world = World()
        conf = {
            "windows": [
                ["2013-03-09T05:00:00Z", "2013-03-09T05:10:00Z"],
                ["2013-03-09T07:00:00Z", "2013-03-09T09:30:00Z"],
            ]
        }
        assert self.populate(world, conf)["inserted"] == [
            "2013-03-09 00:00-05:00 → 00:10-05:00",
            "2013-03-09 02:00-05:00 → 04:30-05:00",
        ]
        assert self.populate(world, conf)["inserted"] == []

    def test_an_exact_window_over_live_rows_gets_its_uncovered_parts(self) -> None:
        world = World()
        world.plan(1)
        conf = {"windows": [["2013-03-09T05:30:00Z", "2013-03-09T07:30:00Z"]]}
        assert self.populate(world, conf)["inserted"] == [
            "2013-03-09 00:30-05:00 → 01:00-05:00",
            "2013-03-09 02:00-05:00 → 02:30-05:00",
        ]

    @pytest.mark.parametrize("replace", [False, True])
    def test_an_exact_window_that_cuts_a_live_one_is_refused_and_names_it(self, replace: bool) -> None:
        world = World()
        world.plan(1)
        conf: dict[str, Any] = {"windows": [["2013-03-09T06:30:00Z", "2013-03-09T07:30:00Z"]]}
        more = {"replace": True, "reason": "x"} if replace else {}
        with pytest.raises(InvalidInputError) as refusal:
            self.populate(world, conf | more)
        assert "cuts the live window 2013-03-09T06:00:00Z/2013-03-09T07:00:00Z" in str(refusal.value)
        remedy = "the rest of it, too: 2013-03-09T06:00:00Z/2013-03-09T06:30:00Z" if replace else '"replace": true'
        assert remedy in refusal.value.remedy
        assert len(world.store.find(include_invalidated=True)) == 1

    def test_wider_and_narrower_windows_replace_whatever_they_cut(self) -> None:
        """Three hours, one of them never run, become two and a half hours and a half; the fourth is left alone."""
        world = World()
        for hour in (0, 1, 3):
            world.add_documents(4, hour=hour)
        *old, other = world.complete(0, 1, 3)
        old += world.plan(2)
        conf: dict[str, Any] = {
            "windows": [
                ["2013-03-09T05:00:00Z", "2013-03-09T07:30:00Z"],
                ["2013-03-09T07:30:00Z", "2013-03-09T08:00:00Z"],
            ],
            "replace": True,
            "reason": "coarser",
        }
        shown = self.populate(world, {**conf, "dry_run": True})
        assert len(world.store.find(include_invalidated=True)) == 4
        report = self.populate(world, conf)
        assert report["inserted"] == shown["inserted"] == []
        assert report["replaced"] == shown["replaced"]
        assert report["replaced"] == ["2013-03-09 00:00-05:00 → 02:30-05:00", "2013-03-09 02:30-05:00 → 03:00-05:00"]
        wide, narrow, kept = world.store.find()
        assert kept.id == other
        assert [row.is_replacement_run_flag for row in (wide, narrow)] == [True, True]
        assert [world.row(i).replaced_by_id for i in old] == [wide.id] * 3
        self.populate(world, conf)  # the task's second try, or the run cleared
        assert [row.id for row in world.store.find()] == [wide.id, narrow.id, other]

        world.claim(RUN_2)
        for row in (wide, narrow):
            world.move(row.id, actor=RUN_2)
        assert [row.pipeline_final_status for row in world.store.find()] == ["COMPLETED"] * 3
        assert [world.row(i).target_deletion_done_flag for i in old] == [True] * 3
        assert Counter(world.target_ids()) == Counter(f"doc-{hour}-{n}" for hour in (0, 1, 3) for n in range(4))

    def test_a_window_that_is_being_moved_is_not_recut(self) -> None:
        world = World()
        world.plan_and_claim(1)
        conf = {"windows": [["2013-03-09T06:00:00Z", "2013-03-09T08:00:00Z"]], "replace": True, "reason": "x"}
        with pytest.raises(WindowHeldError):
            self.populate(world, conf)
        assert len(world.store.find(include_invalidated=True)) == 1

    def test_without_conf_gaps_inside_planned_days_are_filled_and_other_days_left_to_the_planner(self) -> None:
        world = World(fill_missing_days=False)
        world.plan(*(hour for hour in range(24) if hour not in (3, 7)))
        assert self.populate(world, {})["inserted"] == [window(hour).local_label(ZONE) for hour in (3, 7)]
        assert self.populate(world, {})["inserted"] == []
        assert planned_days(world.store) == ["2013-03-09"]

    def test_without_conf_days_outside_the_horizon_rest(self) -> None:
        world = World()
        world.plan(0)
        for changes in ({"enabled": False}, {"start_date": "2013-03-10"}, {"end_date": "2013-03-09"}):
            narrowed = config(**changes, fill_missing_days=False)
            assert populate_pipeline_batches(narrowed, world.store, RUN_1, RunRequest())["inserted"] == []

    @pytest.mark.parametrize(("conf", "actor"), [({"dry_run": True}, RUN_1), ({}, TEMPORARY)])
    def test_a_dry_run_and_a_temporary_run_change_nothing(self, conf: dict[str, Any], actor: Actor) -> None:
        world = World()
        world.add_documents(1, hour=0)
        (done,) = world.complete(0)
        rows = world.store.find(include_invalidated=True)
        conf = {**conf, "target_date": "2013-03-09", "replace": True, "reason": "why"}
        report = self.populate(world, conf, actor)
        assert (len(report["inserted"]), report["dry_run"]) == (23, True)
        assert report["replaced"] == [window(0).local_label(ZONE)]
        assert world.store.find(include_invalidated=True) == rows
        assert world.status(done) == "COMPLETED"

    def test_the_caller_may_ask_for_a_dry_run(self) -> None:
        world = World()
        assert self.populate(world, {"target_date": "2013-03-09"}, dry_run=True)["dry_run"] is True
        assert world.store.find() == []

    def test_finished_windows_are_reported_not_touched(self) -> None:
        world = World()
        world.complete(0, 1)
        world.plan(2)
        report = self.populate(world, {"target_date": "2013-03-09"})
        assert (len(report["inserted"]), report["replaced"], report["finished"]) == (21, [], 2)


class TestReplace:
    CONF = {"from": "2013-03-09", "to": "2013-03-10", "replace": True, "reason": "files came late"}  # noqa: RUF012

    def populate(self, world: World, actor: Actor = RUN_2) -> dict[str, Any]:
        request = parse_request(self.CONF, world.config.horizon, "flights")
        return populate_pipeline_batches(world.config, world.store, actor, request)

    def test_finished_windows_get_a_replacement_with_the_reason(self) -> None:
        world = World()
        done, also_done = world.complete(0, 1)
        (waiting,) = world.plan(2)
        report = self.populate(world)
        assert report["replaced"] == [window(hour).local_label(ZONE) for hour in (0, 1)]
        assert report["finished"] == 0
        old = world.row(done)
        new = world.row(old.replaced_by_id)
        assert (old.is_invalidated_flag, new.is_replacement_run_flag, new.pipeline_final_status) == (
            True, True, "PENDING",
        )  # fmt: skip
        assert new.query_window_start_at == window(0).start
        reasons = [event["reason"] for event in world.store.events(done) if event["event"] == "invalidated"]
        assert reasons == ["files came late"]
        assert not world.row(waiting).is_invalidated_flag
        assert world.row(also_done).is_invalidated_flag

    def test_a_retry_of_the_same_task_replaces_nothing_twice(self) -> None:
        world = World()
        world.complete(0)
        self.populate(world)
        rows = world.store.find(include_invalidated=True)
        self.populate(world)
        assert world.store.find(include_invalidated=True) == rows

    def test_the_same_run_cleared_after_it_has_finished_replaces_nothing_twice(self) -> None:
        world = World()
        world.complete(0)
        self.populate(world)
        (row,) = world.claim(RUN_2, limit=1)
        world.move(row.id, actor=RUN_2)
        rows = world.store.find(include_invalidated=True)
        report = self.populate(world)
        assert world.store.find(include_invalidated=True) == rows
        assert report["replaced"] == [window(0).local_label(ZONE)]

    def test_another_run_may_replace_the_replacement(self) -> None:
        world = World()
        world.complete(0)
        self.populate(world)
        (row,) = world.claim(RUN_2, limit=1)
        world.move(row.id, actor=RUN_2)
        self.populate(world, Actor("data_pipeline_main", "run-3"))
        assert world.row(row.id).is_invalidated_flag

    def test_a_window_that_failed_for_good_is_replaced(self) -> None:
        """Its run may be gone from Airflow by then, so that nobody can clear its task."""
        world = World(max_retry_task=0)
        (record_id,) = world.plan_and_claim(0)
        world.source.fault = ServiceUnavailableError("503")
        with pytest.raises(ServiceUnavailableError):
            world.move(record_id, is_last_try=True)
        report = self.populate(world)
        assert report["replaced"] == [window(0).local_label(ZONE)]
        assert world.row(record_id).is_invalidated_flag
        (new,) = world.store.find(within=[window(0)])
        assert (new.pipeline_final_status, new.retry_attempt) == ("PENDING", 0)

"""What a day should hold, what it holds, and the rows to insert."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
import tzdata
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.records.planning import (
    DERIVED_COLUMNS,
    PlacedWindow,
    interval_string,
    local,
    plan_day,
    planned_row,
)
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.durations import Granularity, parse_granularity
from include.pipeline_framework.core.time.windows import TimeWindow, merge, tile, uncovered

HOUR = Granularity(0, 3_600)
DAY = LocalDay(date(2013, 3, 9), "America/New_York")
WHOLE = DAY.window
assert WHOLE is not None
GRID = list(tile(WHOLE, HOUR))


def minutes(start: int, end: int) -> TimeWindow:
    """A window by minutes since the day's start."""
    return TimeWindow(WHOLE.start + timedelta(minutes=start), WHOLE.start + timedelta(minutes=end))


class TestPlanDay:
    def test_fresh(self) -> None:
        plan = plan_day(DAY, HOUR, [])
        assert (list(plan.expected), list(plan.missing), plan.existing, plan.conflicting) == (GRID, GRID, (), ())

    def test_half_planned(self) -> None:
        plan = plan_day(DAY, HOUR, GRID[::2])
        assert (list(plan.existing), list(plan.missing), plan.conflicting) == (GRID[::2], GRID[1::2], ())

    def test_complete(self) -> None:
        plan = plan_day(DAY, HOUR, GRID)
        assert (list(plan.existing), plan.missing, plan.conflicting) == (GRID, (), ())

    def test_rows_of_the_neighbouring_days_do_not_count(self) -> None:
        plan = plan_day(DAY, HOUR, [minutes(-60, 0), minutes(24 * 60, 25 * 60)])
        assert (len(plan.missing), plan.existing, plan.conflicting) == (24, (), ())

    def test_a_finer_grid_of_the_past_keeps_its_rows(self) -> None:
        """30 minute rows until 10:15, then one hour windows: the hour at 10 is tiled around what is there."""
        live = [*tile(minutes(0, 600), Granularity(0, 1_800)), minutes(600, 615)]
        plan = plan_day(DAY, HOUR, live)
        assert (plan.existing, list(plan.conflicting)) == ((), GRID[:11])
        assert list(plan.missing) == [minutes(615, 660), *GRID[11:]]

    def test_a_coarser_grid_of_the_past_keeps_its_rows(self) -> None:
        live = [minutes(0, 360), minutes(360, 720)]
        plan = plan_day(DAY, Granularity(0, 4 * 3_600), live)
        assert list(plan.conflicting) == [minutes(0, 240), minutes(240, 480), minutes(480, 720)]
        assert list(plan.missing) == [minutes(720, 960), minutes(960, 1_200), minutes(1_200, 1_440)]

    def test_odd_rows_over_a_boundary_and_over_each_other(self) -> None:
        live = [minutes(30, 90), minutes(40, 50), minutes(200, 200 + 24 * 60)]
        plan = plan_day(DAY, HOUR, live)
        assert list(plan.missing) == [minutes(0, 30), minutes(90, 120), minutes(120, 180), minutes(180, 200)]
        assert list(plan.conflicting) == [GRID[0], GRID[1], *GRID[3:]]

    @pytest.mark.parametrize(
        ("day", "zone", "granularity", "count"),
        [
            (date(2013, 3, 10), "America/New_York", "1h", 23),
            (date(2013, 11, 3), "America/New_York", "1h", 25),
            (date(2013, 11, 3), "America/New_York", "1d", 1),
            (date(2013, 11, 3), "America/New_York", "24h", 2),
            (date(2013, 10, 6), "Australia/Lord_Howe", "30m", 47),
            (date(2011, 12, 30), "Pacific/Apia", "1h", 0),
        ],
    )
    def test_the_grid_follows_the_clock(self, day: date, zone: str, granularity: str, count: int) -> None:
        plan = plan_day(LocalDay(day, zone), parse_granularity(granularity), [])
        assert len(plan.expected) == len(plan.missing) == count

    @given(
        st.lists(st.tuples(st.integers(-120, 1_500), st.integers(1, 200)), max_size=8),
        st.sampled_from(["1h", "30m", "7h", "1d", "24h", "45m"]),
    )
    def test_after_inserting_what_is_missing_the_day_is_covered(
        self, rows: list[tuple[int, int]], granularity: str
    ) -> None:
        live = [minutes(start, start + length) for start, length in rows]
        step = parse_granularity(granularity)
        plan = plan_day(DAY, step, live)
        assert uncovered(WHOLE, [*live, *plan.missing]) == []
        assert not any(piece.overlaps(other) for piece in plan.missing for other in live)
        pieces = sorted(plan.missing)
        assert all(one.end <= other.start for one, other in itertools.pairwise(pieces))
        assert set(plan.existing).isdisjoint(plan.conflicting)
        again = plan_day(DAY, step, [*live, *plan.missing])
        assert again.missing == ()
        assert again.expected == plan.expected

    @given(st.sets(st.integers(0, 23)))
    def test_gap_recovery_finds_exactly_the_deleted_rows(self, deleted: set[int]) -> None:
        plan = plan_day(DAY, HOUR, [window for n, window in enumerate(GRID) if n not in deleted])
        assert list(plan.missing) == [GRID[n] for n in sorted(deleted)]
        assert merge([*plan.existing, *plan.missing]) == [WHOLE]


def nothing_derived(_config: Any) -> Any:
    """A configuration without derived columns."""
    return lambda _placed: {}


class TestPlannedRow:
    CONFIG: dict[str, Any] = {  # noqa: RUF012
        "timezone": "America/New_York",
        "granularity": "1h",
        "config_hash": "abc",
        "default_record": {
            "pipeline_id": "main",
            "source_name": "elasticsearch",
            "source_object": "flights",
            "priority": 3,
            "expected_audit_duration_mins": 5.0,
            "owner_team": "data",
        },
    }

    def test_its_columns(self) -> None:
        derived = {name: f"<{name}>" for name in DERIVED_COLUMNS}
        row = planned_row(self.CONFIG, GRID[23], lambda _config: lambda _placed: derived)
        assert row == {
            "pipeline_id": "main",
            "source_name": "elasticsearch",
            "source_object": "flights",
            "priority": 3,
            "expected_audit_duration_mins": 5.0,
            **derived,
            "timezone": "America/New_York",
            "granularity": "1h",
            "config_hash": "abc",
            "zone_rules": tzdata.IANA_VERSION,
            "target_day": date(2013, 3, 9),
            "query_window_start_at": datetime(2013, 3, 10, 4, tzinfo=UTC),
            "query_window_end_at": datetime(2013, 3, 10, 5, tzinfo=UTC),
            "time_interval": "1h",
            "source_query_window_duration_minutes": 60.0,
            "static_metadata": {"owner_team": "data"},
        }

    def test_statuses_and_flags_are_the_ledgers_defaults(self) -> None:
        row = planned_row(self.CONFIG, GRID[0], nothing_derived)
        assert not [name for name in row if name.endswith(("_status", "_flag")) or name in ("id", "job_id", "fence")]

    def test_the_function_gets_local_times(self) -> None:
        seen: list[Any] = []

        def deriving(config: Any) -> Any:
            def columns(placed: PlacedWindow) -> dict[str, Any]:
                seen.append((config, *placed.arguments))
                return {}

            return columns

        planned_row(self.CONFIG, GRID[5], deriving)
        ((config, day, start, end, interval),) = seen
        assert config is self.CONFIG
        assert [moment.isoformat() for moment in (day, start, end)] == [
            "2013-03-09T00:00:00-05:00",
            "2013-03-09T05:00:00-05:00",
            "2013-03-09T06:00:00-05:00",
        ]
        assert (start.timezone_name, interval) == ("America/New_York", "1h")

    def test_the_day_of_a_repeated_evening_is_the_one_that_has_begun(self) -> None:
        """St. John's 2006: 23:30 of 28 October comes again after the 29th has begun."""
        window = TimeWindow(datetime(2006, 10, 29, 3, tzinfo=UTC), datetime(2006, 10, 29, 3, 30, tzinfo=UTC))
        row = planned_row({**self.CONFIG, "timezone": "America/St_Johns"}, window, nothing_derived)
        assert row["target_day"] == date(2006, 10, 29)

    def test_the_template_is_not_changed(self) -> None:
        before = dict(self.CONFIG["default_record"])
        planned_row(self.CONFIG, GRID[0], nothing_derived)
        assert self.CONFIG["default_record"] == before


@pytest.mark.parametrize(("length", "text"), [(60, "1h"), (30, "30m"), (1_500, "1d1h"), (1_380, "23h")])
def test_interval_is_the_elapsed_time(length: int, text: str) -> None:
    assert interval_string(minutes(0, length)) == text


def test_an_instant_shown_in_a_zone() -> None:
    shown = local(datetime(2013, 11, 3, 6, 30, tzinfo=UTC), "America/New_York")
    assert (shown.isoformat(), shown.timezone_name) == ("2013-11-03T01:30:00-05:00", "America/New_York")

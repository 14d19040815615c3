"""Every scenario of requirement 2's test list, and the same on days whose clocks change."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.config.derived import derive
from include.pipeline_framework.core.records.generation import (
    build_complete_pipeline_record,
    calculate_time_window,
    generate_pipeline_time_window_record,
)
from include.pipeline_framework.core.records.planning import local
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.durations import parse_granularity, parse_time_to_seconds
from include.pipeline_framework.core.time.windows import TimeWindow, merge, tile
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError

LA = "America/Los_Angeles"
DAY = pendulum.datetime(2025, 6, 30, tz=LA)
NOW = "2025-07-01T10:30:00Z"
CONFIG: dict[str, Any] = {
    "timezone": LA,
    "x_time_back": "1d2h",
    "granularity": "2h",
    "default_record": {"source_name": "elasticsearch", "target_name": "snowflake", "pipeline_id": "main"},
}


def at(clock: str, day: int = 30) -> pendulum.DateTime:
    hour, minute = clock.split(":")
    return pendulum.datetime(2025, 6, day, int(hour), int(minute), tz=LA)


class TestContinuation:
    @pytest.mark.parametrize(
        ("continuation", "granularity", "start", "end", "interval"),
        [
            pytest.param(None, "3h", "2025-06-30T00:00", "2025-06-30T03:00", "3h", id="NONE"),
            pytest.param("02:00", "3h", "2025-06-30T02:00", "2025-06-30T05:00", "3h", id="EARLY"),
            pytest.param("12:00", "3h", "2025-06-30T12:00", "2025-06-30T15:00", "3h", id="MIDDLE"),
            pytest.param("22:00", "3h", "2025-06-30T22:00", "2025-07-01T00:00", "2h", id="LATE"),
            pytest.param("22:00", "5h", "2025-06-30T22:00", "2025-07-01T00:00", "2h", id="crossing 22:00 + 5h"),
            pytest.param("23:30", "1h", "2025-06-30T23:30", "2025-07-01T00:00", "30m", id="crossing 23:30 + 1h"),
            pytest.param("23:59", "24h", "2025-06-30T23:59", "2025-07-01T00:00", "1m", id="last minute"),
            pytest.param(None, "2d", "2025-06-30T00:00", "2025-07-01T00:00", "1d", id="larger than the day"),
            pytest.param(None, "25h", "2025-06-30T00:00", "2025-07-01T00:00", "1d", id="longer than the day"),
            pytest.param("12:00", "1d", "2025-06-30T12:00", "2025-07-01T00:00", "12h", id="larger than the rest"),
            pytest.param("12:00", "1d2h", "2025-06-30T12:00", "2025-07-01T00:00", "12h", id="day part and more"),
            pytest.param("22:00", "2h", "2025-06-30T22:00", "2025-07-01T00:00", "2h", id="exactly the rest"),
        ],
    )
    def test_the_next_window(
        self, continuation: str | None, granularity: str, start: str, end: str, interval: str
    ) -> None:
        window = calculate_time_window(DAY, granularity, at(continuation) if continuation else None)
        assert window is not None
        start_time, end_time, actual_interval = window
        assert (start_time.isoformat()[:16], end_time.isoformat()[:16], actual_interval) == (start, end, interval)
        assert start_time.timezone_name == end_time.timezone_name == LA

    @pytest.mark.parametrize(
        "continuation",
        [
            pytest.param(at("23:00", day=29), id="before target"),
            pytest.param(DAY.subtract(microseconds=1), id="just before"),
            pytest.param(pendulum.datetime(2025, 7, 1, tz=LA), id="exact boundary"),
            pytest.param(pendulum.datetime(2025, 7, 1, 6, tz=LA), id="beyond boundary"),
            pytest.param(pendulum.datetime(2026, 1, 1, tz=LA), id="far beyond"),
        ],
    )
    def test_a_complete_day_has_no_next_window(self, continuation: pendulum.DateTime) -> None:
        assert calculate_time_window(DAY, "3h", continuation) is None

    @pytest.mark.parametrize(
        "target_day",
        [
            DAY,
            DAY.add(hours=15),
            datetime(2025, 6, 30, tzinfo=ZoneInfo(LA)),
            pd.Timestamp("2025-06-30", tz=LA),
        ],
    )
    @pytest.mark.parametrize(
        "continuation",
        [
            at("22:00"),
            at("22:00").in_timezone("UTC"),
            "2025-07-01T05:00:00Z",
            "2025-06-30T22:00:00",
            1_751_346_000,
            1_751_346_000_000,
            pd.Timestamp("2025-06-30T22:00", tz=LA),
        ],
    )
    def test_any_shape_of_timestamp(self, target_day: datetime, continuation: Any) -> None:
        window = calculate_time_window(target_day, "3h", continuation)
        assert window == (at("22:00"), pendulum.datetime(2025, 7, 1, tz=LA), "2h")

    @pytest.mark.parametrize(
        ("target_day", "zone", "start", "end"),
        [
            ("2025-06-30T00:00:00+05:30", None, "2025-06-30T00:00:00+05:30", "2025-06-30T02:00:00+05:30"),
            (
                pendulum.parse("2025-06-30T00:00:00-03:00"),
                None,
                "2025-06-30T00:00:00-03:00",
                "2025-06-30T02:00:00-03:00",
            ),
            ("2025-06-30", None, "2025-06-30T00:00:00+00:00", "2025-06-30T02:00:00+00:00"),
            ("2025-06-30", LA, "2025-06-30T00:00:00-07:00", "2025-06-30T02:00:00-07:00"),
            (date(2025, 6, 30), LA, "2025-06-30T00:00:00-07:00", "2025-06-30T02:00:00-07:00"),
            (datetime(2025, 6, 30), LA, "2025-06-30T00:00:00-07:00", "2025-06-30T02:00:00-07:00"),  # noqa: DTZ001
        ],
    )
    def test_a_day_is_that_day_in_its_zone_or_offset(
        self, target_day: Any, zone: str | None, start: str, end: str
    ) -> None:
        window = calculate_time_window(target_day, "2h", timezone=zone)
        assert window is not None
        assert (window.start_time.isoformat(), window.end_time.isoformat()) == (start, end)
        last = calculate_time_window(target_day, "3h", window.start_time.add(hours=22), timezone=zone)
        assert last is not None
        assert (last.end_time, last.actual_interval) == (window.start_time.add(days=1), "2h")
        assert calculate_time_window(target_day, "3h", last.end_time, timezone=zone) is None

    def test_a_day_that_the_calendar_skips_has_no_window(self) -> None:
        assert calculate_time_window(date(2011, 12, 30), "1h", timezone="Pacific/Apia") is None
        config = {**CONFIG, "timezone": "Pacific/Apia"}
        assert generate_pipeline_time_window_record(config, now=NOW, target_day=date(2011, 12, 30)) is None

    @pytest.mark.parametrize("end", ["2025-06-30T23:59:59.999999", "2025-06-30T23:59:59.999", "2025-06-30T23:59:59"])
    def test_it_continues_after_an_end_that_looks_inclusive(self, end: str) -> None:
        window = calculate_time_window(DAY, "2h", end)
        assert window is not None
        assert window.end_time == DAY.add(days=1)
        assert parse_time_to_seconds(window.actual_interval) == (window.end_time - window.start_time).total_seconds()

    def test_microseconds_are_kept(self) -> None:
        window = calculate_time_window(DAY, "1h", at("05:00").add(microseconds=7))
        assert window is not None
        assert window.end_time == at("06:00").add(microseconds=7)

    @pytest.mark.parametrize(
        ("target_day", "granularity", "continuation", "named"),
        [
            (datetime(2025, 6, 30), "1h", None, "no time zone"),  # noqa: DTZ001
            (DAY, "0h", None, "'0h' is not a duration"),
            (DAY, "", None, "'' is not a duration"),
            (DAY, "1h", "noon", "'noon' is not a timestamp"),
            ("today", "1h", None, "'today' is not a timestamp"),
        ],
    )
    def test_bad_arguments_are_named(self, target_day: Any, granularity: str, continuation: Any, named: str) -> None:
        with pytest.raises(InvalidInputError, match=named):
            calculate_time_window(target_day, granularity, continuation)


class TestDaysWithAClockChange:
    @pytest.mark.parametrize(
        ("day", "zone", "granularity", "windows", "last"),
        [
            (date(2013, 3, 9), "America/New_York", "1h", 24, "1h"),
            (date(2013, 3, 10), "America/New_York", "1h", 23, "1h"),
            (date(2013, 11, 3), "America/New_York", "1h", 25, "1h"),
            (date(2013, 3, 10), "America/New_York", "1d", 1, "23h"),
            (date(2013, 11, 3), "America/New_York", "1d", 1, "1d1h"),
            (date(2013, 11, 3), "America/New_York", "24h", 2, "1h"),
            (date(2013, 3, 10), "America/New_York", "2h", 12, "1h"),
            (date(2013, 10, 6), "Australia/Lord_Howe", "1h", 24, "30m"),
            (date(2013, 4, 7), "Australia/Lord_Howe", "1h", 25, "30m"),
            (date(2024, 11, 3), "America/Havana", "1h", 25, "1h"),
            (date(2018, 11, 4), "America/Sao_Paulo", "1h", 23, "1h"),
            (date(2011, 12, 31), "Pacific/Apia", "1h", 24, "1h"),
        ],
    )
    def test_continuing_goes_through_the_whole_day(
        self, day: date, zone: str, granularity: str, windows: int, last: str
    ) -> None:
        local_day = LocalDay(day, zone)
        start, found = local(local_day.start, zone), []
        continuation = None
        while window := calculate_time_window(start, granularity, continuation):
            found.append(window)
            continuation = window.end_time
        assert (len(found), found[-1].actual_interval) == (windows, last)
        assert merge(TimeWindow(w.start_time, w.end_time) for w in found) == [local_day.window]


@given(
    st.dates(date(2010, 1, 1), date(2026, 1, 1)),
    st.sampled_from(["UTC", LA, "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Beirut"]),
    st.sampled_from(["30m", "1h", "7h", "1d", "5h20m"]),
)
def test_generating_one_after_the_other_is_the_planners_grid(day: date, zone: str, granularity: str) -> None:
    local_day = LocalDay(day, zone)
    assert local_day.window is not None
    found: list[TimeWindow] = []
    while window := calculate_time_window(local(local_day.start, zone), granularity, found[-1].end if found else None):
        found.append(TimeWindow(window.start_time, window.end_time))
    assert found == list(tile(local_day.window, parse_granularity(granularity)))


class TestGenerate:
    def test_the_day_comes_from_now_and_x_time_back(self) -> None:
        details = generate_pipeline_time_window_record(CONFIG, now=NOW)
        assert details == {
            "target_day": DAY,
            "target_day_str": "2025-06-30",
            "window_start_time": DAY,
            "window_end_time": at("02:00"),
            "time_interval": "2h",
        }
        assert details["target_day"].timezone_name == LA

    def test_in_utc(self) -> None:
        details = generate_pipeline_time_window_record({**CONFIG, "timezone": "UTC"}, now=NOW)
        assert details is not None
        assert details["window_start_time"].isoformat() == "2025-06-30T00:00:00+00:00"

    @pytest.mark.parametrize("day", [date(2013, 3, 10), date(2013, 11, 3)])
    def test_a_given_day(self, day: date) -> None:
        config = {**CONFIG, "timezone": "America/New_York", "granularity": "1d"}
        details = generate_pipeline_time_window_record(config, now=NOW, target_day=day)
        assert details is not None
        local_day = LocalDay(day, "America/New_York")
        assert (details["window_start_time"], details["window_end_time"]) == (local_day.start, local_day.end)
        assert details["target_day_str"] == day.isoformat()

    @pytest.mark.parametrize(
        "day",
        [
            date(2025, 6, 29),
            "2025-06-29",
            at("07:30", 29),
            "2025-06-30T06:59:59Z",
            1_751_266_799,
            LocalDay(date(2025, 6, 29), LA),
        ],
    )
    def test_a_target_day_in_any_shape(self, day: Any) -> None:
        details = generate_pipeline_time_window_record(CONFIG, now=NOW, target_day=day)
        record = build_complete_pipeline_record(CONFIG, now=NOW, derive=derive, target_day=day)
        assert details is not None
        assert record is not None
        assert details["target_day_str"] == "2025-06-29"
        assert details["target_day"] == record["TARGET_DAY"] == at("00:00", 29)

    @pytest.mark.parametrize("continuation", [at("23:00", day=29), DAY.add(days=1), DAY.add(days=3)])
    def test_none_goes_through_the_whole_chain(self, continuation: pendulum.DateTime) -> None:
        options: dict[str, Any] = {"now": NOW, "continuation_timestamp": continuation}
        assert generate_pipeline_time_window_record(CONFIG, **options) is None
        assert build_complete_pipeline_record(CONFIG, derive=derive, **options) is None

    @pytest.mark.parametrize("key", ["timezone", "x_time_back", "granularity", "default_record"])
    def test_a_missing_key_is_named(self, key: str) -> None:
        config = {name: value for name, value in CONFIG.items() if name != key}
        with pytest.raises(ConfigurationError, match=f"the configuration lacks {key}"):
            generate_pipeline_time_window_record(config, now=NOW)
        with pytest.raises(ConfigurationError, match=f"lacks {key}.*Give all of timezone, x_time_back, granularity"):
            build_complete_pipeline_record({**config, key: None}, now=NOW, derive=derive)

    def test_several_missing_keys_are_all_named(self) -> None:
        with pytest.raises(ConfigurationError, match="lacks timezone, x_time_back, granularity, default_record"):
            generate_pipeline_time_window_record({}, now=NOW)


class TestBuild:
    def test_default_record_uppercase_fields_and_keys(self) -> None:
        record = build_complete_pipeline_record(CONFIG, now=NOW, derive=derive, continuation_timestamp=at("23:00"))
        assert record == {
            "source_name": "elasticsearch",
            "target_name": "snowflake",
            "pipeline_id": "main",
            "TARGET_DAY": DAY,
            "WINDOW_START_TIME": at("23:00"),
            "WINDOW_END_TIME": DAY.add(days=1),
            "TIME_INTERVAL": "1h",
            "key_x": "elasticsearch/2025-06-30/20250701T060000Z",
            "key_y": "main:20250701T060000Z/20250701T070000Z",
            "key_z": "elasticsearch>snowflake:1h",
        }

    def test_the_projects_functions_get_the_five_arguments(self) -> None:
        seen: list[Any] = []

        def own(config: Any, name: str, *arguments: Any) -> str:
            seen.append((config, name, *arguments))
            return name.upper()

        record = build_complete_pipeline_record(CONFIG, now=NOW, derive=own)
        assert record is not None
        assert [record[key] for key in ("key_x", "key_y", "key_z")] == ["KEY_X", "KEY_Y", "KEY_Z"]
        assert seen == [(CONFIG, key, DAY, DAY, at("02:00"), "2h") for key in ("key_x", "key_y", "key_z")]

    def test_calculated_fields_win_over_the_template_which_stays_as_it_was(self) -> None:
        template = {"WINDOW_START_TIME": "edited", "key_x": "edited", "other": 1}
        config = {**CONFIG, "default_record": template}
        record = build_complete_pipeline_record(config, now=NOW, derive=derive)
        assert record is not None
        assert (record["WINDOW_START_TIME"], record["other"]) == (DAY, 1)
        assert record["key_x"] == "unknown/2025-06-30/20250630T070000Z"
        assert template == {"WINDOW_START_TIME": "edited", "key_x": "edited", "other": 1}

    def test_a_window_is_never_longer_than_its_day(self) -> None:
        record = build_complete_pipeline_record({**CONFIG, "granularity": "5d"}, now=NOW, derive=derive)
        assert record is not None
        assert record["WINDOW_END_TIME"] - record["WINDOW_START_TIME"] == timedelta(days=1)

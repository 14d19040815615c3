"""Durations: both spellings, what a day part means, and what is refused by name."""

# ruff: noqa: DTZ001 - naive values are what some of these are about; Hypothesis wants naive bounds
from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.texts import shown
from include.pipeline_framework.core.time.durations import (
    Granularity,
    elapsed_text,
    parse_granularity,
    parse_time_back,
    parse_time_to_seconds,
    seconds_to_time_string,
    subtract,
)
from include.pipeline_framework.core.time.timestamps import convert_to_pendulum
from include.pipeline_framework.errors import InvalidInputError

YEAR = 366 * 86_400


@pytest.mark.parametrize(
    ("text", "days", "seconds"),
    [
        ("1s", 0, 1),
        ("30m", 0, 1_800),
        ("1h", 0, 3_600),
        ("24h", 0, 86_400),
        ("90m", 0, 5_400),
        ("1d", 1, 0),
        ("1d2h30m20s", 1, 9_020),
        ("2d20s", 2, 20),
        ("01h", 0, 3_600),
        ("  1h ", 0, 3_600),
        ("366d", 366, 0),
        ("1 second", 0, 1),
        ("30 seconds", 0, 30),
        ("30 min", 0, 1_800),
        ("30 mins", 0, 1_800),
        ("1 minute", 0, 60),
        ("1 hour", 0, 3_600),
        ("2 hours", 0, 7_200),
        ("2 HRS", 0, 7_200),
        ("1 day", 1, 0),
        ("1 day 2 hours 30 minutes 20 secs", 1, 9_020),
        ("1day2hours", 1, 7_200),
    ],
)
def test_both_spellings(text: str, days: int, seconds: int) -> None:
    assert parse_granularity(text) == Granularity(days, seconds)
    assert parse_time_to_seconds(text) == days * 86_400 + seconds


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "0s", "0d0h0m0s", "0 hours", "-1h", "+1h", "- 1 hour", "1", "h", "1x", "1w", "1mo", "one hour",
        "2h1d", "30m1h", "1h1h", "20 seconds 1 day", "1 hour 1 hour", "1.5h", "1,5h", "0.5 hours", "1e3s",
        "١h", "１h", "1h30", "1h 30m", "1h;", "1h\n2m", "PT1H", "01:00:00",
        "367d", "8785h", "99999999999999999999s", "9" * 5_000 + "d", "9" * 5_000 + " hours",
        None, 3_600, 1.5, True, b"1h", timedelta(hours=1), ["1h"],
    ],
)  # fmt: skip
def test_anything_else_is_refused_by_name(text: Any) -> None:
    with pytest.raises(InvalidInputError) as refusal:
        parse_granularity(text)
    assert str(refusal.value).startswith(
        f"{shown(text)} is not a duration. It must be more than zero and at most 366 days"
    )
    assert "1d2h30m20s" in refusal.value.remedy


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1s"), (60, "1m"), (3_600, "1h"), (86_400, "1d"), (95_420, "1d2h30m20s"), (82_800, "23h"), (90_000, "1d1h"),
     (84_600, "23h30m"), (7_200.0, "2h"), (31_622_400, "366d")],
)  # fmt: skip
def test_the_shortest_spelling(seconds: float, text: str) -> None:
    assert seconds_to_time_string(seconds) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.0, "0s"), (0.5, "0.5s"), (1.5, "1.5s"), (86_399.999, "23h59m59.999s"), (0.001, "0.001s"),
     (0.000001, "0.000001s"), (3_600.5, "1h0.5s"), (np.int64(3_600), "1h"), (np.float64(0.25), "0.25s"),
     (Decimal("59.999999"), "59.999999s"), (40_000_000, "462d23h6m40s")],
)  # fmt: skip
def test_parts_of_a_second_and_nothing_at_all(seconds: float, text: str) -> None:
    assert seconds_to_time_string(seconds) == text
    assert parse_time_to_seconds(text) == float(seconds)


@pytest.mark.parametrize(
    "seconds", [-1, -0.001, 1e-7, True, None, "60", float("inf"), float("-inf"), float("nan"), 1e300, 1j, "", [60]]
)
def test_no_spelling_for_anything_else(seconds: Any) -> None:
    with pytest.raises(InvalidInputError, match=f"^{re.escape(shown(seconds))} is not a number of seconds"):
        seconds_to_time_string(seconds)


@pytest.mark.parametrize("text", ["0s", "0d", "0h0m", "0 hours", "0d0h0m0s", " 0 seconds "])
def test_nothing_is_zero_seconds_and_a_legal_time_back(text: str) -> None:
    assert parse_time_to_seconds(text) == 0
    assert parse_time_back(text) == Granularity(0, 0)
    assert subtract(utc("2013-03-10T12:00"), parse_time_back(text), "America/New_York") == utc("2013-03-10T12:00")


@pytest.mark.parametrize("text", ["", " ", "-1h", "1x", "367d", "1.5h", "0.5s", None, 0])
def test_a_time_back_is_a_duration(text: Any) -> None:
    with pytest.raises(InvalidInputError, match=r"It must be zero \(0d\) or more, and at most 366 days"):
        parse_time_back(text)
    if text != "367d" and text != "0.5s":
        with pytest.raises(InvalidInputError, match="is not a duration"):
            parse_time_to_seconds(text)


@given(st.integers(1, YEAR))
def test_seconds_survive_the_round_trip(seconds: int) -> None:
    assert parse_time_to_seconds(seconds_to_time_string(seconds)) == seconds


@given(st.timedeltas(timedelta(0), timedelta(days=366)))
def test_a_length_survives_the_round_trip_to_the_microsecond(length: timedelta) -> None:
    assert timedelta(seconds=parse_time_to_seconds(elapsed_text(length))) == length


@given(st.integers(0, 365), st.integers(0, 86_399))
def test_a_granularity_reads_back_what_it_prints(days: int, seconds: int) -> None:
    granularity = Granularity(days, seconds)
    assert parse_time_back(str(granularity)) == granularity


@given(st.text(max_size=12))
def test_no_text_breaks_the_parser(text: str) -> None:
    try:
        assert 0 < parse_granularity(text).total_seconds <= YEAR
    except InvalidInputError as refusal:
        assert repr(text) in str(refusal)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


class TestSubtract:
    @pytest.mark.parametrize(
        ("instant", "back", "zone", "expected"),
        [
            # elapsed time knows no clock change
            ("2013-03-10T12:00", "24h", "America/New_York", "2013-03-09T12:00"),
            ("2013-11-03T12:00", "24h", "America/New_York", "2013-11-02T12:00"),
            # the day part keeps the wall clock: 23 hours in spring, 25 in autumn
            ("2013-03-10T12:00", "1d", "America/New_York", "2013-03-09T13:00"),
            ("2013-11-03T12:00", "1d", "America/New_York", "2013-11-02T11:00"),
            ("2013-11-03T12:00", "1d2h", "America/New_York", "2013-11-02T09:00"),
            ("2013-03-15T12:00", "7d", "America/New_York", "2013-03-08T13:00"),
            ("2013-03-10T12:00", "1d", "UTC", "2013-03-09T12:00"),
            # the second 01:30 of the autumn night is an hour after the first
            ("2013-11-03T06:30", "2h", "America/New_York", "2013-11-03T04:30"),
            ("2013-11-03T05:30", "2h", "America/New_York", "2013-11-03T03:30"),
            ("2013-11-03T06:30", "1d", "America/New_York", "2013-11-02T05:30"),
            # a wall clock time that comes twice: the earlier one, so that nothing settles too soon
            ("2013-11-04T06:30", "1d", "America/New_York", "2013-11-03T05:30"),
            # one that never comes: the instant that has it under the clock after the jump
            ("2013-03-11T06:30", "1d", "America/New_York", "2013-03-10T06:30"),
            # the day before 31 December 2011 in Apia is the 29th
            ("2011-12-31T00:00", "1d", "Pacific/Apia", "2011-12-30T00:00"),
        ],
    )
    def test_days_are_local_and_the_rest_is_elapsed(self, instant: str, back: str, zone: str, expected: str) -> None:
        assert subtract(utc(instant), parse_granularity(back), zone) == utc(expected)

    @given(
        st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
        st.integers(0, 3),
        st.integers(0, 7_200),
        st.sampled_from(["America/New_York", "America/Havana", "Pacific/Apia", "Australia/Lord_Howe", "UTC"]),
    )
    def test_the_class_of_the_instant_does_not_matter(
        self, instant: datetime, days: int, seconds: int, zone: str
    ) -> None:
        back = Granularity(days, seconds)
        result = subtract(instant, back, zone)
        assert subtract(convert_to_pendulum(instant, zone), back, zone) == result
        assert subtract(instant.astimezone(ZoneInfo(zone)), back, zone) == result

    @given(
        st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)),
        st.integers(1, 366 * 86_400),
        st.sampled_from(["America/New_York", "America/Havana", "Pacific/Apia", "Australia/Lord_Howe"]),
    )
    def test_elapsed_time_is_the_same_everywhere(self, instant: datetime, seconds: int, zone: str) -> None:
        assert subtract(instant, Granularity(0, seconds), zone) == instant - timedelta(seconds=seconds)

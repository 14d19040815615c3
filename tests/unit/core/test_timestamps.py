"""Timestamps of every shape, and the local day that a timestamp minus a duration lies in."""

# ruff: noqa: DTZ001 - naive values are what some of these are about; Hypothesis wants naive bounds
from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.texts import shown
from include.pipeline_framework.core.timestamps import calculate_day_from_timestamp, convert_to_pendulum
from include.pipeline_framework.errors import InvalidInputError

NEW_YORK = "America/New_York"
INSTANT = datetime(2013, 3, 9, 5, tzinfo=UTC)
ZONES = ["UTC", NEW_YORK, "America/Havana", "America/St_Johns", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Beirut"]


@pytest.mark.parametrize(
    "timestamp",
    [
        INSTANT,
        INSTANT.astimezone(ZoneInfo(NEW_YORK)),
        INSTANT.astimezone(timezone(timedelta(hours=9))),
        datetime(2013, 3, 9, 5),
        pd.Timestamp("2013-03-09T05:00:00Z"),
        pd.Timestamp("2013-03-09T05:00:00"),
        pd.Timestamp("2013-03-09", tz=NEW_YORK),
        pendulum.datetime(2013, 3, 9, 5),
        pendulum.datetime(2013, 3, 9, tz=NEW_YORK),
        "2013-03-09T05:00:00Z",
        "2013-03-09T05:00:00",
        "2013-03-09 05:00:00.000",
        "2013-03-09T00:00-05:00",
        "20130309T050000Z",
        " 2013-03-09T05:00:00+00:00 ",
        1_362_805_200,
        1_362_805_200.0,
        1_362_805_200_000,
        1_362_805_200_000.0,
    ],
)
def test_one_instant_in_every_shape(timestamp: Any) -> None:
    found = convert_to_pendulum(timestamp)
    assert isinstance(found, pendulum.DateTime)
    assert found == INSTANT
    assert convert_to_pendulum(timestamp, "UTC").isoformat() == "2013-03-09T05:00:00+00:00"


@pytest.mark.parametrize(
    ("timestamp", "shown"),
    [
        ("2013-03-09T05:00:00Z", "2013-03-09T00:00:00-05:00"),
        (INSTANT, "2013-03-09T00:00:00-05:00"),
        (1_362_805_200_000, "2013-03-09T00:00:00-05:00"),
        ("2013-03-09T00:00:00", "2013-03-09T00:00:00-05:00"),
        ("2013-03-09", "2013-03-09T00:00:00-05:00"),
        (datetime(2013, 7, 1), "2013-07-01T00:00:00-04:00"),
        (pd.Timestamp("2013-07-01"), "2013-07-01T00:00:00-04:00"),
        (pendulum.naive(2013, 7, 1), "2013-07-01T00:00:00-04:00"),
        # both of the 01:30s of the autumn night
        (datetime(2013, 11, 3, 1, 30), "2013-11-03T01:30:00-04:00"),
        (datetime(2013, 11, 3, 1, 30, fold=1), "2013-11-03T01:30:00-05:00"),
        ("2013-11-03T06:30:00Z", "2013-11-03T01:30:00-05:00"),
    ],
)
def test_without_a_zone_it_is_local_time_and_with_one_it_keeps_its_instant(timestamp: Any, shown: str) -> None:
    found = convert_to_pendulum(timestamp, NEW_YORK)
    assert (found.isoformat(), found.timezone_name) == (shown, NEW_YORK)


@pytest.mark.parametrize(
    "timestamp",
    [
        pendulum.datetime(2013, 3, 10, tz=NEW_YORK),
        datetime(2013, 3, 10, tzinfo=ZoneInfo(NEW_YORK)),
        pd.Timestamp("2013-03-10", tz=NEW_YORK),
    ],
)
def test_its_own_zone_is_kept_by_name_not_as_an_offset(timestamp: datetime) -> None:
    found = convert_to_pendulum(timestamp)
    assert found.timezone_name == NEW_YORK
    assert found.add(days=1).isoformat() == "2013-03-11T00:00:00-04:00"


@pytest.mark.parametrize(
    ("timestamp", "microsecond"),
    [
        (pd.Timestamp("2013-03-09T05:00:00.123456789Z"), 123_456),
        (pd.Timestamp("2013-03-09T05:00:00.999999999"), 999_999),
        ("2013-03-09T05:00:00.999999999Z", 999_999),
        ("2013-03-09T05:00:00.1Z", 100_000),
        (1_362_805_200.123, 123_000),
        (1_362_805_200.123456, 123_456),
        (1_362_805_200_123, 123_000),
        (1_362_805_200_123.456, 123_456),
        (1_362_805_200.9999998, 999_999),
        (1_362_805_200_999.9998, 999_999),
    ],
)
def test_finer_parts_are_cut_off_never_rounded(timestamp: Any, microsecond: int) -> None:
    assert convert_to_pendulum(timestamp) == INSTANT.replace(microsecond=microsecond)


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (0, "1970-01-01T00:00:00+00:00"),
        (-1, "1969-12-31T23:59:59+00:00"),
        (-0.5, "1969-12-31T23:59:59.500000+00:00"),
        (-86_400.0, "1969-12-31T00:00:00+00:00"),
        (99_999_999_999, "5138-11-16T09:46:39+00:00"),
        (100_000_000_000, "1973-03-03T09:46:40+00:00"),
        (-100_000_000_000, "1966-10-31T14:13:20+00:00"),
    ],
)
def test_numbers_are_seconds_until_they_can_only_be_milliseconds(timestamp: float, expected: str) -> None:
    assert convert_to_pendulum(timestamp).isoformat() == expected


@pytest.mark.parametrize(
    "timestamp",
    [
        None, True, False, "", " ", "yesterday", "2013-13-01", "2013-02-30", "2013-03-09T25:00", "NaT", "1362805200",
        pd.NaT, date(2013, 3, 9), timedelta(1), [], {}, b"2013-03-09", Decimal(5), np.datetime64("2013-03-09"),
        float("nan"), float("inf"), -float("inf"), 10**18, -(10**18), 10**400,
    ],
)  # fmt: skip
def test_anything_else_is_refused_by_name(timestamp: Any) -> None:
    with pytest.raises(InvalidInputError, match=f"^{re.escape(shown(timestamp))} is not a timestamp"):
        convert_to_pendulum(timestamp)


@pytest.mark.parametrize(
    ("timestamp", "zone"),
    [
        ("0001-01-01", "Asia/Tokyo"),
        ("0001-01-01T00:00:00+14:00", "UTC"),
        ("0001-01-01T00:00:00Z", NEW_YORK),
        ("9999-12-31T23:00:00-05:00", "UTC"),
        (datetime.max.replace(tzinfo=UTC), "Asia/Tokyo"),
    ],
)
def test_what_the_zone_pushes_off_the_calendar_is_refused(timestamp: Any, zone: str) -> None:
    with pytest.raises(InvalidInputError, match="is not a timestamp"):
        convert_to_pendulum(timestamp, zone)


@pytest.mark.parametrize("zone", ["Mars/Olympus", "America", "../UTC", "EST5EDT4,M3", "utc\0"])
def test_an_unknown_zone_is_named(zone: str) -> None:
    with pytest.raises(InvalidInputError, match="is not a time zone"):
        convert_to_pendulum(0, zone)


@given(
    st.datetimes(datetime(1920, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)),
    st.sampled_from(ZONES),
    st.sampled_from([None, *ZONES]),
)
def test_an_instant_is_never_moved(instant: datetime, own: str, shown: str | None) -> None:
    """Also in the repeated hour, and when pendulum's own arithmetic would choose the other side of a change."""
    local = instant.astimezone(ZoneInfo(own))
    expected = local.astimezone(ZoneInfo(shown or own)).isoformat()
    # zoneinfo keeps seconds of old offsets in isoformat, and so does pendulum
    for value in (local, local.isoformat(), pendulum.instance(instant).in_timezone(own), pd.Timestamp(local)):
        found = convert_to_pendulum(value, shown)
        assert found.astimezone(UTC) == instant
        if not isinstance(value, str) or shown:
            assert found.isoformat() == expected


@given(st.integers(-62_000_000_000, 99_000_000_000))
def test_seconds_read_back(seconds: int) -> None:
    assert convert_to_pendulum(seconds).astimezone(UTC) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


@given(st.integers(100_000_000_000, 4_000_000_000_000) | st.integers(-4_000_000_000_000, -100_000_000_000))
def test_milliseconds_read_back(milliseconds: int) -> None:
    expected = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    assert convert_to_pendulum(milliseconds).astimezone(UTC) == expected


class TestCalculateDay:
    @pytest.mark.parametrize(
        ("timestamp", "back", "zone", "day"),
        [
            ("2025-07-01T10:30:00Z", "1d2h", "America/Los_Angeles", "2025-06-30T00:00:00-07:00"),
            ("2025-07-01T08:30:00Z", "1d2h", "America/Los_Angeles", "2025-06-29T00:00:00-07:00"),
            ("2025-07-01T10:30:00Z", None, "UTC", "2025-07-01T00:00:00+00:00"),
            ("2025-07-01T10:30:00Z", "", "UTC", "2025-07-01T00:00:00+00:00"),
            ("2013-03-10T12:00:00Z", None, NEW_YORK, "2013-03-10T00:00:00-05:00"),
            ("2013-11-03T12:00:00Z", None, NEW_YORK, "2013-11-03T00:00:00-04:00"),
            ("2013-11-04T04:59:59Z", None, NEW_YORK, "2013-11-03T00:00:00-04:00"),
            # a quarter past midnight after the 23 hour day: 24 hours back is two dates back, 1 day is one
            ("2013-03-11T04:15:00Z", "1d", NEW_YORK, "2013-03-10T00:00:00-05:00"),
            ("2013-03-11T04:15:00Z", "24h", NEW_YORK, "2013-03-09T00:00:00-05:00"),
            # half past eleven of the 25 hour day: 24 hours back is the same date
            ("2013-11-04T04:30:00Z", "24h", NEW_YORK, "2013-11-03T00:00:00-04:00"),
            ("2013-11-04T04:30:00Z", "1d", NEW_YORK, "2013-11-02T00:00:00-04:00"),
            # midnight does not exist, comes twice, or the day before was skipped
            ("2018-11-04T12:00:00Z", None, "America/Sao_Paulo", "2018-11-04T01:00:00-02:00"),
            ("2024-11-03T12:00:00Z", None, "America/Havana", "2024-11-03T00:00:00-04:00"),
            ("2011-12-31T00:00:00Z", "1d", "Pacific/Apia", "2011-12-29T00:00:00-10:00"),
        ],
    )
    def test_first_instant_of_the_day(self, timestamp: str, back: str | None, zone: str, day: str) -> None:
        found = calculate_day_from_timestamp(timestamp, back, zone)
        assert (found.isoformat(), found.timezone_name) == (day, zone)

    def test_a_naive_timestamp_is_local(self) -> None:
        assert calculate_day_from_timestamp("2013-03-09T23:30", "1h", NEW_YORK).isoformat() == (
            "2013-03-09T00:00:00-05:00"
        )

    @pytest.mark.parametrize(
        ("timestamp", "back", "zone"),
        [("x", "1d", "UTC"), (0, "1x", "UTC"), (0, "-1d", "UTC"), (0, "1d", "Mars/Olympus"), (True, "1d", "UTC")],
    )
    def test_bad_arguments_are_refused(self, timestamp: Any, back: str, zone: str) -> None:
        with pytest.raises(InvalidInputError):
            calculate_day_from_timestamp(timestamp, back, zone)

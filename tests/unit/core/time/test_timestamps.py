"""Timestamps of every shape, and the local day that a timestamp minus a duration lies in."""

# ruff: noqa: DTZ001 - naive values are what some of these are about; Hypothesis wants naive bounds
from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.texts import shown
from include.pipeline_framework.core.time.timestamps import calculate_day_from_timestamp, convert_to_pendulum, local_day
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
        1_362_805_200_000_000,
        1_362_805_200_000_000_000,
        1_362_805_200_000_000_000.0,
        np.int64(1_362_805_200),
        np.int64(1_362_805_200_000),
        np.uint64(1_362_805_200_000_000_000),
        np.int32(1_362_805_200),
        np.float64(1_362_805_200),
        Decimal(1_362_805_200),
        Fraction(1_362_805_200),
        "1362805200",
        " 1362805200000 ",
        "+1362805200000000",
        "1362805200000000000",
        "1362805200.0",
        np.datetime64("2013-03-09T05:00:00"),
        np.datetime64("2013-03-09T05"),
        np.datetime64("2013-03-09T05:00:00.000000000"),
    ],
)
def test_one_instant_in_every_shape(timestamp: Any) -> None:
    found = convert_to_pendulum(timestamp)
    assert isinstance(found, pendulum.DateTime)
    assert found == INSTANT
    assert convert_to_pendulum(timestamp, "UTC").isoformat() == "2013-03-09T05:00:00+00:00"


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        ("2013-03-09T24:00:00Z", "2013-03-10T00:00:00+00:00"),
        ("2013-03-09T24:00", "2013-03-10T00:00:00+00:00"),
        ("2013-03-09 24:00:00.000", "2013-03-10T00:00:00+00:00"),
        ("20130309T240000Z", "2013-03-10T00:00:00+00:00"),
        ("2013-03-09T24", "2013-03-10T00:00:00+00:00"),
        ("2013-12-31T24:00:00-05:00", "2014-01-01T00:00:00-05:00"),
        (date(2013, 3, 9), "2013-03-09T00:00:00+00:00"),
        ("20130309", "2013-03-09T00:00:00+00:00"),
        (np.datetime64("2013-03-09"), "2013-03-09T00:00:00+00:00"),
        (np.datetime64("2013-03"), "2013-03-01T00:00:00+00:00"),
        (np.datetime64("1969-12-31T23:59:59.999999999"), "1969-12-31T23:59:59.999999+00:00"),
        (np.datetime64("2013-03-09T05:00:00.999999999"), "2013-03-09T05:00:00.999999+00:00"),
        (np.int64(-1), "1969-12-31T23:59:59+00:00"),
        ("-1", "1969-12-31T23:59:59+00:00"),
        ("0", "1970-01-01T00:00:00+00:00"),
        ("86400.5", "1970-01-02T00:00:00.500000+00:00"),
    ],
)
def test_other_shapes(timestamp: Any, expected: str) -> None:
    assert convert_to_pendulum(timestamp).isoformat() == expected


def test_a_whole_day_ends_at_the_next_midnight_of_the_local_clock() -> None:
    assert convert_to_pendulum("2013-03-10T24:00:00", NEW_YORK).isoformat() == "2013-03-11T00:00:00-04:00"
    assert convert_to_pendulum(date(2018, 11, 4), "America/Sao_Paulo").isoformat() == "2018-11-04T01:00:00-02:00"


@pytest.mark.parametrize(
    ("zone", "shown", "name"),
    [
        (ZoneInfo(NEW_YORK), "2013-03-09T00:00:00-05:00", NEW_YORK),
        (pendulum.timezone(NEW_YORK), "2013-03-09T00:00:00-05:00", NEW_YORK),
        (UTC, "2013-03-09T05:00:00+00:00", "UTC"),
        (timezone(timedelta(hours=5, minutes=30)), "2013-03-09T10:30:00+05:30", "+05:30"),
        (pendulum.FixedTimezone(19_800), "2013-03-09T10:30:00+05:30", "+05:30"),
        ("+05:30", "2013-03-09T10:30:00+05:30", "+05:30"),
        ("-03:00", "2013-03-09T02:00:00-03:00", "-03:00"),
    ],
)
def test_zone_objects_and_offsets_are_zones(zone: Any, shown: str, name: str) -> None:
    found = convert_to_pendulum(INSTANT, zone)
    assert (found.isoformat(), found.timezone_name) == (shown, name)
    assert convert_to_pendulum(shown[:19], zone) == INSTANT
    assert calculate_day_from_timestamp(INSTANT, "0d", zone).isoformat()[11:19] == "00:00:00"


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (10**11 - 1, "5138-11-16T09:46:39+00:00"),
        (10**11, "1973-03-03T09:46:40+00:00"),
        (10**14 - 1, "5138-11-16T09:46:39.999000+00:00"),
        (10**14, "1973-03-03T09:46:40+00:00"),
        (10**17 - 1, "5138-11-16T09:46:39.999999+00:00"),
        (10**17, "1973-03-03T09:46:40+00:00"),
        (10**20 - 1, "5138-11-16T09:46:39.999999+00:00"),
        (-(10**14), "1966-10-31T14:13:20+00:00"),
        (-(10**17) - 1, "1966-10-31T14:13:19.999999+00:00"),
    ],
)
def test_what_a_number_counts_follows_from_its_size(timestamp: int, expected: str) -> None:
    for shape in (
        timestamp,
        str(timestamp),
        Decimal(timestamp),
        np.int64(timestamp) if timestamp < 2**63 else timestamp,
    ):
        assert convert_to_pendulum(shape).isoformat() == expected


@pytest.mark.parametrize(
    ("target_day", "zone", "day", "day_zone"),
    [
        ("2025-06-30T00:00:00+05:30", None, "2025-06-30", "+05:30"),
        ("2025-06-30T23:59:59.999+05:30", None, "2025-06-30", "+05:30"),
        (datetime(2025, 6, 30, tzinfo=timezone(timedelta(hours=-3))), None, "2025-06-30", "-03:00"),
        (pendulum.datetime(2025, 6, 30, tz=pendulum.FixedTimezone(19_800)), None, "2025-06-30", "+05:30"),
        ("2025-06-30T00:00:00+05:30", "UTC", "2025-06-29", "UTC"),
        ("2025-06-30T00:00:00Z", None, "2025-06-30", "UTC"),
        ("2025-06-30", None, "2025-06-30", "UTC"),
        ("20250630", NEW_YORK, "2025-06-30", NEW_YORK),
        (date(2025, 6, 30), NEW_YORK, "2025-06-30", NEW_YORK),
        (pendulum.date(2025, 6, 30), NEW_YORK, "2025-06-30", NEW_YORK),
        (datetime(2025, 6, 30, 23), NEW_YORK, "2025-06-30", NEW_YORK),
        (pd.Timestamp("2025-06-30", tz=NEW_YORK), None, "2025-06-30", NEW_YORK),
        (np.datetime64("2025-06-30"), NEW_YORK, "2025-06-30", NEW_YORK),
        (1_751_256_000, NEW_YORK, "2025-06-30", NEW_YORK),
        ("2025-06-29T24:00:00-04:00", NEW_YORK, "2025-06-30", NEW_YORK),
    ],
)
def test_a_day_in_every_shape(target_day: Any, zone: str | None, day: str, day_zone: str) -> None:
    found = local_day(target_day, zone)
    assert (str(found), found.timezone) == (day, day_zone)


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
        None, True, False, "", " ", "yesterday", "2013-13-01", "2013-02-30", "2013-03-09T25:00", "NaT", "1.5.0", "1e9",
        pd.NaT, timedelta(1), [], {}, b"2013-03-09", np.datetime64("NaT"), np.bool_(True), 1j, "١٣٦٢٨٠٥٢٠٠",
        float("nan"), float("inf"), -float("inf"), 10**20, -(10**20), 10**400, "1" + "0" * 20, 1e20, Decimal("NaN"),
        # a calendar's digits, or a number: nobody can tell
        "2013", "201303", "2013068", "201303090500", "20130309050000", "20131309",
        # only a whole day ends at 24
        "2013-03-09T24:00:01", "2013-03-09T24:30", "2013-03-09T24:00:00.5Z", "2013-02-29T24:00", "9999-12-31T24:00:00",
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


class Unnamed(tzinfo):
    """New York's clock as dateutil has it: nothing says what it is called, and its offset changes."""

    def utcoffset(self, at: datetime | None) -> timedelta | None:
        return None if at is None else at.replace(tzinfo=ZoneInfo(NEW_YORK)).utcoffset()

    def dst(self, at: datetime | None) -> timedelta | None:
        return None if at is None else at.replace(tzinfo=ZoneInfo(NEW_YORK)).dst()

    def tzname(self, _at: datetime | None) -> str | None:
        return None


def test_a_zone_object_without_a_name_is_refused_where_days_are_asked_for() -> None:
    with pytest.raises(InvalidInputError, match="has neither an IANA name nor a fixed offset"):
        convert_to_pendulum("2013-07-01", Unnamed())
    timestamp = datetime(2013, 7, 1, tzinfo=Unnamed())
    with pytest.raises(InvalidInputError, match="has neither an IANA name nor a fixed offset"):
        local_day(timestamp)
    assert convert_to_pendulum(timestamp, NEW_YORK).isoformat() == "2013-07-01T00:00:00-04:00"


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

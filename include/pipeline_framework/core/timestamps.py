"""Timestamps of every shape to pendulum, and the target day of a timestamp (requirement 2)."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pendulum

from include.pipeline_framework.core.days import local_day_of, zone
from include.pipeline_framework.core.durations import parse_granularity, subtract
from include.pipeline_framework.core.texts import shown
from include.pipeline_framework.errors import InvalidInputError

# 1e11 seconds is the year 5138, 1e11 milliseconds is 1973: what lies beyond is read as milliseconds.
_MILLISECONDS_FROM = 100_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def convert_to_pendulum(timestamp: Any, timezone: str | None = None) -> pendulum.DateTime:
    """Any common timestamp as a pendulum instant in `timezone`.

    Accepted: `datetime` and its subclasses (`pandas.Timestamp`, pendulum), ISO 8601 text, and numbers: epoch seconds,
    or epoch milliseconds from 100,000,000,000 up. A value without a zone is read as local time of `timezone` (UTC when
    that is not given); one with a zone keeps its instant and is shown in `timezone` (its own zone when not given).
    Parts below a microsecond are cut off, never rounded.

    >>> convert_to_pendulum(1362805200000, "America/New_York").isoformat()
    '2013-03-09T00:00:00-05:00'

    Raises:
        InvalidInputError: Not a timestamp, or an unknown zone.
    """
    tz = zone(timezone) if timezone else None
    parsed = _parse(timestamp)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=tz or UTC)
    if timezone is None:
        return pendulum.instance(parsed)
    try:
        return pendulum.instance(parsed.astimezone(UTC)).in_timezone(timezone)
    except (OverflowError, ValueError) as error:  # the first and the last hours of the calendar
        raise _not_a_timestamp(timestamp) from error


def calculate_day_from_timestamp(timestamp: Any, time_back: str | None, timezone: str) -> pendulum.DateTime:
    """First instant, in `timezone`, of the local day in which `timestamp - time_back` lies.

    The day part of `time_back` means local days. `None` or an empty text means no time back.

    >>> calculate_day_from_timestamp("2025-07-01T10:30:00Z", "1d2h", "America/Los_Angeles").isoformat()
    '2025-06-30T00:00:00-07:00'

    Raises:
        InvalidInputError: Not a timestamp, a duration or a zone.
    """
    instant: datetime = convert_to_pendulum(timestamp, timezone)
    if time_back:
        instant = subtract(instant, parse_granularity(time_back), timezone)
    return pendulum.instance(local_day_of(instant, timezone).start).in_timezone(timezone)


def _parse(timestamp: Any) -> datetime:
    if isinstance(timestamp, datetime):
        # isoformat, not the object itself: pandas' Timestamp carries nanoseconds and is NaT in the empty case;
        # but text has neither the zone's name nor the fold, and a day can only be found in a zone with a name
        return _parse_text(timestamp.isoformat(), timestamp).replace(tzinfo=timestamp.tzinfo, fold=timestamp.fold)
    if isinstance(timestamp, str):
        return _parse_text(timestamp, timestamp)
    if isinstance(timestamp, int | float) and not isinstance(timestamp, bool):
        return _from_epoch(timestamp)
    raise _not_a_timestamp(timestamp)


def _from_epoch(number: float) -> datetime:
    microseconds = 1_000 if abs(number) >= _MILLISECONDS_FROM else 1_000_000
    try:
        # a float's shortest text is the number that was meant; its binary value may lie a microsecond below
        exact = Decimal(str(float(number)) if isinstance(number, float) else number)
        return _EPOCH + timedelta(microseconds=math.floor(exact * microseconds))
    except (OverflowError, ValueError) as error:
        raise _not_a_timestamp(number) from error


def _parse_text(text: str, original: Any) -> datetime:
    try:
        return datetime.fromisoformat(text.strip())
    except ValueError as error:
        raise _not_a_timestamp(original) from error


def _not_a_timestamp(value: Any) -> InvalidInputError:
    return InvalidInputError(
        f"{shown(value)} is not a timestamp",
        remedy="Pass a datetime, ISO 8601 text such as 2013-03-09T05:00:00Z, or epoch seconds or milliseconds.",
    )

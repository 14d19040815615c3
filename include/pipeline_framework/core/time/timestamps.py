"""Convert timestamps of every shape to pendulum, and find the target day of a timestamp (requirement 2)."""

from __future__ import annotations

import math
import re
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from decimal import Decimal, InvalidOperation
from numbers import Real
from typing import Any

import pendulum

from include.pipeline_framework.core.texts import shown
from include.pipeline_framework.core.time.days import LocalDay, local_day_of, rules
from include.pipeline_framework.core.time.durations import parse_time_back, subtract
from include.pipeline_framework.core.time.offsets import name_of
from include.pipeline_framework.errors import InvalidInputError

MILLISECONDS_FROM, MICROSECONDS_FROM, NANOSECONDS_FROM, NOTHING_FROM = 10**11, 10**14, 10**17, 10**20
"""A number's size decides its unit: 10**11 seconds are in the year 5138, as many milliseconds in 1973."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DIGITS = re.compile(r"[+-]?\d+(\.\d+)?", re.ASCII)
_CALENDAR = re.compile(r"(19|20|21)(\d{2}|\d{4}|\d{5}|\d{10}|\d{12})", re.ASCII)
"""Year, month, day of the year, minute or second without separators: 2013, 201303, 2013068, 201303090500."""

_END_OF_DAY = re.compile(
    r"(?P<date>[^T ]+[T ])24(?P<rest>(:?00(:?00([.,]0+)?)?)?)(?P<zone>([Zz]|[+-]\d{2}(:?\d{2})?)?)", re.ASCII
)
_DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}", re.ASCII)


def convert_to_pendulum(timestamp: Any, timezone: str | tzinfo | None = None) -> pendulum.DateTime:
    """Return any common timestamp as a pendulum instant in `timezone`.

    Accepted: `datetime` and its subclasses (`pandas.Timestamp`, pendulum), `date` (its first instant),
    `numpy.datetime64`, ISO 8601 text (`T24:00` is the next midnight), and real numbers of any type, or their digits as
    text. A number counts from 1970: below 10**11 it is seconds, from there on milliseconds, from 10**14 microseconds,
    from 10**17 nanoseconds. So each unit reaches from 1973 to 5138, and seconds from the year 1 on; the same holds for
    negative numbers. Text of digits that could be a calendar's (`2013`, `201303090500`) is refused; eight are a date.

    A value without a zone is read as local time of `timezone` (UTC when that is not given); one with a zone keeps its
    instant and is shown in `timezone` (its own zone when not given). A zone is an IANA name, a fixed offset (`+05:30`)
    or a zone object. Parts below a microsecond are cut off, never rounded.

    >>> convert_to_pendulum(1362805200000, "America/New_York").isoformat()
    '2013-03-09T00:00:00-05:00'
    >>> convert_to_pendulum("2013-03-09T24:00:00Z").isoformat()
    '2013-03-10T00:00:00+00:00'

    Raises:
        InvalidInputError: The value is not a timestamp, or the zone is unknown.
    """
    name = name_of(timezone) if isinstance(timezone, tzinfo) else timezone
    tz = rules(name) if name else None
    parsed = _parse(timestamp)
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=tz or UTC)
    if name is None or tz is None:
        return pendulum.instance(parsed)
    try:
        in_utc = parsed.astimezone(UTC)
        return pendulum.instance(in_utc.astimezone(tz))
    except (OverflowError, ValueError) as error:  # the first and the last hours of the calendar
        raise _not_a_timestamp(timestamp) from error


def calculate_day_from_timestamp(timestamp: Any, time_back: str | None, timezone: str | tzinfo) -> pendulum.DateTime:
    """Return the first instant, in `timezone`, of the local day in which `timestamp - time_back` lies.

    The day part of `time_back` means local days. `None` or an empty text means no time back.

    >>> calculate_day_from_timestamp("2025-07-01T10:30:00Z", "1d2h", "America/Los_Angeles").isoformat()
    '2025-06-30T00:00:00-07:00'

    Raises:
        InvalidInputError: A value is not a timestamp, a duration or a zone.
    """
    name = name_of(timezone) if isinstance(timezone, tzinfo) else timezone
    instant: datetime = convert_to_pendulum(timestamp, name)
    if time_back:
        instant = subtract(instant, parse_time_back(time_back), name)
    return convert_to_pendulum(local_day_of(instant, name).start, name)


def local_day(target_day: Any, timezone: str | None = None) -> LocalDay:
    """Return the day that is meant: a date, also as text, is a day of `timezone`; an instant lies in a day of it.

    Args:
        target_day: A date, text, or any timestamp of the day.
        timezone: IANA name or fixed offset; when not given, the instant's own zone, or UTC where it has none.

    >>> local_day("2025-06-30T00:00:00+05:30")
    LocalDay(date=datetime.date(2025, 6, 30), timezone='+05:30')

    Raises:
        InvalidInputError: The value is not a day, or the zone is unknown.
    """
    if isinstance(target_day, LocalDay):
        return target_day
    is_text = isinstance(target_day, str) and _DATE.fullmatch(target_day.strip()) is not None
    if is_text or (isinstance(target_day, date) and not isinstance(target_day, datetime)):
        rules(timezone or "UTC")
        return LocalDay(_parse(target_day).date(), timezone or "UTC")
    instant = convert_to_pendulum(target_day, timezone)
    own = target_day.tzinfo if isinstance(target_day, datetime) else None
    found = local_day_of(instant, timezone or name_of(own or instant.tzinfo or UTC))
    return LocalDay(date(found.date.year, found.date.month, found.date.day), found.timezone)  # a plain date


def parse_iso(text: str) -> datetime:
    """Parse ISO 8601, where a day's 24:00 is the next midnight.

    Raises:
        ValueError: The text is something else.
    """
    text = text.strip()
    end = _END_OF_DAY.fullmatch(text)
    if end is None:
        return datetime.fromisoformat(text)
    midnight = datetime.fromisoformat(f"{end['date']}00{end['rest']}{end['zone']}")
    try:
        return midnight + timedelta(days=1)
    except OverflowError as error:
        raise ValueError(f"{text} is beyond the calendar") from error


def _parse(timestamp: Any) -> datetime:
    if isinstance(timestamp, datetime):
        # isoformat, not the object itself: pandas' Timestamp carries nanoseconds and is NaT in the empty case;
        # but text has neither the zone's name nor the fold, and a day can only be found in a zone with a name
        tz = timestamp.tzinfo
        if tz is not None and hasattr(tz, "localize"):  # pytz: an object per offset, none of them the zone
            tz = rules(name_of(tz))
        return _parse_text(timestamp.isoformat(), timestamp).replace(tzinfo=tz, fold=timestamp.fold)
    if isinstance(timestamp, date):
        return datetime.combine(timestamp, time.min)
    if isinstance(timestamp, str):
        text = timestamp.strip()
        if not _DIGITS.fullmatch(text) or _DATE.fullmatch(text):
            return _parse_text(text, timestamp)
        if _CALENDAR.fullmatch(text):
            raise _not_a_timestamp(timestamp, "It could be a date without separators, or a number since 1970")
        return _from_epoch(Decimal(text), timestamp)
    if _is_number(timestamp):
        # a float's shortest text is the number that was meant; its binary value may lie a microsecond below
        return _from_epoch(timestamp, timestamp)
    if type(timestamp).__name__ == "datetime64":  # numpy's; numpy is not imported for this check
        return _parse_text(str(timestamp.astype("datetime64[us]")), timestamp)
    raise _not_a_timestamp(timestamp)


def _is_number(value: Any) -> bool:
    return not isinstance(value, bool) and isinstance(value, Real | Decimal)


def _from_epoch(number: Any, original: Any) -> datetime:
    try:
        exact = number if isinstance(number, Decimal) else Decimal(number if isinstance(number, int) else str(number))
        size = abs(exact)
        if size >= NOTHING_FROM:
            raise _not_a_timestamp(original)
        per_microsecond = Decimal(1_000) if size >= NANOSECONDS_FROM else Decimal(1)
        microseconds = 1 if size >= MICROSECONDS_FROM else 1_000 if size >= MILLISECONDS_FROM else 1_000_000
        return _EPOCH + timedelta(microseconds=math.floor(exact * microseconds / per_microsecond))
    except (OverflowError, ValueError, InvalidOperation) as error:
        if isinstance(error, InvalidInputError):
            raise
        raise _not_a_timestamp(original) from error


def _parse_text(text: str, original: Any) -> datetime:
    try:
        return parse_iso(text)
    except ValueError as error:
        raise _not_a_timestamp(original) from error


def _not_a_timestamp(value: Any, meaning: str = "") -> InvalidInputError:
    return InvalidInputError(
        f"{shown(value)} is not a timestamp",
        meaning=meaning,
        remedy="Pass a datetime, ISO 8601 text such as 2013-03-09T05:00:00Z, or a number of seconds, milliseconds, "
        "microseconds or nanoseconds since 1970.",
    )

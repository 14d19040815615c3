"""Read an instant as a person types it: with an offset, or as local time, also on days when clocks change."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime

from include.pipeline_framework.core.texts import shown
from include.pipeline_framework.core.time.days import LocalDay, zone
from include.pipeline_framework.core.time.timestamps import convert_to_pendulum, parse_iso
from include.pipeline_framework.core.time.windows import iso_utc
from include.pipeline_framework.errors import InvalidInputError

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_YEARS = range(2, 9_999)  # the calendar's first and last year have days without a day before or after


@dataclass(frozen=True, slots=True)
class AskedInstant:
    """The instant that a text means.

    Attributes:
        at: The instant (UTC).
        assumed: How a text without an offset was read; empty when nothing had to be assumed.
    """

    at: datetime
    assumed: str = ""


def parse_instant(text: str, timezone: str) -> AskedInstant:
    """Read ISO 8601 with an offset, or a local time, or a local date (its first instant) of `timezone`.

    >>> parse_instant("2013-03-09T05:30", "America/New_York").at.isoformat()
    '2013-03-09T10:30:00+00:00'

    Raises:
        InvalidInputError: It is not a timestamp, or a local time that comes twice or never: the message says which
            instants it could mean.
    """
    text = text.strip()
    if _DATE.fullmatch(text):
        return _first_instant(text, timezone)
    try:
        given = parse_iso(text)
    except ValueError as error:
        raise _refused(text, "is not a timestamp", "Write 2013-03-09T05:30, or with an offset.") from error
    if given.year not in _YEARS:
        raise _refused(text, "is off the calendar", "Ask for a time inside the pipeline's horizon.")
    if given.tzinfo is not None:
        return AskedInstant(_utc(given))
    tz = zone(timezone)
    readings = sorted({_utc(given.replace(tzinfo=tz, fold=fold)) for fold in (0, 1)})
    real = [at for at in readings if at.astimezone(tz).replace(tzinfo=None) == given]
    if not real:
        raise _refused(
            text,
            f"does not exist in {timezone}: its clocks skip it",
            f"Write the instant with its offset; {' or '.join(_both(at, timezone) for at in readings)} is around it.",
        )
    if len(real) > 1:
        raise _refused(
            text,
            f"comes twice in {timezone}: its clocks are set back",
            f"Write which one: {' or '.join(_both(at, timezone) for at in real)}.",
        )
    return AskedInstant(real[0], f"{text} was read as local time of {timezone}")


def _first_instant(text: str, timezone: str) -> AskedInstant:
    try:
        day = LocalDay(date.fromisoformat(text), timezone)
    except ValueError as error:
        raise _refused(text, "is not a day of the calendar", "Write it like 2013-03-09.") from error
    if day.date.year not in _YEARS:
        raise _refused(text, "is off the calendar", "Ask for a day inside the pipeline's horizon.")
    if day.window is None:
        raise _refused(
            text, f"does not exist: the calendar of {timezone} skips that day", "Ask for the day before or after it."
        )
    return AskedInstant(day.start, f"{text} was read as the first instant of that local day of {timezone}")


def _utc(instant: datetime) -> datetime:
    at = convert_to_pendulum(instant, "UTC")
    return datetime(at.year, at.month, at.day, at.hour, at.minute, at.second, at.microsecond, tzinfo=UTC)


def _both(at: datetime, timezone: str) -> str:
    return f"{at.astimezone(zone(timezone)).isoformat()} ({iso_utc(at)})"


def _refused(text: str, what: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(f"{shown(text)} {what}", meaning="Nothing was looked up", remedy=remedy)

"""Read durations as people write them: `1d2h30m20s`, `30m`, `1 hour`; and define what their day part means.

In a number of seconds, a day is 86,400. In a *granularity* or a *time back*, the day part means local calendar days, so
`1d` is one day even when the clocks change on it, while `24h` is always elapsed time. Lengths are written down to a
microsecond, `23h59m59.999s`, because windows of other systems may end at any instant.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from numbers import Real
from typing import Any
from zoneinfo import ZoneInfo

from include.pipeline_framework.core.texts import shown
from include.pipeline_framework.core.time.offsets import fixed_offset
from include.pipeline_framework.errors import InvalidInputError

_UNIT_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SECONDS = r"(?P<s>\d{1,9}(?:\.\d{1,6})?)"
_SHORT = re.compile(rf"(?:(?P<d>\d{{1,9}})d)?(?:(?P<h>\d{{1,9}})h)?(?:(?P<m>\d{{1,9}})m)?(?:{_SECONDS}s)?", re.ASCII)
_WORDS = re.compile(
    r"(?:(?P<d>\d{1,9})\s*days?)?\s*(?:(?P<h>\d{1,9})\s*(?:hours?|hrs?))?\s*"
    rf"(?:(?P<m>\d{{1,9}})\s*(?:minutes?|mins?))?\s*(?:{_SECONDS}\s*(?:seconds?|secs?))?",
    re.ASCII | re.IGNORECASE,
)
_LONGEST_SECONDS = 366 * 86_400
_REMEDY = "Write it like 1h, 30m, 1d, 1d2h30m20s or '1 hour' (units from large to small)."
_MICROSECOND = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Granularity:
    """A parsed duration that keeps its day part apart: local days plus elapsed seconds."""

    days: int
    seconds: int

    @property
    def total_seconds(self) -> int:
        """Return the seconds, with a day counted as 86,400."""
        return self.days * 86_400 + self.seconds

    def __str__(self) -> str:
        return (f"{self.days}d" if self.days else "") + _elapsed(timedelta(seconds=self.seconds)) or "0s"


def parse_granularity(text: str) -> Granularity:
    """Parse either spelling; units go from large to small, each at most once, and the total is more than zero.

    >>> parse_granularity("1 day 2 hours")
    Granularity(days=1, seconds=7200)

    Raises:
        InvalidInputError: The text is anything else, or has parts of a second; the message repeats it and shows valid
            ones.
    """
    found = _whole(text)
    if found is None or not 0 < found.total_seconds <= _LONGEST_SECONDS:
        raise InvalidInputError(
            f"{shown(text)} is not a duration",
            meaning=f"It must be more than zero and at most {_LONGEST_SECONDS // 86_400} days",
            remedy=_REMEDY,
        )
    return found


def parse_time_back(text: str) -> Granularity:
    """Parse a duration that may be zero: how long something rests before it counts.

    >>> parse_time_back("0d")
    Granularity(days=0, seconds=0)

    Raises:
        InvalidInputError: As `parse_granularity`.
    """
    found = _whole(text)
    if found is None or found.total_seconds > _LONGEST_SECONDS:
        raise InvalidInputError(
            f"{shown(text)} is not a duration",
            meaning=f"It must be zero (0d) or more, and at most {_LONGEST_SECONDS // 86_400} days",
            remedy=_REMEDY,
        )
    return found


def parse_time_to_seconds(time_str: str) -> int | float:
    """Return the seconds of a duration, a day as 86,400 (requirement 2); the inverse of `seconds_to_time_string`.

    The result is an integer unless the text has parts of a second.

    >>> parse_time_to_seconds("1d2h30m20s"), parse_time_to_seconds("0s"), parse_time_to_seconds("59.999s")
    (95420, 0, 59.999)

    Raises:
        InvalidInputError: The text is not a duration.
    """
    amounts = _amounts(time_str)
    if not amounts:
        raise InvalidInputError(f"{shown(time_str)} is not a duration", remedy=_REMEDY)
    seconds = sum(_UNIT_SECONDS[unit] * amount for unit, amount in amounts.items())
    return int(seconds) if seconds == int(seconds) else float(seconds)


def seconds_to_time_string(seconds: float) -> str:
    """Return the shortest `1d2h30m20s` spelling of a number of seconds (requirement 2), down to a microsecond.

    >>> seconds_to_time_string(95420), seconds_to_time_string(0), seconds_to_time_string(86399.999)
    ('1d2h30m20s', '0s', '23h59m59.999s')

    Raises:
        InvalidInputError: The value is not a number, less than zero, or finer than a microsecond.
    """
    microseconds = _microseconds(seconds)
    if microseconds is None or microseconds < 0:
        raise InvalidInputError(
            f"{shown(seconds)} is not a number of seconds",
            meaning="It must be zero or more, in whole microseconds",
            remedy="Pass a number of seconds such as 3600.",
        )
    return elapsed_text(timedelta(microseconds=microseconds))


@lru_cache(maxsize=1_024)
def elapsed_text(length: timedelta) -> str:
    """Return the shortest spelling of a length that is not negative; a day is 24 hours.

    >>> elapsed_text(timedelta(milliseconds=1))
    '0.001s'
    """
    rest = length - timedelta(days=length.days)
    return (f"{length.days}d" if length.days else "") + _elapsed(rest) or "0s"


def subtract(instant: datetime, time_back: Granularity, timezone: str) -> datetime:
    """Return the instant (UTC) `time_back` before an aware one: local days first (same wall clock), then seconds.

    When a wall-clock time comes twice or is skipped, the earlier reading counts, so that nothing settles too soon.

    >>> from datetime import UTC
    >>> subtract(datetime(2013, 3, 11, 4, 30, tzinfo=UTC), Granularity(1, 0), "America/New_York").isoformat()
    '2013-03-10T05:30:00+00:00'
    """
    in_utc = instant.astimezone(UTC)
    utc = datetime.combine(in_utc.date(), in_utc.time(), UTC)  # pendulum's own arithmetic moves some wall clocks
    if time_back.days:
        tz = fixed_offset(timezone) or ZoneInfo(timezone)
        wall = utc.astimezone(tz).replace(tzinfo=None) - timedelta(days=time_back.days)
        utc = min(wall.replace(tzinfo=tz, fold=fold).astimezone(UTC) for fold in (0, 1))
    return utc - timedelta(seconds=time_back.seconds)


@lru_cache(maxsize=1_024)
def _granularity(text: str) -> Granularity | None:
    """Return the granularity of a text, cached: thousands of sources have few of them."""
    amounts = _amounts(text)
    if not amounts or amounts.get("s", Decimal(0)) % 1:
        return None
    days = int(amounts.pop("d", Decimal(0)))
    return Granularity(days, int(sum(_UNIT_SECONDS[unit] * amount for unit, amount in amounts.items())))


def _amounts(text: Any) -> dict[str, Decimal]:
    """Return the amount of each unit; empty when the text is no duration."""
    stripped = text.strip() if isinstance(text, str) else ""
    match = _SHORT.fullmatch(stripped) or _WORDS.fullmatch(stripped)
    return {unit: Decimal(amount) for unit, amount in match.groupdict().items() if amount} if match else {}


def _whole(text: Any) -> Granularity | None:
    return _granularity(text) if isinstance(text, str) else None


def _microseconds(seconds: Any) -> int | None:
    """Return a real number as whole microseconds; a float's shortest text is the number that was meant."""
    if isinstance(seconds, bool) or not isinstance(seconds, Real | Decimal):
        return None
    try:
        exact = Decimal(str(seconds)) * 1_000_000
        return int(exact) if exact == int(exact) and abs(exact) <= timedelta.max // _MICROSECOND else None
    except (InvalidOperation, OverflowError, ValueError):  # a fraction, nan, infinity
        return None


def _elapsed(length: timedelta) -> str:
    """Return hours, minutes and seconds of a length under a day; empty for a length of zero."""
    hours, rest = divmod(length.seconds, 3_600)
    minutes, left = divmod(rest, 60)
    seconds = f"{left}.{length.microseconds:06}".rstrip("0") if length.microseconds else left
    parts = ((hours, "h"), (minutes, "m"), (seconds, "s"))
    return "".join(f"{amount}{unit}" for amount, unit in parts if amount)

"""Durations as people write them: `1d2h30m20s`, `30m`, `1 hour`; and what their day part means.

As a number of seconds a day is 86,400. As a *granularity* or a *time back*, the day part means local calendar days, so
that `1d` is one day on the day the clocks change, too, while `24h` is always elapsed time.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from include.pipeline_framework.core.texts import shown
from include.pipeline_framework.errors import InvalidInputError

_UNIT_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SHORT = re.compile(r"(?:(?P<d>\d{1,9})d)?(?:(?P<h>\d{1,9})h)?(?:(?P<m>\d{1,9})m)?(?:(?P<s>\d{1,9})s)?", re.ASCII)
_WORDS = re.compile(
    r"(?:(?P<d>\d{1,9})\s*days?)?\s*(?:(?P<h>\d{1,9})\s*(?:hours?|hrs?))?\s*"
    r"(?:(?P<m>\d{1,9})\s*(?:minutes?|mins?))?\s*(?:(?P<s>\d{1,9})\s*(?:seconds?|secs?))?",
    re.ASCII | re.IGNORECASE,
)
_LONGEST_SECONDS = 366 * 86_400


@dataclass(frozen=True, slots=True)
class Granularity:
    """A parsed duration that keeps its day part apart: local days plus elapsed seconds."""

    days: int
    seconds: int

    @property
    def total_seconds(self) -> int:
        """Seconds with a day counted as 86,400."""
        return self.days * 86_400 + self.seconds

    def __str__(self) -> str:
        return (f"{self.days}d" if self.days else "") + (_elapsed(self.seconds) if self.seconds else "")


def parse_granularity(text: str) -> Granularity:
    """Parse either spelling; units go from large to small, each at most once, and the whole is more than zero.

    >>> parse_granularity("1 day 2 hours")
    Granularity(days=1, seconds=7200)

    Raises:
        InvalidInputError: Anything else; the message repeats the text and shows valid ones.
    """
    stripped = text.strip() if isinstance(text, str) else ""
    match = _SHORT.fullmatch(stripped) or _WORDS.fullmatch(stripped)
    amounts = {unit: int(amount) for unit, amount in match.groupdict().items() if amount} if match else {}
    seconds = sum(_UNIT_SECONDS[unit] * amount for unit, amount in amounts.items())
    if not 0 < seconds <= _LONGEST_SECONDS:
        raise InvalidInputError(
            f"{shown(text)} is not a duration",
            meaning=f"It must be more than zero and at most {_LONGEST_SECONDS // 86_400} days",
            remedy="Write it like 1h, 30m, 1d, 1d2h30m20s or '1 hour' (units from large to small).",
        )
    days = amounts.pop("d", 0)
    return Granularity(days, seconds - days * 86_400)


def parse_time_to_seconds(time_str: str) -> int:
    """Seconds of a duration, a day counted as 86,400 seconds (requirement 2).

    >>> parse_time_to_seconds("1d2h30m20s")
    95420

    Raises:
        InvalidInputError: Not a duration.
    """
    return parse_granularity(time_str).total_seconds


def seconds_to_time_string(seconds: int) -> str:
    """The shortest `1d2h30m20s` spelling of a number of seconds (requirement 2).

    >>> seconds_to_time_string(95420)
    '1d2h30m20s'

    Raises:
        InvalidInputError: Not a whole number of seconds, or not more than zero.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds != seconds // 1 or seconds <= 0:
        raise InvalidInputError(
            f"{seconds!r} is not a positive whole number of seconds", remedy="Pass an integer above zero."
        )
    days, rest = divmod(int(seconds), 86_400)
    return (f"{days}d" if days else "") + (_elapsed(rest) if rest else "")


def subtract(instant: datetime, time_back: Granularity, timezone: str) -> datetime:
    """The instant (UTC) `time_back` before an aware one: local days first (same wall clock), then elapsed seconds.

    Of a wall-clock time that comes twice, or is skipped, the earlier reading counts, so that nothing settles too soon.

    >>> from datetime import UTC
    >>> subtract(datetime(2013, 3, 11, 4, 30, tzinfo=UTC), Granularity(1, 0), "America/New_York").isoformat()
    '2013-03-10T05:30:00+00:00'
    """
    in_utc = instant.astimezone(UTC)
    utc = datetime.combine(in_utc.date(), in_utc.time(), UTC)  # pendulum's own arithmetic moves some wall clocks
    if time_back.days:
        tz = ZoneInfo(timezone)
        wall = utc.astimezone(tz).replace(tzinfo=None) - timedelta(days=time_back.days)
        utc = min(wall.replace(tzinfo=tz, fold=fold).astimezone(UTC) for fold in (0, 1))
    return utc - timedelta(seconds=time_back.seconds)


def _elapsed(seconds: int) -> str:
    hours, rest = divmod(seconds, 3_600)
    minutes, left = divmod(rest, 60)
    return "".join(f"{amount}{unit}" for amount, unit in ((hours, "h"), (minutes, "m"), (left, "s")) if amount)

"""Handle zones that are no IANA zone (a fixed offset from UTC, written `+05:30`) and the name of any zone object."""

from __future__ import annotations

import re
from datetime import timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from include.pipeline_framework.core.texts import shown
from include.pipeline_framework.errors import InvalidInputError

_OFFSET = re.compile(r"([+-])(\d{2}):([0-5]\d)(?::([0-5]\d))?", re.ASCII)


def fixed_offset(name: str) -> timezone | None:
    """Return the zone of a fixed offset; None for every other name.

    >>> fixed_offset("+05:30"), fixed_offset("Asia/Kolkata")
    (datetime.timezone(datetime.timedelta(seconds=19800)), None)
    """
    match = _OFFSET.fullmatch(name) if isinstance(name, str) else None
    if match is None or int(match[2]) > 23:
        return None
    length = timedelta(hours=int(match[2]), minutes=int(match[3]), seconds=int(match[4] or 0))
    return timezone(-length if match[1] == "-" else length)


def name_of(zone: tzinfo) -> str:
    """Return the IANA name of a zone object (of the standard library, pendulum or pytz), else its fixed offset.

    >>> name_of(timezone(timedelta(hours=5, minutes=30))), name_of(ZoneInfo('UTC'))
    ('+05:30', 'UTC')

    Raises:
        InvalidInputError: It has neither (a zone of dateutil, say), so how it divides time into days is not known.
    """
    for attribute in ("key", "zone", "name"):
        name = getattr(zone, attribute, None)
        if isinstance(name, str) and fixed_offset(name) is None and _is_known(name):
            return name
    offset = zone.utcoffset(None)
    if offset is None:
        raise InvalidInputError(
            f"the zone {shown(zone)} has neither an IANA name nor a fixed offset",
            remedy="Pass a name such as America/New_York, ZoneInfo of it, or datetime.timezone.",
        )
    sign, length = ("-", -offset) if offset < timedelta(0) else ("+", offset)
    minutes, seconds = divmod(length.seconds, 60)
    text = f"{sign}{minutes // 60:02}:{minutes % 60:02}" + (f":{seconds:02}" if seconds else "")
    return text if offset else "UTC"


def _is_known(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True

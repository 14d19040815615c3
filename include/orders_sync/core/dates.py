"""The local date of today for the business, and the range of dates that TD and UC pull."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

from include.pipeline_framework.errors import InvalidInputError


def today_in(timezone: str, now: datetime) -> date:
    """Return the local date at an instant.

    >>> from datetime import UTC
    >>> today_in("Asia/Kolkata", datetime(2026, 1, 6, 19, 0, tzinfo=UTC))
    datetime.date(2026, 1, 7)
    """
    return now.astimezone(ZoneInfo(timezone)).date()


def problem_of_zone(name: str) -> str | None:
    """Return why a name is no time zone for dates, or None.

    Names such as CET are refused: Postgres reads them as an abbreviation with a fixed offset, without summer time.

    >>> problem_of_zone("Asia/Kolkata"), problem_of_zone("Mars/Base")
    (None, 'not an IANA time zone, such as Asia/Kolkata')
    """
    if name not in available_timezones():
        return "not an IANA time zone, such as Asia/Kolkata"
    if "/" not in name and name not in ("UTC", "GMT"):
        return "a name with two meanings; give the one of a place, such as Europe/Brussels for CET"
    return None


def parse_range(
    from_date: str | date | None, to_date: str | date | None, *, today: date, default_days: int
) -> tuple[date, date]:
    """Return both ends, inclusive; by default `default_days` days until today (requirement 5, B: today - 89 to today).

    >>> parse_range(None, None, today=date(2026, 3, 31), default_days=90)
    (datetime.date(2026, 1, 1), datetime.date(2026, 3, 31))

    Raises:
        InvalidInputError: Not a date, from after to, or an end in the future: days that aren't over can't be covered.
    """
    start = _parse(from_date, "from_date", today - timedelta(days=default_days - 1))
    end = _parse(to_date, "to_date", today)
    if start > end:
        raise InvalidInputError(
            f"from_date {start} is after to_date {end}",
            where="from_date, to_date",
            meaning="Nothing was pulled",
            remedy=f"Give from_date <= to_date, both inclusive; left out, they are the last {default_days} days"
            f" until {today}.",
        )
    if end > today:
        raise InvalidInputError(
            f"to_date {end} lies in the future: today is {today}",
            where="to_date",
            meaning="Those days would count as pulled before they happen",
            remedy=f"Give {today} at most.",
        )
    return start, end


def _parse(value: str | date | None, name: str, default: date) -> date:
    if value is None or value == "":
        return default
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    try:
        if len(str(value)) != len("YYYY-MM-DD"):
            raise ValueError
        return date.fromisoformat(str(value))
    except ValueError:
        raise InvalidInputError(
            f"{value!r} is not a date", where=name, remedy="Write it as YYYY-MM-DD, for example 2026-01-31."
        ) from None

"""Compare a database's time zone rules with ours: where it computes with local times, its answers must be the same.

Both are asked for the local time at the first instant of each day and right before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import date, datetime, timedelta

from include.pipeline_framework.core.time.days import local_day_of, rules

_SECOND = timedelta(seconds=1)


def probes(timezone: str, first: datetime, last: datetime) -> Iterator[datetime]:
    """Return instants (UTC) at which to ask the server, for every day that shares time with the stretch between two."""
    day = local_day_of(first, timezone)
    while day.start <= last:
        yield from (day.start - _SECOND, day.start)
        day = day.next()


def differing_days(answers: Iterable[tuple[str, datetime, datetime | None]]) -> dict[str, list[date]]:
    """Return for each zone the days, in order, on which the server's local time differs from ours.

    Args:
        answers: Zone, instant, and the local time (without a zone) that the server gives for it; None: no such zone.

    >>> from datetime import UTC
    >>> differing_days([("UTC", datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 1))])
    {'UTC': [datetime.date(2026, 1, 1)]}
    """
    found: dict[str, set[date]] = {}
    for timezone, instant, local_time in answers:
        if local_time != instant.astimezone(rules(timezone)).replace(tzinfo=None, fold=0):
            found.setdefault(timezone, set()).add(local_day_of(instant, timezone).date)
    return {timezone: sorted(days) for timezone, days in sorted(found.items())}


def told(differing: dict[str, list[date]]) -> str:
    """Return the differences as a text for people: each zone with its first and last day.

    >>> told({"America/Vancouver": [date(2026, 11, 2), date(2026, 11, 3)]})
    'America/Vancouver on 2 days, 2026-11-02 to 2026-11-03'
    """
    return "; ".join(f"{zone} on {len(days)} days, {days[0]} to {days[-1]}" for zone, days in differing.items())

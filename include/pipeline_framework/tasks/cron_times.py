"""Compute when Airflow starts runs of a cron expression: its rule is not croniter's on days when clocks change.

Wall-clock times count. When a time comes twice, only the later one is taken, unless the expression fires in every
hour; instead of a skipped time, the run starts at the same distance after the change.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pendulum

PRESETS = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@quarterly": "0 0 1 */3 *",
    "@yearly": "0 0 1 1 *",
}
"""Airflow's presets."""

_BEFORE = timedelta(hours=26)
"""Each run follows from the one before; after this time, the point where the chain began no longer matters."""


def next_run(cron: str, timezone: str, after: datetime) -> datetime:
    """Return the first run that Airflow makes after an instant, as an instant in UTC.

    Args:
        cron: Five fields, or one of `PRESETS`.
        timezone: IANA name of the zone in which the expression is meant.
        after: An aware instant.

    >>> str(next_run("30 2 * * *", "America/New_York", datetime(2026, 3, 7, 12, tzinfo=UTC)))
    '2026-03-08 07:30:00+00:00'
    """
    return next(runs_after(cron, timezone, after))


def runs_after(cron: str, timezone: str, after: datetime) -> Iterator[datetime]:
    """Return all runs after an instant, without an end; see `next_run`."""
    found = _follows(cron, timezone, after - _BEFORE)
    while True:
        if found > after:
            yield found
        found = _follows(cron, timezone, found)


def _follows(cron: str, timezone: str, before: datetime) -> datetime:
    # imported here: the command line imports this module for every command
    from croniter import croniter  # type: ignore[import-untyped]

    zone = pendulum.timezone(timezone)
    local = pendulum.instance(before).in_timezone(zone)
    naive = local.naive()
    expression = croniter(PRESETS.get(cron, cron), start_time=naive)
    scheduled: datetime = expression.get_next(datetime)
    # an expression that fires in every hour continues by elapsed time through an hour that comes twice
    found = local + (scheduled - naive) if expression.expanded[1] == ["*"] else zone.convert(scheduled.replace(fold=1))
    return datetime.fromtimestamp(found.timestamp(), UTC)

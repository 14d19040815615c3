"""Airflow's rule for runs of a cron expression, compared with Airflow's own timetable on every zone's change days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo, available_timezones

import pendulum
import pytest

from include.pipeline_framework.config.values import CRON_PRESETS
from include.pipeline_framework.tasks.cron_times import PRESETS, next_run, runs_after

CRONS = (
    "30 1 * * *",
    "30 2 * * *",
    "@daily",
    "*/30 * * * *",
    "15 */2 * * *",
    "*/30 1 * * *",
    "0 0 * * 0",
    "5 0-4 * * *",
)
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)
ZONES = sorted(name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "SystemV/")))


def changes(zone: str) -> list[datetime]:
    """The days of a year in which the zone's offset changes, as noon before in UTC; no zone changes twice in a week."""
    found, first, day = [], START + timedelta(hours=12), timedelta(days=1)
    for week in (first + timedelta(weeks=n) for n in range(53)):
        if offset(week, zone) != offset(week + 7 * day, zone):
            noons = [week + n * day for n in range(8)]
            found += [noon for noon in noons[:-1] if offset(noon, zone) != offset(noon + day, zone)]
    return found


def offset(at: datetime, zone: str) -> timedelta | None:
    return at.astimezone(ZoneInfo(zone)).utcoffset()


def airflow_runs(cron: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """What the scheduler makes, run after run."""
    from airflow.timetables.trigger import CronTriggerTimetable

    timetable = CronTriggerTimetable(cron, timezone=zone)
    found, at = [], timetable._get_next(pendulum.instance(start - timedelta(days=2)))
    while at <= end:
        if at > start:
            found.append(datetime.fromtimestamp(at.timestamp(), UTC))
        at = timetable._get_next(at)
    return found


def ours(cron: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    return list(takewhile(lambda at: at <= end, runs_after(cron, zone, start)))


def one_of_each_kind() -> list[str]:
    """Zones whose clocks change; those that change alike are one case."""
    seen: dict[tuple[object, ...], str] = {}
    for name in ZONES:
        offsets = [offset(at, name) for at in (START, START + (END - START) / 2)]
        if found := changes(name):
            seen.setdefault((*found, *offsets), name)
    return list(seen.values())


CHANGING = one_of_each_kind()


def test_there_are_changes_of_many_kinds() -> None:
    assert {"Australia/Lord_Howe", "America/New_York"} <= {*ZONES}
    assert len(CHANGING) > 15


@pytest.mark.parametrize("zone", CHANGING)
def test_runs_are_airflows_on_the_days_on_which_clocks_change(zone: str) -> None:
    for noon in changes(zone):
        start, end = noon - timedelta(hours=14), noon + timedelta(hours=38)
        for cron in CRONS:
            assert ours(cron, zone, start, end) == airflow_runs(cron, zone, start, end), cron


@pytest.mark.parametrize("minutes", range(0, 180, 25))
def test_it_does_not_matter_when_one_asks(minutes: int) -> None:
    """In the middle of the hour that comes twice, too."""
    zone, at = "America/New_York", datetime(2026, 11, 1, 4, 30, tzinfo=UTC) + timedelta(minutes=minutes)
    for cron in CRONS:
        runs = airflow_runs(cron, zone, at - timedelta(days=2), at + timedelta(days=8))
        assert next_run(cron, zone, at) == next(run for run in runs if run > at), cron


def test_presets_are_airflows() -> None:
    from airflow.timetables._cron import cron_presets

    assert set(PRESETS) == set(CRON_PRESETS)
    assert {name: cron_presets[name] for name in PRESETS} == PRESETS

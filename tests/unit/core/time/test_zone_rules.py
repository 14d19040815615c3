"""One source of time zone rules, whatever the machine or the environment offers."""

from __future__ import annotations

import os
import subprocess
import sys
import zoneinfo
from datetime import UTC, date, datetime
from pathlib import Path

import pendulum
import pytest

from include.framework import calculate_time_window
from include.orders_sync.core.dates import today_in
from include.pipeline_framework.core.time import zone_rules
from include.pipeline_framework.core.time.days import LocalDay, existing_days, first_instant
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.tasks.cron_times import next_run
from tests.zone_rule_sets import OLDER, PINNED, VANCOUVER, other_rules, write_other_rules

REPO = Path(__file__).resolve().parents[4]
MONDAY = date(2026, 11, 2)
SEVEN, EIGHT = (datetime(2026, 11, 2, hour, tzinfo=UTC) for hour in (7, 8))


def test_the_pinned_rules_are_in_use() -> None:
    assert zoneinfo.TZPATH == ()
    assert zone_rules.version() == PINNED
    assert first_instant(MONDAY, VANCOUVER) == SEVEN


def test_other_rules_reach_everything_and_leave_nothing_behind(tmp_path: Path) -> None:
    def answers() -> list[object]:
        return [
            LocalDay(MONDAY, VANCOUVER).start,
            existing_days(MONDAY, MONDAY, VANCOUVER)[0].end,
            pendulum.datetime(2026, 11, 2, tz=VANCOUVER).timestamp(),
            next_run("0 0 * * *", VANCOUVER, datetime(2026, 11, 1, 12, tzinfo=UTC)),
            TimeWindow(EIGHT, EIGHT.replace(hour=9)).local_label(VANCOUVER),
            calculate_time_window(MONDAY, "1h", timezone=VANCOUVER).start_time,
            today_in(VANCOUVER, SEVEN),
            zone_rules.version(),
        ]

    pinned = answers()
    with other_rules(tmp_path):
        other = answers()
    assert answers() == pinned
    assert all(mine != theirs for mine, theirs in zip(pinned, other, strict=True))
    assert (pinned[-1], other[-1]) == (PINNED, OLDER)


SCHEDULER = """
import sys
from datetime import datetime, timezone
import pendulum
kept = pendulum.timezone("America/Vancouver")  # Airflow's own start has looked at zones already
from airflow.listeners.listener import get_listener_manager
get_listener_manager()  # what every job does first; it loads the plugins
assert "include" in sys.modules, "the plugin has imported it"
from airflow.serialization.decoders import decode_timetable
from airflow.serialization.encoders import encode_timetable
from airflow.sdk import CronTriggerTimetable
from airflow.timetables.base import TimeRestriction
timetable = decode_timetable(encode_timetable(CronTriggerTimetable("0 0 * * *", timezone="America/Vancouver")))
found = timetable.next_dagrun_info(
    last_automated_data_interval=None,
    restriction=TimeRestriction(pendulum.datetime(2026, 11, 1, 12), None, catchup=True),
)
print(found.run_after.in_timezone("UTC").isoformat())
"""

EVERYTHING = """
from datetime import UTC, date, datetime
from include.framework import calculate_time_window
from include.orders_sync.core.dates import today_in
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.tasks.cron_times import next_run
zone, seven = "America/Vancouver", datetime(2026, 11, 2, 7, tzinfo=UTC)
print(LocalDay(date(2026, 11, 2), zone).start.isoformat())
print(next_run("0 0 * * *", zone, datetime(2026, 11, 1, 12, tzinfo=UTC)).isoformat())
print(calculate_time_window(date(2026, 11, 2), "1h", timezone=zone).start_time.in_timezone("UTC").isoformat())
label = TimeWindow(seven, seven.replace(hour=8)).local_label(zone)
print(datetime.fromisoformat(label.split(" →")[0]).astimezone(UTC).isoformat())
assert today_in(zone, seven) == date(2026, 11, 2)
"""


@pytest.mark.parametrize("script", [SCHEDULER, EVERYTHING], ids=["scheduler", "everything else"])
def test_a_process_whose_environment_points_elsewhere_has_the_pinned_rules(tmp_path: Path, script: str) -> None:
    """Without `include` it would say 08:00: the zone files that it was pointed at say so."""
    environ = {
        **os.environ,
        "PYTHONTZPATH": str(write_other_rules(tmp_path / "zones")),
        "PYTHONPATH": str(REPO),
        "AIRFLOW_HOME": str(tmp_path / "airflow"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPO / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    }
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script], capture_output=True, text=True, env=environ, cwd=tmp_path
    )
    assert ran.returncode == 0, ran.stderr
    assert {line for line in ran.stdout.splitlines() if line.startswith("2026")} == {SEVEN.isoformat()}

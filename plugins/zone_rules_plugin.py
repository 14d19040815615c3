"""Gives Airflow's own processes the pinned time zone rules: the scheduler computes the runs of cron schedules.

Airflow loads plugins when a job starts, before it reads the first timetable.
"""

from airflow.plugins_manager import AirflowPlugin

from include.pipeline_framework.core.time import zone_rules


class ZoneRulesPlugin(AirflowPlugin):
    """Importing `include` has set the rules; the name shows their version in `airflow plugins`."""

    name = f"zone_rules_{zone_rules.version()}"

"""Compares the time zone rules of a Postgres server, which are its own, with those of this process."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, datetime
from typing import Any

from include.pipeline_framework.core.time.server_rules import differing_days, probes
from include.sql.text import sql_text

Execute = Callable[[str, Mapping[str, Any]], Iterable[tuple[str, datetime, datetime | None]]]
"""Runs SQL text with parameters and returns zone, instant, local time."""


def compare(execute: Execute, timezones: Iterable[str], first: datetime, last: datetime) -> dict[str, list[date]]:
    """Return by zone the days between two instants on which the server's local time differs, with one statement."""
    asked = [(zone, at) for zone in sorted(set(timezones)) for at in probes(zone, first, last)]
    parameters = {"timezones": [zone for zone, _ in asked], "instants": [at for _, at in asked]}
    return differing_days(execute(sql_text("postgres_session/local_times"), parameters))

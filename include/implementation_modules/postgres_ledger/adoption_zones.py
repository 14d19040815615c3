"""Checks how a server reads local times of an older table: a zone needs one meaning, and the server our rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from include.pipeline_framework.core.time import zone_rules
from include.pipeline_framework.core.time.server_rules import told
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.ports.ledger import Record
from include.postgres_server import zones as postgres_zones

_BESIDE = timedelta(days=2)

_SAME_ZONE = {"CET": "Europe/Brussels", "EET": "Europe/Athens", "MET": "Europe/Brussels", "WET": "Europe/Lisbon"}
"""The zones that these names are links to since tzdata 2024b."""


def require_one_meaning(counts: Sequence[Record], timezone: str, table: str) -> None:
    """Refuse a name that Postgres reads as an abbreviation with a fixed offset: each autumn would seem to have errors.

    Args:
        counts: Of `sql/adoption/zone_meanings.sql`.
        timezone: `naive_timezone`.
        table: Theirs.

    Raises:
        InvalidInputError: This name is one of them.
    """
    if not counts[0]["differing"]:
        return
    same = _SAME_ZONE.get(timezone.upper())
    raise InvalidInputError(
        f"naive_timezone {timezone!r} means two things to Postgres: a zone, and an abbreviation without summer time",
        where=table,
        meaning="Times of one half of each year would be read an hour off, so nothing was imported",
        remedy=f"Write the zone as continent and city{f': {same}' if same else ', like Europe/Berlin'}.",
    )


def require_ours(
    execute: Callable[[str, Mapping[str, Any]], list[Record]], sources: Sequence[Record], timezone: str, table: str
) -> None:
    """Refuse local times for which the server's zone files, which read them, differ from ours.

    Args:
        execute: Runs a statement; rows by column.
        sources: Of `sql/adoption/their_sources.sql`.
        timezone: `naive_timezone`.
        table: Theirs.

    Raises:
        InvalidInputError: The server's rules differ there.
    """
    if not sources:
        return
    first, last = min(row["first_start_at"] for row in sources), max(row["last_start_at"] for row in sources)

    def rows(text: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        return [tuple(row.values()) for row in execute(text, parameters)]

    if differing := postgres_zones.compare(rows, [timezone], first - _BESIDE, last + _BESIDE):
        raise InvalidInputError(
            f"the ledger's server has other time zone rules than this process, which has {zone_rules.version()}: "
            f"{told(differing)}",
            where=table,
            meaning="Times without an offset would be read an hour off there, so nothing was imported",
            remedy="Update the zone files of the server (its operating system's tzdata, then restart Postgres), or "
            "adopt a view whose times have an offset.",
        )

"""The part of the port to the ledger that reads windows by their local days, for many sources at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Protocol

from include.pipeline_framework.core.continuity.settled_days import SettledMark
from include.pipeline_framework.core.continuity.zone_changes import DayStamp
from include.pipeline_framework.core.lifecycle.batching import WindowCost
from include.pipeline_framework.core.records.planning import GridDay
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow


class LedgerDays(Protocol):
    """The methods that read windows by their days and change nothing."""

    def days_on_grid(self, days: Sequence[GridDay]) -> set[int]:
        """Return the positions in `days` of those whose live windows are exactly the grid's; one statement for all.

        The rows must also name the day as their `target_day`. A day that is left out may still be covered.
        """
        ...

    def planned_days(self, since: Mapping[str, date | None]) -> dict[str, list[date]]:
        """Return for each source its local days that have live rows, in order, from a day on (None: all of them).

        One statement reads them for all sources, and its work grows with the days, not with the windows.
        """
        ...

    def has_windows(self, source_object: str) -> bool:
        """True when the source has any live row."""
        ...

    def settled_days(self, source_objects: Sequence[str]) -> dict[str, list[SettledMark]]:
        """Return for each source the marks that say from which day on its windows have to be looked at."""
        ...

    def zone_stamps(self, zones: Mapping[str, str], since: datetime, own_version: str) -> dict[str, list[DayStamp]]:
        """Return with which other time zone rules days of sources were planned, by source object.

        Live rows that start at or after `since` are read; the stamps are in order of day and version. Where all
        rows have that version, the work does not grow with their number.

        Args:
            zones: Time zone by source object; rows that were planned in another zone are left out.
            since: An aware instant.
            own_version: The version whose rows are left out.
        """
        ...

    def rows_of_days(self, source_object: str, days: Sequence[LocalDay]) -> list[tuple[int, TimeWindow]]:
        """Return id and window of every live row of the local days, in order."""
        ...

    def recent_cost(self, source_object: str, first_day: date, last_day: date) -> WindowCost | None:
        """Return what the windows loaded in these local days (both inclusive) typically took; None: there are none."""
        ...

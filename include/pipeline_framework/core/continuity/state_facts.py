"""Define what a state table says about one source: the few facts from which its continuity is judged.

A store gathers them with set-based statements.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from include.pipeline_framework.core.records.row import FINISHED, Phase, Status, window_of
from include.pipeline_framework.core.time.days import LocalDay, existing_days, local_day_of
from include.pipeline_framework.core.time.durations import Granularity
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.core.time.windows import TimeWindow

_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class StateScope:
    """The days of a source that are looked at, and the rules for them.

    Attributes:
        source_object: The ledger's key.
        timezone: Zone of its local days; a row that was planned in another zone never counts as crossing a day.
        granularity: The configured one; used where neither a day nor the source has one of its own.
        horizon: The pipeline's horizon; None for a source without a pipeline file, which then has no limits.
        fills_missing_days: True when a day without any row is planned without being asked for.
        now: The time of the look; None: no day is in the future.
        counts_horizon: True when all days from the horizon's start to local today are looked at, planned or not;
            otherwise only those from the first to the last planned one are. Needs `horizon` and `now`.
        since: The first day that is looked at, when earlier ones are known to be whole; None: no day is left out.
    """

    source_object: str
    timezone: str
    granularity: Granularity
    horizon: Horizon | None = None
    fills_missing_days: bool = True
    now: datetime | None = None
    counts_horizon: bool = False
    since: date | None = None

    @property
    def tomorrow(self) -> LocalDay | None:
        """Return the last day whose gaps are filled; None when there is no last one."""
        return None if self.now is None else local_day_of(self.now, self.timezone).next()

    def days(self, planned: Collection[date]) -> tuple[LocalDay, ...]:
        """Return the days that are looked at, in order, without days that the calendar skips.

        These are the days from the first to the last planned one, or from the horizon's start to today. Of the days
        after tomorrow only planned ones count: nobody misses the days between them and tomorrow.

        Args:
            planned: `target_day` of the source's rows, from `since` on.
        """
        tomorrow = self.tomorrow
        near = [day for day in planned if tomorrow is None or day <= tomorrow.date]
        first, last = min(near, default=None), max(near, default=None)
        if self.counts_horizon and self.horizon and tomorrow:
            today = tomorrow.date - timedelta(days=1)
            first, last = self.horizon.start_date, max(today, last) if last else today
        if first and self.since:
            first = max(first, self.since)
        found = self._inside(first, last) if first and last else []
        ahead = {day for day in planned if tomorrow is not None and day > tomorrow.date}
        return tuple(found + [day for one in sorted(ahead) for day in self._inside(one, one)])

    def _inside(self, first: date, last: date) -> list[LocalDay]:
        horizon = self.horizon
        if horizon is not None:
            if not horizon.enabled:
                return []
            first = max(first, horizon.start_date)
            last = min(last, horizon.end_date - timedelta(days=1)) if horizon.end_date else last
        return existing_days(first, last, self.timezone)


@dataclass(frozen=True, slots=True)
class StateRow:
    """The facts of one row that continuity needs.

    Attributes:
        updated_at: `record_last_updated_at`; inserted_at: `record_inserted_at`.
        may_have_loaded: True when the target may hold data of it.
    """

    id: int
    window: TimeWindow
    status: str
    updated_at: datetime
    inserted_at: datetime
    may_have_loaded: bool
    fence: int = 0

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> StateRow:
        """Make it from a row of the ledger, keyed by column."""
        return cls(
            record["id"],
            window_of(record),
            record["pipeline_final_status"],
            record["record_last_updated_at"],
            record["record_inserted_at"],
            record["phase_completed"] in (Phase.STAGE_TO_TARGET, Phase.AUDIT)
            or record["stage_to_target_ingestion_start_time"] is not None
            or record["pipeline_final_status"] in FINISHED,
            record["fence"],
        )

    @property
    def is_held(self) -> bool:
        """True when a run is moving it."""
        return self.status == Status.IN_PROGRESS

    @property
    def is_complete(self) -> bool:
        """True when it is COMPLETED, or SKIPPED with proof."""
        return self.status in FINISHED


@dataclass(frozen=True, slots=True)
class DurationGroup:
    """Live rows inside one local day that have the same elapsed length; rows that cross the day are left out.

    `ends_day` is True when one of them ends where the day ends.
    """

    day: date
    duration: timedelta
    windows: int
    ends_day: bool


@dataclass(frozen=True, slots=True)
class StateFacts:
    """The facts of the table about one source, inside its scope.

    Attributes:
        days: The days that are looked at (`StateScope.days`), in order.
        groups: Groups of rows by length, in order of their days.
        gaps: Time of those days that no live row touches; one gap may cover several days.
        crossing: Live rows that don't lie inside their own local day, in order.
        contested: Live rows that overlap another live row, including crossing ones.
        completed: Number of live rows that are COMPLETED, or SKIPPED with proof; like the two instants, of the days
            from the scope's `since` on.
    """

    scope: StateScope
    days: tuple[LocalDay, ...] = ()
    groups: tuple[DurationGroup, ...] = ()
    gaps: tuple[TimeWindow, ...] = ()
    crossing: tuple[StateRow, ...] = ()
    contested: tuple[StateRow, ...] = ()
    completed: int = 0
    first_window_start_at: datetime | None = None
    last_window_end_at: datetime | None = None

    @property
    def days_on_request(self) -> int:
        """Count the days without any row that are planned only when somebody asks for them."""
        return 0 if self.scope.fills_missing_days else sum(len(self._whole_days(gap)) for gap in self.gaps)

    def days_of(self, gap: TimeWindow) -> Iterable[int]:
        """Return positions in `days` of the days that share time with a gap, without days planned only on request."""
        first = bisect_right(self.days, gap.start, key=lambda day: day.end)
        last = bisect_left(self.days, gap.end, lo=first, key=lambda day: day.start)
        if self.scope.fills_missing_days:
            return range(first, last)
        whole = self._whole_days(gap)
        return [*range(first, whole.start), *range(whole.stop, last)] if whole else range(first, last)

    def _whole_days(self, gap: TimeWindow) -> range:
        """Return the days without any row; they are found by halving, since there may be thousands."""
        first = bisect_left(self.days, gap.start, key=lambda day: day.start)
        return range(first, bisect_right(self.days, gap.end, lo=first, key=lambda day: day.end))

    @property
    def last_planned(self) -> date | None:
        """Return the last day that is looked at and has a row of its own."""
        crossing = (local_day_of(row.window.start, self.scope.timezone).date for row in self.crossing[-1:])
        return max((*(group.day for group in self.groups[-1:]), *crossing), default=None)


def stretches(days: Iterable[LocalDay]) -> list[TimeWindow]:
    """Return the time of days in order, joined where one follows the other: a year without any row is one stretch.

    >>> days = existing_days(date(2011, 12, 29), date(2011, 12, 31), "Pacific/Apia")
    >>> [str(span) for span in stretches(days)]
    ['2011-12-29T10:00:00Z/2011-12-31T10:00:00Z']
    """
    found: list[TimeWindow] = []
    first, last = None, None
    for day in days:
        if first and last and day.date - last.date != _DAY and day.start != last.end:
            found.append(TimeWindow(first.start, last.end))
            first = None
        first, last = first or day, day
    return [*found, TimeWindow(first.start, last.end)] if first and last else found


def lies_inside(window: TimeWindow, day: LocalDay) -> bool:
    """True when a window lies wholly inside a local day."""
    return day.start <= window.start and window.end <= day.end


def duration_groups(rows: Iterable[tuple[LocalDay, TimeWindow]]) -> list[DurationGroup]:
    """Group the rows that lie inside their day, by day, then length; the others are left out."""
    windows: Counter[tuple[date, timedelta]] = Counter()
    ending: set[tuple[date, timedelta]] = set()
    for day, window in rows:
        if lies_inside(window, day):
            key = (day.date, window.duration)
            windows[key] += 1
            if window.end == day.end:
                ending.add(key)
    return [DurationGroup(*key, count, key in ending) for key, count in sorted(windows.items())]

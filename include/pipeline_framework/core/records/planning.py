"""Plan a day: decide which windows it should have, which exist, and which rows to insert (requirement 1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import pendulum

from include.pipeline_framework.core.time import zone_rules
from include.pipeline_framework.core.time.days import LocalDay, local_day_of
from include.pipeline_framework.core.time.durations import Granularity, elapsed_text
from include.pipeline_framework.core.time.offsets import fixed_offset
from include.pipeline_framework.core.time.windows import TimeWindow, merge, tile, uncovered

Derive = Callable[[Mapping[str, Any], str, pendulum.DateTime, pendulum.DateTime, pendulum.DateTime, str], Any]
"""Called as `(final_config, name, target_day, window_start_time, window_end_time, time_interval)`; gives a column."""

DERIVED_COLUMNS = (
    "key_x", "key_y", "key_z",
    "source_id", "stage_id", "target_id",
    "source_category", "stage_category", "target_category",
)  # fmt: skip

PLAN_COLUMNS = (
    "pipeline_id", "source_name", "source_object", "stage_name", "target_name", "target_object", "data_domain",
    "collection_frequency", "source_data_frequency",
    "expected_source_to_stage_duration_mins", "expected_stage_to_target_duration_mins",
    "expected_audit_duration_mins", "expected_pipeline_duration_mins", "priority",
)  # fmt: skip
"""Columns copied unchanged from `default_record`; its other keys are kept in `static_metadata`."""


@dataclass(frozen=True, slots=True)
class DayPlan:
    """The windows that a day should have, and those that are missing.

    Attributes:
        day: The local day.
        expected: The grid: the day tiled with the granularity from its start.
        existing: Grid windows that are live rows already.
        missing: Pieces of the grid, or of the day's own one, in time that no live row covers: the rows to insert.
        conflicting: Grid windows that overlap a live row of another grid; their uncovered parts are in `missing`.
    """

    day: LocalDay
    expected: tuple[TimeWindow, ...]
    existing: tuple[TimeWindow, ...]
    missing: tuple[TimeWindow, ...]
    conflicting: tuple[TimeWindow, ...]


@dataclass(frozen=True, slots=True)
class GridDay:
    """A local day of a source, and the grid that its live windows may have.

    Attributes:
        day: The local day.
        window: The whole day.
        step: Length of the grid's windows; the last one may be shorter.
        windows: The number of windows of the grid.
    """

    source_object: str
    day: date
    window: TimeWindow
    step: timedelta
    windows: int


def plan_day(
    day: LocalDay, granularity: Granularity, live: Sequence[TimeWindow], filling: Granularity | None = None
) -> DayPlan:
    """Compare a day's grid with its live windows; after inserting `missing` the day is covered without a gap.

    A day that the calendar skips has an empty plan.

    Args:
        day: The day.
        granularity: The granularity of its grid.
        live: The windows of its live rows.
        filling: The granularity of the missing pieces, where the day was planned with another one.
    """
    if day.window is None:
        return DayPlan(day, (), (), (), ())
    grid = _grid(day.window, granularity)
    pieces = grid if filling is None else _grid(day.window, filling)
    if not live:
        return DayPlan(day, grid, (), pieces, ())
    rows = set(live)
    existing = tuple(window for window in grid if window in rows)
    conflicting = tuple(w for w in grid if w not in rows and any(other.overlaps(w) for other in live))
    missing: list[TimeWindow] = []
    for piece in pieces:
        if piece not in rows:
            missing += uncovered(piece, [other for other in live if other.overlaps(piece)])
    return DayPlan(day, grid, existing, tuple(missing), conflicting)


def pieces_inside(part: TimeWindow, whole: TimeWindow, own: Granularity, usual: Granularity) -> list[TimeWindow]:
    """Return what a range asks for of one day: the windows of the day's own granularity that lie wholly inside.

    A range of configured windows may end inside one of the day's own, longer ones: configured windows then fill what
    is left of it, so that no configured window that was asked for is left out.

    Args:
        part: The range.
        whole: The day.
        own: The granularity that the day was planned with.
        usual: The configured granularity.
    """
    pieces = _inside(part, _grid(whole, own))
    if own == usual:
        return pieces
    asked = _inside(part, _grid(whole, usual))
    gaps = [gap for span in merge(asked) for gap in uncovered(span, pieces)]
    cuts = [(one, gap) for gap in gaps for one in asked if one.overlaps(gap)]
    fill = [TimeWindow(max(one.start, gap.start), min(one.end, gap.end)) for one, gap in cuts]
    return sorted([*pieces, *fill])


def _inside(part: TimeWindow, windows: Iterable[TimeWindow]) -> list[TimeWindow]:
    return [window for window in windows if part.start <= window.start and window.end <= part.end]


@lru_cache(maxsize=64)
def _grid(whole: TimeWindow, granularity: Granularity) -> tuple[TimeWindow, ...]:
    """Return the windows of a day, cached: many sources have the same days."""
    return tuple(tile(whole, granularity))


@dataclass(frozen=True, slots=True)
class Recut:
    """Live windows that asked windows cut, and the asked ones that replace them in one ledger transaction."""

    replaced: tuple[TimeWindow, ...]
    windows: tuple[TimeWindow, ...]


def recut(asked: Sequence[TimeWindow], live: Iterable[TimeWindow]) -> list[Recut]:
    """Return how wider or narrower windows replace live ones; a live window that is asked for unchanged isn't cut.

    Args:
        asked: Windows that don't overlap each other and together cover every live window that they cut.
        live: Windows of live rows, which never overlap each other.
    """
    touching = [row for row in live if row not in asked and any(row.overlaps(window) for window in asked)]
    cutting = [window for window in asked if any(window.overlaps(row) for row in touching)]
    return [
        Recut(
            tuple(sorted(row for row in touching if row.overlaps(whole))),
            tuple(sorted(window for window in cutting if window.overlaps(whole))),
        )
        for whole in merge(cutting)
    ]


@dataclass(frozen=True, slots=True)
class PlacedWindow:
    """A window and the local day to which it belongs, in the pipeline's zone; `interval` is its elapsed length."""

    window: TimeWindow
    day: LocalDay
    interval: str

    @property
    def arguments(self) -> tuple[pendulum.DateTime, pendulum.DateTime, pendulum.DateTime, str]:
        """Return the last four of the five arguments of requirement 3's functions, in local time."""
        day, start, end = (local(at, self.day.timezone) for at in (self.day.start, self.window.start, self.window.end))
        return day, start, end, self.interval


Deriving = Callable[[Mapping[str, Any]], Callable[[PlacedWindow], Mapping[str, Any]]]
"""Called with `final_config`; gives a function that returns the `DERIVED_COLUMNS` of a window."""


class RowMaker:
    """Makes the ledger rows of a configuration's windows; what the rows have in common is computed once.

    Args:
        final_config: The configuration.
        deriving: Gives the derived columns.
    """

    def __init__(self, final_config: Mapping[str, Any], deriving: Deriving) -> None:
        self._metadata = dict(final_config["default_record"])
        self._day = LocalDay(date.min, final_config["timezone"])
        self._span = (datetime.max.replace(tzinfo=UTC), datetime.min.replace(tzinfo=UTC))
        self._derived = deriving(final_config)
        self._shared = {name: self._metadata.pop(name) for name in PLAN_COLUMNS if name in self._metadata} | {
            "timezone": self._day.timezone,
            "granularity": final_config["granularity"],
            "config_hash": final_config.get("config_hash"),
            "zone_rules": zone_rules.version(),
        }

    def row(self, window: TimeWindow) -> dict[str, Any]:
        """Return the row of a window; all statuses get the ledger's defaults (PENDING, flags FALSE, job_id NULL)."""
        placed = PlacedWindow(window, self._day_of(window.start), interval_string(window))
        return {
            **self._shared,
            **self._derived(placed),
            "target_day": placed.day.date,
            "query_window_start_at": window.start,
            "query_window_end_at": window.end,
            "time_interval": placed.interval,
            "source_query_window_duration_minutes": window.duration.total_seconds() / 60,
            "static_metadata": dict(self._metadata),
        }

    def _day_of(self, instant: datetime) -> LocalDay:
        if not self._span[0] <= instant < self._span[1]:
            self._day = local_day_of(instant, self._day.timezone)
            self._span = (self._day.start, self._day.end)
        return self._day


def planned_row(final_config: Mapping[str, Any], window: TimeWindow, deriving: Deriving) -> dict[str, Any]:
    """Return the row of a single window, see `RowMaker`."""
    return RowMaker(final_config, deriving).row(window)


def interval_string(window: TimeWindow) -> str:
    """Return the elapsed length of a window: `1h` for an hour, `59m59.999s` when it ends a millisecond earlier."""
    return elapsed_text(window.duration)


def local(instant: Any, timezone: str) -> pendulum.DateTime:
    """Return an aware instant as pendulum, in a zone given by IANA name or fixed offset such as `+05:30`."""
    offset = fixed_offset(timezone)
    if offset is not None:
        instant, timezone = instant.astimezone(offset), ""
    shown: pendulum.DateTime = pendulum.instance(instant)
    return shown.in_timezone(timezone) if timezone else shown

"""Histories of a state table with planted faults: what was planted is what has to be found, and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from include.pipeline_framework.core.time.days import LocalDay, days_between
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.core.time.windows import TimeWindow, tile

ZONES = (
    "America/New_York", "America/Havana", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "Asia/Kathmandu",
    "Africa/Casablanca", "America/St_Johns", "Asia/Beirut", "UTC",
)  # fmt: skip
STARTS = (date(2011, 12, 27), date(2013, 3, 8), date(2013, 10, 5), date(2013, 11, 1), date(2024, 11, 1))
GRANULARITIES = ("1h", "30m", "2h", "7h", "1d", "24h", "90m")
KINDS = (
    "missing_day", "gap_start", "gap_middle", "gap_end", "overlap", "duplicate", "crosses_day", "granularity_drift",
)  # fmt: skip
UPDATED = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(slots=True)
class History:
    """Rows by column, in random order, and the faults as `(kind, local day)`."""

    source_object: str
    timezone: str
    granularity: str
    days: list[LocalDay]
    rows: list[dict[str, Any]] = field(default_factory=list)
    planted: set[tuple[str, date]] = field(default_factory=set)

    def add(self, window: TimeWindow, day: LocalDay, status: str = "COMPLETED", age: int = 0) -> dict[str, Any]:
        """A row; `age`: hours since it was updated."""
        done = status == "COMPLETED"
        row = {
            "source_object": self.source_object,
            "timezone": self.timezone,
            "granularity": self.granularity,
            "target_day": day.date,
            "query_window_start_at": window.start,
            "query_window_end_at": window.end,
            "pipeline_final_status": status,
            "phase_completed": "AUDIT" if done else None,
            "stage_to_target_ingestion_start_time": UPDATED if done else None,
            "is_invalidated_flag": False,
            "fence": 0,
            "record_inserted_at": UPDATED - timedelta(days=400),
            "record_last_updated_at": UPDATED - timedelta(hours=age),
        }
        self.rows.append(row)
        return row


def history(seed: int, source_object: str, *, kinds: tuple[str, ...] = KINDS, days: int = 12) -> History:
    """A history of some days, whole but for the faults of a few of them; the first and the last day are whole."""
    random = Random(seed)  # noqa: S311 - nothing secret
    timezone, start = random.choice(ZONES), random.choice(STARTS)
    granularity = random.choice(GRANULARITIES)
    found = [day for day in days_between(start, start + timedelta(days=days), timezone) if day.window]
    made = History(source_object, timezone, granularity, found)
    faulty = dict(zip(random.sample(found[1:-1:2], 3), random.choices(kinds, k=3), strict=True))
    for day in found:
        plant(made, day, faulty.get(day), random)
    random.shuffle(made.rows)
    for number, row in enumerate(made.rows, 1):
        row["id"] = number
    return made


def plant(made: History, day: LocalDay, kind: str | None, random: Random) -> None:
    """The rows of one day, with a fault; one that the day's grid has no room for is left out."""
    assert day.window
    grid = list(tile(day.window, parse_granularity(made.granularity)))
    if kind in ("gap_start", "gap_end", "gap_middle") and len(grid) < (3 if kind == "gap_middle" else 2):
        kind = "missing_day"
    if kind == "missing_day":
        grid = []
    elif kind == "gap_start":
        grid = grid[random.randint(1, len(grid) - 1) :]
    elif kind == "gap_end":
        grid = grid[: random.randint(1, len(grid) - 1)]
    elif kind == "gap_middle":
        first = random.randint(1, len(grid) - 2)
        grid = grid[:first] + grid[random.randint(first + 1, len(grid) - 1) :]
    elif kind == "granularity_drift":
        grid = _drift(day.window, grid, random)
    statuses = ["COMPLETED"] * 4 + ["PENDING"]
    rows = [made.add(window, day, random.choice(statuses), random.randint(0, 9)) for window in grid]
    if kind == "duplicate":
        copy = random.choice(rows)
        made.add(_window(copy), day, random.choice(["COMPLETED", "PENDING"]), random.randint(0, 9))
    elif kind == "overlap":
        victim = _window(random.choice(rows))
        third = victim.duration / 4
        length = random.choice([victim.duration / 2, timedelta(minutes=1)])
        made.add(TimeWindow(victim.start + third, victim.start + third + length), day, "PENDING", random.randint(0, 9))
    elif kind == "crosses_day":
        rows[-1]["query_window_end_at"] = day.end + random.choice([timedelta(minutes=1), timedelta(minutes=20)])
    if kind:
        made.planted.add((kind, day.date))


def _drift(whole: TimeWindow, grid: list[TimeWindow], random: Random) -> list[TimeWindow]:
    if random.random() < 0.5 and len(grid) > 4:  # coarser: a few finer days would have the most windows of all
        return list(tile(whole, parse_granularity("12h")))
    victim = random.choice(grid[: max(1, len(grid) - 1)])
    middle = victim.start + timedelta(minutes=13)
    pieces = [TimeWindow(victim.start, middle), TimeWindow(middle, victim.end)]
    return sorted([*(window for window in grid if window != victim), *pieces])


def _window(row: dict[str, Any]) -> TimeWindow:
    return TimeWindow(row["query_window_start_at"], row["query_window_end_at"])

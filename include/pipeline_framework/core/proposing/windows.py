"""Propose a new pipeline's windows: how long they are, when they may be loaded, and from which day on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from include.pipeline_framework.core.proposing.description import DayRows, SourceDescription
from include.pipeline_framework.core.texts import counted
from include.pipeline_framework.core.time.days import LocalDay, local_day_of
from include.pipeline_framework.core.time.durations import elapsed_text, parse_granularity, parse_time_back

MOST_ROWS, MOST_BYTES = 500_000, 100_000_000
"""A window of a busy day has at most these."""

FEWEST_ROWS = 10_000
"""A window of an ordinary day has at least these, if one window a day is not less."""

INGEST_NAMES = (
    *("ingested", "ingested_at", "ingest_timestamp", "ingest_time", "ingestion_time", "ingestion_timestamp"),
    *("indexed_at", "received_at", "arrived_at", "inserted_at", "loaded_at", "created_at", "created"),
)
"""Last words of fields that may tell when a document came; the likeliest first."""

LONGEST_LAG = timedelta(days=7)
"""A longer lag tells of a load of old documents, not of how late new ones come."""

_USUAL = ("1h", "2h", "3h", "4h", "6h", "12h", "1d")
_FINER = ("30m", "15m", "10m", "5m", "1m")
_RECENT_DAYS = 60
_STEPS = (5, 10, 15, 30, 60, 120, 180, 360, 720, 1_440, 2_880, 4_320, 7_200, 10_080)
_DAY_SECONDS = 86_400


@dataclass(frozen=True, slots=True)
class Reasoned:
    """A proposed value as the pipeline's file writes it, and the sentence that says why."""

    value: str
    reason: str


def propose_granularity(days: Sequence[DayRows], mean_bytes: float) -> Reasoned:
    """Return a window's length: at most 24 windows a day, unless a window would get too large.

    >>> propose_granularity([DayRows(date(2013, 3, 9), 300_000)], 500).value
    '1h'
    """
    recent = sorted(day.rows for day in days[-_RECENT_DAYS:])
    if not recent:
        return Reasoned("1d", "no rows were seen; 1h for windows of an hour")
    ordinary, busy = recent[len(recent) // 2], recent[math.ceil(len(recent) * 0.95) - 1]
    large = [each for each in _USUAL if ordinary * _share(each) >= FEWEST_ROWS]
    chosen = large[0] if large else _USUAL[-1]
    shorter = [each for each in (*reversed(_USUAL), *_FINER) if _share(each) < _share(chosen)]
    for finer in shorter:
        if _fits(busy * _share(chosen), mean_bytes):
            break
        chosen = finer
    rows = busy * _share(chosen)
    size = megabytes(rows * mean_bytes)
    reason = f"about {counted(round(rows), 'row')}, {size} in a window of a busy day ({counted(busy, 'row')})"
    if not _fits(rows, mean_bytes):
        reason += f"; more than is wanted ({MOST_ROWS:,} rows, {megabytes(MOST_BYTES)})"
    return Reasoned(chosen, reason + ("; 1h to have rows sooner" if chosen == _USUAL[-1] else ""))


def _share(granularity: str) -> float:
    return parse_granularity(granularity).total_seconds / _DAY_SECONDS


def _fits(rows: float, mean_bytes: float) -> bool:
    return rows <= MOST_ROWS and rows * mean_bytes <= MOST_BYTES


def megabytes(size: float) -> str:
    """Return a number of bytes as people read it.

    >>> megabytes(1_500_000), megabytes(2_000)
    ('1.5 MB', '2.0 kB')
    """
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"


def ingest_field(seen: SourceDescription) -> tuple[tuple[str, ...], str] | None:
    """Return path and unit of the field that most likely tells when a document came; None if there is none."""
    times = [each for each in seen.shape.fields if each.kind == "timestamp" and each.name != seen.time_field]
    last = {name: each for each in reversed(times) if (name := each.path[-1].lower().lstrip("@_")) in INGEST_NAMES}
    found = next((last[name] for name in INGEST_NAMES if name in last), None)
    return (found.path, found.unit) if found else None


def propose_time_back(lags: Sequence[float], ingest_name: str, visible_after: timedelta, default: str) -> Reasoned:
    """Return how long a window rests after its end before it is loaded.

    Args:
        lags: By how many seconds each document of the sample came after its event, in order of size.
        ingest_name: The field that says so; "" without one.
        visible_after: The longest time until a written document can be found.
        default: The value where nothing was measured.
    """
    usual = timedelta(seconds=parse_time_back(default).total_seconds)
    hidden = f"; not less than the refresh_interval {elapsed_text(visible_after)}" if visible_after > usual else ""
    fallback = _rounded_up(visible_after) if hidden else default
    if not lags:
        why = f"none of the documents seen has {ingest_name}" if ingest_name else "no ingest time field was found"
        return Reasoned(fallback, f"the default: {why}, so how late rows come was not measured{hidden}")
    worst, percentile = lags[-1], lags[math.ceil(len(lags) * 0.99) - 1]
    measured = (
        f"{ingest_name} lies at most {_length(worst)} after the event, {_length(percentile)} for 99% "
        f"of {counted(len(lags), 'document')} seen"
    )
    if lags[len(lags) // 2] < 0:
        return Reasoned(
            fallback, f"the default: {ingest_name} lies before most events, so it is no ingest time{hidden}"
        )
    if percentile > LONGEST_LAG.total_seconds():
        return Reasoned(fallback, f"the default: {measured}, which looks like a load of old documents{hidden}")
    lag = timedelta(seconds=max(worst if worst <= LONGEST_LAG.total_seconds() else percentile, 0))
    return Reasoned(_rounded_up(max(lag, visible_after)), measured)


def _rounded_up(length: timedelta) -> str:
    steps = [timedelta(minutes=step) for step in _STEPS if timedelta(minutes=step) >= length]
    return elapsed_text(steps[0] if steps else timedelta(days=length.days + 1))


def _length(seconds: float) -> str:
    return elapsed_text(timedelta(seconds=round(seconds))) if seconds >= 0 else "less than 0s"


def propose_start(days: Sequence[DayRows], timezone: str, settle: timedelta, now: datetime) -> tuple[date, str]:
    """Return the first day, and why: the last day that has rows and can be loaded now, else today.

    Args:
        days: Days that have rows, in order.
        timezone: Their zone.
        settle: How long a window rests after its end.
        now: The present instant.
    """
    today = local_day_of(now, timezone).date
    loadable = [each.day for each in days if LocalDay(each.day, timezone).end + settle <= now]
    if not loadable:
        return today, "today: no earlier day has rows"
    earlier = f"; rows begin on {loadable[0]}, set that to load them all" if loadable[0] < loadable[-1] else ""
    return loadable[-1], f"the last whole day that has rows{earlier}"

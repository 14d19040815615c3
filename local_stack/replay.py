"""The second sample: an index that grows while the flights of 2013 leave New York once more, today.

52 weeks are 364 days, so each day replays a day of 2013 that has its weekday, and nearly its season: Saturday, 21
November 2026 is Saturday, 7 December 2013. What has left by an instant depends on nothing but that instant.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any

import elasticsearch

from local_stack import flights
from local_stack.errors import LocalStackError, SeedError
from local_stack.flights import ALL_DAYS, MAPPINGS, ZONE, Days
from local_stack.seed import SETTINGS, client_of, index_all

PIPELINE = "replay"
INDEX = "flights_replay"
_CYCLE = timedelta(weeks=52)
_DAY = timedelta(days=1)
_AT_ONCE = timedelta(weeks=4)
_Flight = tuple[str, dict[str, Any]]


def day_of_2013(day: date) -> date:
    """The day of 2013 that a local day replays; the same weekday, whatever the year.

    >>> day_of_2013(date(2026, 11, 21)).isoformat()
    '2013-12-07'
    """
    return ALL_DAYS.start + (day - ALL_DAYS.start) % _CYCLE


def departures(start: datetime, end: datetime) -> Iterator[_Flight]:
    """The id and the document of every flight that leaves in `[start, end)`, aware instants, day by day."""
    first, last = (instant.astimezone(ZONE).date() for instant in (start, end))
    day = first
    while day <= last:
        replayed = day_of_2013(day)
        until = min(last + _DAY, day + (ALL_DAYS.start + _CYCLE - replayed))  # the cycle begins again there
        for _, document in _read(Days(replayed, replayed + (until - day))):
            moved = _moved(document, day - replayed)
            if start <= datetime.fromisoformat(moved[1]["@timestamp"]) < end:
                yield moved
        day = until


@dataclass(frozen=True)
class Grown:
    """The flights that the index now holds for `[start, end)`, and how many were sent for it (0: they were there)."""

    start: datetime
    end: datetime
    count: int
    indexed: int


def grow(url: str, start: datetime, end: datetime, *, index: str = INDEX) -> Grown:
    """Make the index hold every flight that leaves in `[start, end)`; what it holds of other times stays.

    Documents are written by id, so growing again, or from two terminals at once, doubles nothing.

    Args:
        url: Elasticsearch.
        start: Aware instant.
        end: Aware instant, exclusive.
        index: The index to write; made when it is missing.

    Raises:
        SeedError: A document was refused, or the index holds another number of flights in the end.
    """
    count = sent = 0
    with client_of(url, "Read its log, then grow the index again.") as client:
        if not client.indices.exists(index=index):
            client.options(ignore_status=400).indices.create(index=index, settings=SETTINGS, mappings=MAPPINGS)
        begin = start
        while begin < end:
            until = min(begin + _AT_ONCE, end)
            left = list(departures(begin, until))
            count, sent = count + len(left), sent + _index(client, url, index, (begin, until), left)
            begin = until
    return Grown(start, end, count, sent)


def follow(
    url: str, start: datetime, *, now: Callable[[], datetime], pause: Callable[[], None], index: str = INDEX
) -> Iterator[Grown]:
    """Grow from `start` until now, pause, grow from there until now, and so on; one result each.

    Args:
        url: Elasticsearch.
        start: Aware instant.
        now: The clock.
        pause: Called between two steps.
        index: The index to write.

    Raises:
        LocalStackError: `start` is to come.
    """
    begin, end = start, now()
    if end <= start:
        raise LocalStackError(
            f"No flight has left yet: the pipeline {PIPELINE} starts at {start.astimezone(ZONE).isoformat()}.",
            f"Put an earlier start_date into include/pipelines/{PIPELINE}.yaml.",
        )
    while True:
        yield grow(url, begin, end, index=index)
        pause()
        begin, end = end, max(end, now())


def _index(
    client: elasticsearch.Elasticsearch, url: str, index: str, part: tuple[datetime, datetime], left: list[_Flight]
) -> int:
    """Index all flights of a part unless their number is right already; how many were sent."""
    client.indices.refresh(index=index)
    if _count(client, index, *part) == len(left):
        return 0
    sent = index_all(url, index, left, lambda _done: None)
    client.indices.refresh(index=index)
    if (count := _count(client, index, *part)) != len(left):
        raise SeedError(
            f"The index {index} holds {count} flights from {part[0]} to {part[1]} (exclusive), not {len(left)}.",
            f"Documents of your own may be among them: delete the index {index}, then grow it again.",
        )
    return sent


def _count(client: elasticsearch.Elasticsearch, index: str, start: datetime, end: datetime) -> int:
    bounds = {"gte": start.isoformat(), "lt": end.isoformat()}
    answer = client.count(index=index, query={"range": {"@timestamp": bounds}})
    if answer["_shards"]["failed"]:
        raise SeedError(
            f"A shard of {index} failed, so the count {answer['count']} proves nothing.",
            "Look at `python -m local_stack status` and Elasticsearch's log, then grow the index again.",
        )
    return int(answer["count"])


def _read(days: Days) -> Iterable[_Flight]:
    """A few days are kept: an index that grows by the minute asks for the same ones again."""
    return _kept(days) if days.end - days.start <= 2 * _DAY else flights.read(days)


@lru_cache(maxsize=4)
def _kept(days: Days) -> list[_Flight]:
    return list(flights.read(days))


def _moved(document: dict[str, Any], shift: timedelta) -> _Flight:
    """A flight of 2013 at the same local time some whole weeks later."""
    day = date(document["year"], document["month"], document["day"]) + shift
    hour = datetime(day.year, day.month, day.day, document["hour"], tzinfo=ZONE).astimezone(UTC)
    moved = {
        **document,
        "@timestamp": _iso(hour + timedelta(minutes=document["minute"])),
        "year": day.year,
        "month": day.month,
        "day": day.day,
        "time_hour": _iso(hour),
    }
    return f"{day:%Y%m%d}-{document['carrier']}-{document['flight']}-{document['origin']}", moved


def _iso(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%SZ}"

"""The second sample: flights of 2013 leave once more, and the index holds exactly those that have left."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import islice

import elasticsearch
import pytest

from include.pipeline_framework.config.loader import load_pipeline
from local_stack.errors import LocalStackError, SeedError
from local_stack.flights import ALL_DAYS, ZONE, Days, read
from local_stack.replay import INDEX, PIPELINE, Grown, day_of_2013, departures, follow, grow

NOON = datetime(2026, 11, 21, 12, tzinfo=ZONE)
DAY = timedelta(days=1)


def midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=ZONE)


@pytest.mark.parametrize(
    "day", [date(2013, 1, 1), date(2014, 1, 1), date(2024, 2, 29), date(2026, 11, 21), date(2040, 1, 1)]
)
def test_a_day_replays_one_of_the_same_weekday(day: date) -> None:
    replayed = day_of_2013(day)
    assert replayed.year == 2013
    assert replayed.weekday() == day.weekday()
    assert day_of_2013(day + timedelta(weeks=52)) == replayed


def test_a_day_has_the_flights_of_the_day_it_replays_at_the_same_local_time() -> None:
    day = date(2026, 11, 21)
    replayed = day_of_2013(day)
    found = list(departures(midnight(day), midnight(day + DAY)))
    before = [document for _, document in read(Days(replayed, replayed + DAY))]
    assert len({name for name, _ in found}) == len(found) == len(before)
    for (name, document), flight in zip(found, before, strict=True):
        local = datetime.fromisoformat(document["@timestamp"]).astimezone(ZONE)
        assert (local.date(), local.hour, local.minute) == (day, flight["hour"], flight["minute"])
        assert (document["year"], document["month"], document["day"]) == (2026, 11, 21)
        assert name == f"20261121-{flight['carrier']}-{flight['flight']}-{flight['origin']}"
        moved = {"@timestamp", "time_hour", "year", "month", "day"}
        assert {key: value for key, value in document.items() if key not in moved} == {
            key: value for key, value in flight.items() if key not in moved
        }


def test_what_has_left_in_two_parts_is_what_has_left_in_one() -> None:
    start, end = NOON - DAY, NOON + DAY
    whole = list(departures(start, end))
    assert [*departures(start, NOON), *departures(NOON, end)] == sorted(
        whole, key=lambda flight: left_at(flight) >= NOON
    )
    assert list(departures(NOON, NOON)) == []


def left_at(flight: tuple[str, dict[str, str]]) -> datetime:
    return datetime.fromisoformat(flight[1]["@timestamp"])


def test_the_year_begins_again_after_52_weeks() -> None:
    turn = next(day for n in range(364) if day_of_2013(day := date(2026, 1, 1) + n * DAY) == ALL_DAYS.start)
    found = list(departures(midnight(turn - DAY), midnight(turn + DAY)))
    by_day = {day: sum(name.startswith(f"{day:%Y%m%d}") for name, _ in found) for day in (turn - DAY, turn)}
    eve = Days(date(2013, 12, 30), date(2013, 12, 31))
    assert by_day == {
        turn - DAY: sum(1 for _ in read(eve)),
        turn: sum(1 for _ in read(Days(ALL_DAYS.start, ALL_DAYS.start + DAY))),
    }


def test_every_event_lies_in_its_day_where_the_clocks_change() -> None:
    for day in (date(2026, 3, 8), date(2026, 11, 1)):
        found = list(departures(midnight(day), midnight(day + DAY)))
        assert len(found) == sum(1 for _ in read(Days(day_of_2013(day), day_of_2013(day) + DAY)))


def test_the_pipeline_reads_that_index_and_comes_disabled() -> None:
    config = load_pipeline(PIPELINE)
    assert (config.source_object, config.source.options["index"], config.timezone) == (INDEX, INDEX, str(ZONE))
    assert (config.enabled, config.fill_missing_days) == (False, True)


def test_nothing_grows_before_the_start() -> None:
    with pytest.raises(LocalStackError, match="No flight has left yet"):
        next(follow("http://127.0.0.1:1", NOON, now=lambda: NOON, pause=lambda: None))


@pytest.fixture
def index(elasticsearch_url: str) -> Iterator[str]:
    name = f"growing_{uuid.uuid4().hex[:8]}"
    yield name
    with elasticsearch.Elasticsearch(elasticsearch_url, request_timeout=600) as client:
        client.indices.delete(index=name, ignore_unavailable=True)


@pytest.mark.integration
def test_an_index_grows_step_by_step_and_doubles_nothing(elasticsearch_url: str, index: str) -> None:
    clock = iter([NOON, NOON + timedelta(hours=6), NOON + timedelta(hours=6), NOON + DAY])
    steps = follow(elasticsearch_url, NOON - DAY, now=lambda: next(clock), pause=lambda: None, index=index)
    grown = list(islice(steps, 4))
    assert [(step.start, step.end) for step in grown] == [
        (NOON - DAY, NOON),
        (NOON, NOON + timedelta(hours=6)),
        (NOON + timedelta(hours=6), NOON + timedelta(hours=6)),
        (NOON + timedelta(hours=6), NOON + DAY),
    ]
    assert all(step.indexed == step.count for step in grown)
    expected = dict(departures(NOON - DAY, NOON + DAY))
    assert sum(step.count for step in grown) == len(expected)

    again = grow(elasticsearch_url, NOON - DAY, NOON + DAY, index=index)
    assert again == Grown(NOON - DAY, NOON + DAY, len(expected), 0)
    with elasticsearch.Elasticsearch(elasticsearch_url, request_timeout=600) as client:
        client.delete(index=index, id=next(iter(expected)), refresh=True)
        assert grow(elasticsearch_url, NOON - DAY, NOON + DAY, index=index).indexed == len(expected)
        own = {"@timestamp": NOON.astimezone(UTC).isoformat()}
        client.index(index=index, id="mine", document=own, refresh=True)
    with pytest.raises(SeedError, match="Documents of your own"):
        grow(elasticsearch_url, NOON - DAY, NOON + DAY, index=index)

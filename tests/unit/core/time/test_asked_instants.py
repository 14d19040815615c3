"""An instant as a person types it: offsets, local times, and the days on which clocks change."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.pipeline_framework.core.time.asked_instants import parse_instant
from include.pipeline_framework.core.time.windows import iso_utc
from include.pipeline_framework.errors import InvalidInputError

NEW_YORK = "America/New_York"


@pytest.mark.parametrize(
    ("text", "at"),
    [
        ("2013-03-09T10:30:00Z", "2013-03-09T10:30:00Z"),
        ("2013-03-09T05:30-05:00", "2013-03-09T10:30:00Z"),
        (" 2013-03-09 05:30+0100 ", "2013-03-09T04:30:00Z"),
        ("2013-11-03T01:30-05:00", "2013-11-03T06:30:00Z"),  # with an offset the hour that comes twice is clear
    ],
)
def test_with_an_offset_nothing_is_assumed(text: str, at: str) -> None:
    asked = parse_instant(text, NEW_YORK)
    assert (iso_utc(asked.at), asked.assumed) == (at, "")


@pytest.mark.parametrize(
    ("text", "at"),
    [("2013-03-09T05:30", "2013-03-09T10:30:00Z"), ("2013-07-01 05", "2013-07-01T09:00:00Z")],
)
def test_local_time_says_what_was_assumed(text: str, at: str) -> None:
    asked = parse_instant(text, NEW_YORK)
    assert iso_utc(asked.at) == at
    assert asked.assumed == f"{text} was read as local time of {NEW_YORK}"


def test_a_date_is_its_first_instant_even_without_a_midnight() -> None:
    asked = parse_instant("2018-11-04", "America/Sao_Paulo")  # clocks went from 24:00 to 01:00
    assert asked.at == datetime(2018, 11, 4, 3, tzinfo=UTC)
    assert "first instant" in asked.assumed


@pytest.mark.parametrize(
    ("text", "timezone", "words"),
    [
        ("2013-11-03T01:30", NEW_YORK, ["comes twice", "2013-11-03T05:30:00Z", "2013-11-03T06:30:00Z", "-04:00"]),
        ("2013-03-10T02:30", NEW_YORK, ["does not exist", "clocks skip it"]),
        ("2011-12-30T12:00", "Pacific/Apia", ["does not exist"]),
        ("2011-12-30", "Pacific/Apia", ["the calendar of Pacific/Apia skips that day"]),
        ("2013-02-30", NEW_YORK, ["is not a day of the calendar"]),
        ("yesterday", NEW_YORK, ["is not a timestamp", "2013-03-09T05:30"]),
        ("", NEW_YORK, ["is not a timestamp"]),
        ("0001-01-01T00:00", NEW_YORK, ["off the calendar"]),
        ("9999-12-31", NEW_YORK, ["off the calendar"]),
    ],
)
def test_what_is_not_one_instant_is_refused_with_what_it_could_mean(text: str, timezone: str, words: list[str]) -> None:
    with pytest.raises(InvalidInputError) as refused:
        parse_instant(text, timezone)
    assert all(word in str(refused.value) for word in words)

"""Finer windows tile the one they come from, and none has more rows than wanted where that is possible."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.records.planning import interval_string
from include.pipeline_framework.core.records.splitting import LENGTHS, MINUTE, minutes_of, split
from include.pipeline_framework.core.time.windows import TimeWindow, merge

START = datetime(2013, 3, 10, 5, tzinfo=UTC)


def of_seconds(seconds: int) -> TimeWindow:
    return TimeWindow(START, START + timedelta(seconds=seconds))


@given(st.integers(min_value=61, max_value=25 * 3600), st.integers(1, 500), st.randoms(use_true_random=False))
def test_pieces_tile_the_window_and_are_as_long_as_they_may_be(seconds: int, most: int, random: object) -> None:
    window = of_seconds(seconds)
    minutes = minutes_of(window)
    rows = [random.randint(0, 20) for _ in minutes]  # type: ignore[attr-defined]
    pieces = split(window, rows, most)
    assert merge(pieces) == [window]
    assert sum((piece.duration for piece in pieces), timedelta()) == window.duration
    length = pieces[0].duration
    assert length in LENGTHS
    assert {piece.duration for piece in pieces[:-1]} == {length} or len(pieces) == 1

    def most_in(length: timedelta) -> int:
        size = length // MINUTE
        return max(sum(rows[first : first + size]) for first in range(0, len(rows), size))

    assert most_in(length) <= most or length == MINUTE
    assert all(most_in(longer) > most for longer in LENGTHS if length < longer < window.duration)


@pytest.mark.parametrize("seconds", [1, 60])
def test_a_minute_is_not_cut(seconds: int) -> None:
    assert split(of_seconds(seconds), [10**9], 1) == [of_seconds(seconds)]


@pytest.mark.parametrize("microseconds", [1, 999_000, 999_999])
def test_bounds_finer_than_a_second_are_cut_like_others(microseconds: int) -> None:
    hour = of_seconds(3600)
    window = TimeWindow(hour.start, hour.end - timedelta(microseconds=microseconds))
    pieces = split(window, [10] * len(minutes_of(window)), 200)
    assert [interval_string(piece) for piece in pieces[:2]] == ["20m", "20m"]
    assert merge(pieces) == [window]


def test_a_burst_in_one_minute_is_cut_as_fine_as_possible() -> None:
    window = of_seconds(3600)
    assert len(split(window, [0] * 59 + [1_000], 10)) == 60

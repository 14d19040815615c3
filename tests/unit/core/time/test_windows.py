"""Half-open windows and the arithmetic that tiles a day."""

from __future__ import annotations

import itertools
import pickle
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pendulum
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.time.durations import Granularity
from include.pipeline_framework.core.time.windows import TimeWindow, gapless_prefix_end, iso_utc, merge, tile, uncovered
from include.pipeline_framework.errors import InvalidInputError

DAY = datetime(2013, 1, 1, tzinfo=UTC)


def w(start: float, end: float) -> TimeWindow:
    """A window by hours of one day."""
    return TimeWindow(DAY + timedelta(hours=start), DAY + timedelta(hours=end))


def windows(longest: int = 30) -> st.SearchStrategy[TimeWindow]:
    starts = st.integers(0, 24)
    return st.builds(lambda start, length: w(start, start + length), starts, st.integers(1, longest))


class TestTimeWindow:
    def test_an_event_on_a_boundary_belongs_to_one_window(self) -> None:
        first, second = w(0, 1), w(1, 2)
        boundary = first.end
        assert (first.contains(boundary), second.contains(boundary)) == (False, True)
        assert first.contains(first.start)
        assert first.contains(boundary - timedelta(microseconds=1))
        assert not second.contains(boundary - timedelta(microseconds=1))

    @pytest.mark.parametrize(
        ("one", "other", "overlap"),
        [
            (w(0, 1), w(1, 2), False),
            (w(0, 1), w(0, 1), True),
            (w(0, 2), w(1, 3), True),
            (w(0, 3), w(1, 2), True),
            (w(0, 1), w(2, 3), False),
        ],
    )
    def test_touching_is_not_overlapping(self, one: TimeWindow, other: TimeWindow, overlap: bool) -> None:
        assert one.overlaps(other) is overlap
        assert other.overlaps(one) is overlap

    def test_any_zone_becomes_utc_and_any_class_a_plain_datetime(self) -> None:
        zones = [ZoneInfo("Asia/Tokyo"), timezone(timedelta(hours=-3)), UTC]
        made = [TimeWindow(DAY.astimezone(tz), (DAY + timedelta(hours=1)).astimezone(tz)) for tz in zones]
        made.append(TimeWindow(pendulum.instance(DAY).in_timezone("Asia/Tokyo"), pendulum.instance(DAY).add(hours=1)))
        assert set(made) == {w(0, 1)}
        assert {type(window.start) for window in made} == {datetime}
        assert {window.start.tzinfo for window in made} == {UTC}
        assert pickle.loads(pickle.dumps(made[0])) == made[0]  # noqa: S301 - our own bytes

    def test_both_of_the_repeated_hours_are_different_windows(self) -> None:
        zone = ZoneInfo("America/New_York")
        first, second = (datetime(2013, 11, 3, 1, tzinfo=zone, fold=fold) for fold in (0, 1))
        assert TimeWindow(first, second).duration == timedelta(hours=1)

    @pytest.mark.parametrize(
        ("start", "end", "message"),
        [
            (DAY, DAY, "must end after it starts"),
            (DAY, DAY - timedelta(microseconds=1), "must end after it starts"),
            (DAY.replace(tzinfo=None), DAY, "start needs a time zone"),
            (DAY, datetime(2014, 1, 1), "end needs a time zone"),  # noqa: DTZ001
        ],
    )
    def test_no_empty_and_no_naive_windows(self, start: datetime, end: datetime, message: str) -> None:
        with pytest.raises(InvalidInputError, match=message):
            TimeWindow(start, end)

    def test_order_is_by_start_then_end(self) -> None:
        assert sorted([w(1, 2), w(0, 3), w(0, 1)]) == [w(0, 1), w(0, 3), w(1, 2)]

    @pytest.mark.parametrize(
        ("window", "zone", "label"),
        [
            (w(5, 6), "UTC", "2013-01-01 05:00+00:00 → 06:00+00:00"),
            (w(23, 24), "UTC", "2013-01-01 23:00+00:00 → 2013-01-02 00:00+00:00"),
            (w(4, 5.5), "America/New_York", "2012-12-31 23:00-05:00 → 2013-01-01 00:30-05:00"),
            (w(0, 1 / 60 / 2), "UTC", "2013-01-01 00:00+00:00 → 00:00:30+00:00"),
            (w(0, 1 - 1 / 3_600_000), "UTC", "2013-01-01 00:00+00:00 → 00:59:59.999+00:00"),
            (w(0, 1 - 1 / 3_600_000_000), "UTC", "2013-01-01 00:00+00:00 → 00:59:59.999999+00:00"),
        ],
    )
    def test_people_see_local_time_with_its_offset(self, window: TimeWindow, zone: str, label: str) -> None:
        assert window.local_label(zone) == label

    def test_the_two_hours_of_the_autumn_have_different_labels(self) -> None:
        start = datetime(2013, 11, 3, 5, tzinfo=UTC)
        hours = [TimeWindow(start + timedelta(hours=n), start + timedelta(hours=n + 1)) for n in range(2)]
        assert [hour.local_label("America/New_York") for hour in hours] == [
            "2013-11-03 01:00-04:00 → 01:00-05:00",
            "2013-11-03 01:00-05:00 → 02:00-05:00",
        ]

    def test_iso_text_has_fractions_only_where_there_are_some(self) -> None:
        assert iso_utc(DAY) == "2013-01-01T00:00:00Z"
        assert iso_utc(DAY.replace(microsecond=5)) == "2013-01-01T00:00:00.000005Z"
        assert str(w(5, 6)) == "2013-01-01T05:00:00Z/2013-01-01T06:00:00Z"


class TestTile:
    @pytest.mark.parametrize(
        ("hours", "granularity", "lengths"),
        [
            (24, Granularity(0, 8 * 3600), [8, 8, 8]),
            (24, Granularity(0, 10 * 3600), [10, 10, 4]),
            (23, Granularity(0, 6 * 3600), [6, 6, 6, 5]),
            (25, Granularity(1, 0), [25]),
            (23, Granularity(1, 0), [23]),
            (23, Granularity(0, 86_400), [23]),
            (25, Granularity(0, 86_400), [24, 1]),
            (24, Granularity(1, 3_600), [24]),
        ],
    )
    def test_the_last_piece_is_capped(self, hours: int, granularity: Granularity, lengths: list[int]) -> None:
        pieces = list(tile(w(0, hours), granularity))
        assert [piece.duration / timedelta(hours=1) for piece in pieces] == lengths

    @given(windows(), st.integers(60, 200_000))
    def test_tile_then_merge_is_the_identity(self, window: TimeWindow, seconds: int) -> None:
        pieces = list(tile(window, Granularity(0, seconds)))
        assert merge(reversed(pieces)) == [window]
        assert all(one.end == other.start for one, other in itertools.pairwise(pieces))
        assert {piece.duration for piece in pieces[:-1]} <= {timedelta(seconds=seconds)}
        assert pieces[-1].duration <= timedelta(seconds=seconds)

    @given(windows(), st.integers(60, 200_000))
    def test_a_full_tiling_leaves_nothing_uncovered(self, window: TimeWindow, seconds: int) -> None:
        pieces = list(tile(window, Granularity(0, seconds)))
        assert uncovered(window, pieces) == []
        assert gapless_prefix_end(window, pieces) == window.end


class TestUncovered:
    @pytest.mark.parametrize(
        ("covering", "gaps"),
        [
            ([], [w(2, 10)]),
            ([w(2, 10)], []),
            ([w(0, 12)], []),
            ([w(2, 3), w(9, 10)], [w(3, 9)]),
            ([w(4, 6)], [w(2, 4), w(6, 10)]),
            ([w(0, 2), w(10, 11)], [w(2, 10)]),
            ([w(0, 3), w(9, 12)], [w(3, 9)]),
            ([w(3, 8), w(4, 5)], [w(2, 3), w(8, 10)]),
            ([w(4, 5), w(3, 8), w(3, 8)], [w(2, 3), w(8, 10)]),
            ([w(2, 4), w(4, 10)], []),
        ],
    )
    def test_gaps_in_order(self, covering: list[TimeWindow], gaps: list[TimeWindow]) -> None:
        assert uncovered(w(2, 10), covering) == gaps

    @given(windows(), st.lists(windows(6), max_size=6))
    def test_gaps_and_covering_together_are_the_whole(self, window: TimeWindow, covering: list[TimeWindow]) -> None:
        gaps = uncovered(window, covering)
        inside = [
            TimeWindow(max(other.start, window.start), min(other.end, window.end))
            for other in covering
            if other.overlaps(window)
        ]
        assert merge([*gaps, *inside]) == [window]
        assert not any(gap.overlaps(other) for gap in gaps for other in covering)
        assert merge(gaps) == gaps

    @given(windows(), st.lists(windows(6), max_size=6))
    def test_the_gapless_prefix_ends_where_the_first_gap_begins(
        self, window: TimeWindow, covering: list[TimeWindow]
    ) -> None:
        end = gapless_prefix_end(window, covering)
        if end is None:
            assert not any(other.contains(window.start) for other in covering)
        else:
            assert window.start < end <= window.end
            assert uncovered(TimeWindow(window.start, end), covering) == []
            assert end == window.end or not any(other.contains(end) for other in covering)


@pytest.mark.parametrize(
    ("covering", "end"),
    [
        ([], None),
        ([w(3, 4)], None),
        ([w(2, 3)], w(2, 3).end),
        ([w(2, 3), w(3, 5), w(6, 7)], w(2, 5).end),
        ([w(0, 4)], w(2, 4).end),
        ([w(2, 10)], w(2, 10).end),
        ([w(0, 12)], w(2, 10).end),
    ],
)
def test_gapless_prefix(covering: list[TimeWindow], end: datetime | None) -> None:
    assert gapless_prefix_end(w(2, 10), covering) == end


@given(st.lists(windows(), max_size=8))
def test_merged_windows_have_gaps_between_them_and_cover_the_same(many: list[TimeWindow]) -> None:
    merged = merge(many)
    assert all(one.end < other.start for one, other in itertools.pairwise(merged))
    assert merge(merged) == merged
    for hour in range(60):
        instant = DAY + timedelta(hours=hour)
        assert any(x.contains(instant) for x in many) == any(x.contains(instant) for x in merged)

"""Which receipts still prove something."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.receipts import LOAD, Receipt, is_superseded, live_receipts
from include.pipeline_framework.core.time.windows import TimeWindow

START = datetime(2013, 3, 9, tzinfo=UTC)


def receipt(first: int, length: int, fence: int) -> Receipt:
    window = TimeWindow(START + timedelta(hours=first), START + timedelta(hours=first + length))
    return Receipt("flights", window, fence, 1, LOAD, Fingerprint(), "", START)


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(1, 5)), unique=True, max_size=12))
def test_one_sweep_finds_what_comparing_all_pairs_finds_and_no_two_overlap(places: list[tuple[int, int]]) -> None:
    receipts = [receipt(first, length, fence) for fence, (first, length) in enumerate(places)]
    found = live_receipts(receipts)
    assert found == sorted((one for one in receipts if not is_superseded(one, receipts)), key=lambda one: one.window)
    assert not any(one.window.overlaps(other.window) for one in found for other in found if one is not other)

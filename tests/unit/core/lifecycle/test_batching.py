"""How many windows a task instance gets: rules of `core.lifecycle.batching`, over many numbers."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.lifecycle import batching
from include.pipeline_framework.core.lifecycle.batching import WindowCost, windows_per_task

COSTS = st.none() | st.builds(WindowCost, rows=st.integers(0, 10**9), seconds=st.floats(0, 10**6, allow_nan=False))


@given(st.integers(0, 1_024), st.integers(1, 1_024), COSTS, st.none() | st.floats(0, 10**4, allow_subnormal=True))
def test_no_bound_is_passed_and_tasks_are_even(
    windows: int, at_once: int, recent: WindowCost | None, expected: float | None
) -> None:
    size = windows_per_task(windows, at_once=at_once, recent=recent, expected_minutes=expected)
    assert 1 <= size <= batching.MOST_WINDOWS
    if size == 1:
        return
    assert size <= windows
    if recent is not None:
        assert size * recent.rows <= batching.MOST_ROWS
        assert size * recent.seconds <= batching.MOST_SECONDS * (1 + 1e-9)
    tasks = math.ceil(windows / size)
    assert tasks == 1 or (tasks - 1) * size < windows <= tasks * size


@pytest.mark.parametrize(
    ("windows", "recent", "expected", "size"),
    [
        (71, WindowCost(40, 0.5), 5, 24),  # what was measured counts, not the file
        (24, WindowCost(40, 5.0), None, 6),  # every one of the four gets as many
        (5, WindowCost(40, 5.0), None, 3),  # two tasks of 15 seconds, not four that mostly start
        (24, WindowCost(40_000, 5.0), None, 5),  # not more than 200,000 rows
        (24, WindowCost(40, 100.0), None, 3),  # not more than five minutes
        (24, WindowCost(40, 400.0), None, 1),
        (24, None, None, 5),  # a minute each, as long as nothing is known
        (24, None, 5, 1),
        (24, None, 0.1, 6),
        (1, None, 0.1, 1),
        (0, None, None, 1),
        (71, WindowCost(0, 5e-324), None, 24),
    ],
)
def test_what_is_chosen_for_four_at_once(
    windows: int, recent: WindowCost | None, expected: float | None, size: int
) -> None:
    assert windows_per_task(windows, at_once=4, recent=recent, expected_minutes=expected) == size

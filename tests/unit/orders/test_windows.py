"""Requirement 5, D: which windows, in which order, for what reason."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.orders_sync.core.pipelines import TD, UC, Store
from include.orders_sync.core.windows import LogRow, OrdersWindow, WindowReason, plan_store_windows
from include.pipeline_framework.errors import InvalidInputError

START = date(2026, 1, 1)
STORE = Store("S001", START, "ALL", "CC01")


def day(number: int) -> date:
    """Day 1 is the store's first."""
    return START + timedelta(days=number - 1)


def log(*rows: tuple[int, int] | tuple[int, int, str]) -> list[LogRow]:
    return [LogRow(day(row[0]), day(row[1]), row[2] if len(row) == 3 else "success") for row in rows]


def plan(
    rows: Iterable[LogRow] = (), *, today: int, window_days: int = 90, overlap_days: int = 1, force: bool = False
) -> list[tuple[int, int, str]]:
    windows = plan_store_windows(STORE, TD, list(rows), day(today), window_days, overlap_days, force)
    return [((w.from_date - START).days + 1, (w.to_date - START).days + 1, str(w.reason)) for w in windows]


CASES = {
    "nothing yet: from the store's start, in chunks, capped at today": (
        {"rows": log(), "today": 200},
        [(1, 90, "backfill"), (91, 180, "backfill"), (181, 200, "backfill")],
    ),
    "the store's first day": ({"rows": log(), "today": 1}, [(1, 1, "backfill")]),
    "a store of the future": ({"rows": log(), "today": 0}, []),
    "the day of the last success again, until today": ({"rows": log((1, 6)), "today": 8}, [(6, 8, "overlap")]),
    "twice on one day": ({"rows": log((1, 6), (6, 8)), "today": 8}, [(8, 8, "overlap")]),
    "three days of overlap": ({"rows": log((1, 10)), "today": 10, "overlap_days": 3}, [(8, 10, "overlap")]),
    "an overlap longer than the store's life": (
        {"rows": log((1, 2)), "today": 3, "overlap_days": 30}, [(1, 3, "overlap")],
    ),
    "overlap in small windows, then what is new": (
        {"rows": log((1, 10)), "today": 13, "window_days": 2, "overlap_days": 3},
        [(8, 9, "overlap"), (10, 11, "overlap"), (12, 13, "backfill")],
    ),
    "no overlap: from the day after": ({"rows": log((1, 10)), "today": 12, "overlap_days": 0}, [(11, 12, "backfill")]),
    "no overlap and covered until today: today itself, because it has no success of its own": (
        {"rows": log((1, 10)), "today": 10, "overlap_days": 0}, [(10, 10, "today")],
    ),
    "no overlap, and today has its own success": (
        {"rows": log((1, 10), (10, 10)), "today": 10, "overlap_days": 0}, [],
    ),
    "a success that ends in the future": ({"rows": log((1, 20)), "today": 10}, [(10, 10, "today")]),
    "failed, partial and running rows cover nothing": (
        {"rows": log((1, 5, "failed"), (1, 5, "partial"), (1, 5, "running")), "today": 5}, [(1, 5, "backfill")],
    ),
    "an old gap comes last": (
        {"rows": log((1, 10), (21, 30)), "today": 31}, [(30, 31, "overlap"), (11, 20, "gap")],
    ),
    "a gap at the start, another in the middle, in windows": (
        {"rows": log((6, 8), (12, 20)), "today": 20, "window_days": 2},
        [(20, 20, "overlap"), (1, 2, "gap"), (3, 4, "gap"), (5, 5, "gap"), (9, 10, "gap"), (11, 11, "gap")],
    ),
    "what the overlap pulls is no gap": (
        {"rows": log((1, 5), (9, 10)), "today": 10, "overlap_days": 4}, [(7, 10, "overlap"), (6, 6, "gap")],
    ),
    "a success from before the store's start": ({"rows": log((-5, 3)), "today": 4}, [(3, 4, "overlap")]),
    "overlapping successes": ({"rows": log((1, 7), (3, 9), (2, 4)), "today": 9}, [(9, 9, "overlap")]),
    "forced: everything, whatever the log says": (
        {"rows": log((1, 10), (5, 5)), "today": 12, "window_days": 10, "force": True},
        [(1, 10, "forced"), (11, 12, "forced")],
    ),
    "forced, with gaps: nothing twice": (
        {"rows": log((1, 3), (8, 10)), "today": 10, "force": True}, [(1, 10, "forced")],
    ),
}  # fmt: skip


def test_a_past_day_that_was_pulled_while_it_went_on_is_a_gap() -> None:
    """Somebody pulled a later day by hand, so no overlap comes by it again; with an overlap of 0 none ever does."""
    rows = [replace(log((1, 6))[0], pulled_on=day(6)), replace(log((10, 10))[0], pulled_on=day(10))]
    assert plan(rows, today=10) == [(10, 10, "overlap"), (6, 9, "gap")]
    assert plan([*rows, replace(log((6, 9))[0], pulled_on=day(10))], today=10) == [(10, 10, "overlap")]
    daily = [replace(log((number, number))[0], pulled_on=day(number)) for number in (1, 2)]
    assert plan(daily, today=3, overlap_days=0) == [(3, 3, "backfill"), (1, 2, "gap")]
    assert plan(daily[:1], today=1, overlap_days=0) == []


@pytest.mark.parametrize("name", CASES)
def test_decision(name: str) -> None:
    arguments, expected = CASES[name]
    assert plan(**arguments) == expected  # type: ignore[arg-type]


def test_a_pipeline_that_the_store_does_not_have() -> None:
    td_only = Store("S001", START, "td")
    assert plan_store_windows(td_only, UC, [], day(5), 90, 1) == []
    assert plan_store_windows(td_only, TD, [], day(5), 90, 1) == [OrdersWindow(day(1), day(5), WindowReason.BACKFILL)]


@pytest.mark.parametrize(("window_days", "overlap_days", "named"), [(0, 1, "window_days"), (90, -1, "overlap_days")])
def test_senseless_options_are_refused(window_days: int, overlap_days: int, named: str) -> None:
    with pytest.raises(InvalidInputError, match=named):
        plan_store_windows(STORE, TD, [], day(5), window_days, overlap_days)


rows = st.lists(
    st.tuples(
        st.integers(-20, 140), st.integers(0, 60), st.sampled_from(["success", "success", "failed", "partial"])
    ).map(lambda row: (row[0], row[0] + row[1], row[2])),
    max_size=8,
)
options = {"today": st.integers(1, 130), "window_days": st.integers(1, 100), "overlap_days": st.integers(0, 10)}


def covered(pairs: Iterable[tuple[int, int]]) -> set[int]:
    return {number for first, last in pairs for number in range(first, last + 1)}


@given(rows, st.booleans(), *options.values())
def test_bounds(
    found: list[tuple[int, int, str]], force: bool, today: int, window_days: int, overlap_days: int
) -> None:
    windows = plan(log(*found), today=today, window_days=window_days, overlap_days=overlap_days, force=force)
    assert all(1 <= first <= last <= today for first, last, _ in windows)
    assert all(last - first < window_days for first, last, _ in windows)
    pulled = [number for first, last, _ in windows for number in range(first, last + 1)]
    assert len(pulled) == len(set(pulled))  # no day twice in one run


@given(rows, *options.values())
def test_after_a_run_without_failures_every_day_is_covered(
    found: list[tuple[int, int, str]], today: int, window_days: int, overlap_days: int
) -> None:
    before = covered((first, last) for first, last, status in found if status == "success")
    windows = plan(log(*found), today=today, window_days=window_days, overlap_days=overlap_days)
    pulled = covered((first, last) for first, last, _ in windows)
    assert set(range(1, today + 1)) <= before | pulled
    again = pulled & before - {today}
    assert len(again) <= overlap_days
    after = log(*found, *((first, last) for first, last, _ in windows))
    once_more = plan(after, today=today, window_days=window_days, overlap_days=overlap_days)
    assert covered((first, last) for first, last, _ in once_more) <= set(range(today - overlap_days + 1, today + 1)) | {
        today
    }


@given(rows, *options.values())
def test_force_pulls_everything(
    found: list[tuple[int, int, str]], today: int, window_days: int, overlap_days: int
) -> None:
    windows = plan(log(*found), today=today, window_days=window_days, overlap_days=overlap_days, force=True)
    assert covered((first, last) for first, last, _ in windows) == set(range(1, today + 1))
    assert {reason for _, _, reason in windows} == {"forced"}


@given(rows, st.booleans(), *options.values())
def test_what_the_database_keeps_decides_like_the_whole_log(
    found: list[tuple[int, int, str]], force: bool, today: int, window_days: int, overlap_days: int
) -> None:
    """`orders_sync_coverage` has maximal runs of covered days; with today's own success that is enough."""
    days = sorted(covered((first, last) for first, last, status in found if status == "success"))
    runs: list[tuple[int, int]] = []
    for number in days:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    if (today, today, "success") in found:
        runs.append((today, today))
    settings = {"today": today, "window_days": window_days, "overlap_days": overlap_days, "force": force}
    assert plan(log(*runs), **settings) == plan(log(*found), **settings)  # type: ignore[arg-type]

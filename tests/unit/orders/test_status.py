"""Where a store stands, from its log."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.orders_sync.core.pipelines import TD, Store
from include.orders_sync.core.status import LastWindow, store_status
from include.orders_sync.core.windows import LogRow

START = date(2026, 1, 1)
STORE = Store("S001", START)


def day(number: int) -> date:
    return START + timedelta(days=number)


rows = st.lists(
    st.builds(
        lambda first, length, status: LogRow(day(first), day(first + length), status),
        st.integers(-5, 40),
        st.integers(0, 15),
        st.sampled_from(["success", "partial", "failed", "running"]),
    ),
    max_size=8,
)


@given(rows, st.integers(-2, 45))
def test_missing_days_are_those_before_today_that_no_success_covers(log: list[LogRow], today: int) -> None:
    found = store_status(STORE, TD, log, day(today), None)
    covered = {
        row.from_date + timedelta(days=offset)
        for row in log
        if row.status == "success"
        for offset in range((row.to_date - row.from_date).days + 1)
    }
    missing = [day(number) for number in range(today) if day(number) not in covered]
    assert (found.missing_days, found.missing_from) == (len(missing), missing[0] if missing else None)
    assert found.covered_to == max(covered, default=None)
    assert found.is_complete == (not missing)


@pytest.mark.parametrize(("status", "complete"), [("success", True), ("partial", False), ("failed", False)])
def test_a_store_whose_newest_window_failed_needs_a_look(status: str, complete: bool) -> None:
    row = LogRow(START, day(5), "success")
    last = LastWindow(LogRow(day(4), day(5), status), "run", "why")
    assert store_status(STORE, TD, [row], day(5), last).is_complete is complete

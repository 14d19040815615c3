"""Every ledger counts windows by day and status in the same way."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.core.watching.completeness import CompletenessScope, DayState, Figures
from include.pipeline_framework.ports.ledger import LifecycleStore
from tests.contract.ledger_rows import HOUR, planned, window

DAY = date(2013, 3, 9)
PLANNER = Actor("daily_planner", "planner-run", "plan_windows")
RUN = Actor("data_pipeline_main", "run-1", "claim", -1, 1)


def scope(source_object: str, settled: datetime, last: date = DAY) -> CompletenessScope:
    horizon = Horizon("America/New_York", date(2013, 3, 1))
    return CompletenessScope(source_object, horizon, parse_granularity("1h"), settled, DAY, last)


def test_windows_are_counted_by_day_status_and_whether_they_are_due(store: LifecycleStore) -> None:
    hours = [*range(24), *range(26, 28)]
    rows = [planned(hour) for hour in hours[:24]]
    rows += [planned(hour) | {"target_day": date(2013, 3, 10)} for hour in hours[24:]]
    inserted = store.insert_planned([*rows, planned(0, "other")], PLANNER).inserted
    ids = {row.query_window_start_at: row.id for row in inserted if row.source_object == "flights"}
    store.replace([ids[window(5).start]], [], PLANNER, "not needed")
    store.claim("flights", RUN, limit=3, ended_before=window(30).end)
    taken = store.take(ids[window(1).start], RUN)
    store.change(taken.id, lambda row, now: transitions.fail(row, taken.fence, now, "boom", max_retry_task=0), RUN)
    settled = window(10).end
    found, other, none = store.completeness(
        [scope("flights", settled, date(2013, 3, 10)), scope("other", settled - 30 * HOUR), scope("none", settled)]
    )
    assert [day.figures for day in found.days] == [
        Figures(running=2, failed=1, waiting=7, not_due=13),
        Figures(not_due=2),
    ]
    assert [day.state for day in found.days] == [DayState.FAILED, DayState.NOT_DUE]
    assert found.behind_since == window(0).start
    assert (other.behind_since, other.days[0].figures) == (None, Figures(not_due=1))
    assert (none.behind_since, none.days[0].state) == (None, DayState.NOT_DUE)
    (later,) = store.completeness([scope("flights", datetime(2013, 4, 1, tzinfo=UTC))])
    assert later.days[0].figures == Figures(running=2, failed=1, waiting=20, missing=1)


def test_the_days_of_a_scope_are_its_own(store: LifecycleStore) -> None:
    store.insert_planned([planned(hour) for hour in range(24)], PLANNER)
    settled = window(24).end + timedelta(days=9)
    first = scope("flights", settled)
    before = CompletenessScope("flights", first.horizon, first.granularity, settled, date(2013, 3, 7), date(2013, 3, 8))
    (found,) = store.completeness([before])
    assert [day.figures for day in found.days] == [Figures(missing=24)] * 2


def test_the_last_day_with_live_rows(store: LifecycleStore) -> None:
    (row,) = store.insert_planned([planned(30) | {"target_day": date(2013, 3, 10)}], PLANNER).inserted
    store.insert_planned([planned(0), planned(0, "other")], PLANNER)
    until = dict.fromkeys(("flights", "other", "none"), date(2013, 3, 20))
    assert store.last_days(until) == {"flights": date(2013, 3, 10), "other": DAY}
    assert store.last_days({"flights": DAY, "other": date(2013, 3, 8)}) == {"flights": DAY}
    store.replace([row.id], [], PLANNER, "not needed")
    assert store.last_days(until)["flights"] == DAY

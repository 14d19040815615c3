"""What a store promises to a planner of many days; the same tests run on the double and on a real Postgres."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.records.planning import GridDay
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.ports.ledger import LifecycleStore
from tests.contract.ledger_rows import DAY, HOUR, planned, window

PLANNER = Actor("daily_planner", "planner-run", "plan")
ODD = "tab\t, line\nbreak\r, \\back\\slash\\N, 'quote', ü 漢, {brace}"
QUARTER_DAY = GridDay("flights", date(2013, 3, 9), TimeWindow(DAY, DAY + 6 * HOUR), 2 * HOUR, 3)


def of_two_hours(number: int, **extra: Any) -> dict[str, Any]:
    bounds = {"query_window_start_at": DAY + number * 2 * HOUR, "query_window_end_at": DAY + (number + 1) * 2 * HOUR}
    return planned() | bounds | extra


def values(store: LifecycleStore, source: str) -> list[dict[str, Any]]:
    """The rows of a source without what differs from row to row."""
    own = ("id", "source_object", "record_inserted_at", "record_last_updated_at", "changed_in")
    found = [row.as_record() for row in store.find(source_object=source)]
    return [{name: value for name, value in row.items() if name not in own} for row in found]


class TestPlan:
    def test_rows_are_the_same_as_those_of_an_insert(self, store: LifecycleStore) -> None:
        extra: dict[str, Any] = {
            "static_metadata": {"text": ODD, "number": 1.5, "list": [1, None, True]},
            "key_x": ODD,
            "key_y": "",
            "expected_audit_duration_mins": 2.5,
            "priority": 3,
            "removable_count": 7,
            "is_removal_approved_flag": True,
            "config_hash": None,
        }
        assert store.plan([planned(0, "copied", **extra), planned(1, "copied")], PLANNER, "why") == []
        store.insert_planned([planned(0, "inserted", **extra), planned(1, "inserted")], PLANNER, "why")
        assert values(store, "copied") == values(store, "inserted")
        assert values(store, "copied")[0]["key_x"] == ODD

    def test_every_row_has_its_event(self, store: LifecycleStore) -> None:
        store.plan([planned(hour, source) for source in ("a", "b") for hour in range(3)], PLANNER, "why")
        events = [store.events(row.id) for row in store.find()]
        assert [[(event["event"], event["dag_id"], event["reason"]) for event in of_row] for of_row in events] == [
            [("planned", "daily_planner", "why")]
        ] * 6

    def test_what_live_rows_cover_is_refused_and_the_rest_inserted(self, store: LifecycleStore) -> None:
        store.plan([planned(1)], PLANNER)
        refused = store.plan([planned(0), planned(1), planned(2), planned(2)], PLANNER)
        assert [row["query_window_start_at"] for row in refused][:1] == [window(1).start]
        assert [row.window for row in store.find()] == [window(0), window(1), window(2)]
        assert all(len(store.events(row.id)) == 1 for row in store.find())

    def test_nothing_is_written_when_one_value_can_not_be(self, store: LifecycleStore) -> None:
        with pytest.raises(InvalidInputError):
            store.plan([planned(0), {**planned(1), "query_window_end_at": window(1).start}], PLANNER)
        assert store.find() == []

    def test_no_rows_are_no_work(self, store: LifecycleStore) -> None:
        assert store.plan([], PLANNER) == []


class TestDaysOnGrid:
    def test_a_day_is_on_the_grid_when_every_window_is(self, store: LifecycleStore) -> None:
        store.plan([of_two_hours(0), of_two_hours(1)], PLANNER)
        assert store.days_on_grid([QUARTER_DAY]) == set()
        store.plan([of_two_hours(2)], PLANNER)
        assert store.days_on_grid([QUARTER_DAY]) == {0}

    def test_other_grids_days_and_sources_are_not(self, store: LifecycleStore) -> None:
        store.plan([of_two_hours(number) for number in range(3)], PLANNER)
        others = [
            dataclasses.replace(QUARTER_DAY, step=HOUR, windows=6),
            dataclasses.replace(QUARTER_DAY, day=date(2013, 3, 10)),
            dataclasses.replace(QUARTER_DAY, source_object="other"),
            dataclasses.replace(QUARTER_DAY, window=TimeWindow(DAY, DAY + 7 * HOUR), windows=4),
            QUARTER_DAY,
        ]
        assert store.days_on_grid(others) == {4}

    def test_the_last_window_is_as_short_as_the_grids(self, store: LifecycleStore) -> None:
        """Four windows of two hours in seven: the fourth ends with the day."""
        day = dataclasses.replace(QUARTER_DAY, window=TimeWindow(DAY, DAY + 7 * HOUR), windows=4)
        last = planned(6)
        store.plan([*(of_two_hours(number) for number in range(3)), last], PLANNER)
        assert store.days_on_grid([day]) == {0}

    def test_as_many_windows_beside_the_grid_are_not(self, store: LifecycleStore) -> None:
        """Four windows, the last ends with the day, and half an hour between two of them is missing."""
        day = dataclasses.replace(QUARTER_DAY, window=TimeWindow(DAY, DAY + 7 * HOUR), windows=4)
        half = timedelta(minutes=30)
        late = planned(6) | {"query_window_start_at": DAY + 6 * HOUR + half}
        moved = of_two_hours(2) | {
            "query_window_start_at": DAY + 4 * HOUR + half,
            "query_window_end_at": DAY + 6 * HOUR + half,
        }
        store.plan([of_two_hours(0), of_two_hours(1), moved, late], PLANNER)
        assert store.days_on_grid([day]) == set()

    def test_a_replaced_window_does_not_count(self, store: LifecycleStore) -> None:
        store.plan([of_two_hours(number) for number in range(3)], PLANNER)
        store.replace([store.find()[1].id], [], PLANNER, "gone")
        assert store.days_on_grid([QUARTER_DAY]) == set()


class TestLiveWindowsOf:
    def test_each_source_has_its_own_and_none_twice(self, store: LifecycleStore) -> None:
        store.plan([planned(hour, source) for source in ("a", "b", "c") for hour in range(4)], PLANNER)
        both = [TimeWindow(window(0).start, window(1).start + HOUR / 2), TimeWindow(window(1).start, window(1).end)]
        found = store.live_windows_of({"a": both, "b": [window(3)], "nobody": [window(0)], "asked for nothing": []})
        assert found == {"a": [window(0), window(1)], "b": [window(3)], "nobody": [], "asked for nothing": []}

    def test_a_touching_window_does_not_overlap(self, store: LifecycleStore) -> None:
        store.plan([planned(0), planned(1)], PLANNER)
        assert store.live_windows_of({"flights": [TimeWindow(datetime(2013, 3, 1, tzinfo=UTC), DAY)]}) == {
            "flights": []
        }

"""Generating records from the continuation point, without moving data."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from include.pipeline_framework.config.derived import derive
from include.pipeline_framework.core.records.fields import GENERATED_NAMES, PLANNED_FIELDS
from include.pipeline_framework.core.records.generation import build_complete_pipeline_record
from include.pipeline_framework.core.records.planning import PLAN_COLUMNS
from include.pipeline_framework.core.records.run_requests import parse_request
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import merge
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.tasks.record_generation import (
    latest_timestamp_available,
    ledger_row,
)
from include.pipeline_framework.tasks.store_and_validate import store_and_validate
from tests.unit.tasks.world import DAY, PLANNER, RUN_1, ZONE, World, config, generate_records, window

NOW = datetime(2013, 3, 12, 12, tzinfo=UTC)
ALL_FIELDS = (*PLANNED_FIELDS, *GENERATED_NAMES, "window_start_time", "window_end_time", "owner")


def generate(world: World, **options: Any) -> dict[str, Any]:
    return generate_records(world.config, world.store, **{"now": NOW, **options})


class TestContinuation:
    @pytest.mark.parametrize(
        ("planned", "expected"),
        [
            ([], None),
            ([1, 2], None),
            ([0], 1),
            ([0, 1, 2], 3),
            ([0, 1, 5], 2),
            (list(range(24)), 24),
        ],
    )
    def test_the_end_of_the_gapless_prefix(self, planned: list[int], expected: int | None) -> None:
        world = World()
        world.plan(*planned)
        end = None if expected is None else window(0, expected).end
        assert latest_timestamp_available("flights", DAY, world.store) == end

    def test_it_looks_at_its_day_and_its_source_only(self) -> None:
        world = World()
        world.plan(0, 1)
        assert latest_timestamp_available("flights", DAY.next(), world.store) is None
        assert latest_timestamp_available("other", DAY, world.store) is None
        assert latest_timestamp_available("flights", LocalDay(date(2011, 12, 30), "Pacific/Apia"), world.store) is None

    def test_invalidated_rows_are_no_continuation(self) -> None:
        world = World()
        first, _second = world.plan(0, 1)
        world.store.replace([first], [], PLANNER, "not needed")
        assert latest_timestamp_available("flights", DAY, world.store) is None


class TestTheFuture:
    def test_a_day_after_tomorrow_is_refused(self) -> None:
        world = World()
        with pytest.raises(InvalidInputError, match="2031-01-01 lies after tomorrow, 2013-03-13"):
            generate(world, target_date=date(2031, 1, 1))
        assert world.store.find() == []

    def test_when_it_is_meant_its_records_are_stored(self) -> None:
        world = World()
        report = generate(world, target_date=date(2031, 1, 1), max_records=2, allow_future=True)
        assert (report["stored"], report["reasons"]) == (2, {})


class TestGenerate:
    def test_the_next_record_of_the_settled_day(self) -> None:
        world = World(x_time_back="1d")
        report = generate(world, now=datetime(2013, 3, 10, 16, tzinfo=UTC))
        assert report == {
            "target_day": "2013-03-09",
            "records": ["2013-03-09 00:00-05:00 → 01:00-05:00"],
            "stored": 1,
            "reasons": {},
            "note": "",
        }
        (row,) = world.store.find()
        assert (row.target_day, row.query_window_start_at, row.time_interval) == (DAY.date, DAY.start, "1h")
        assert row.key_x == "flights/2013-03-09/20130309T050000Z"

    def test_it_continues_where_the_last_one_ended(self) -> None:
        world = World()
        world.plan(*range(5))
        first = generate(world, target_date=DAY.date)
        second = generate(world, target_date=DAY.date, max_records=2)
        assert first["records"] == [window(5).local_label(ZONE)]
        assert second["records"] == [window(6).local_label(ZONE), window(7).local_label(ZONE)]

    @pytest.mark.parametrize(
        ("day", "windows"), [(date(2013, 3, 9), 24), (date(2013, 3, 10), 23), (date(2013, 11, 3), 25)]
    )
    def test_a_whole_day_record_by_record_and_then_nothing(self, day: date, windows: int) -> None:
        world = World()
        later = datetime(2013, 12, 1, tzinfo=UTC)
        report = generate(world, now=later, target_date=day, max_records=100)
        assert (len(report["records"]), report["stored"], report["note"]) == (windows, windows, f"{day} is complete")
        assert merge(row.window for row in world.store.find()) == [LocalDay(day, ZONE).window]
        again = generate(world, now=later, target_date=day)
        assert (again["records"], again["stored"], again["note"]) == ([], 0, f"{day} is complete")

    def test_future_data_is_not_generated(self) -> None:
        world = World(x_time_back="2h")
        report = generate(world, now=window(3).end, target_date=DAY.date, max_records=100)
        assert len(report["records"]) == 2
        assert report["reasons"] == {window(2).local_label(ZONE): "future data: it has not settled yet"}

    def test_an_incomplete_record_is_not_stored(self) -> None:
        world = World(derived={"key_x": {"callable": "tests.unit.tasks.world:nothing"}})
        says = rf"record is not complete: key_x is missing \[flights {window(0)}\]. Nothing was stored"
        with pytest.raises(InvalidInputError, match=says):
            generate(world, target_date=DAY.date)
        assert world.store.find() == []

    def test_complete_records_before_an_incomplete_one_are_not_stored_either(self) -> None:
        world = World(derived={"key_x": {"callable": "tests.unit.tasks.world:nothing_after_two"}})
        with pytest.raises(InvalidInputError, match=rf"flights {window(2)}\]. Nothing was stored"):
            generate(world, target_date=DAY.date, max_records=5)
        assert world.store.find() == []

    @pytest.mark.parametrize("field", ALL_FIELDS)
    def test_whatever_check_fields_may_ask_for_is_the_same_at_generation_and_at_the_claim(self, field: str) -> None:
        plain = {name: "x" for name in PLAN_COLUMNS if name.endswith("frequency") or name == "data_domain"}
        minutes = {name: 5 for name in PLAN_COLUMNS if name.endswith("_mins")}
        world = World(check_fields=[field], metadata={"owner": "crm"}, **plain, **minutes)
        assert generate(world, target_date=DAY.date)["stored"] == 1
        request = parse_request({}, world.config.horizon, "flights")
        assert len(store_and_validate(world.config, world.store, RUN_1, request)["claimed"]) == 1

    def test_a_day_outside_the_horizon_is_refused(self) -> None:
        with pytest.raises(InvalidInputError, match="before start_date 2013-03-01"):
            generate(World(), target_date=date(2013, 2, 1))


class TestLedgerRow:
    def test_of_a_generated_record(self) -> None:
        final_config = config().final_config()
        record = build_complete_pipeline_record(final_config, now=NOW, derive=derive, target_day=DAY.date)
        assert record is not None
        row = ledger_row(final_config, {**record, "key_z": "their own"})
        assert (row["query_window_start_at"], row["query_window_end_at"]) == (DAY.start, window(0).end)
        assert (row["key_z"], row["key_x"]) == ("their own", record["key_x"])

    def test_of_a_record_with_ledger_names(self) -> None:
        row = ledger_row(
            config().final_config(),
            {"query_window_start_at": "2013-03-09T05:00:00Z", "query_window_end_at": window(0).end, "key_x": None},
        )
        assert (row["query_window_start_at"], row["key_x"]) == (DAY.start, "flights/2013-03-09/20130309T050000Z")

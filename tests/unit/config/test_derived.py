"""Ids, categories and keys: templates, functions, and the smallest configuration."""

from __future__ import annotations

from datetime import date
from typing import Any

import pendulum
import pytest

from include.pipeline_framework.config.derived import derive, deriving, function_x, function_y, function_z
from include.pipeline_framework.config.loader import load_final_config
from include.pipeline_framework.core.records.derived import DEFAULT_TEMPLATES, TEMPLATE_FIELDS, template_values
from include.pipeline_framework.core.records.planning import (
    DERIVED_COLUMNS,
    PlacedWindow,
    RowMaker,
    interval_string,
    planned_row,
)
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.durations import Granularity, parse_granularity
from include.pipeline_framework.core.time.windows import tile
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError

ZONE = "America/New_York"
WINDOW = (
    pendulum.datetime(2013, 11, 3, tz=ZONE),
    pendulum.datetime(2013, 11, 3, 5, tz="UTC").in_timezone(ZONE),
    pendulum.datetime(2013, 11, 3, 6, tz="UTC").in_timezone(ZONE),
    "1h",
)
SMALL: dict[str, Any] = {"timezone": ZONE, "x_time_back": "1d", "granularity": "1h", "default_record": {}}


def test_the_defaults_are_the_nine_columns_of_the_ledger() -> None:
    assert set(DEFAULT_TEMPLATES) == set(DERIVED_COLUMNS)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("key_x", "flights/2013-11-03/20131103T050000Z"),
        ("key_y", "main:20131103T050000Z/20131103T060000Z"),
        ("key_z", "elasticsearch>snowflake:1h"),
        ("source_id", "elasticsearch:flights:20131103T050000Z/20131103T060000Z"),
        ("stage_id", "object_storage:flights:20131103T050000Z/20131103T060000Z"),
        ("target_id", "snowflake:flights:20131103T050000Z/20131103T060000Z"),
        ("source_category", "elasticsearch"),
        ("stage_category", "object_storage"),
        ("target_category", "snowflake"),
    ],
)
def test_of_the_flights_pipeline(name: str, value: str) -> None:
    assert derive(load_final_config(), name, *WINDOW) == value


def test_the_three_functions_of_requirement_3() -> None:
    config = load_final_config()
    assert [function(config, *WINDOW) for function in (function_x, function_y, function_z)] == [
        derive(config, key, *WINDOW) for key in ("key_x", "key_y", "key_z")
    ]


@pytest.mark.parametrize("name", DERIVED_COLUMNS)
@pytest.mark.parametrize(
    "record", [{}, {"source_name": "elasticsearch", "target_name": "snowflake"}, {"source_object": None}]
)
def test_the_smallest_configuration_gives_text(name: str, record: dict[str, Any]) -> None:
    assert derive({**SMALL, "default_record": record}, name, *WINDOW).strip()


def test_what_is_missing_has_a_stand_in() -> None:
    values = template_values({**SMALL, "default_record": {"source_name": "crm"}}, *WINDOW)
    assert (values["source_object"], values["pipeline_id"], values["target_object"]) == ("crm", "crm", "unknown")


def test_every_field_has_a_value() -> None:
    assert set(template_values(load_final_config(), *WINDOW)) == set(TEMPLATE_FIELDS)


def test_local_bounds_tell_the_two_hours_of_the_autumn_apart() -> None:
    values = template_values(SMALL, *WINDOW)
    assert (values["window_start_local"], values["window_end_local"]) == (
        "20131103T010000-0400",
        "20131103T010000-0500",
    )


def test_bounds_finer_than_a_second_tell_windows_apart() -> None:
    end = WINDOW[2]
    late = [template_values(SMALL, WINDOW[0], end.subtract(microseconds=n), end, "1s") for n in (1, 2, 1_000, 500_000)]
    assert [values["window_start"] for values in late] == [
        "20131103T055959.999999Z", "20131103T055959.999998Z", "20131103T055959.999Z", "20131103T055959.5Z",
    ]  # fmt: skip
    assert late[2]["window_start_local"] == "20131103T015959.999-0400"


@pytest.mark.parametrize(
    "day",
    [date(2013, 11, 3), "2013-11-03", WINDOW[0], "2013-11-03T04:00:00Z", pendulum.datetime(2013, 11, 4, 4, 59, 59)],
)
def test_the_day_in_every_shape(day: Any) -> None:
    assert template_values(SMALL, day, *WINDOW[1:])["target_day"] == "2013-11-03"


def test_a_template_of_the_pipeline() -> None:
    config = {**SMALL, "derived": {"key_x": "{{a}}/{target_day}"}}
    assert derive(config, "key_x", *WINDOW) == "{a}/2013-11-03"


def test_a_function_of_the_pipeline_gets_the_five_arguments() -> None:
    config = {**SMALL, "derived": {"key_x": {"callable": "tests.unit.config.doubles:own_function"}}}
    assert function_x(config, *WINDOW) == " ".join(map(str, [ZONE, *WINDOW]))


@pytest.mark.parametrize(
    ("rule", "error", "says"),
    [
        ({"callable": "no_such_module:f"}, ConfigurationError, "can't be imported: ModuleNotFoundError"),
        ({"callable": "json:no_such"}, ConfigurationError, "can't be imported: AttributeError"),
        ({"callable": "sys:version"}, ConfigurationError, "is not a function"),
        (7, ConfigurationError, "Write a template"),
        ("{timezone.key}", InvalidInputError, "not one of its fields"),
        ({"callable": "operator:truediv"}, ConfigurationError, "raised TypeError: truediv expected 2 arguments"),
        ({"callable": "tests.unit.config.doubles:list_function"}, ConfigurationError, "which is no text"),
        ({"callable": "tests.unit.config.doubles:nul_function"}, ConfigurationError, "which no database can hold"),
    ],
)
def test_wrong_rules(rule: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        derive({**SMALL, "derived": {"key_x": rule}}, "key_x", *WINDOW)


def test_only_the_nine() -> None:
    with pytest.raises(InvalidInputError, match="'key_w' is not a derived column"):
        derive(SMALL, "key_w", *WINDOW)


EVERY_FIELD = "{{" + ";".join(f"{{{name}}}" for name in TEMPLATE_FIELDS) + "}}"


def told(_config: Any, *arguments: Any) -> str:
    """Return the arguments as text: a function of a pipeline's own."""
    return repr(arguments)


class TestTheColumnsOfManyWindows:
    """`deriving` puts together once what all windows share; each window gets what `derive` gives it."""

    @pytest.mark.parametrize("timezone", ["UTC", ZONE, "Australia/Lord_Howe", "America/Toronto", "Asia/Kathmandu"])
    @pytest.mark.parametrize("day", [date(2013, 3, 10), date(2013, 11, 3), date(2013, 4, 7), date(1919, 3, 31)])
    @pytest.mark.parametrize("granularity", ["15m", "7m", "1d"])
    def test_are_those_of_each_alone(self, timezone: str, day: date, granularity: str) -> None:
        config = {
            **SMALL,
            "timezone": timezone,
            "default_record": {"source_name": "a{b}c", "source_object": "{window_start}"},
            "derived": {
                "key_x": EVERY_FIELD,
                "key_z": {"callable": f"{__name__}:told"},
                "source_id": "{window_start_local}",
                "stage_category": "plain",
            },
        }
        local_day = LocalDay(day, timezone)
        assert local_day.window is not None
        columns = deriving(config)
        for window in tile(local_day.window, parse_granularity(granularity)):
            placed = PlacedWindow(window, local_day, interval_string(window))
            assert columns(placed) == {name: derive(config, name, *placed.arguments) for name in DERIVED_COLUMNS}

    def test_a_configuration_without_a_granularity_shows_the_interval(self) -> None:
        config = {"default_record": {}, "derived": {"key_x": "{granularity}"}}
        (window,) = tile(LocalDay(date(2013, 3, 9), "UTC").window, Granularity(1, 0))  # type: ignore[arg-type]
        assert deriving(config)(PlacedWindow(window, LocalDay(date(2013, 3, 9), "UTC"), "1d"))["key_x"] == "1d"

    def test_one_maker_makes_rows_of_several_days_and_shares_nothing_that_can_change(self) -> None:
        config = load_final_config() | {"timezone": ZONE}
        days = [LocalDay(date(2013, 11, day), ZONE) for day in (3, 4, 2)]
        windows = [window for day in days if day.window for window in tile(day.window, Granularity(0, 3_600))]
        maker = RowMaker(config, deriving)
        rows = [maker.row(window) for window in windows]
        assert rows == [planned_row(config, window, deriving) for window in windows]
        rows[0]["static_metadata"]["mine"] = 1
        assert "mine" not in rows[1]["static_metadata"]
        assert "mine" not in maker.row(windows[0])["static_metadata"]

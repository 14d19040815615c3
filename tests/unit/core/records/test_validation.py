"""Is a record fit to be run: every wrong field has a reason of its own, and the future is told apart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pendulum
import pytest

from include.pipeline_framework.config.derived import derive
from include.pipeline_framework.core.records.generation import build_complete_pipeline_record
from include.pipeline_framework.core.records.validation import is_future_data, stable_until, validate_record

NOW = datetime(2013, 3, 11, 12, tzinfo=UTC)
END = datetime(2013, 3, 9, 6, tzinfo=UTC)
RECORD: dict[str, Any] = {
    "query_window_start_at": END - timedelta(hours=1),
    "query_window_end_at": END,
    "key_x": "x",
    "key_y": 0,
    "key_z": False,
}
KEYS = ("key_x", "key_y", "key_z")


def validate(record: dict[str, Any], **options: Any) -> Any:
    options = {"check_fields": KEYS, "now": NOW, "x_time_back": "1d", "timezone": "America/New_York", **options}
    return validate_record(record, **options)


def test_a_complete_record_of_the_past() -> None:
    result = validate(RECORD)
    assert (result.is_valid, result.is_future_data, dict(result.reasons)) == (True, False, {})


@pytest.mark.parametrize(
    ("changes", "reasons"),
    [
        ({"key_x": None}, {"key_x": "is missing"}),
        ({"key_x": ""}, {"key_x": "is blank"}),
        ({"key_x": " \t\n"}, {"key_x": "is blank"}),
        ({"key_x": None, "key_z": ""}, {"key_x": "is missing", "key_z": "is blank"}),
        ({"query_window_start_at": None}, {"query_window_start_at": "is missing"}),
        ({"query_window_end_at": None}, {"query_window_end_at": "is missing"}),
        ({"query_window_start_at": END},
         {"window": "ends at 2013-03-09T06:00:00Z, not after its start 2013-03-09T06:00:00Z"}),
        ({"query_window_start_at": END + timedelta(hours=1)},
         {"window": "ends at 2013-03-09T06:00:00Z, not after its start 2013-03-09T07:00:00Z"}),
    ],
)  # fmt: skip
def test_each_wrong_field_has_its_reason(changes: dict[str, Any], reasons: dict[str, str]) -> None:
    result = validate({**RECORD, **changes})
    assert (result.is_valid, dict(result.reasons)) == (False, reasons)


def test_an_unreadable_bound_is_named() -> None:
    result = validate({**RECORD, "query_window_end_at": "noon"})
    assert set(result.reasons) == {"query_window_end_at"}
    assert "'noon' is not a timestamp" in result.reasons["query_window_end_at"]


def test_an_empty_record_misses_everything() -> None:
    assert dict(validate({}).reasons) == dict.fromkeys(
        [*KEYS, "query_window_start_at", "query_window_end_at"], "is missing"
    )


def test_uppercase_fields_of_a_generated_record() -> None:
    config = {"timezone": "America/New_York", "x_time_back": "1d", "granularity": "1h", "default_record": {}}
    record = build_complete_pipeline_record(config, now=NOW, derive=derive)
    assert record is not None
    assert validate(record).is_valid
    assert dict(validate({**record, "WINDOW_END_TIME": None}).reasons) == {"WINDOW_END_TIME": "is missing"}


def test_the_repeated_hour_starts_before_it_ends_although_the_clock_shows_the_same() -> None:
    start, end = (pendulum.datetime(2013, 11, 3, hour).in_timezone("America/New_York") for hour in (5, 6))
    assert (start.hour, end.hour) == (1, 1)
    record = {**RECORD, "query_window_start_at": start, "query_window_end_at": end}
    settled = datetime(2013, 11, 3, 6, tzinfo=UTC)
    assert validate(record, now=settled, x_time_back=None).is_valid
    before = settled - timedelta(microseconds=1)
    assert validate(record, now=before, x_time_back=None).is_future_data
    assert is_future_data(end, pendulum.instance(before).in_timezone("America/New_York"), "1s", "America/New_York")


@pytest.mark.parametrize(
    ("field", "column"),
    [("TARGET_DAY", "target_day"), ("target_day", "TARGET_DAY"), ("window_start_time", "query_window_start_at"),
     ("WINDOW_END_TIME", "query_window_end_at"), ("TIME_INTERVAL", "time_interval")],
)  # fmt: skip
def test_a_field_is_the_same_under_both_names(field: str, column: str) -> None:
    record = {**RECORD, column: RECORD.get(column, "there")}
    assert validate(record, check_fields=[field]).is_valid
    assert validate({**record, column: None}, check_fields=[field]).reasons[field] == "is missing"
    assert validate({**record, column: " "}, check_fields=[field]).reasons[field] == "is blank"


def test_a_field_of_the_pipelines_metadata_is_where_the_ledger_keeps_it() -> None:
    assert validate({**RECORD, "static_metadata": {"owner": "x"}}, check_fields=["owner"]).is_valid
    assert validate({**RECORD, "static_metadata": {"owner": ""}}, check_fields=["owner"]).reasons == {
        "owner": "is blank"
    }


@pytest.mark.parametrize("field", ["owner", "stage_location"])
def test_any_field_can_be_asked_for(field: str) -> None:
    assert dict(validate(RECORD, check_fields=[field]).reasons) == {field: "is missing"}
    assert validate({**RECORD, field: "there"}, check_fields=[field]).is_valid


@pytest.mark.parametrize(
    ("end", "back", "future"),
    [
        ("2013-03-10T12:00:00Z", "24h", False),
        ("2013-03-10T12:00:00.000001Z", "24h", True),
        # one local day back from 08:00 in New York is 08:00, after the 23 hour day 24 hours earlier in UTC terms
        ("2013-03-10T12:00:00Z", "1d", False),
        ("2013-03-11T12:00:00Z", None, False),
        ("2013-03-11T12:00:00.000001Z", None, True),
        ("2013-03-11T12:00:00Z", "1s", True),
    ],
)
def test_future_data_has_not_settled(end: str, back: str | None, future: bool) -> None:
    instant = datetime.fromisoformat(end)
    assert is_future_data(instant, NOW, back, "America/New_York") is future
    result = validate({**RECORD, "query_window_end_at": instant}, x_time_back=back)
    assert (result.is_future_data, result.is_valid, dict(result.reasons)) == (future, not future, {})


@pytest.mark.parametrize(
    ("back", "settled"),
    [
        (None, "2013-03-11T12:00:00"),
        ("0d", "2013-03-11T12:00:00"),
        ("0s", "2013-03-11T12:00:00"),
        ("1d", "2013-03-10T12:00:00"),
        ("2d", "2013-03-09T13:00:00"),  # 08:00 before the clocks changed
        ("48h", "2013-03-09T12:00:00"),
        ("1d2h30m", "2013-03-10T09:30:00"),
    ],
)
def test_data_settles_by_the_local_clock(back: str | None, settled: str) -> None:
    expected = datetime.fromisoformat(settled).replace(tzinfo=UTC)
    assert stable_until(NOW, back, "America/New_York") == expected
    assert stable_until(pendulum.instance(NOW), back, "America/New_York") == expected

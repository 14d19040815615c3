"""Typed columns from mapping and sample: what the values fit, never more; names that every target accepts."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.implementation_modules.sql_warehouse.columns import LONGEST_NAME, parse_columns
from include.pipeline_framework.core.proposing.columns import MOST_COLUMNS, ProposedColumn, propose_columns
from include.pipeline_framework.core.proposing.description import (
    Kind,
    Sampled,
    SourceDescription,
    SourceField,
    SourceShape,
)
from include.wiring.inspection import column_rules

AT = datetime(2013, 3, 9, 5, tzinfo=UTC)


def described(*documents: Any, fields: tuple[SourceField, ...] = (), dots_nest: bool = True) -> SourceDescription:
    shape = SourceShape("weblogs", fields, ("at",), dots_nest=dots_nest)
    return SourceDescription(shape, "at", "UTC", (), 0, tuple(Sampled(AT, each, 10) for each in documents))


def one(values: list[Any], source_type: str, kind: Kind, **more: Any) -> ProposedColumn:
    """The column of a field with these values."""
    field = SourceField(("a",), source_type, kind, **more)
    (column,), left = propose_columns(described(*({"a": value} for value in values), fields=(field,)), column_rules())
    assert left == []
    return column


@pytest.mark.parametrize(
    ("values", "source_type", "kind", "more", "expected"),
    [
        ([1, 2], "long", "integer", {}, ("integer", "")),
        (["1", 2], "long", "integer", {}, ("integer", "")),
        ([1, Decimal("1.5")], "long", "integer", {}, ("number", "")),
        ([1, "n/a"], "long", "integer", {}, ("text", "")),
        ([10**40], "long", "integer", {}, ("number", "")),
        ([int("9" * 40)], "long", "integer", {}, ("text", "")),
        ([1, 2], "double", "number", {}, ("number", "")),
        ([Decimal("0.30000000000000004")], "double", "number", {}, ("number", "")),
        ([Decimal("0.1000000000000000055")], "numeric", "number", {"is_decimal": True}, ("text", "")),
        ([Decimal("0.10")], "numeric", "number", {"is_decimal": True}, ("number", "")),
        (["NaN", Decimal("1.5")], "double precision", "number", {}, ("text", "")),
        ([True, "false"], "boolean", "boolean", {}, ("boolean", "")),
        ([True, ""], "boolean", "boolean", {}, ("text", "")),
        (["a", 1, True], "keyword", "text", {}, ("text", "")),
        ([200, 404] * 10, "keyword", "text", {}, ("integer", "")),
        ([200, 404], "keyword", "text", {}, ("text", "")),
        ([True, False] * 10, "keyword", "text", {}, ("boolean", "")),
        (["1", "2"] * 10, "keyword", "text", {}, ("text", "")),
        (["2013-03-09T05:30:00Z"], "date", "timestamp", {"unit": "epoch_millis"}, ("timestamp", "")),
        (["2013-03-09"], "date", "timestamp", {}, ("date", "")),
        (["2013-03-09", "2013-03-09T05:30"], "date", "timestamp", {}, ("timestamp", "")),
        ([1362800000], "date", "timestamp", {"unit": "epoch_second"}, ("timestamp", "epoch_second")),
        ([1362800000123, "2013-03-09"], "date", "timestamp", {"unit": "epoch_millis"}, ("timestamp", "epoch_millis")),
        ([Decimal("1362800000.5")], "date", "timestamp", {"unit": "epoch_second"}, ("number", "")),
        (["1362800000"], "date", "timestamp", {"unit": "epoch_second"}, ("text", "")),
        (["09/Mar/2013:05:30:00"], "date", "unknown", {}, ("text", "")),
        (["2013-03-09 05:30:00"], "date", "unknown", {}, ("timestamp", "")),
        (["infinity", "2013-03-09"], "date", "date", {}, ("text", "")),
        (["2013-03-09"], "date", "date", {}, ("date", "")),
        (["41.1,-71.3"], "geo_point", "unknown", {}, ("text", "")),
        ([1, 2], "odd", "unknown", {}, ("integer", "")),
        (["1", "2"], "odd", "unknown", {}, ("text", "")),
        ([], "long", "integer", {}, ("integer", "")),
        ([None], "date", "timestamp", {"unit": "epoch_millis"}, ("timestamp", "epoch_millis")),
    ],
)
def test_a_type_is_one_that_every_value_fits(
    values: list[Any], source_type: str, kind: Kind, more: dict[str, Any], expected: tuple[str, str]
) -> None:
    column = one(values, source_type, kind, **more)
    assert (column.type, column.unit) == expected
    assert all(column_rules().fits(value, column.type, column.unit) for value in values)


def test_the_reason_says_how_many_values_do_not_fit_and_what_text_could_be() -> None:
    assert one([1, "n/a", "-"], "long", "integer").reason == "long, but 2 of 3 values seen are no integer"
    assert one([True], "boolean", "boolean").reason == ""
    assert one(["1"] * 20, "keyword", "text").reason == "all 20 values seen would fit integer, too"
    assert one(["01"] * 20, "keyword", "text").reason == "", "a postal code is no number"
    assert one([], "long", "integer").reason == "long, not in the sample"
    assert one(["2013-03-09T05:30"], "timestamp", "timestamp", note="no zone").reason == "no zone"


def test_nested_objects_are_paths_and_lists_are_json() -> None:
    documents = [
        {"http": {"request": {"bytes": 1}}, "http.status": 200, "tags": ["a"], "items": [{"sku": "x"}], "geo": {}},
        {"http": {"request": {"bytes": 2}, "status": 404}, "tags": "a", "mixed": {"a": 1}},
        {"mixed": 1, "free": {"x": 1}},
    ]
    fields = (
        SourceField(("http", "request", "bytes"), "long", "integer"),
        SourceField(("http", "status"), "long", "integer"),
        SourceField(("items", "sku"), "keyword", "text"),
        SourceField(("free",), "flattened", "nested"),
        SourceField(("copy",), "alias", "absent"),
        SourceField(("nothing",), "shape", "unknown"),
    )
    columns, left = propose_columns(described(*documents, fields=fields), column_rules())
    assert {each.name: (each.type, each.path) for each in columns} == {
        "http_request_bytes": ("integer", ("http", "request", "bytes")),
        "http_status": ("integer", ("http", "status")),
        "tags": ("json", ("tags",)),
        "items": ("json", ("items",)),
        "mixed": ("json", ("mixed",)),
        "mixed_a": ("integer", ("mixed", "a")),
        "free": ("json", ("free",)),
    }
    assert {each.name: each.reason for each in columns if each.type == "json"} == {
        "tags": "an array in 1 of 2 documents seen",
        "items": "an array in 1 of 1 documents seen",
        "mixed": "an object in 1 of 2 documents seen, a single value in the others",
        "free": "flattened: an array or an object",
    }
    assert {each.path: each.reason for each in left} == {
        ("geo",): "an object without keys",
        ("copy",): "alias: no document seen has it",
        ("nothing",): "shape: no document seen has it",
    }


def test_names_are_legal_and_no_two_are_the_same() -> None:
    keys = ["Status", "status", "STATUS", "@timestamp", "größe", "北京", "1st", "doc", "_id", "xmin", "select", "a b"]
    keys += ["a_b", "x" * 60, "x" * 61, "no\nline", "on", "--"]
    columns, _ = propose_columns(described(dict.fromkeys(keys, 1)), column_rules())
    names = {column.path[0]: column.name for column in columns}
    assert (names["Status"], names["status"], names["STATUS"]) == ("Status", "status_2", "STATUS_3")
    assert names["@timestamp"] == "timestamp"
    assert (names["北京"], names["1st"], names["select"], names["--"]) == ("field", "n1st", "select", "field_2")
    assert (names["doc"], names["xmin"], names["a_b"]) == ("doc_2", "xmin_2", "a_b_2")
    assert len(names["x" * 61]) == LONGEST_NAME
    assert len(columns) == len(keys)
    parse_columns({column.name: {"type": column.type, "path": list(column.path)} for column in columns})


@given(st.lists(st.text(min_size=1, max_size=70), unique=True, max_size=30))
def test_any_keys_give_columns_that_targets_accept(keys: list[str]) -> None:
    columns, _ = propose_columns(described(dict.fromkeys(keys, 1), dots_nest=False), column_rules())
    assert [column.path for column in columns] == [(key,) for key in keys]
    parse_columns({column.name: {"type": column.type, "path": list(column.path)} for column in columns})
    assert len({column.name.lower() for column in columns}) == len(keys)


def test_a_dot_is_part_of_a_column_of_a_table() -> None:
    ((column,), _) = propose_columns(described({"a.b": 1}, dots_nest=False), column_rules())
    assert (column.name, column.path) == ("a_b", ("a.b",))


def test_what_lies_too_deep_or_is_too_much_is_named() -> None:
    deep: Any = 1
    for _ in range(9):
        deep = {"k": deep}
    often = {f"often{n}": n for n in range(MOST_COLUMNS)}
    columns, left = propose_columns(described({"rare": 1, "": 2, **deep, **often}, often), column_rules())
    assert len(columns) == MOST_COLUMNS
    assert {each.path: each.reason for each in left} == {
        ("",): "a key of no characters",
        ("k",) * 9: "more than 8 keys deep",
        ("rare",): "beyond the first 300 columns",
    }

"""Identifiers that can't inject, and columns as the YAML writes them; what types mean is in the contract suite."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from include.implementation_modules.postgres.target import PostgresTarget
from include.implementation_modules.snowflake.target import SnowflakeTarget
from include.implementation_modules.sql_warehouse.columns import parse_columns, value_at
from include.pipeline_framework.errors import ConfigurationError
from include.pipeline_framework.ports.target import ColumnSpec
from include.sql.text import SqlFragment, fill, quoted


@pytest.mark.parametrize("name", ['a"b', "a b", "1a", "", "a;b", "ä", "a.b", "a\n", "a" * 49, "x--"])
def test_a_name_that_is_no_identifier_is_refused_everywhere(name: str) -> None:
    with pytest.raises(ValueError):
        parse_columns({name: "text"})
    for model in (SnowflakeTarget.Options, PostgresTarget.Options):
        with pytest.raises(ValidationError):
            model(table=name)
        with pytest.raises(ValidationError):
            model.model_validate({"table": "t", "schema": name})


def test_quoting_accepts_identifiers_only() -> None:
    assert quoted("DB", "SELECT") == '"DB"."SELECT"'
    with pytest.raises(ValueError):
        quoted('x"; DROP TABLE y; --')


def test_only_known_placeholders_are_filled() -> None:
    assert fill("SELECT {a}, '{1,37}'", {"a": SqlFragment('"x"')}) == "SELECT \"x\", '{1,37}'"
    with pytest.raises(KeyError):
        fill("SELECT {unknown}", {})


def test_columns_in_short_and_long_form_keep_their_order() -> None:
    columns = parse_columns(
        {
            "b": "integer",
            "A": {"type": "text"},
            "c": {"type": "date", "path": "x.y"},
            "d": {"type": "text", "path": ["x.y", "z"]},
            "e": {"type": "timestamp", "format": "epoch_second"},
        }
    )
    assert columns == (
        ColumnSpec("b", "integer", ("b",)),
        ColumnSpec("A", "text", ("A",)),
        ColumnSpec("c", "date", ("x", "y")),
        ColumnSpec("d", "text", ("x.y", "z")),
        ColumnSpec("e", "timestamp", ("e",), "epoch_second"),
    )
    assert parse_columns(columns) == columns


@pytest.mark.parametrize(
    "columns",
    [
        {"a": "varchar"},
        {"a": {"path": "b"}},
        {"a": {"type": "text", "nullable": True}},
        {"a": {"type": "text", "path": ""}},
        {"a": {"type": "text", "path": []}},
        {"a": {"type": "text", "path": ["x", 1]}},
        {"a": {"type": "text", "path": "x..y"}},
        {"a": {"type": "text", "path": "a.b.c.d.e.f.g.h.i"}},
        {"a": {"type": "timestamp", "format": "seconds"}},
        {"a": {"type": "integer", "format": "epoch_second"}},
        {"a": "text", "A": "text"},
        {"_ID": "text"},
        {"doc": "text"},
        ["a"],
        "a",
    ],
)
def test_senseless_columns_are_refused(columns: Any) -> None:
    with pytest.raises(ValueError):
        parse_columns(columns)


def test_options_refuse_what_they_do_not_know() -> None:
    with pytest.raises(ValidationError):
        SnowflakeTarget.Options.model_validate({"table": "t", "warehouse": "w"})
    with pytest.raises(ConfigurationError, match="schema"):
        SnowflakeTarget(lambda: None, SnowflakeTarget.Options(table="t", database="d"))


def test_a_path_ends_at_what_is_no_object() -> None:
    document = {"a": {"b": [1]}, "c": "x"}
    assert value_at(document, ("a", "b")) == [1]
    for path in (("a", "x"), ("a", "b", "0"), ("c", "x"), ("z",)):
        assert value_at(document, path) is None

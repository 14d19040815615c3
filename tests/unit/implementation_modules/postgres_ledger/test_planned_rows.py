"""The lines of a COPY: equal values of different types keep their own text, and nothing of a row stays in the next."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from include.implementation_modules.postgres_ledger.planned_rows import lines

FIRST_COLUMN, PRIORITY, IS_REPLACEMENT = 0, 30, 31


def fields(*records: dict[str, Any]) -> list[list[str]]:
    return [line.removesuffix("\n").split("\t") for line in lines(records)]


def test_equal_values_of_different_types_keep_their_own_text() -> None:
    rows = fields(*({"pipeline_id": value} for value in (1, True, 1.0, "1", Decimal("1.00"), None)))
    assert [row[FIRST_COLUMN] for row in rows] == ["1", "t", "1.0", "1", "1.00", r"\N"]


def test_a_value_of_one_row_does_not_stay_in_the_next() -> None:
    rows = fields(
        {"pipeline_id": "a", "priority": 5, "static_metadata": {"a": 1}}, {}, {"static_metadata": {"a": True}}
    )
    assert [row[FIRST_COLUMN] for row in rows] == ["a", r"\N", r"\N"]
    assert [row[PRIORITY] for row in rows] == ["5", "0", "0"]
    assert [row[-1].replace(" ", "") for row in rows] == ['{"a":1}', "{}", '{"a":true}']


def test_what_a_record_leaves_empty_gets_the_tables_default() -> None:
    (row,) = fields({"priority": None, "is_replacement_run_flag": None, "static_metadata": None})
    assert (row[PRIORITY], row[IS_REPLACEMENT], row[-1]) == ("0", "f", "{}")


@pytest.mark.parametrize(("value", "text"), [(1e20, "100000000000000000000"), (1e-7, "0.0000001"), (0.1, "0.1")])
def test_numbers_have_no_exponent(value: float, text: str) -> None:
    assert fields({"pipeline_id": value})[0][FIRST_COLUMN] == text

"""Which columns of an existing table take what a pipeline loads, in both warehouses."""

from __future__ import annotations

import pytest

from include.implementation_modules.postgres.checking import RULES as POSTGRES
from include.implementation_modules.snowflake.checking import RULES as SNOWFLAKE
from include.implementation_modules.sql_warehouse.columns import COLUMN_TYPES
from include.implementation_modules.sql_warehouse.compatibility import (
    OWN_TYPES,
    PresentColumn,
    TypeRules,
    judge_columns,
)
from include.pipeline_framework.core.watching.verdicts import CheckState, Findings
from include.pipeline_framework.ports.target import ColumnSpec

OK, NARROW, WRONG = CheckState.OK, CheckState.WARNING, CheckState.WRONG
OWN = {
    "postgres": {"text": "text", "count": "bigint", "timestamp": "timestamp with time zone", "document": "jsonb"},
    "snowflake": {
        "text": "VARCHAR(16777216)", "count": "NUMBER(38,0)", "timestamp": "TIMESTAMP_NTZ(6)", "document": "VARIANT"
    },
}  # fmt: skip
RULES = {"postgres": POSTGRES, "snowflake": SNOWFLAKE}


def judged(database: str, kind: str, **there: PresentColumn) -> list[tuple[CheckState, str, str]]:
    own = {name: PresentColumn(OWN[database][key], is_needed=True) for name, key in OWN_TYPES.items()}
    found = Findings("target")
    judge_columns([ColumnSpec("c", kind, ("c",))], {**own, **there}, RULES[database], "t", found)
    return [(verdict.state, verdict.said, verdict.remedy) for verdict in found.verdicts]


@pytest.mark.parametrize(
    ("database", "kind", "present", "state"),
    [
        ("postgres", "text", "character varying", OK),
        ("postgres", "text", "character varying(10)", NARROW),
        ("postgres", "text", "bigint", WRONG),
        ("postgres", "integer", "numeric(37,0)", OK),
        ("postgres", "integer", "bigint", NARROW),
        ("postgres", "integer", "double precision", WRONG),
        ("postgres", "number", "real", NARROW),
        ("postgres", "timestamp", "timestamp without time zone", WRONG),
        ("postgres", "timestamp", "text", WRONG),
        ("postgres", "date", "date", OK),
        ("postgres", "boolean", "integer", WRONG),
        ("snowflake", "text", "VARCHAR(134217728)", OK),
        ("snowflake", "text", "VARCHAR(10)", NARROW),
        ("snowflake", "integer", "NUMBER(38,0)", OK),
        ("snowflake", "integer", "NUMBER(3,0)", NARROW),
        ("snowflake", "integer", "VARCHAR(16777216)", WRONG),
        ("snowflake", "number", "FLOAT", OK),
        ("snowflake", "timestamp", "TIMESTAMP_NTZ(9)", OK),
        ("snowflake", "timestamp", "TIMESTAMP_NTZ(3)", NARROW),
        ("snowflake", "timestamp", "TIMESTAMP_TZ(9)", WRONG),
        ("snowflake", "date", "TIMESTAMP_NTZ(9)", WRONG),
    ],
)
def test_a_columns_type(database: str, kind: str, present: str, state: CheckState) -> None:
    ((found, said, remedy),) = judged(database, kind, C=PresentColumn(present, is_needed=False))
    assert found is state
    if state is not OK:
        assert f"is {present}, {RULES[database].spelled[kind]} is meant" in said
        assert "target.columns.c" in remedy


@pytest.mark.parametrize("database", RULES)
def test_missing_columns_and_needed_ones_that_nobody_fills(database: str) -> None:
    (missing,) = judged(database, "date")
    said = "t has no column 'c': the next run adds it, if it may alter the table"
    assert missing == (NARROW, said, "ALTER TABLE t ADD COLUMN c DATE;")
    fills = {"c": PresentColumn({"postgres": "date", "snowflake": "DATE"}[database], is_needed=True)}
    assert [state for state, *_ in judged(database, "date", **fills)] == [OK]
    (needed,) = judged(database, "date", **fills, other=PresentColumn("date", is_needed=True))
    assert needed[0] is WRONG
    assert "DROP NOT NULL" in needed[2]


@pytest.mark.parametrize("rules", RULES.values(), ids=RULES)
def test_every_type_of_the_yaml_and_of_the_own_columns_has_its_rule(rules: TypeRules) -> None:
    assert set(rules.spelled) == set(rules.whole) == {*COLUMN_TYPES, *OWN_TYPES.values()}
    assert set(rules.narrow) <= set(rules.whole)

"""Which column of an older table becomes which of the ledger, and that no name gets into a statement unquoted."""

from __future__ import annotations

from typing import Any

import pytest

from include.implementation_modules.postgres_ledger.adoption_columns import choose, identifier
from include.implementation_modules.postgres_ledger.adoption_errors import table_name
from include.pipeline_framework.config.adoption_mapping import AdoptionMapping
from include.pipeline_framework.errors import InvalidInputError

INSTANT = "timestamp with time zone"
LEDGER = {
    "id": "bigint", "source_object": "text", "query_window_start_at": INSTANT, "query_window_end_at": INSTANT,
    "target_day": "date", "fence": "bigint", "source_count": "bigint", "record_last_updated_at": INSTANT,
    "is_invalidated_flag": "boolean", "target_name": "text",
}  # fmt: skip
THEIRS = {"source_object": "text", "query_window_start_at": "text", "query_window_end_at": "date"}


def mapping(**keys: Any) -> AdoptionMapping:
    return AdoptionMapping.model_validate(keys)


def test_names_of_the_ledger_need_no_mapping() -> None:
    found = choose(mapping(), {**THEIRS, "fence": "bigint", "target_day": "date"}, LEDGER, "t")
    assert found.by_column == {
        "source_object": """NULLIF(BTRIM(theirs."source_object"::text), '')""",
        "query_window_start_at": """(NULLIF(BTRIM(theirs."query_window_start_at"::text), ''))::timestamptz""",
        "query_window_end_at": """(theirs."query_window_end_at")::timestamptz""",
    }
    assert found.notes == ["not read, because the ledger computes or owns them: fence, target_day"]
    assert found.adopted == []


def test_values_are_bound_and_names_are_quoted() -> None:
    name = 'a"b; DROP TABLE x -- %s'
    keys = {"columns": {"source_count": name, "target_name": {"value": "'; DROP TABLE x"}}}
    found = choose(mapping(**keys), {**THEIRS, name: "integer"}, LEDGER, "t")
    assert found.by_column["source_count"] == 'theirs."a""b; DROP TABLE x -- %%s"::bigint'
    assert found.by_column["target_name"] == "%(value_target_name)s::text"
    assert found.parameters == {"value_target_name": "'; DROP TABLE x"}
    assert identifier("s", name) == '"s"."a""b; DROP TABLE x -- %%s"'


def test_a_column_of_another_case_is_found_when_it_is_the_only_one() -> None:
    found = choose(mapping(columns={"source_count": "TOTAL"}), {**THEIRS, "total": "text"}, LEDGER, "t")
    assert 'theirs."total"' in found.by_column["source_count"]
    assert set(found.texts) == {"source_object", "query_window_start_at", "source_count"}
    with pytest.raises(InvalidInputError, match="there is no column 'TOTAL'"):
        choose(mapping(columns={"source_count": "TOTAL"}), {**THEIRS, "total": "text", "Total": "text"}, LEDGER, "t")


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("legacy.batches", ("legacy", "batches")),
        ("batches", ("public", "batches")),
        ('"my.schema"."a ""b"""', ("my.schema", 'a "b"')),
        ("Legacy.x y", ("Legacy", "x y")),
    ],
)
def test_the_name_of_a_table(name: str, parsed: tuple[str, str]) -> None:
    assert tuple(table_name(name).values()) == parsed

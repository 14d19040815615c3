"""The typed row has exactly the table's columns: a migration that is forgotten in the one, or in the other, is seen."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from dataclasses import fields
from datetime import date, datetime
from decimal import Decimal
from types import UnionType
from typing import Any

import psycopg
import pytest

from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.records.ledger_row import COLUMNS, LedgerRow
from include.pipeline_framework.core.records.row import Actor, Phase, Status
from include.pipeline_framework.errors import ConfigurationError
from include.pipeline_framework.ports.ledger import LifecycleStore
from tests.contract.ledger_rows import planned
from tests.doubles.rows import ledger_row

PLANNER = Actor("daily_planner", "run-1", "plan")
TYPES = {
    "bigint": int,
    "integer": int,
    "numeric(38,0)": int,
    "numeric": Decimal,
    "text": str,
    "date": date,
    "timestamp with time zone": datetime,
    "boolean": bool,
    "jsonb": Mapping,
    "xid8": str,
}
FILLED_BY_THE_DATABASE = {"changed_in"}
"""Required in the table and unknown to a ledger in memory."""


def python_type(hint: Any) -> type:
    """The type of a value that is not None: a word is text, a mapping of whatever is a mapping."""
    is_optional = isinstance(hint, UnionType)
    (kind,) = [part for part in typing.get_args(hint) if part is not type(None)] if is_optional else [hint]
    return str if kind in (Status, Phase) else Mapping if typing.get_origin(kind) else kind


@pytest.mark.integration
def test_the_row_has_the_tables_columns(ledger_url: str) -> None:
    store = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))
    table = [row for row in store.describe() if row["table_name"] == "pipeline_lifecycle"]
    store.close()
    hints = typing.get_type_hints(LedgerRow)
    assert [column.name for column in fields(LedgerRow)] == [row["column_name"] for row in table]
    for column in table:
        name = column["column_name"]
        may_be_none = type(None) in typing.get_args(hints[name])
        assert may_be_none is (not column["is_required"] or name in FILLED_BY_THE_DATABASE), name
        assert python_type(hints[name]) is TYPES[column["column_type"]], name


def test_a_stored_row_comes_back_as_the_record_that_it_was(store: LifecycleStore) -> None:
    (row,) = store.insert_planned([planned(0, static_metadata={"team": "b"})], PLANNER).inserted
    record = row.as_record()
    assert tuple(record) == COLUMNS
    assert LedgerRow.of(record) == row == store.get(row.id)
    assert {name: record[name] for name in planned(0)} == planned(0)
    assert record["static_metadata"] == {"team": "b"}


def test_statuses_are_words_in_the_row_and_plain_text_in_a_record() -> None:
    row = ledger_row(pipeline_final_status="COMPLETED", phase_completed="AUDIT")
    assert (row.pipeline_final_status, row.phase_completed) == (Status.COMPLETED, Phase.AUDIT)
    record = row.as_record()
    assert {type(record[name]) for name in ("pipeline_final_status", "audit_process_status", "phase_completed")} == {
        str
    }
    assert f"{[row.pipeline_final_status]}" == "['COMPLETED']"


def test_a_ledger_without_a_column_is_refused_with_what_to_do() -> None:
    record = ledger_row().as_record()
    del record["zone_rules"]
    with pytest.raises(ConfigurationError, match="the ledger has no column zone_rules") as refused:
        LedgerRow.of(record)
    assert refused.value.remedy == "Run: python -m include.cli ledger migrate."


def test_a_column_of_a_newer_version_is_left_out() -> None:
    """The version before goes on while the tables are migrated."""
    row = ledger_row()
    assert LedgerRow.of({**row.as_record(), "of_tomorrow": 1}) == row

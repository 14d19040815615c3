"""A statement's text: a dialect's own file before the shared one, its words, and its spelling of parameters."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include.implementation_modules.sql_warehouse.dialect import Dialect
from include.sql.text import quoted

FRAGMENTS = {"receipts": quoted("r"), "target": quoted("t")}


def test_its_own_folder_goes_before_the_shared_one(tmp_path: Path) -> None:
    (tmp_path / "take_guard.sql").write_text("-- Promise.\nSELECT {clock} AS now_at FROM {receipts}")
    dialect = Dialect((str(tmp_path), "sql_target"), clock="NOW()")
    assert dialect.text("take_guard", FRAGMENTS) == 'SELECT NOW() AS now_at FROM "r"'
    assert dialect.text("read_guard", FRAGMENTS).startswith('SELECT fence_floor\nFROM "r"')
    with pytest.raises(FileNotFoundError):
        dialect.text("no_such_statement", FRAGMENTS)


def test_instants_lists_and_sums_are_spelled_as_the_database_wants_them() -> None:
    plain = Dialect(("sql_target",), clock="NOW()")
    own = Dialect(
        ("sql_target",), clock="NOW()", instant="AT({value})", among="= ANY({value})", hash_sum="TOTAL(_id_hash)"
    )
    assert "_event_at >= %(start)s" in plain.text("count_window", FRAGMENTS)
    assert "_event_at >= AT(%(start)s)" in own.text("count_window", FRAGMENTS)
    assert "COALESCE(TOTAL(_id_hash), 0)" in own.text("count_window", FRAGMENTS)
    assert "_lifecycle_id IN (%(replaced)s)" in plain.text("delete_rows", FRAGMENTS)
    assert "_lifecycle_id = ANY(%(replaced)s)" in own.text("delete_rows", FRAGMENTS)


def test_parameters_are_spelled_and_bound_as_the_driver_wants_them() -> None:
    def bound(value: Any) -> Any:
        return value.isoformat() if isinstance(value, datetime) else value

    plain, named = (
        Dialect(("sql_target",), "NOW()", bound=bound, parameter=spelling) for spelling in ("%({name})s", ":{name}")
    )
    sql = "SELECT '50 %' FROM t WHERE a = %(a)s AND b < %(some_b)s"
    assert plain.spelled(sql) == sql
    assert named.spelled(sql) == "SELECT '50 %' FROM t WHERE a = :a AND b < :some_b"
    assert named.parameters({"a": datetime(2013, 3, 9, tzinfo=UTC), "b": 7}) == {
        "a": "2013-03-09T00:00:00+00:00",
        "b": 7,
    }

"""The sample target keeps the contract of targets, on a real file."""

from __future__ import annotations

import sqlite3
from datetime import date, datetime
from pathlib import Path
from typing import ClassVar

import pytest

from tests.contract.target_contract import TargetContract
from tests.contract.target_harness import Row, SqlTargetHarness, TargetHarness
from tests.sample_adapter.sqlite_target.target import SqliteTarget

READ = {"TIMESTAMP": datetime.fromisoformat, "DATE": date.fromisoformat, "BOOLEAN": bool, "": int}
"""How the text and numbers of a column become Python's values, by the column's declared type."""


class SqliteHarness(SqlTargetHarness):
    """SQLite gives text and numbers only."""

    PLACEHOLDER: ClassVar[str] = "?"

    def rows(self) -> list[Row]:
        types = {column["name"].lower(): column["type"] for column in self.select(f"PRAGMA table_info({self.table})")}

        def read(name: str, value: object) -> object:
            return value if value is None else READ.get(types[name], lambda same: same)(value)

        return [{name: read(name, value) for name, value in row.items()} for row in super().rows()]


def lost_file() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR
    return error


class TestSqliteTarget(TargetContract):
    @pytest.fixture
    def unprepared(self, tmp_path: Path) -> TargetHarness:
        return SqliteHarness(SqliteTarget, lambda: sqlite3.connect(tmp_path / "flights.db"), lost_file)

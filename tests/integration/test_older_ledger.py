"""A ledger that the version before has written: its rows stay, work goes on, and a row that lies is named."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.errors import ConfigurationError
from include.sql.migrations import migrate
from tests.contract.ledger_rows import planned
from tests.integration.older_ledger import migrate_to

pytestmark = pytest.mark.integration

RUN = Actor("data_pipeline_main", "run-1", "claim", -1, 1)
COLUMNS = ", ".join(planned())
_RECORD = "JSONB_POPULATE_RECORD(NULL::pipeline_lifecycle, %s)"
PLAN = f"INSERT INTO pipeline_lifecycle ({COLUMNS}) SELECT {COLUMNS} FROM {_RECORD}"


@pytest.fixture
def connect(scratch_postgres_url: str) -> Callable[[], Any]:
    """To a ledger of version 0010 with three windows."""

    def open_it() -> Any:
        return psycopg.connect(scratch_postgres_url, autocommit=True)

    migrate_to(lambda: psycopg.connect(scratch_postgres_url), "0010")
    with open_it() as connection:
        for hour in range(3):
            row = {name: str(value) for name, value in planned(hour).items()}
            connection.execute(PLAN.encode(), [Jsonb(row)])
    return open_it


def rows(connect: Callable[[], Any]) -> list[Any]:
    with connect() as connection:
        return list(connection.execute("SELECT * FROM pipeline_lifecycle ORDER BY id").fetchall())


def test_rows_of_the_version_before_stay_and_are_claimed(connect: Callable[[], Any]) -> None:
    before = rows(connect)
    migrate(connect)
    assert [row[: len(before[0])] for row in rows(connect)] == before  # a later version adds columns at the end
    store = PostgresLifecycleStore(connect)
    claimed = store.claim("flights", RUN, limit=10, ended_before=datetime(2014, 1, 1, tzinfo=UTC))
    assert [row.id for row in claimed] == [row[0] for row in before]
    store.close()


def test_a_row_that_says_completed_without_an_audit_is_named_and_nothing_is_changed(connect: Callable[[], Any]) -> None:
    with connect() as connection:
        connection.execute("UPDATE pipeline_lifecycle SET pipeline_final_status = 'COMPLETED' WHERE id = 2")
    with pytest.raises(ConfigurationError, match=r"ledger row 2 says COMPLETED, .*set its .* to SKIPPED"):
        migrate(connect)
    with connect() as connection:
        assert connection.execute("SELECT version_num FROM pipeline_lifecycle_version").fetchall() == [("0010",)]
        connection.execute("UPDATE pipeline_lifecycle SET pipeline_final_status = 'SKIPPED' WHERE id = 2")
    migrate(connect)
    with connect() as connection, pytest.raises(psycopg.errors.CheckViolation, match="completed_is_audited"):
        connection.execute("UPDATE pipeline_lifecycle SET pipeline_final_status = 'COMPLETED' WHERE id = 2")

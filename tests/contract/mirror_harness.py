"""A real ledger and its mirror in a warehouse: how rows get in, how a cycle runs, and whether both hold the same."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg import sql
from psycopg.rows import dict_row

from include.implementation_modules.postgres.mirror import PostgresMirror
from include.implementation_modules.postgres_ledger.changed_rows import PostgresChanges
from include.implementation_modules.snowflake.mirror import SnowflakeMirror
from include.pipeline_framework.tasks.publish_lifecycle import MirrorReport, publish
from tests.contract.faulty_connections import Faults, FaultyConnection

PLAN = """
INSERT INTO pipeline_lifecycle (
    pipeline_id, source_name, source_object, target_name, timezone, granularity, target_day,
    query_window_start_at, query_window_end_at, time_interval, source_query_window_duration_minutes, static_metadata
)
SELECT
    %(pipeline)s, 'es', %(pipeline)s || '_' || gen_random_uuid(), 'snowflake', 'UTC', '1h', DATE '2013-03-09' + n / 24,
    TIMESTAMPTZ '2013-03-09Z' + n * INTERVAL '1 hour', TIMESTAMPTZ '2013-03-09Z' + (n + 1) * INTERVAL '1 hour', '1h',
    60, '{"owner": "quality"}'
FROM generate_series(0, %(count)s - 1) AS n
RETURNING id
"""


FOREIGN = """
SELECT COUNT(*)
FROM pg_snapshot_xip(pg_current_snapshot()) AS running
WHERE running::xid NOT IN (
    SELECT backend_xid FROM pg_stat_activity
    WHERE backend_xid IS NOT NULL AND datname = current_database() AND backend_type = 'client backend'
)
"""


@dataclass
class MirrorHarness:
    """One ledger, one warehouse, the mirror `test` of the pipeline `main`."""

    ledger_url: str
    system: str
    connect: Callable[[], Any]
    options: Any
    faults: Faults
    execute: Callable[[str], list[Any]]
    """Statement about `{table}` on the warehouse → rows."""
    table: str
    pipelines: list[str] = field(default_factory=lambda: ["main"])

    @property
    def mirror(self) -> Any:
        adapter = SnowflakeMirror if self.system == "snowflake" else PostgresMirror
        return adapter(lambda: FaultyConnection(self.connect(), self.faults), self.options)

    @property
    def feed(self) -> PostgresChanges:
        return PostgresChanges(lambda: psycopg.connect(self.ledger_url))

    def cycle(self, **arguments: Any) -> MirrorReport:
        given = {"feed": self.feed, "warehouse": self.mirror, **arguments}
        self.wait_until_others_are_quiet()
        return publish("test", self.pipelines, **given)

    def wait_until_others_are_quiet(self) -> None:
        """Autovacuum and other databases' transactions, while open, have the next cycle read more rows; not missed."""
        until = time.monotonic() + 300
        while self.sql(FOREIGN) != [(0,)] and time.monotonic() < until:
            time.sleep(0.02)

    def session(self) -> psycopg.Connection[Any]:
        return psycopg.connect(self.ledger_url)

    def sql(self, text: str, parameters: Any = None) -> list[Any]:
        """One committed statement on the ledger."""
        with psycopg.connect(self.ledger_url, autocommit=True) as connection:
            cursor = connection.execute(text.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def plan(self, count: int, pipeline: str = "main") -> list[int]:
        return [row[0] for row in self.sql(PLAN, {"pipeline": pipeline, "count": count})]

    def touch(self, *ids: int, priority: int = 1) -> None:
        self.sql("UPDATE pipeline_lifecycle SET priority = %s WHERE id = ANY(%s)", (priority, list(ids)))

    def in_ledger(self) -> dict[int, dict[str, Any]]:
        """Rows of the mirrored pipelines by id, as plain values."""
        with psycopg.connect(self.ledger_url, row_factory=dict_row) as connection:
            query = "SELECT * FROM pipeline_lifecycle WHERE pipeline_id = ANY(%s)"
            rows = connection.execute(query, (self.pipelines,)).fetchall()
        return {row["id"]: {name: plain(value, name) for name, value in row.items()} for row in rows}

    def in_mirror(self) -> dict[int, dict[str, Any]]:
        """The same of the mirror, which must hold no row twice."""
        rows = [{name.lower(): value for name, value in row.items()} for row in self._mirrored()]
        found = {int(row["id"]): {name: plain(value, name) for name, value in row.items()} for row in rows}
        assert len(found) == len(rows), "a row is there twice"
        return found

    def require_equal(self) -> None:
        """Every column of every row."""
        ledger = self.in_ledger()
        mirror = {key: {k: v for k, v in row.items() if k != "_mirrored_at"} for key, row in self.in_mirror().items()}
        assert mirror.keys() == ledger.keys()
        for key, row in ledger.items():
            assert mirror[key] == row

    def _mirrored(self) -> list[dict[str, Any]]:
        connection = self.connect()
        try:
            cursor = connection.cursor()
            cursor.execute(f"SELECT * FROM {self.table} WHERE 1 = 0")
            names = [column[0] for column in cursor.description]
            empty = ", ".join(f'"{name}" IS NULL' for name in names)  # fakesnow 0.12.1 sends instants' NULL as 1970
            cursor.execute(f"SELECT *, {empty} FROM {self.table}")
            rows = [(row[: len(names)], row[len(names) :]) for row in cursor.fetchall()]
        finally:
            connection.close()
        return [
            {name: None if is_null else value for name, value, is_null in zip(names, values, nulls, strict=True)}
            for values, nulls in rows
        ]


def plain(value: Any, name: str) -> Any:
    """One spelling of a value in all three databases."""
    if isinstance(value, datetime):
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
    if name == "static_metadata" and isinstance(value, str):
        return json.loads(value)
    if name == "changed_in" or (isinstance(value, int | Decimal) and not isinstance(value, bool)):
        return Decimal(value)
    return value


@pytest.fixture
def postgres_mirror(ledger_url: str, scratch_postgres_url: str) -> MirrorHarness:
    def execute(text: str) -> list[Any]:
        with psycopg.connect(scratch_postgres_url, autocommit=True) as connection:
            cursor = connection.execute(sql.SQL(text).format(table=sql.SQL("public.pipeline_lifecycle")))  # type: ignore[arg-type]
            return cursor.fetchall() if cursor.description else []

    return MirrorHarness(
        ledger_url,
        "postgres",
        lambda: psycopg.connect(scratch_postgres_url),
        PostgresMirror.Options(table="flights"),
        Faults(lambda: psycopg.OperationalError("server closed the connection unexpectedly")),
        execute,
        "public.pipeline_lifecycle",
    )


@pytest.fixture
def snowflake_mirror(ledger_url: str, snowflake_connect: Callable[[], Any]) -> Iterator[MirrorHarness]:
    from snowflake.connector.errors import OperationalError

    schema = f"M_{uuid.uuid4().hex[:8]}".upper()
    table = f"PIPELINES.{schema}.PIPELINE_LIFECYCLE"

    def execute(text: str) -> list[Any]:
        connection = snowflake_connect()
        try:
            return list(connection.cursor().execute(text.format(table=table)).fetchall())
        finally:
            connection.close()

    execute(f"CREATE SCHEMA PIPELINES.{schema}")
    options: dict[str, Any] = {"database": "PIPELINES", "schema": schema, "table": "FLIGHTS"}
    yield MirrorHarness(
        ledger_url,
        "snowflake",
        snowflake_connect,
        SnowflakeMirror.Options(**options),
        Faults(lambda: OperationalError("250003: no answer")),
        execute,
        table,
    )
    execute(f"DROP SCHEMA PIPELINES.{schema} CASCADE")


def ids(rows: Sequence[Any]) -> list[int]:
    return sorted(int(row[0]) for row in rows)

"""Targets under test: how each is built, looked into, and broken at COMMIT."""

from __future__ import annotations

import dataclasses
import json
import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.implementation_modules.postgres.target import PostgresTarget
from include.implementation_modules.snowflake.target import SnowflakeTarget
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    ServiceUnavailableError,
)
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.ports.stage import Manifest, Stage, StageRequest
from tests.doubles.memory_target import MemoryTarget
from tests.doubles.memory_transfer import MemoryExtract, MemoryStage

HOUR = timedelta(hours=1)
NOON = datetime(2013, 3, 9, 12, tzinfo=UTC)
FLIGHTS = "flights"
COLUMNS = {"origin": "text", "delay": {"type": "integer", "path": "flight.delay"}}


def window(first: float = 0, last: float = 1) -> TimeWindow:
    """Hours after noon."""
    return TimeWindow(NOON + first * HOUR, NOON + last * HOUR)


def document(name: str, at: datetime = NOON, **content: Any) -> Document:
    return Document(name, at, json.dumps({"origin": "JFK", "flight": {"delay": 5}} | content).encode())


def documents(count: int, within: TimeWindow | None = None, prefix: str = "d") -> list[Document]:
    within = within or window()
    step = within.duration / max(count, 1)
    return [document(f"{prefix}-{within.start:%H%M}-{n}", within.start + n * step) for n in range(count)]


class Break(Exception):
    """The process died here; no client library knows this error."""


class Unanswered(Exception):
    """Stands for the client's own error when the network goes away."""


@dataclass
class Harness:
    """One target table, ways to look into it, and ways to break its connections at COMMIT."""

    target: Any
    stage: Stage
    rows: Callable[[], list[dict[str, Any]]]
    remove_row: Callable[[str], None]
    connections: Faults
    another: Callable[..., Any]
    fences: Iterator[int] = field(default_factory=lambda: iter(range(10, 10_000)))

    def staged(
        self, content: Sequence[Document], within: TimeWindow | None = None, row: int = 1, source: str = FLIGHTS
    ) -> Manifest:
        within, fence = within or window(), next(self.fences)
        inside = [item for item in content if within.contains(item.event_at)]
        extract = MemoryExtract(len(inside), inside, page_size=1_000)
        return self.stage.write(StageRequest(row, source, "2013-03-09", within, fence), extract)

    def publish(self, manifest: Manifest, fence: int | None = None, **arguments: Any) -> Any:
        return self.target.publish(
            manifest, self.stage, fence=fence or manifest.fence, lifecycle_id=manifest.lifecycle_id, **arguments
        )

    def load(self, content: Sequence[Document], within: TimeWindow | None = None, **arguments: Any) -> Any:
        return self.publish(self.staged(content, within, **arguments))

    def ids(self) -> list[str]:
        return sorted(row["_id"] for row in self.rows())


class Faults:
    """What goes wrong at the next COMMIT: nothing, a death before it, or a lost answer after it."""

    def __init__(self, unanswered: Callable[[], Exception]) -> None:
        self.unanswered = unanswered
        self.before: Exception | None = None
        self.after: Exception | None = None

    def die_before_commit(self) -> None:
        self.before = Break()

    def lose_request(self) -> None:
        self.before = self.unanswered()

    def lose_answer(self) -> None:
        self.after = self.unanswered()

    def raise_before(self) -> None:
        error, self.before = self.before, None
        if error:
            raise error

    def raise_after(self) -> None:
        error, self.after = self.after, None
        if error:
            raise error


class FaultyConnection:
    """A connection whose COMMIT fails as told."""

    def __init__(self, connection: Any, faults: Faults) -> None:
        object.__setattr__(self, "_connection", connection)
        object.__setattr__(self, "_faults", faults)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._connection, name, value)

    def cursor(self) -> Any:
        return FaultyCursor(self._connection.cursor(), self._faults)


class FaultyCursor:
    def __init__(self, cursor: Any, faults: Faults) -> None:
        self._cursor, self._faults = cursor, faults

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cursor, name)

    def execute(self, sql: str, parameters: Any = None) -> Any:
        if sql != "COMMIT":
            return self._cursor.execute(sql, parameters)
        self._faults.raise_before()
        result = self._cursor.execute(sql, parameters)
        self._faults.raise_after()
        return result


@pytest.fixture
def memory_harness() -> Harness:
    def build(columns: Any = COLUMNS, **_: Any) -> MemoryTarget:
        return MemoryTarget(options=MemoryTarget.Options(columns=columns))

    target = build()
    faults = Faults(lambda: ServiceUnavailableError("no answer"))
    target.before_commit, target.after_commit = faults.raise_before, faults.raise_after

    def remove_row(row_id: str) -> None:
        kept = tuple(row for row in target._state.rows if row["_id"] != row_id)
        target._state = dataclasses.replace(target._state, rows=kept)

    return Harness(target, MemoryStage(), lambda: target.rows, remove_row, faults, build)


def sql_harness(
    adapter: Any,
    connect: Callable[[], Any],
    unanswered: Callable[[], Exception],
    stage: Stage,
    table: str,
    **options: Any,
) -> Harness:
    faults = Faults(unanswered)

    def build(columns: Any = COLUMNS, table: str = table, guard_wait_seconds: float = 20, wrap: Any = None) -> Any:
        checked = adapter.Options(table=table, columns=columns, guard_wait_seconds=guard_wait_seconds, **options)
        return adapter(wrap or (lambda: FaultyConnection(connect(), faults)), checked)

    def rows() -> list[dict[str, Any]]:
        connection = connect()
        try:
            cursor = connection.cursor()
            cursor.execute(f"SELECT * FROM {table}")
            names = [column[0].lower() for column in cursor.description]
            found = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
            if "v_timestamp" in names and adapter is SnowflakeTarget:  # fakesnow 0.12.1 sends NULL as 1970
                cursor.execute(f"SELECT _id FROM {table} WHERE v_timestamp IS NULL")
                empty = {name for (name,) in cursor.fetchall()}
                found = [row | ({"v_timestamp": None} if row["_id"] in empty else {}) for row in found]
            return found
        finally:
            connection.close()

    def remove_row(row_id: str) -> None:
        connection = connect()
        try:
            connection.cursor().execute(f"DELETE FROM {table} WHERE _id = %s", (row_id,))
            connection.commit()
        finally:
            connection.close()

    return Harness(build(), stage, rows, remove_row, faults, build)


@pytest.fixture
def postgres_harness(scratch_postgres_url: str) -> Harness:
    import psycopg

    return sql_harness(
        PostgresTarget,
        lambda: psycopg.connect(scratch_postgres_url),
        lambda: psycopg.OperationalError("server closed the connection unexpectedly"),
        MemoryStage(),
        "flights_" + uuid.uuid4().hex[:8],
    )


@pytest.fixture
def snowflake_harness(snowflake_connect: Callable[[], Any], s3_client: Any, s3_bucket: str) -> Harness:
    from snowflake.connector.errors import OperationalError

    from include.implementation_modules.object_storage.stage import ObjectStorageStage
    from include.implementation_modules.object_storage.storage import S3Storage

    name = uuid.uuid4().hex[:8]
    stage = ObjectStorageStage(
        S3Storage(s3_client, s3_bucket), ObjectStorageStage.Options(bucket=s3_bucket, prefix=f"target-contract/{name}")
    )
    return sql_harness(
        SnowflakeTarget,
        snowflake_connect,
        lambda: OperationalError("250003: no answer"),
        stage,
        "FLIGHTS_" + name,
        stage_name="STAGE_" + name,
    )


def in_threads(calls: Sequence[Callable[[], Any]]) -> list[Any]:
    """Results or errors in the calls' order; all start together."""
    outcomes: list[Any] = [None] * len(calls)
    start = threading.Barrier(len(calls))

    def run(index: int) -> None:
        start.wait()
        try:
            outcomes[index] = calls[index]()
        except Exception as error:  # noqa: BLE001 - a thread's error is its outcome
            outcomes[index] = error

    threads = [threading.Thread(target=run, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes

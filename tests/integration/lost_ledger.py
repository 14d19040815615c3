"""A pipeline on real servers with seven hours in every state that a lost ledger can leave, and a way to lose it."""

from __future__ import annotations

import re
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.pipeline_framework.core.records.ledger_row import COLUMNS, LedgerRow
from include.pipeline_framework.core.records.row import Phase
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import AuditFailedError
from include.pipeline_framework.tasks.move_window import move_until
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.planning import insert_windows
from include.pipeline_framework.tasks.pre_validation import pre_validate
from include.pipeline_framework.tasks.window_attempt import run_on_window
from include.sql import migrations
from include.sql.migrations import migrate
from include.wiring import connections
from tests.integration import moving
from tests.integration.moving import DAY, actor

_MIGRATIONS = Path(migrations.__file__).parent / "versions"

HOURS = [TimeWindow(DAY + timedelta(hours=n), DAY + timedelta(hours=n + 1)) for n in range(7)]
LOADED, LOADED_TOO, SKIPPED, STAGED, FAILED_AUDIT, REPLACED, PLANNED = HOURS
ROWS_PER_HOUR = 20


@dataclass
class Losable:
    """A wired pipeline whose ledger can be lost."""

    directory: Path
    pipeline: Pipeline
    ledger_url: str
    target_ids: Callable[[], Counter[str]]
    delete_at_target: Callable[[str], Any]
    runs: int = 0

    def plan(self, *windows: TimeWindow) -> list[int]:
        insert_windows(self.pipeline.config, windows, self.pipeline.store, actor(0))
        return [self.row(window).id for window in windows]

    def row(self, window: TimeWindow) -> LedgerRow:
        source_object = self.pipeline.config.source_object
        (row,) = self.pipeline.store.find(source_object=source_object, within=[window])
        return row

    def run(self) -> list[str]:
        """One DAG run: claim, pre-validate, move and audit; the decision for each window, an error's name instead."""
        self.runs += 1
        who, store = actor(self.runs), self.pipeline.store
        self.execute("UPDATE pipeline_lifecycle SET not_before_at = NULL")
        rows = store.claim(self.pipeline.config.source_object, who, limit=50, ended_before=store.now())
        return [self.move(row.id, who) for row in rows]

    def move(self, record_id: int, who: Any, until: Phase = Phase.AUDIT, before_audit: Any = None) -> str:
        def work(attempt: Any) -> str:
            decision = str(pre_validate(self.pipeline, attempt)["decision"])
            if decision in ("run", "resume"):
                if before_audit:
                    move_until(self.pipeline, attempt, Phase.STAGE_TO_TARGET)
                    before_audit()
                move_until(self.pipeline, attempt, until)
            return decision

        found: str = run_on_window(
            self.pipeline.store, record_id, who, work, expected=None, max_retry_task=3, is_last_try=True
        )
        return found

    def execute(self, statement: str) -> None:
        with psycopg.connect(self.ledger_url, autocommit=True) as connection:
            connection.execute(statement.encode())

    def fill(self) -> None:
        """Bring every hour into the state of its name."""
        store, who = self.pipeline.store, actor(100)
        self.plan(LOADED, LOADED_TOO, SKIPPED, REPLACED)
        assert self.run() == ["run"] * 4
        self.execute(f"DELETE FROM pipeline_lifecycle WHERE id = {self.row(SKIPPED).id}")
        self.plan(SKIPPED)
        assert self.run() == ["skip"]
        (staged, failed) = self.plan(STAGED, FAILED_AUDIT)
        store.claim(self.pipeline.config.source_object, who, limit=9, ended_before=store.now())
        self.move(staged, who, Phase.SOURCE_TO_STAGE)
        with pytest.raises(AuditFailedError):
            self.move(failed, who, before_audit=lambda: self.delete_at_target(f"d{60 * 20 * 4}"))
        old = self.row(REPLACED)
        record = {name: getattr(old, name) for name in _planned_columns()}
        store.replace([old.id], [record], actor(101), "the source was corrected")
        self.plan(PLANNED)

    def lose_ledger(self) -> None:
        """See `lose_ledger`."""
        lose_ledger(self.ledger_url)

    def receipts(self) -> dict[TimeWindow, Any]:
        found = self.pipeline.target.receipts(self.pipeline.config.source_object)
        return {receipt.window: receipt for receipt in found}

    def ids_at_source(self) -> Counter[str]:
        return moving.ids_at_source(self.pipeline, TimeWindow(HOURS[0].start, HOURS[-1].end))


def lose_ledger(url: str) -> None:
    """Nothing of it is left, whatever the migrations have made; then its tables are created again."""
    text = "\n".join(file.read_text(encoding="utf-8") for file in sorted(_MIGRATIONS.glob("*.sql")))
    made = re.findall(r"^CREATE (?:OR REPLACE )?(TABLE|SEQUENCE|FUNCTION) (\w+)", text, flags=re.MULTILINE)
    assert ("TABLE", "pipeline_lifecycle") in made
    with psycopg.connect(url, autocommit=True) as connection:
        for kind, name in [*made, ("TABLE", "pipeline_lifecycle_version")]:
            connection.execute(f"DROP {kind} IF EXISTS {name} CASCADE".encode())
    migrate(lambda: psycopg.connect(url))


def losable(kind: str, request: pytest.FixtureRequest, directory: Path) -> Losable:
    """One of the two pipelines below, with the rows of seven hours at its source and nothing in its ledger."""
    name = f"lost_{uuid.uuid4().hex[:8]}"
    values = {"source_object": name, "table": f"T_{name}".upper(), "directory": directory / "stage"}
    build = {"elasticsearch-snowflake": elasticsearch_snowflake, "postgres-postgres": postgres_postgres}[kind]
    text, target_ids, delete_at_target = build(request, values)
    (directory / "pipelines").mkdir()
    (directory / "pipelines" / "moved.yaml").write_text(text)
    pipeline = moving.wire(directory / "pipelines")
    pipeline.target.prepare(name)
    return Losable(
        directory / "pipelines", pipeline, request.getfixturevalue("ledger_url"), target_ids, delete_at_target
    )


def _planned_columns() -> list[str]:
    names = ("pipeline_id", "timezone", "granularity", "target_day", "time_interval")
    prefixes = ("source_name", "source_object", "target_name", "query_window", "source_query")
    return [name for name in COLUMNS if name in names or name.startswith(prefixes)]


def elasticsearch_snowflake(request: pytest.FixtureRequest, values: dict[str, Any]) -> Any:
    """YAML, a reader of the target's ids and a way to delete one there."""
    import elasticsearch

    name, table = values["source_object"], values["table"]
    client = elasticsearch.Elasticsearch(request.getfixturevalue("elasticsearch_url"), request_timeout=600)
    client.indices.create(
        index=name,
        settings={"number_of_shards": 2, "number_of_replicas": 0},
        mappings={"properties": {"@timestamp": {"type": "date"}}},
    )
    request.addfinalizer(lambda: client.indices.delete(index=name))
    operations: list[dict[str, Any]] = []
    for n, at in _documents():
        operations += [{"index": {"_id": f"d{n}"}}, {"@timestamp": at.isoformat(), "n": n, "name": f"Zoë {n}"}]
    assert not client.bulk(index=name, operations=operations, refresh=True)["errors"]

    def query(statement: str) -> list[Any]:
        with connections.client("target_snowflake")() as connection, connection.cursor() as cursor:
            return list(cursor.execute(statement).fetchall())

    text = moving.ELASTICSEARCH_TO_SNOWFLAKE.format(**values, bucket=request.getfixturevalue("s3_bucket"))
    return (
        text,
        lambda: Counter(row[0] for row in query(f'SELECT "_ID" FROM "{table}"')),
        lambda found: query(f'DELETE FROM "{table}" WHERE "_ID" = \'{found}\''),
    )


def postgres_postgres(request: pytest.FixtureRequest, values: dict[str, Any]) -> Any:
    """YAML, a reader of the target's ids and a way to delete one there."""
    name, table, url = values["source_object"], values["table"].lower(), request.getfixturevalue("ledger_url")

    def run(statement: str, parameters: Any = None) -> list[Any]:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    run(f'CREATE TABLE "{name}" (id text PRIMARY KEY, at timestamptz, n integer, name text)')
    for n, at in _documents():
        run(f'INSERT INTO "{name}" VALUES (%s, %s, %s, %s)', [f"d{n}", at, n, f"Zoë {n}"])
    return (
        moving.POSTGRES_TO_POSTGRES.format(**values),
        lambda: Counter(row[0] for row in run(f'SELECT _id FROM "{table}"')),
        lambda found: run(f'DELETE FROM "{table}" WHERE _id = %s', [found]),
    )


def _documents() -> list[tuple[int, Any]]:
    """One every three minutes, numbered by three-second steps; two just outside of all hours."""
    numbers = [-1, *range(0, 1_200 * len(HOURS), 1_200 // ROWS_PER_HOUR), 1_200 * len(HOURS)]
    return [(n, DAY + timedelta(seconds=3 * n)) for n in numbers]

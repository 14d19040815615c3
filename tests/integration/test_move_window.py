"""One window end to end without a scheduler: moved once, killed at every phase, moved again, same target."""

from __future__ import annotations

import json
import multiprocessing
import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import elasticsearch
import psycopg
import pytest

from include.pipeline_framework.core.records.row import Phase
from include.pipeline_framework.errors import AuditFailedError, FenceLostError
from include.pipeline_framework.tasks.cleanup_stale_locks import finish_run
from include.pipeline_framework.tasks.move_window import move_until
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.planning import insert_windows
from include.pipeline_framework.tasks.pre_validation import pre_validate
from include.pipeline_framework.tasks.window_attempt import run_on_window
from include.wiring import connections
from tests.integration import moving
from tests.integration.moving import POINTS, ROWS, WINDOW, actor, ids_at_source, move
from tests.publishing import publish_one

pytestmark = pytest.mark.integration


@dataclass
class Moved:
    """A wired pipeline with 1,200 documents in its window, two just outside, and a planned row."""

    directory: Path
    pipeline: Pipeline
    record_id: int
    target_rows: Callable[[], list[dict[str, Any]]]
    sabotage: Callable[[str], None]

    def claim(self, number: int) -> list[int]:
        """Claim for the run of that number, whatever delay the row has."""
        store = self.pipeline.store
        with psycopg.connect(os.environ["LEDGER_URL"], autocommit=True) as connection:
            connection.execute("UPDATE pipeline_lifecycle SET not_before_at = NULL")
        rows = store.claim(self.pipeline.config.source_object, actor(number), limit=5, ended_before=store.now())
        return [row.id for row in rows]

    def assert_exact(self) -> None:
        """The target holds the source's ids, each once, with the right values."""
        rows = self.target_rows()
        assert Counter(row["_id"] for row in rows) == ids_at_source(self.pipeline)
        for row in rows:
            assert row["doc"]["n"] == row["n"]
            assert row["doc"]["big"] == 2**60 + int(row["n"])
            assert row["name"] == row["doc"]["name"]
            assert row["_event_at"] == event_time(int(row["n"]))


def event_time(n: int) -> datetime:
    return WINDOW.start + timedelta(seconds=3 * n)


def documents(numbers: range) -> Iterator[tuple[str, datetime, dict[str, Any]]]:
    for n in numbers:
        yield f"d{n}", event_time(n), {"n": n, "name": f"Zoë {n}", "big": 2**60 + n}


@pytest.fixture(params=["elasticsearch-snowflake", "postgres-postgres"])
def moved(request: pytest.FixtureRequest, tmp_path: Path, ledger_url: str) -> Iterator[Moved]:
    name = f"moved_{uuid.uuid4().hex[:8]}"
    values = {"source_object": name, "table": f"T_{name}".upper(), "directory": tmp_path / "stage"}
    (tmp_path / "pipelines").mkdir()
    build = _elasticsearch_snowflake if request.param.startswith("elasticsearch") else _postgres_postgres
    text, add, target_rows, sabotage = build(request, values, ledger_url)
    (tmp_path / "pipelines" / "moved.yaml").write_text(text)
    # -1 and ROWS lie just outside the half-open window of 3,600 s (one document every three seconds)
    add(range(-1, ROWS + 1))
    pipeline = moving.wire(tmp_path / "pipelines")
    pipeline.target.prepare(name)
    insert_windows(pipeline.config, [WINDOW], pipeline.store, actor(0))
    (row,) = pipeline.store.find(source_object=name)
    yield Moved(tmp_path / "pipelines", pipeline, row.id, target_rows, sabotage)


def _elasticsearch_snowflake(request: pytest.FixtureRequest, values: dict[str, Any], _url: str) -> Any:
    name, table = values["source_object"], values["table"]
    client = elasticsearch.Elasticsearch(request.getfixturevalue("elasticsearch_url"), request_timeout=600)
    text = moving.ELASTICSEARCH_TO_SNOWFLAKE.format(**values, bucket=request.getfixturevalue("s3_bucket"))
    client.indices.create(
        index=name,
        settings={"number_of_shards": 2, "number_of_replicas": 0},
        mappings={"properties": {"@timestamp": {"type": "date"}, "big": {"type": "long"}}},
    )
    request.addfinalizer(lambda: client.indices.delete(index=name))

    def add(numbers: range) -> None:
        operations = [
            line
            for _id, at, document in documents(numbers)
            for line in ({"index": {"_id": _id}}, {"@timestamp": at.isoformat(), **document})
        ]
        assert not client.bulk(index=name, operations=operations, refresh=True)["errors"]

    def query(statement: str) -> list[Any]:
        with connections.client("target_snowflake")() as connection, connection.cursor() as cursor:
            return list(cursor.execute(statement).fetchall())

    def target_rows() -> list[dict[str, Any]]:
        rows = query(f'SELECT "_ID", "_EVENT_AT", "N", "NAME", "DOC" FROM "{table}"')
        return [
            {"_id": r[0], "_event_at": r[1].replace(tzinfo=UTC), "n": r[2], "name": r[3], "doc": json.loads(r[4])}
            for r in rows
        ]

    return text, add, target_rows, lambda _id: query(f'DELETE FROM "{table}" WHERE "_ID" = \'{_id}\'')


def _postgres_postgres(_request: pytest.FixtureRequest, values: dict[str, Any], url: str) -> Any:
    name, table = values["source_object"], values["table"].lower()  # an unquoted name, as Postgres folds it

    def run(statement: str, parameters: Any = None) -> list[Any]:
        with psycopg.connect(url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    run(f'CREATE TABLE "{name}" (id text PRIMARY KEY, at timestamptz, n integer, name text, big bigint)')

    def add(numbers: range) -> None:
        with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.executemany(
                f'INSERT INTO "{name}" VALUES (%s, %s, %s, %s, %s)',
                [(_id, at, d["n"], d["name"], d["big"]) for _id, at, d in documents(numbers)],
            )

    def target_rows() -> list[dict[str, Any]]:
        rows = run(f'SELECT _id, _event_at, n, name, doc FROM "{table}"')
        return [{"_id": r[0], "_event_at": r[1].astimezone(UTC), "n": r[2], "name": r[3], "doc": r[4]} for r in rows]

    text = moving.POSTGRES_TO_POSTGRES.format(**values)
    return text, add, target_rows, lambda _id: run(f'DELETE FROM "{table}" WHERE _id = %s', [_id])


def test_a_window_moves_exactly(moved: Moved) -> None:
    assert moved.claim(1) == [moved.record_id]
    result = move(moved.pipeline, moved.record_id, actor(1))
    assert (result["source_count"], result["staged_count"], result["target_count"]) == (ROWS, ROWS, ROWS)
    assert finish_run(moved.pipeline.store, moved.pipeline.config, actor(1)) == {"COMPLETED": 1}
    moved.assert_exact()


@pytest.mark.parametrize("point", POINTS)
def test_killed_at_any_point_and_run_again_the_target_is_the_same(moved: Moved, point: str) -> None:
    moved.claim(1)
    # forked, not started anew: importing Airflow and the clients takes longer than the window
    child = multiprocessing.get_context("fork").Process(
        target=moving.move_and_die, args=(moved.directory, moved.record_id, 1, point)
    )
    child.start()
    child.join(60)
    assert child.exitcode == -9
    row = moved.pipeline.store.get(moved.record_id)
    assert (row.pipeline_final_status, row.dag_run_id) == ("IN_PROGRESS", "run-1")
    published = point in ("after publish, before the ledger", "before audit is written")
    with pytest.raises(Exception, match="not finished"):
        finish_run(moved.pipeline.store, moved.pipeline.config, actor(1))
    assert moved.claim(2) == [moved.record_id]
    move(moved.pipeline, moved.record_id, actor(2))
    row = moved.pipeline.store.get(moved.record_id)
    assert (row.pipeline_final_status, row.retry_attempt) == ("COMPLETED", 1)
    moved.assert_exact()
    if point == "after publish, before the ledger":
        (loaded,) = [
            e for e in moved.pipeline.store.events(moved.record_id) if e["event"] == "stage_to_target_completed"
        ]
        assert loaded["numbers"]["already_received"] is published


def test_a_zombie_is_refused_inside_the_targets_transaction(moved: Moved) -> None:
    """Its stage is whole and its publish would change rows: a newer start of the task published in between."""
    moved.claim(1)
    pipeline = moved.pipeline

    def zombie(attempt: Any) -> None:
        move_until(pipeline, attempt, Phase.SOURCE_TO_STAGE)
        manifest = pipeline.stage.read_manifest(attempt.row.stage_location)
        move(pipeline, moved.record_id, actor(1))  # the newer start, same run
        publish_one(pipeline.target, manifest, pipeline.stage, fence=attempt.fence, lifecycle_id=moved.record_id)

    with pytest.raises(FenceLostError):
        run_on_window(
            pipeline.store, moved.record_id, actor(1), zombie, expected=None, max_retry_task=3, is_last_try=True
        )
    assert pipeline.store.get(moved.record_id).pipeline_final_status == "COMPLETED"
    refused = pipeline.store.events(moved.record_id)[-1]
    assert (refused["event"], refused["to_status"]) == ("refused", "COMPLETED")
    assert "is older than fence" in refused["reason"]
    moved.assert_exact()


def test_a_row_lost_at_the_target_fails_the_audit_and_a_later_run_repairs_it(moved: Moved) -> None:
    moved.claim(1)
    pipeline = moved.pipeline

    def work(attempt: Any) -> None:
        move_until(pipeline, attempt, Phase.STAGE_TO_TARGET)
        moved.sabotage("d7")
        move_until(pipeline, attempt, Phase.AUDIT)

    with pytest.raises(AuditFailedError, match="disagree"):
        run_on_window(
            pipeline.store, moved.record_id, actor(1), work, expected=None, max_retry_task=3, is_last_try=True
        )
    row = pipeline.store.get(moved.record_id)
    assert (row.pipeline_final_status, row.audit_result_status, row.phase_completed) == (
        "PENDING",
        "FAILED",
        None,
    )
    assert moved.target_rows() == []
    moved.claim(2)
    move(pipeline, moved.record_id, actor(2))
    moved.assert_exact()


def test_late_data_reopens_the_window_and_the_next_run_replaces_the_range(moved: Moved) -> None:
    moved.claim(1)
    pipeline = moved.pipeline

    def work(attempt: Any) -> None:
        move_until(pipeline, attempt, Phase.STAGE_TO_TARGET)
        _late(moved)
        move_until(pipeline, attempt, Phase.AUDIT)

    run_on_window(pipeline.store, moved.record_id, actor(1), work, expected=None, max_retry_task=3, is_last_try=True)
    row = pipeline.store.get(moved.record_id)
    assert (row.pipeline_final_status, row.retry_attempt, row.count_difference) == ("PENDING", 0, 1)
    assert len(moved.target_rows()) == ROWS
    assert moved.claim(2) == [moved.record_id]
    move(pipeline, moved.record_id, actor(2))
    assert len(moved.target_rows()) == ROWS + 1
    assert Counter(r["_id"] for r in moved.target_rows()) == ids_at_source(pipeline)


def _late(moved: Moved) -> None:
    """One more document in the window: number 0.5, so to say, under an id that nobody has."""
    name = moved.pipeline.config.source_object
    if moved.pipeline.config.source.type == "postgres":
        with psycopg.connect(os.environ["LEDGER_URL"], autocommit=True) as connection:
            connection.execute(f"INSERT INTO \"{name}\" VALUES ('late', %s, 5, 'late', 7)".encode(), [event_time(5)])
        return
    client = elasticsearch.Elasticsearch(os.environ["ELASTICSEARCH_URL"], request_timeout=600)
    document = {"@timestamp": event_time(5).isoformat(), "n": 5, "name": "late", "big": 7}
    client.index(index=name, id="late", document=document, refresh=True)


def test_a_window_that_the_target_can_prove_is_skipped(moved: Moved) -> None:
    """A new ledger row for a window that was loaded before, as after losing the ledger."""
    moved.claim(1)
    pipeline = moved.pipeline
    move(pipeline, moved.record_id, actor(1))
    with psycopg.connect(os.environ["LEDGER_URL"], autocommit=True) as connection:
        connection.execute("TRUNCATE pipeline_lifecycle")
    insert_windows(pipeline.config, [WINDOW], pipeline.store, actor(0))
    (record_id,) = moved.claim(2)
    decision = run_on_window(
        pipeline.store,
        record_id,
        actor(2),
        lambda attempt: pre_validate(pipeline, attempt),
        expected=None,
        max_retry_task=3,
        is_last_try=True,
    )
    assert decision["decision"] == "skip"
    assert pipeline.store.get(record_id).pipeline_final_status == "SKIPPED"
    moved.assert_exact()

"""One pipeline on real servers with a loaded window, ways to hand it bad input, and what that left behind."""

from __future__ import annotations

import contextlib
import dataclasses
import gzip
import hashlib
import io
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import psycopg

from include.cli.__main__ import main
from include.implementation_modules.elasticsearch.source import ElasticsearchSource
from include.implementation_modules.registry import options_model
from include.pipeline_framework.config.loader import load_pipeline, resolve_variables
from include.pipeline_framework.core.records.row import Actor, Phase
from include.pipeline_framework.core.records.run_requests import parse_request
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.ports.stage import Manifest
from include.pipeline_framework.tasks import planning
from include.pipeline_framework.tasks.move_window import move_until
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.store_and_validate import store_and_validate
from include.pipeline_framework.tasks.window_attempt import run_on_window
from include.wiring import assembly
from tests.fake_elasticsearch import FakeElasticsearch, Fault, serve
from tests.publishing import publish_one

FIRST = datetime(2024, 5, 1, 4, tzinfo=UTC)
"""Midnight in New York."""

LOADED = TimeWindow(FIRST, FIRST + timedelta(hours=1))

ORDERS = """
source_object: orders
timezone: America/New_York
granularity: 1h
x_time_back: 1h
start_date: 2024-05-01
end_date: 2025-01-01
source: {type: postgres, connection_id: lifecycle_postgres, table: orders_source, time_column: at, id_column: id}
stage: {type: object_storage, path: STAGE, max_document_bytes: 20000}
target:
  type: postgres
  connection_id: lifecycle_postgres
  table: orders
  columns: {n: {type: integer, path: doc.n}, price: {type: number, path: doc.price}, due: {type: date, path: doc.due}}
"""
OPEN = ORDERS.replace("orders", "tides").replace("America/New_York", "Pacific/Apia").replace("2024-05-01", "2010-01-01")


class Exit(Exception):
    """The command line ended with this status and this on standard error."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"exit {status}: {text.strip()}")
        self.status, self.text = status, text


@dataclass(frozen=True)
class Row:
    """A row of the source: `document` is JSON text, kept as it is."""

    id: str | None
    document: str
    minute: int = 1


class World:
    """Postgres → directory → Postgres, its ledger in the same database."""

    def __init__(self, url: str, directory: Path) -> None:
        self.url, self.directory, self.stage = url, directory, directory / "stage"
        self.connection = psycopg.connect(url, autocommit=True)
        self.pipelines = directory / "pipelines"
        self.pipelines.mkdir()
        for name, text in (("orders", ORDERS), ("tides", OPEN.replace("end_date: 2025-01-01\n", ""))):
            (self.pipelines / f"{name}.yaml").write_text(text.replace("STAGE", str(self.stage)))
        self.sql("CREATE TABLE orders_source (id text, at timestamptz, doc json)")
        self.sql("CREATE TABLE bystander AS SELECT 'untouched' AS it_is")
        self.pipeline = self.wired("orders")
        self.pipeline.target.prepare("orders")
        hours = [TimeWindow(FIRST + timedelta(hours=n), FIRST + timedelta(hours=n + 1)) for n in range(200)]
        planning.insert_windows(self.pipeline.config, hours, self.pipeline.store, self.actor(0))
        self.ids = [row.id for row in self.pipeline.store.find(source_object="orders")]
        self.used = 0
        self.put(LOADED, [Row(f"d{n}", json.dumps({"n": n})) for n in range(5)])
        self.move(self.next_id())

    @staticmethod
    def actor(number: int) -> Actor:
        """A DAG run of its own for each number."""
        return Actor("data_pipeline_orders", f"run-{number}", "source_to_stage", 0, 1)

    def sql(self, text: str, parameters: Any = None) -> list[tuple[Any, ...]]:
        """Run a statement outside the product."""
        cursor = self.connection.execute(text.encode(), parameters)
        return cursor.fetchall() if cursor.description else []

    def wired(self, name: str) -> Pipeline:
        """A pipeline of the directory."""
        return assembly.wire(load_pipeline(name, self.pipelines, options_model=options_model))

    # --- what is there ------------------------------------------------------------------------------------------------

    def snapshot(self, besides: int | None = None) -> dict[str, str]:
        """A digest of every table and every staged file; the ledger without the row `besides` and its events."""
        own = {"pipeline_lifecycle": "id", "pipeline_lifecycle_events": "lifecycle_id"}
        found: dict[str, str] = {}
        for (table,) in self.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'public'"):
            where = f"WHERE {own[table]} != {besides or 0}" if table in own else ""
            text = (
                f"SELECT count(*) || ' rows ' || md5(string_agg(t::text, '|' ORDER BY t::text)) FROM {table} t {where}"
            )
            found[table] = self.sql(text)[0][0]
        for path in self.stage.rglob("*"):
            if path.is_file():
                found[str(path.relative_to(self.stage))] = hashlib.sha256(path.read_bytes()).hexdigest()
        return found

    # --- ways in ------------------------------------------------------------------------------------------------------

    def put(self, window: TimeWindow, rows: Sequence[Row]) -> None:
        """Rows into the source, inside a window."""
        for row in rows:
            at = window.start + timedelta(minutes=row.minute)
            self.sql("INSERT INTO orders_source VALUES (%s, %s, %s)", (row.id, at, row.document))

    def next_id(self) -> int:
        """The next window that nothing has touched."""
        self.used += 1
        return self.ids[self.used - 1]

    def window(self, record_id: int) -> TimeWindow:
        """The window of a ledger row."""
        row = self.pipeline.store.get(record_id)
        return TimeWindow(row.query_window_start_at, row.query_window_end_at)

    def move(self, record_id: int, phase: Phase = Phase.AUDIT, pipeline: Pipeline | None = None) -> dict[str, Any]:
        """The window as a run of its own, this being the last try."""
        pipeline, who = pipeline or self.pipeline, self.actor(record_id)
        window = self.window(record_id)
        pipeline.store.claim(
            pipeline.config.source_object, who, limit=1, ended_before=pipeline.store.now(), within=[window]
        )
        return run_on_window(
            pipeline.store,
            record_id,
            who,
            lambda attempt: move_until(pipeline, attempt, phase),
            expected=None,
            max_retry_task=3,
            is_last_try=True,
        )

    def trigger(self, conf: Mapping[str, Any], pipeline: str = "orders") -> None:
        """What `populate_pipeline_batches` and `store_and_validate` do with a conf."""
        wired = self.wired(pipeline)
        request = parse_request(conf, wired.config.horizon, wired.config.source_object)
        planning.populate_pipeline_batches(wired.config, wired.store, self.actor(999), request)
        store_and_validate(wired.config, wired.store, self.actor(999), request)

    def load_yaml(self, content: str | bytes, variables: Mapping[str, str] | None = None) -> None:
        """A pipeline file as a DAG file loads it; its variables as a task resolves them; then a day is planned."""
        directory = self.directory / "broken"
        directory.mkdir(exist_ok=True)
        path = directory / "broken.yaml"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        config = load_pipeline("broken", directory, options_model=options_model)
        resolve_variables(config, (variables or {}).get, options_model=options_model)
        planning.insert_windows(config, [LOADED], self.pipeline.store, self.actor(998))

    def cli(self, *arguments: str, env: Mapping[str, str] | None = None) -> None:
        """The command line in this process.

        Raises:
            Exit: It did not end with 0.
        """
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.dict(os.environ, {"COLUMNS": "200", **(env or {})}),
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            try:
                status = main(arguments)
            except SystemExit as ended:
                status = int(ended.code or 0)
        if status:
            raise Exit(status, err.getvalue())

    @contextlib.contextmanager
    def staged(self, change: Callable[[World, Manifest], Manifest | None]) -> Iterator[Manifest]:
        """A staged window whose files were changed; puts them back."""
        record_id = self.next_id()
        self.put(self.window(record_id), [Row(f"s{record_id}-{n}", json.dumps({"n": n})) for n in range(3)])
        self.move(record_id, Phase.SOURCE_TO_STAGE)
        manifest = self.pipeline.stage.read_manifest(self.pipeline.store.get(record_id).stage_location)
        before = {path: path.read_bytes() for path in self.stage_path(manifest.location).iterdir()}
        try:
            yield change(self, manifest) or manifest
        finally:
            for path, content in before.items():
                if path.parent.exists():  # a later attempt has cleared it away
                    path.write_bytes(content)

    def stage_path(self, key: str) -> Path:
        """Where a key of the stage lies."""
        return self.stage / "pipelines" / key

    def rewrite(self, manifest: Manifest, change: Callable[[bytes], bytes]) -> Manifest:
        """Other lines in the only file, and a manifest object that knows their checksum."""
        (file,) = manifest.files
        path = self.stage_path(file.key)
        path.write_bytes(stored := gzip.compress(change(gzip.decompress(path.read_bytes()))))
        known = dataclasses.replace(file, bytes=len(stored), sha256=hashlib.sha256(stored).hexdigest())
        return dataclasses.replace(manifest, files=(known,))

    def publish(self, manifest: Manifest) -> None:
        """Load a manifest under its own fence."""
        publish_one(
            self.pipeline.target,
            manifest,
            self.pipeline.stage,
            fence=manifest.fence,
            lifecycle_id=manifest.lifecycle_id,
        )

    @contextlib.contextmanager
    def answering(self, record_id: int, faults: Mapping[str, Fault], documents: int = 3) -> Iterator[Pipeline]:
        """The pipeline with an Elasticsearch as its source that answers wrongly."""
        from elasticsearch import Elasticsearch

        start = int(self.window(record_id).start.timestamp() * 1000)
        known = [(f"e{record_id}-{n}", start + n, json.dumps({"doc": {"n": n}})) for n in range(documents)]
        with serve(FakeElasticsearch(known, dict(faults))) as fake:
            source = ElasticsearchSource(
                Elasticsearch(fake.url, max_retries=0, retry_on_timeout=False),
                ElasticsearchSource.Options(index="events", time_field="@timestamp"),
            )
            ours = self.pipeline
            yield Pipeline(ours.config, ours.store, source, ours.stage, ours.target)

"""Bad input that only Elasticsearch, S3 or Snowflake can get, on these three; cases as in `bad_input.py`."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import elasticsearch

from include.implementation_modules.elasticsearch.source import ElasticsearchSource
from include.implementation_modules.object_storage.stage import ObjectStorageStage
from include.implementation_modules.object_storage.storage import S3Storage
from include.implementation_modules.snowflake.target import SnowflakeTarget
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import BadDocumentError, ConfigurationError
from include.pipeline_framework.tasks import planning
from include.wiring import connections
from tests.faults.bad_input import Case
from tests.faults.bad_input_world import FIRST, World

EVENTS = """
source_object: NAME
granularity: 1h
x_time_back: 1h
start_date: 2024-05-01
source: {type: elasticsearch, connection_id: source_elasticsearch, index: NAME, time_field: "@timestamp"}
stage: {type: object_storage, connection_id: stage_s3, bucket: BUCKET, prefix: NAME, max_document_bytes: 20000}
target: {type: snowflake, connection_id: target_snowflake, table: NAME, columns: {n: integer}, stage_name: NAME}
"""


class Cloud(World):
    """Elasticsearch → S3 → Snowflake with another world's ledger; index, prefix and tables have a name of their own."""

    def __init__(self, world: World, bucket: str) -> None:
        self.connection, self.directory, self.pipelines = world.connection, world.directory, world.pipelines
        self.name, self.bucket = f"events_{uuid.uuid4().hex[:8]}", bucket
        self.text = EVENTS.replace("NAME", self.name).replace("BUCKET", bucket)
        (self.pipelines / "events.yaml").write_text(self.text)
        self.pipeline, self.used = self.wired("events"), 0
        self.session = connections.client("target_snowflake")()
        self.s3 = connections.client("stage_s3")
        self.elasticsearch: elasticsearch.Elasticsearch = connections.client("source_elasticsearch")
        properties = {"@timestamp": {"type": "date"}, "n": {"type": "object", "enabled": False}}
        self.elasticsearch.indices.create(index=self.name, mappings={"properties": properties})
        self.pipeline.target.prepare(self.name)
        hours = [TimeWindow(FIRST + timedelta(hours=n), FIRST + timedelta(hours=n + 1)) for n in range(20)]
        planning.insert_windows(self.pipeline.config, hours, self.pipeline.store, self.actor(0))
        self.ids = [row.id for row in self.pipeline.store.find(source_object=self.name)]
        with self.documents({"n": 1}) as record_id:
            self.move(record_id)

    def remove(self) -> None:
        """Index, tables and objects are gone afterwards; the stack may be kept."""
        self.elasticsearch.indices.delete(index=self.name)
        for table in (self.name, f"{self.name}_RECEIPTS"):
            self.snowflake(f'DROP TABLE IF EXISTS "{table.upper()}"')
        self.session.close()
        (self.pipelines / "events.yaml").unlink()

    def snowflake(self, text: str, parameters: Any = None) -> list[Any]:
        """Run a statement outside the product."""
        with self.session.cursor() as cursor:
            return list(cursor.execute(text, parameters).fetchall())

    def snapshot(self, besides: int | None = None) -> dict[str, str]:
        """The ledger, every object below the prefix, the target's rows and receipts, the source's documents."""
        own = {"pipeline_lifecycle": "id", "pipeline_lifecycle_events": "lifecycle_id"}
        found = {
            table: str(self.sql(f"SELECT t::text FROM {table} t WHERE {column} != {besides or 0} ORDER BY id"))
            for table, column in own.items()
        }
        for page in self.s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=self.name):
            found |= {entry["Key"]: entry["ETag"] for entry in page.get("Contents", ())}
        for table in (self.name.upper(), f"{self.name.upper()}_RECEIPTS"):
            found[table] = str(sorted(map(str, self.snowflake(f'SELECT * FROM "{table}"'))))
        found["documents"] = str(self.elasticsearch.count(index=self.name)["count"])
        return found

    @contextmanager
    def documents(self, *bodies: dict[str, Any] | str) -> Iterator[int]:
        """Documents in a window of their own, as JSON or as its text; taken away afterwards."""
        record_id = self.next_id()
        at = (self.window(record_id).start + timedelta(minutes=1)).isoformat()
        texts = [body if isinstance(body, str) else json.dumps({"@timestamp": at, **body}) for body in bodies]
        for number, text in enumerate(texts):
            self.elasticsearch.perform_request(
                "PUT",
                f"/{self.name}/_doc/e{record_id}-{number}?refresh=true",
                headers={"content-type": "application/json", "accept": "application/json"},
                body=text.replace("TIME", at).encode(),
            )
        try:
            yield record_id
        finally:
            for number in range(len(texts)):
                self.elasticsearch.delete(index=self.name, id=f"e{record_id}-{number}", refresh=True)

    def load(self, old: str, new: str) -> None:
        """The pipeline's file with one text replaced."""
        own = old.replace("events", self.name)
        assert own in self.text
        self.load_yaml(self.text.replace(own, new))


def document(shown: str, body: dict[str, Any] | str, *says: str, staged: bool = False) -> Case:
    return Case(
        "document",
        f"Elasticsearch: {shown}",
        lambda world, record_id: world.move(record_id),
        BadDocumentError,
        says,
        lambda cloud: cloud.documents({"n": 1}, body),  # type: ignore[attr-defined]
        is_attempt=True,
        is_staged=staged,
    )


def name(old: str, new: str, *says: str) -> Case:
    return Case(
        "identifier",
        f"`{new}`",
        lambda cloud, _: cloud.load(old, new),  # type: ignore[attr-defined]
        ConfigurationError,
        says,
    )


def past_the_file(shown: str, act: Any, *says: str, error: type[Exception] = ConfigurationError) -> Case:
    """An adapter's own options, past the pipeline's file: what a person's Python can do."""
    return Case("identifier", shown, act, error, says)


def count(index: str) -> Any:
    def act(cloud: Any, _: Any) -> None:
        options = ElasticsearchSource.Options(index=index, time_field="@timestamp")
        ElasticsearchSource(cloud.elasticsearch, options).count(cloud.window(cloud.ids[0]))

    return act


def read(bucket: str) -> Any:
    def act(cloud: Any, _: Any) -> None:
        options = ObjectStorageStage.Options(bucket="unused")
        stage = ObjectStorageStage(S3Storage(cloud.s3, bucket), options)
        stage.read_manifest("orders/2024-05-01/20240501T040000Z_20240501T050000Z/1")

    return act


def target(**options: Any) -> Any:
    def act(cloud: Any, _: Any) -> None:
        from include.implementation_modules.registry import create_adapter

        connect = connections.client("target_snowflake")
        made: SnowflakeTarget = create_adapter("target", "snowflake", connect, {"table": cloud.name, **options})
        made.prepare(cloud.name)

    return act


DROP = 'X"; DROP TABLE EVENTS; --'
CASES = [
    document("two timestamps", '{"@timestamp": ["TIME", "TIME"], "n": 1}', "-1' has several values in the time field"),
    document("half of a surrogate pair", '{"@timestamp": "TIME", "doc": {"a": "\\ud83d"}}', "half of a surrogate"),
    document("over the size limit", {"doc": {"a": "x" * 30_000}}, "a line at most 20,000", "quarantine"),
    document('`{"n": 1.5}` for an integer', {"n": 1.5}, "has no integer for column 'n'", staged=True),
    document("a number of 40 digits", '{"@timestamp": "TIME", "n": 1e40}', "has no integer", staged=True),
    name("index: events", "index: events/_delete_by_query?q=*&x", "source.index", "is not a name"),
    name("table: events", f"table: '{DROP}'", "target.table", "is not a name"),
    name("table: events", "schema: 'A.B', table: events", "target.schema", "no usable name"),
    name("stage_name: events", f"stage_name: '{DROP}'", "target.stage_name", "is not a name"),
    name("prefix: events", "prefix: a/../events", "stage.prefix", "match pattern"),
    name("prefix: events", "prefix: 'évents?x#'", "stage.prefix", "match pattern"),
    past_the_file("index `no_such_index`, asked", count("no_such_index"), "HTTP 404", "Check the pipeline's index"),
    past_the_file(
        "index `events/_delete_by_query`, asked", count("events/_delete_by_query"), "HTTP 4", "Elasticsearch"
    ),
    past_the_file("index `<events-{now/d}>`, asked", count("<events-{now/d}>"), "HTTP 4", "Elasticsearch"),
    past_the_file("bucket `no-such-bucket`, read", read("no-such-bucket"), "Create the bucket"),
    past_the_file("bucket `a/../b`, read", read("a/../b"), "refused the request (ParamValidationError)"),
    past_the_file("table with a quote, prepared", target(table=DROP), "target.table", "no usable name"),
    past_the_file("schema with a NUL, prepared", target(schema="a\0b"), "target.schema", "no usable name"),
    past_the_file("stage_name with `;`, prepared", target(stage_name="a;b"), "target.stage_name", "no usable name"),
    past_the_file("a column with a quote, prepared", target(columns={'a"b': "text"}), "no usable name"),
]

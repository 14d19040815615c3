"""What only the emulator shows: qualified names, guard rows under parallel preparation, its errors by name."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from include.implementation_modules.object_storage.stage import ObjectStorageStage
from include.implementation_modules.object_storage.storage import S3Storage
from include.implementation_modules.snowflake.target import SnowflakeTarget
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import BadDocumentError, ConfigurationError
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.ports.stage import Manifest, StageRequest
from tests.doubles.memory_transfer import MemorySource
from tests.publishing import publish_one

pytestmark = pytest.mark.integration

NOON = datetime(2013, 3, 9, 12, tzinfo=UTC)
WINDOW = TimeWindow(NOON, NOON + timedelta(hours=1))


@pytest.fixture
def table() -> str:
    return "FLIGHTS_" + uuid.uuid4().hex[:8].upper()


@pytest.fixture
def query(snowflake_connect: Callable[[], Any]) -> Callable[[str], list[Any]]:
    def run(sql: str) -> list[Any]:
        connection = snowflake_connect()
        try:
            return list(connection.cursor().execute(sql).fetchall())
        finally:
            connection.close()

    return run


@pytest.fixture
def stage(s3_client: Any, s3_bucket: str, table: str) -> ObjectStorageStage:
    options = ObjectStorageStage.Options(bucket=s3_bucket, prefix=f"snowflake-target/{table}", file_rows=2)
    return ObjectStorageStage(S3Storage(s3_client, s3_bucket), options)


def staged(stage: ObjectStorageStage, *documents: bytes, rows: int = 5, fence: int = 1) -> Manifest:
    bodies = documents or [b'{"n": %d}' % n for n in range(rows)]
    content = [Document(f"d{n}", NOON + timedelta(minutes=n), body) for n, body in enumerate(bodies)]
    with MemorySource(content).extract(WINDOW) as extract:
        return stage.write(StageRequest(7, "flights", "2013-03-09", WINDOW, fence), extract)


def target(connect: Callable[[], Any], table: str, **options: Any) -> SnowflakeTarget:
    return SnowflakeTarget(connect, SnowflakeTarget.Options(table=table, stage_name=f"STAGE_{table}", **options))


def test_several_files_are_loaded_and_their_rows_name_the_manifest(
    snowflake_connect: Callable[[], Any], table: str, stage: ObjectStorageStage, query: Callable[[str], list[Any]]
) -> None:
    snowflake = target(snowflake_connect, table, columns={"n": "integer"})
    snowflake.prepare("flights")
    manifest = staged(stage)
    assert len(manifest.files) == 3
    publish_one(snowflake, manifest, stage, fence=1, lifecycle_id=7)
    assert query(f"SELECT _id, n, _file FROM {table} ORDER BY _id") == [
        (f"d{n}", n, manifest.location) for n in range(5)
    ]


def test_preparing_from_many_sessions_leaves_one_guard_row_per_source_object(
    snowflake_connect: Callable[[], Any], table: str, query: Callable[[str], list[Any]]
) -> None:
    errors: list[Exception] = []

    def prepare(source_object: str) -> None:
        try:
            target(snowflake_connect, table).prepare(source_object)
        except Exception as error:  # noqa: BLE001 - shown by the assertion
            errors.append(error)

    threads = [threading.Thread(target=prepare, args=(name,)) for name in ("a", "b", "a", "b", "a")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    found = query(f"SELECT kind, source_object FROM {table}_RECEIPTS ORDER BY kind, source_object")
    assert found == [("anchor", ""), ("guard", "a"), ("guard", "b")]


def test_a_table_with_a_database_and_a_schema_is_qualified(
    snowflake_connect: Callable[[], Any], table: str, stage: ObjectStorageStage, query: Callable[[str], list[Any]]
) -> None:
    database, schema = query("SELECT CURRENT_DATABASE(), CURRENT_SCHEMA()")[0]
    snowflake = target(snowflake_connect, table, database=database, schema_name=schema)
    snowflake.prepare("flights")
    assert publish_one(snowflake, staged(stage), stage, fence=1, lifecycle_id=7).loaded.rows == 5


def test_pipelines_with_different_stage_roots_load_into_one_schema_and_share_no_external_stage(
    snowflake_connect: Callable[[], Any], s3_client: Any, s3_bucket: str, table: str, query: Callable[[str], list[Any]]
) -> None:
    """One external stage has one URL: under one name the second pipeline's files would be looked for in the first's."""
    for number in (1, 2, 1):
        options = ObjectStorageStage.Options(bucket=s3_bucket, prefix=f"snowflake-target/{table}/{number}")
        own = ObjectStorageStage(S3Storage(s3_client, s3_bucket), options)
        snowflake = SnowflakeTarget(snowflake_connect, SnowflakeTarget.Options(table=f"{table}_{number}"))
        snowflake.prepare("flights")
        assert publish_one(snowflake, staged(own, rows=number), own, fence=1, lifecycle_id=7).loaded.rows == number
    assert [query(f"SELECT COUNT(*) FROM {table}_{number}") for number in (1, 2)] == [[(1,)], [(2,)]]


def test_a_column_or_table_that_is_not_there_is_a_matter_of_configuration(
    snowflake_connect: Callable[[], Any], table: str, stage: ObjectStorageStage
) -> None:
    with pytest.raises(ConfigurationError, match="prepare"):
        target(snowflake_connect, table).fingerprint("flights", WINDOW)
    target(snowflake_connect, table).prepare("flights")
    with pytest.raises(ConfigurationError, match="add the column"):
        publish_one(
            target(snowflake_connect, table, columns={"n": "integer"}), staged(stage), stage, fence=1, lifecycle_id=7
        )


OWN_COLUMNS = """
    _source_object TEXT, _id TEXT, _id_hash NUMBER(19, 0), _event_at TIMESTAMP_NTZ(6), _lifecycle_id NUMBER(38, 0),
    _fence NUMBER(38, 0), _file TEXT, doc VARIANT
"""


@pytest.mark.parametrize(
    ("made_again", "bad", "says"),
    [
        ("name TEXT, n NUMBER(3, 0)", b'{"n": 70000}', r"'n': it is NUMBER\(3,0\) by now, NUMBER\(37, 0\) is meant"),
        (
            "name VARCHAR(10), n NUMBER(3, 0)",
            b'{"name": "much too long for it", "n": 70000}',
            r"'name': it is VARCHAR\(10\) by now, TEXT is meant",
        ),
        ("name TEXT NOT NULL, n NUMBER(3, 0)", b'{"n": 70000}', r"'name': it is VARCHAR\(16777216\) NOT NULL by now"),
    ],
)
def test_a_value_that_an_altered_column_does_not_take_is_named(
    snowflake_connect: Callable[[], Any],
    table: str,
    stage: ObjectStorageStage,
    query: Callable[[str], list[Any]],
    made_again: str,
    bad: bytes,
    says: str,
) -> None:
    """The emulator enforces the digits of a number only: each bad document breaks that rule as well."""
    snowflake = target(snowflake_connect, table, columns={"name": "text", "n": "integer"})
    snowflake.prepare("flights")
    query(f"DROP TABLE {table}")
    query(f"CREATE TABLE {table} ({OWN_COLUMNS}, {made_again})")
    good = b'{"name": "short", "n": 1}'
    with pytest.raises(BadDocumentError, match=f"document 'd1' has a value that does not fit into column {says}"):
        publish_one(snowflake, staged(stage, good, bad), stage, fence=1, lifecycle_id=7)
    assert snowflake.fingerprint("flights", WINDOW) == Fingerprint()
    publish_one(snowflake, staged(stage, good, fence=2), stage, fence=2, lifecycle_id=7)

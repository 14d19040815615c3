"""One way to read, stage or publish a window, in a process of its own, for the benchmarks; prints its figures as JSON.

It runs against the checkout that PYTHONPATH names, so it uses only what all builds have.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

URL, NAME = os.environ["BENCH_URL"], os.environ["BENCH_NAME"]
FIRST, LAST = (datetime.fromisoformat(os.environ[name]) for name in ("BENCH_FIRST", "BENCH_LAST"))
QUERY = {"range": {"@timestamp": {"gte": FIRST.isoformat(), "lt": LAST.isoformat()}}}
PAGE, SLICES = 5_000, 2


def drain() -> int:
    """Read every page's bytes and nothing more."""
    place = urlparse(URL)

    def ask(connection: http.client.HTTPConnection, method: str, path: str, body: Any) -> bytes:
        connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
        return connection.getresponse().read()

    def connect() -> http.client.HTTPConnection:
        return http.client.HTTPConnection(place.hostname or "", place.port)

    view = json.loads(ask(connect(), "POST", f"/{NAME}/_pit?keep_alive=1m", None))["id"]

    def one_slice(number: int) -> int:
        connection, rows = connect(), 0
        body: dict[str, Any] = {"pit": {"id": view}, "size": PAGE, "query": QUERY, "track_total_hits": False}
        body |= {"sort": [{"_shard_doc": "asc"}, {"@timestamp": "asc"}], "slice": {"id": number, "max": SLICES}}
        while True:
            page = ask(connection, "POST", "/_search", body)
            last = page.rfind(b'"sort":[', max(0, len(page) - 300))
            if last < 0:
                return rows
            body["search_after"] = json.loads(page[last + 7 : page.index(b"]", last) + 1])[:2]
            rows += PAGE

    with ThreadPoolExecutor(SLICES) as pool:
        list(pool.map(one_slice, range(SLICES)))
    counted = json.loads(ask(connect(), "POST", f"/{NAME}/_count", {"query": QUERY}))["count"]
    ask(connect(), "DELETE", "/_pit", {"id": view})
    return int(counted)


def product(place: str) -> int:
    """Read and stage a window of Elasticsearch as a task does."""
    from elasticsearch import Elasticsearch

    from include.implementation_modules.elasticsearch.source import ElasticsearchSource

    options = ElasticsearchSource.Options(index=NAME, slices=SLICES)
    return _staged(ElasticsearchSource(Elasticsearch(URL), options), place)


def product_postgres(place: str) -> int:
    """Read and stage a window of Postgres as a task does."""
    import psycopg

    from include.implementation_modules.postgres.source import PostgresSource

    options = PostgresSource.Options(table=NAME, time_column="at", id_column="event_id")
    return _staged(PostgresSource(lambda: psycopg.connect(URL), options), place)


def _staged(source: Any, place: str) -> int:
    from include.implementation_modules.object_storage.stage import ObjectStorageStage, ObjectStorageStageOptions
    from include.pipeline_framework.core.time.windows import TimeWindow
    from include.pipeline_framework.ports.stage import StageRequest

    window = TimeWindow(FIRST, LAST)
    with tempfile.TemporaryDirectory() as directory:
        where = {"bucket": os.environ["STAGE_S3_BUCKET"]} if place == "s3" else {"path": directory}
        stage = ObjectStorageStage.from_client(s3() if place == "s3" else None, ObjectStorageStageOptions(**where))
        source.count(window)
        began()
        with source.extract(window) as extract:
            request = StageRequest(1, "bench", FIRST.date().isoformat(), window, int(time.time()))
            manifest = stage.write(request, extract)
        ended()
        stage.delete(manifest.location)
    return manifest.fingerprint.rows


def s3() -> Any:
    """Return a client of the stack's S3."""
    import boto3
    from botocore.config import Config

    given = json.loads(os.environ["AIRFLOW_CONN_STAGE_S3"])
    keys = {"aws_access_key_id": given["login"], "aws_secret_access_key": given["password"]}
    place = {name: given["extra"][name] for name in ("endpoint_url", "region_name")}
    return boto3.client("s3", **place, **keys, config=Config(s3={"addressing_style": "path"}))


def pit() -> int:
    """What a careful script does: a point in time, orjson and a fast gzip."""
    import orjson
    from elasticsearch import Elasticsearch, OrjsonSerializer
    from isal import igzip

    client, rows, after = Elasticsearch(URL, serializer=OrjsonSerializer(), request_timeout=60), 0, None
    view = client.open_point_in_time(index=NAME, keep_alive="1m")["id"]
    sort = [{"@timestamp": "asc"}, {"_shard_doc": "asc"}]
    with tempfile.TemporaryDirectory() as directory, igzip.open(f"{directory}/out", "wb", compresslevel=1) as file:
        while True:
            asked = {"pit": {"id": view}, "size": PAGE, "query": QUERY, "sort": sort, "track_total_hits": False}
            hits = client.search(**asked, search_after=after)["hits"]["hits"]  # type: ignore[arg-type]
            if not hits:
                break
            file.write(b"\n".join(orjson.dumps(hit["_source"]) for hit in hits) + b"\n")
            rows, after = rows + len(hits), hits[-1]["sort"][:2]
    client.close_point_in_time(id=view)
    return rows


def scan() -> int:
    """What most scripts do: `helpers.scan`, json and gzip."""
    import gzip

    from elasticsearch import Elasticsearch
    from elasticsearch.helpers import scan as scan_all

    rows = 0
    with tempfile.TemporaryDirectory() as directory, gzip.open(f"{directory}/out", "wt", compresslevel=6) as file:
        for hit in scan_all(Elasticsearch(URL, request_timeout=60), index=NAME, query={"query": QUERY}, size=PAGE):
            file.write(json.dumps(hit["_source"]) + "\n")
            rows += 1
    return rows


def drain_postgres() -> int:
    """Copy the window's rows out and throw them away."""
    import psycopg

    rows = 0
    with psycopg.connect(URL) as connection, connection.cursor().copy(_COPY, (FIRST, LAST)) as out:
        for _row in out:
            rows += 1
    return rows


def script_postgres() -> int:
    """What a careful script does: a cursor at the server, orjson and a fast gzip."""
    import orjson
    import psycopg
    from isal import igzip
    from psycopg.rows import dict_row

    rows = 0
    with (
        tempfile.TemporaryDirectory() as directory,
        igzip.open(f"{directory}/out", "wb", compresslevel=1) as file,
        psycopg.connect(URL, row_factory=dict_row) as connection,  # type: ignore[arg-type]
        connection.cursor(name="all") as cursor,
    ):
        cursor.execute(_ROWS, (FIRST, LAST))
        while page := cursor.fetchmany(PAGE):
            file.write(b"\n".join([orjson.dumps(row) for row in page]) + b"\n")
            rows += len(page)
    return rows


def stage_events() -> int:
    """Stage the events of a file as this build does, for the publishes that come."""
    from include.pipeline_framework.core.time.windows import TimeWindow
    from include.pipeline_framework.ports.source import Document
    from include.pipeline_framework.ports.stage import StageRequest

    class Events:
        """An extract; newer builds ask for the time unit."""

        parts, time_unit = (), "ms"
        expected_rows = int(os.environ["BENCH_ROWS"])

        def pages(self) -> Iterator[list[Document]]:
            with Path(os.environ["BENCH_EVENTS"]).open("rb") as lines:
                while page := [Document(*id_and_time(line), line.rstrip()) for line in islice(lines, PAGE)]:
                    yield page

    def id_and_time(line: bytes) -> tuple[str, datetime]:
        found = json.loads(line)
        return found["event_id"], datetime.fromisoformat(found["@timestamp"])

    request = StageRequest(1, NAME, FIRST.date().isoformat(), TimeWindow(FIRST, LAST), int(time.time()))
    extract: Any = Events()
    stage, place = _stage_in_s3(), Path(os.environ["BENCH_MANIFEST"])
    manifest = stage.write(request, extract)
    place.write_text(manifest.location)
    for number, file in enumerate(manifest.files):
        with stage.open(file.key) as stored, place.with_name(f"{place.name}-{number}.gz").open("wb") as copy:
            shutil.copyfileobj(stored, copy)  # for the scripts, which know no stage
    return manifest.fingerprint.rows


def publish(kind: str, columns: str = "") -> int:
    """Publish the staged window as a task does, into a table that is empty."""
    from include.implementation_modules.sql_warehouse.session import Session

    connect, target_class = (_snowflake, _snowflake_target) if kind == "snowflake" else (_postgres, _postgres_target)
    typed = COLUMNS if columns else {}
    target = target_class()(connect, target_class().Options(table=NAME, columns=typed))
    with connect() as connection:
        for table in (NAME, f"{NAME}_receipts"):
            connection.cursor().execute(f'DROP TABLE IF EXISTS "{table.upper() if kind == "snowflake" else table}"')
    target.prepare(NAME)
    stage = _stage_in_s3()
    manifest = stage.read_manifest(Path(os.environ["BENCH_MANIFEST"]).read_text())
    execute = Session.execute

    def counted(session: Session, sql: str, parameters: Any, **options: Any) -> Any:
        statements.append(options["doing"])
        if not os.environ.get("BENCH_TRACE"):
            return execute(session, sql, parameters, **options)
        start = time.perf_counter()
        try:
            return execute(session, sql, parameters, **options)
        finally:
            print(f"{time.perf_counter() - start:8.3f} s {options['doing']}", file=sys.stderr)

    Session.execute = counted  # type: ignore[method-assign]
    statements: list[str] = []
    began()
    try:
        from include.pipeline_framework.ports.target import PublishRequest
    except ImportError:  # a build that publishes one window at a time
        result: Any = target.publish(manifest, stage, fence=manifest.fence, lifecycle_id=1)
    else:
        (result,) = target.publish([PublishRequest(manifest, manifest.fence, 1)], stage)
    ended()
    if isinstance(result, Exception):
        raise result
    more["statements"] = len(statements)
    return int(result.loaded.rows)


def bare_copy_postgres(columns: str = "") -> int:
    """Copy the rows that the product has published into another table of the same columns."""
    del columns
    with _postgres() as connection, tempfile.TemporaryFile() as file:
        cursor = connection.cursor()
        with cursor.copy(f'COPY "{NAME}" TO STDOUT') as out:
            for block in out:
                file.write(block)
        cursor.execute(f'DROP TABLE IF EXISTS bare_copy; CREATE TABLE bare_copy (LIKE "{NAME}" INCLUDING ALL)')
        connection.commit()
        file.seek(0)
        began()
        with cursor.copy("COPY bare_copy FROM STDIN") as copy:
            while block := file.read(_BLOCK):
                copy.write(block)
        rows = cursor.rowcount
        connection.commit()
        ended()
    more["statements"] = 3
    return int(rows)


def bare_copy_snowflake(columns: str = "") -> int:
    """Copy the staged files into a table with one VARIANT, which is what the emulator's COPY can fill."""
    del columns
    stage = _stage_in_s3()
    manifest = stage.read_manifest(Path(os.environ["BENCH_MANIFEST"]).read_text())
    names = ", ".join(f"'{file.key}'" for file in manifest.files)
    with _snowflake() as connection:
        cursor = connection.cursor()
        cursor.execute(f"CREATE STAGE IF NOT EXISTS bare_copy_stage URL = '{stage.uri('')}'")
        cursor.execute("CREATE OR REPLACE TABLE bare_copy (line VARIANT)")
        began()
        cursor.execute(f"COPY INTO bare_copy FROM @bare_copy_stage FILES = ({names}) FILE_FORMAT = (TYPE = JSON)")
        ended()
        cursor.execute("SELECT COUNT(*) FROM bare_copy")
        (rows,) = cursor.fetchone()
    more["statements"] = 1
    return int(rows)


def script_into_postgres(columns: str = "") -> int:
    """What a careful script does: read the staged files, orjson, and psycopg's COPY row by row; nothing is proved."""
    import orjson
    import psycopg
    from isal import igzip

    place = Path(os.environ["BENCH_MANIFEST"])
    names = list(COLUMNS) if columns else []
    definitions = "".join(f", {name} {SCRIPT_TYPES[COLUMNS[name]['type']]}" for name in names)
    with psycopg.connect(URL) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS script_copy")
        cursor.execute(f"CREATE TABLE script_copy (id text, at bigint, doc jsonb{definitions})")
        connection.commit()
        began()
        rows = 0
        with cursor.copy("COPY script_copy FROM STDIN") as copy:
            for file in place.parent.glob(f"{place.name}-*.gz"):
                with igzip.open(file, "rb") as lines:
                    for line in lines:
                        hit = orjson.loads(line)
                        doc = hit["_source"]
                        typed = [_found(doc, COLUMNS[name]["path"]) for name in names]
                        copy.write_row([hit["_id"], hit["sort"][1], orjson.dumps(doc).decode(), *typed])
                        rows += 1
        connection.commit()
        ended()
    return rows


def _found(doc: Any, path: list[str]) -> Any:
    for key in path:
        doc = doc.get(key) if isinstance(doc, dict) else None
    return doc


def _stage_in_s3() -> Any:
    from include.implementation_modules.object_storage.stage import ObjectStorageStage, ObjectStorageStageOptions

    return ObjectStorageStage.from_client(s3(), ObjectStorageStageOptions(bucket=os.environ["STAGE_S3_BUCKET"]))


def _postgres() -> Any:
    import psycopg

    return psycopg.connect(URL)


def _snowflake() -> Any:
    import snowflake.connector

    given = json.loads(os.environ["AIRFLOW_CONN_TARGET_SNOWFLAKE"])
    places = {name: given["extra"][name] for name in ("account", "host", "port", "database", "warehouse")}
    who = {"user": given["login"], "password": given["password"], "schema": given["schema"]}
    return snowflake.connector.connect(**who, **places, insecure_mode=True)


def _postgres_target() -> Any:
    from include.implementation_modules.postgres.target import PostgresTarget

    return PostgresTarget


def _snowflake_target() -> Any:
    from include.implementation_modules.snowflake.target import SnowflakeTarget

    return SnowflakeTarget


COLUMNS: dict[str, Any] = {
    name: {"type": kind, "path": path.split(".")}
    for name, kind, path in (
        ("event_id", "text", "event_id"),
        ("user_id", "text", "user_id"),
        ("event_type", "text", "event_type"),
        ("country", "text", "country"),
        ("amount", "number", "amount"),
        ("latency_ms", "number", "latency_ms"),
        ("quantity", "integer", "quantity"),
        ("is_test", "boolean", "is_test"),
        ("os", "text", "device.os"),
        ("ts", "timestamp", "@timestamp"),
    )
}
SCRIPT_TYPES = {
    "text": "text",
    "number": "double precision",
    "integer": "numeric",
    "boolean": "boolean",
    "timestamp": "timestamptz",
}
_BLOCK = 1024 * 1024
_ROWS: Any = f"SELECT * FROM {NAME} WHERE at >= %s AND at < %s"  # noqa: S608 - the benchmark's own name
_COPY: Any = f"COPY ({_ROWS}) TO STDOUT"
WAYS: dict[str, Any] = {
    "drain": drain,
    "product": product,
    "pit": pit,
    "scan": scan,
    "drain-postgres": drain_postgres,
    "product-postgres": product_postgres,
    "script-postgres": script_postgres,
    "stage": stage_events,
    "publish": publish,
    "bare-copy-postgres": bare_copy_postgres,
    "bare-copy-snowflake": bare_copy_snowflake,
    "script-into-postgres": script_into_postgres,
}
more: dict[str, float] = {}
"""Figures that a way adds to its own."""

_times: list[tuple[float, float]] = []


def began() -> None:
    """What ran until now was preparation."""
    _times[:] = [(time.perf_counter(), time.process_time())]


def ended() -> None:
    """What runs from now on is cleaning up."""
    _times.append((time.perf_counter(), time.process_time()))


def main() -> None:
    """Run the way that the arguments name."""
    began()
    rows = WAYS[sys.argv[1]](*sys.argv[2:])
    ended()
    (wall, cpu), (wall_end, cpu_end) = _times[0], _times[1]
    status = Path("/proc/self/status").read_text()  # unlike ru_maxrss without the memory of the process that forked
    memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    figures = {"client CPU-s": cpu_end - cpu, "wall s": wall_end - wall, "RSS MB": memory}
    print(json.dumps({"rows": rows, **figures, **more}))


if __name__ == "__main__":
    main()

"""One way to read a window, in a process of its own, for the benchmarks of extracts; prints its figures as JSON.

It runs against the checkout that PYTHONPATH names, so it uses only what all builds have.
"""

from __future__ import annotations

import http.client
import json
import os
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
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
        stage = ObjectStorageStage.from_client(_s3() if place == "s3" else None, ObjectStorageStageOptions(**where))
        source.count(window)
        began()
        with source.extract(window) as extract:
            request = StageRequest(1, "bench", FIRST.date().isoformat(), window, int(time.time()))
            manifest = stage.write(request, extract)
        ended()
        stage.delete(manifest.location)
    return manifest.fingerprint.rows


def _s3() -> Any:
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
}
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
    print(json.dumps({"rows": rows, **figures}))


if __name__ == "__main__":
    main()

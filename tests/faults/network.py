"""Two small pipelines whose servers stand behind proxies, for tests that break the answers in between."""

from __future__ import annotations

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import elasticsearch
import psycopg
import pytest

from include.implementation_modules.elasticsearch import extract
from include.pipeline_framework.core.records.row import Phase
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import PipelineError, TerminalError
from include.pipeline_framework.tasks.cleanup_stale_locks import finish_run
from include.pipeline_framework.tasks.move_window import move_until
from include.pipeline_framework.tasks.planning import insert_windows
from include.pipeline_framework.tasks.pre_validation import pre_validate
from include.pipeline_framework.tasks.window_attempt import run_on_window
from tests.faults.proxy import Proxy, proxies
from tests.integration import moving
from tests.integration.moving import actor

ROWS = 60
TIMEOUT_SECONDS = 2  # of every client

ELASTICSEARCH, POSTGRES = "Elasticsearch to Snowflake", "Postgres to Postgres"
ELASTICSEARCH_TO_SNOWFLAKE = (
    moving.COMMON
    + """
source:
  type: elasticsearch
  connection_id: source_elasticsearch
  index: {source_object}
  page_size: 12
  request_timeout_seconds: {seconds}
stage: {{type: object_storage, connection_id: stage_s3, bucket: {bucket}, file_rows: 40}}
target: {{type: snowflake, connection_id: target_snowflake, table: {table}, columns: {{n: integer}}}}
"""
)
POSTGRES_TO_POSTGRES = (
    moving.COMMON
    + """
source:
  type: postgres
  connection_id: source_postgres
  table: {source_object}
  time_column: at
  id_column: id
  page_size: 25
stage: {{type: object_storage, path: {directory}, file_rows: 40}}
target: {{type: postgres, connection_id: target_postgres, table: {table}, columns: {{n: integer}}}}
"""
)
# With the TCP settings of a connection, a vanished host is noticed after about two seconds.
POSTGRES_EXTRA = {
    "connect_timeout": 30,  # on a busy machine a healthy server takes a while
    "keepalives_idle": 1,
    "keepalives_interval": 1,
    "keepalives_count": 2,
    "tcp_user_timeout": TIMEOUT_SECONDS * 1000,
    "options": "-c idle_in_transaction_session_timeout=2s",
}


@dataclass
class World:
    """One pipeline with each of its servers behind a proxy; a window of its own for every try."""

    name: str
    directory: Path
    ledger_url: str
    servers: dict[str, Proxy]
    secrets: tuple[str, ...]
    add: Callable[[TimeWindow], None]
    target_ids: Callable[[], list[str]]
    numbers: Iterator[int]
    runs: int = 0
    answers: dict[str, int] = field(default_factory=dict)
    completed: list[TimeWindow] = field(default_factory=list)

    def plan(self) -> tuple[TimeWindow, int]:
        """A new window full of documents, and its row in the ledger."""
        number = next(self.numbers)
        window = TimeWindow(moving.DAY + timedelta(hours=number), moving.DAY + timedelta(hours=number + 1))
        self.add(window)
        with self.wired() as pipeline:
            insert_windows(pipeline.config, [window], pipeline.store, actor(0))
            (row,) = pipeline.store.find(source_object=self.name, within=[window])
        return window, row.id

    @contextmanager
    def wired(self) -> Iterator[Any]:
        """New clients, as every task has them."""
        pipeline = moving.wire(self.directory)
        with closing(pipeline.store):  # type: ignore[type-var]
            yield pipeline

    def run(self, window: TimeWindow) -> list[BaseException]:
        """A new DAG run: claim, the four tasks, the teardown; what its tasks raised."""
        self.runs += 1
        number, errors = self.runs, list[BaseException]()
        with self.wired() as pipeline:
            try:
                self._tasks(pipeline, window, number)
            except PipelineError as error:
                errors.append(error)
            try:
                finish_run(pipeline.store, pipeline.config, actor(number))
            except TerminalError:
                assert errors, "the teardown refuses a window that no task has failed on"
            except PipelineError as error:
                errors.append(error)
        return errors

    def _tasks(self, pipeline: Any, window: TimeWindow, number: int) -> None:
        store = pipeline.store
        claimed = store.claim(self.name, actor(number), limit=5, ended_before=store.now(), within=[window])
        works: list[Callable[[Any], Any]] = [lambda attempt: _pre_validation(pipeline, attempt)]
        works += [partial(move_until, pipeline, phase=phase) for phase in Phase]
        for row in claimed:
            for work in works:
                run_on_window(store, row.id, actor(number), work, expected=None, max_retry_task=3, is_last_try=True)

    def run_again(self, window: TimeWindow, record_id: int, *, releasing: bool = True) -> None:
        """Through healthy proxies: what cleanup does for the first run, then a later run."""
        for proxy in self.servers.values() if releasing else ():
            proxy.release()
        with self.wired() as pipeline:
            with suppress(TerminalError):
                finish_run(pipeline.store, pipeline.config, actor(self.runs))
            with psycopg.connect(self.ledger_url, autocommit=True) as connection:
                connection.execute("UPDATE pipeline_lifecycle SET not_before_at = NULL")
            is_done = pipeline.store.get(record_id).pipeline_final_status == "COMPLETED"
        errors = self.run(window)
        assert not errors, errors
        with self.wired() as pipeline:
            row = pipeline.store.get(record_id)
            assert row.pipeline_final_status == "COMPLETED"
            self.completed.append(window)
            assert row.retry_attempt <= 1
            assert (row.source_count, row.target_count) == (ROWS, ROWS)
            assert pipeline.store.find(statuses=["IN_PROGRESS"]) == []
            claims = [event for event in pipeline.store.events(record_id) if event["event"] == "claimed"]
            assert len(claims) <= (1 if is_done else 2)

    def count_answers(self) -> None:
        """Those of an undisturbed run; the first one of all creates tables, so the second one counts."""
        for _ in range(2):
            window, record_id = self.plan()
            for proxy in self.servers.values():
                proxy.release()
            assert self.run(window) == []
            self.answers = {name: proxy.answers for name, proxy in self.servers.items()}
            self.run_again(window, record_id)

    def status(self, record_id: int) -> str:
        """Asked past the proxy."""
        with psycopg.connect(self.ledger_url) as connection:
            query = "SELECT pipeline_final_status FROM pipeline_lifecycle WHERE id = %s"
            return str(connection.execute(query, [record_id]).fetchone())

    def lost_and_doubled(self) -> tuple[int, int]:
        """Over all windows that are COMPLETED, by the ids themselves."""
        expected = Counter(_id for window in self.completed for _id, _ in documents(window))
        found = Counter(self.target_ids())
        assert not found - Counter(dict.fromkeys(expected, len(self.completed))), "ids that the source never had"
        return (expected - found).total(), (found - expected).total()


def _pre_validation(pipeline: Any, attempt: Any) -> Any:
    pipeline.target.prepare(pipeline.config.source_object)
    return pre_validate(pipeline, attempt)


def documents(window: TimeWindow) -> list[tuple[str, str]]:
    """Id and event time."""
    times = [window.start + n * window.duration / ROWS for n in range(ROWS)]
    return [(f"{window.start:%m%dT%H}-{n}", at.isoformat()) for n, at in enumerate(times)]


# --- worlds -----------------------------------------------------------------------------------------------------------


def proxied(url: str, proxy: Proxy) -> str:
    """A Postgres URL that leads through the proxy, with short time-outs."""
    parts = urlsplit(url)
    options = "&".join(f"{name}={quote(str(value))}" for name, value in POSTGRES_EXTRA.items())
    return f"postgresql://{parts.username}:{parts.password}@localhost:{proxy.port}{parts.path}?{options}"


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    return parts.hostname, parts.port


def elasticsearch_snowflake(
    stack: ExitStack, patch: pytest.MonkeyPatch, env: dict[str, str], ledger_url: str, directory: Path
) -> World:
    from local_stack import stack as local_stack

    # An emulator of its own: the session of a client that was cut off ends after seconds, not after half a minute.
    patch.setenv("LOCAL_STACK_SNOWFLAKE_IDLE_TRANSACTION_SECONDS", "4")
    own = stack.enter_context(local_stack.temporary(servers=("s3", "snowflake")))
    s3, snowflake = (json.loads(own[f"AIRFLOW_CONN_{name}"]) for name in ("STAGE_S3", "TARGET_SNOWFLAKE"))
    servers = stack.enter_context(
        proxies(
            ledger=address(ledger_url),
            elasticsearch=address(env["ELASTICSEARCH_URL"]),
            s3=address(s3["extra"]["endpoint_url"]),
            snowflake=("127.0.0.1", snowflake["extra"]["port"]),
        )
    )
    direct = dict(snowflake["extra"], disable_ocsp_checks=True)
    direct.pop("insecure_mode")
    s3["extra"]["endpoint_url"] = f"http://127.0.0.1:{servers['s3'].port}"
    s3["extra"]["config_kwargs"] |= {
        "connect_timeout": TIMEOUT_SECONDS,
        "read_timeout": TIMEOUT_SECONDS,
        "retries": {"total_max_attempts": 2},
    }
    snowflake["extra"] |= {
        "port": servers["snowflake"].port,
        "socket_timeout": TIMEOUT_SECONDS,
        "network_timeout": TIMEOUT_SECONDS,
        "login_timeout": TIMEOUT_SECONDS,
    }
    source = json.loads(env["AIRFLOW_CONN_SOURCE_ELASTICSEARCH"]) | {"port": servers["elasticsearch"].port}
    patch.setenv("REQUESTS_CA_BUNDLE", own["REQUESTS_CA_BUNDLE"])
    patch.setenv("AIRFLOW_CONN_STAGE_S3", json.dumps(s3))
    patch.setenv("AIRFLOW_CONN_TARGET_SNOWFLAKE", json.dumps(snowflake))
    patch.setenv("AIRFLOW_CONN_SOURCE_ELASTICSEARCH", json.dumps(source))
    patch.setattr(extract, "_FIRST_PAGE", 12)

    name = f"network_{uuid.uuid4().hex[:8]}"
    table = f"T_{name}".upper()
    text = ELASTICSEARCH_TO_SNOWFLAKE.format(
        source_object=name, table=table, bucket=own["STAGE_S3_BUCKET"], seconds=TIMEOUT_SECONDS
    )
    (directory / "moved.yaml").write_text(text)
    client = stack.enter_context(elasticsearch.Elasticsearch(env["ELASTICSEARCH_URL"], request_timeout=600))
    client.indices.create(
        index=name,
        settings={"number_of_shards": 2, "number_of_replicas": 0},
        mappings={"properties": {"@timestamp": {"type": "date"}}},
    )
    stack.callback(lambda: client.indices.delete(index=name))

    def add(window: TimeWindow) -> None:
        lines: list[dict[str, Any]] = []
        for n, (_id, at) in enumerate(documents(window)):
            lines += [{"index": {"_id": _id}}, {"@timestamp": at, "n": n}]
        assert not client.bulk(index=name, operations=lines, refresh=True)["errors"]

    def target_ids() -> list[str]:
        import snowflake.connector

        with (
            snowflake.connector.connect(user=login, password=secrets[0], schema=schema, **direct) as connection,
            connection.cursor() as cursor,
        ):
            return [row[0] for row in cursor.execute(f'SELECT "_ID" FROM "{table}"').fetchall()]

    login, schema = snowflake["login"], snowflake["schema"]
    secrets = (snowflake["password"], s3["password"], str(urlsplit(ledger_url).password))
    return World(name, directory, ledger_url, servers, secrets, add, target_ids, iter(range(100_000)))


def postgres_postgres(
    stack: ExitStack, patch: pytest.MonkeyPatch, _env: dict[str, str], ledger_url: str, directory: Path
) -> World:
    where = address(ledger_url)
    servers = stack.enter_context(proxies(ledger=where, source=where, target=where))
    parts = urlsplit(ledger_url)
    for role in ("source", "target"):
        connection = {
            "conn_type": "postgres",
            "host": "127.0.0.1",
            "port": servers[role].port,
            "login": parts.username,
            "password": parts.password,
            "schema": parts.path[1:],
            "extra": POSTGRES_EXTRA,
        }
        patch.setenv(f"AIRFLOW_CONN_{role.upper()}_POSTGRES", json.dumps(connection))
    name = f"network_{uuid.uuid4().hex[:8]}"
    table = f"t_{name}"
    text = POSTGRES_TO_POSTGRES.format(source_object=name, table=table, directory=directory / "stage")
    (directory / "moved.yaml").write_text(text)
    direct = stack.enter_context(psycopg.connect(ledger_url, autocommit=True))
    direct.execute(f'CREATE TABLE "{name}" (id text PRIMARY KEY, at timestamptz, n integer)'.encode())

    def add(window: TimeWindow) -> None:
        rows = [(_id, at, n) for n, (_id, at) in enumerate(documents(window))]
        with direct.cursor() as cursor:
            cursor.executemany(f'INSERT INTO "{name}" VALUES (%s, %s, %s)'.encode(), rows)

    def target_ids() -> list[str]:
        return [row[0] for row in direct.execute(f'SELECT _id FROM "{table}"'.encode()).fetchall()]

    return World(name, directory, ledger_url, servers, (str(parts.password),), add, target_ids, iter(range(100_000)))

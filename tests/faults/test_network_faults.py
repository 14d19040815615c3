"""A network fault at any answer of any server: the window moves in the end, exactly once, and no error is a riddle.

Each server stands behind a proxy of its own. A window's life is run once through healthy proxies, which counts the
answers of each server; then one of them is hit, the run may fail, and a later run has to mend it. In an ordinary run
each fault hits each server at one answer, chosen by `FAULTS_SEED`; with `FAULTS_FULL=1` at every answer.
"""

from __future__ import annotations

import json
import os
import random
import traceback
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

from include.implementation_modules import elasticsearch_source, postgres_lifecycle_store
from include.implementation_modules.postgres_target import PostgresTarget
from include.implementation_modules.sql_session import Session
from include.pipeline_framework.core.lifecycle import Phase
from include.pipeline_framework.core.windows import TimeWindow
from include.pipeline_framework.errors import PipelineError, ServiceUnavailableError, TerminalError, TransientError
from include.pipeline_framework.orchestration import connections
from include.pipeline_framework.tasks.cleanup_stale_locks import finish_run
from include.pipeline_framework.tasks.move_window import move_until
from include.pipeline_framework.tasks.planning import insert_windows
from include.pipeline_framework.tasks.pre_validation import pre_validate
from include.pipeline_framework.tasks.window_attempt import run_on_window
from tests.faults.proxy import Fault, Proxy, proxies
from tests.faults.results import record
from tests.integration import moving
from tests.integration.moving import actor

pytestmark = [
    pytest.mark.integration,
    # the connector's own timer, which cancels a statement that took too long, does not survive an outage
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

IS_FULL = os.environ.get("FAULTS_FULL") == "1"
SEED = int(os.environ.get("FAULTS_SEED", "7"))
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
    "connect_timeout": TIMEOUT_SECONDS,
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
        return window, row["id"]

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
                run_on_window(store, row["id"], actor(number), work, max_retry_task=3, is_last_try=True)

    def run_again(self, window: TimeWindow, record_id: int, *, releasing: bool = True) -> None:
        """Through healthy proxies: what cleanup does for the first run, then a later run."""
        for proxy in self.servers.values() if releasing else ():
            proxy.release()
        with self.wired() as pipeline:
            with suppress(TerminalError):
                finish_run(pipeline.store, pipeline.config, actor(self.runs))
            with psycopg.connect(self.ledger_url, autocommit=True) as connection:
                connection.execute("UPDATE pipeline_lifecycle SET not_before_at = NULL")
            is_done = pipeline.store.get(record_id)["pipeline_final_status"] == "COMPLETED"
        errors = self.run(window)
        assert not errors, errors
        with self.wired() as pipeline:
            row = pipeline.store.get(record_id)
            assert row["pipeline_final_status"] == "COMPLETED"
            self.completed.append(window)
            assert row["retry_attempt"] <= 1
            assert (row["source_count"], row["target_count"]) == (ROWS, ROWS)
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


@pytest.fixture(scope="module")
def patch() -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        yield patch


@pytest.fixture(scope="module")
def databases(stack_env: dict[str, str], _migrated_template: str) -> Iterator[Callable[[str], str]]:
    """Creates databases: from the migrated template for ledgers."""
    admin, created = stack_env["LEDGER_URL"], list[str]()

    def create(template: str = "template1") -> str:
        created.append(f"faults_{uuid.uuid4().hex[:12]}")
        with psycopg.connect(admin, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {created[-1]} TEMPLATE {template}".encode())
        return admin.rpartition("/")[0] + "/" + created[-1]

    yield create
    with psycopg.connect(admin, autocommit=True) as connection:
        for name in created:
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="module")
def worlds(
    patch: pytest.MonkeyPatch,
    stack_env: dict[str, str],
    databases: Callable[[str], str],
    _migrated_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Callable[[str], World]]:
    """Gives the world of a pipeline, built when it is first asked for."""
    built: dict[str, World] = {}
    with ExitStack() as stack:

        def world_of(pipeline: str) -> World:
            if pipeline not in built:
                directory = tmp_path_factory.mktemp("network")
                ledger_url = databases(_migrated_template)
                build = {ELASTICSEARCH: _elasticsearch_snowflake, POSTGRES: _postgres_postgres}[pipeline]
                built[pipeline] = build(stack, patch, stack_env, ledger_url, directory)
            world = built[pipeline]
            patch.setenv("LEDGER_URL", proxied(world.ledger_url, world.servers["ledger"]))
            if not world.answers:
                world.count_answers()
            return world

        yield world_of


def proxied(url: str, proxy: Proxy) -> str:
    """A Postgres URL that leads through the proxy, with short time-outs."""
    parts = urlsplit(url)
    options = "&".join(f"{name}={quote(str(value))}" for name, value in POSTGRES_EXTRA.items())
    return f"postgresql://{parts.username}:{parts.password}@localhost:{proxy.port}{parts.path}?{options}"


def address(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname and parts.port
    return parts.hostname, parts.port


def _elasticsearch_snowflake(
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
    patch.setattr(elasticsearch_source, "_FIRST_PAGE", 12)

    name = f"network_{uuid.uuid4().hex[:8]}"
    table = f"T_{name}".upper()
    text = ELASTICSEARCH_TO_SNOWFLAKE.format(
        source_object=name, table=table, bucket=own["STAGE_S3_BUCKET"], seconds=TIMEOUT_SECONDS
    )
    (directory / "moved.yaml").write_text(text)
    client = stack.enter_context(elasticsearch.Elasticsearch(env["ELASTICSEARCH_URL"]))
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


def _postgres_postgres(
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


# --- every fault on every server --------------------------------------------------------------------------------------

HTTP_SERVERS = ("elasticsearch", "s3", "snowflake")
# A Postgres that is alive and silent is a statement that takes long: no client can tell, and none gives up.
CASES = [
    (pipeline, server, fault)
    for pipeline, servers in {
        ELASTICSEARCH: ("ledger", *HTTP_SERVERS),
        POSTGRES: ("ledger", "source", "target"),
    }.items()
    for server in servers
    for fault in Fault
    if (fault is not Fault.SILENT or server in HTTP_SERVERS)
    # between Elasticsearch, S3 and their clients these differ from others in nothing but the time they take
    and (IS_FULL or fault not in (Fault.SILENT, Fault.OUTAGE) or server not in ("elasticsearch", "s3"))
]


def answers_to_hit(count: int, seed: str) -> list[int]:
    return list(range(1, count + 1)) if IS_FULL else [random.Random(seed).randint(1, count)]  # noqa: S311


@pytest.mark.timeout(0 if IS_FULL else 300)
@pytest.mark.parametrize(("pipeline", "server", "fault"), CASES, ids=[f"{p}, {s}: {f}" for p, s, f in CASES])
def test_a_window_moves_exactly_once_whatever_answer_is_lost(
    worlds: Callable[[str], World], pipeline: str, server: str, fault: Fault
) -> None:
    world = worlds(pipeline)
    proxy = world.servers[server]
    tried = failed = 0
    for k in answers_to_hit(world.answers[server], f"{SEED} {pipeline} {server} {fault}"):
        window, record_id = world.plan()
        proxy.arm(fault, k)
        errors = world.run(window)
        tried += proxy.has_fired.is_set()
        failed += bool(errors)
        for error in errors:
            require_honest(error, world.secrets)
        assert not (errors and fault is Fault.DELAY), errors
        world.run_again(window, record_id)
    lost, doubled = world.lost_and_doubled()
    record(
        "network",
        f"{pipeline}: {fault} at an answer of the {server} server",
        tried=tried,
        survived=tried,
        rows_lost=lost,
        rows_doubled=doubled,
        guard=f"{failed} runs failed, a later one mended it" if failed else "the client's own retry, or patience",
    )
    assert tried, f"{world.answers[server]} answers were counted, now there are fewer"
    assert (lost, doubled) == (0, 0)


def require_honest(error: BaseException, secrets: tuple[str, ...]) -> None:
    """A transient error that says what, what it means and what to do, and no password anywhere in its chain."""
    assert isinstance(error, TransientError), repr(error)
    assert error.what and error.where and error.meaning and error.remedy
    told = "".join(traceback.format_exception(error)) + repr(error)  # with causes, contexts and notes
    assert not any(secret in told for secret in secrets)


# --- the answers that matter most -------------------------------------------------------------------------------------


@pytest.mark.parametrize("comes_back", [True, False], ids=["asked at once", "asked by a later run"])
@pytest.mark.parametrize(("pipeline", "server"), [(ELASTICSEARCH, "snowflake"), (POSTGRES, "target")])
def test_a_commit_whose_answer_is_lost_is_recognised_from_the_receipt(
    worlds: Callable[[str], World], pipeline: str, server: str, comes_back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = worlds(pipeline)
    proxy = world.servers[server]
    window, record_id = world.plan()
    execute, commits = Session.execute, list[str]()

    def execute_cut_off(session: Session, sql: str, parameters: Any, *, doing: str, fetch: bool = True) -> Any:
        if doing != "commit" or commits:
            return execute(session, sql, parameters, doing=doing, fetch=fetch)
        commits.append(session.where)
        proxy.arm(Fault.OUTAGE)
        try:
            return execute(session, sql, parameters, doing=doing, fetch=fetch)
        finally:
            if comes_back:
                proxy.release()

    monkeypatch.setattr(Session, "execute", execute_cut_off)
    errors = world.run(window)
    assert proxy.has_fired.is_set() and len(commits) == 1
    if comes_back:
        assert errors == []
    else:
        (error, *_) = errors
        require_honest(error, world.secrets)
        assert isinstance(error, ServiceUnavailableError) and "receipt decides" in error.meaning
    world.run_again(window, record_id)
    lost, doubled = world.lost_and_doubled()
    record(
        "network",
        f"{pipeline}: the answer of COMMIT is lost, {'the server is back' if comes_back else 'and the server with it'}",
        tried=1,
        survived=1,
        rows_lost=lost,
        rows_doubled=doubled,
        guard="the target's receipt",
    )
    assert (lost, doubled) == (0, 0)
    with world.wired() as wired:
        published = [e for e in wired.store.events(record_id) if e["event"] == "stage_to_target_completed"]
    assert [event["numbers"]["already_received"] for event in published] == [not comes_back]


@pytest.mark.parametrize("statement", ["begin", "copy_files", "take_guard", "insert_rows", "insert_receipt"])
def test_a_statement_whose_answer_is_lost_and_that_the_connector_sends_again(
    worlds: Callable[[str], World], statement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = worlds(ELASTICSEARCH)
    window, record_id = world.plan()
    execute, proxy = Session.execute, world.servers["snowflake"]
    proxy.has_fired.clear()

    def execute_cut_off(session: Session, sql: str, parameters: Any, *, doing: str, fetch: bool = True) -> Any:
        if doing == statement and not proxy.has_fired.is_set():
            proxy.arm(Fault.CUT)
        return execute(session, sql, parameters, doing=doing, fetch=fetch)

    monkeypatch.setattr(Session, "execute", execute_cut_off)
    assert world.run(window) == []
    assert proxy.has_fired.is_set()
    world.run_again(window, record_id)
    lost, doubled = world.lost_and_doubled()
    record("network", f"Snowflake's answer to {statement} is lost and the connector sends it again", tried=1,
           survived=1, rows_lost=lost, rows_doubled=doubled, guard="the same request id")  # fmt: skip
    assert (lost, doubled) == (0, 0)


def test_all_rows_came_and_only_the_cursors_end_is_not_acknowledged(
    worlds: Callable[[str], World], monkeypatch: pytest.MonkeyPatch
) -> None:
    world = worlds(POSTGRES)
    proxy, close = world.servers["source"], psycopg.ServerCursor.close
    window, record_id = world.plan()

    def close_cut_off(cursor: Any) -> None:
        if not proxy.has_fired.is_set():
            proxy.arm(Fault.CUT)
        close(cursor)

    proxy.has_fired.clear()
    monkeypatch.setattr(psycopg.ServerCursor, "close", close_cut_off)
    assert world.run(window) == []
    assert proxy.has_fired.is_set()
    world.run_again(window, record_id)
    assert world.lost_and_doubled() == (0, 0)


@pytest.mark.parametrize("server", ["ledger", "target"])
def test_a_worker_whose_host_vanished_in_a_transaction_blocks_nobody(
    worlds: Callable[[str], World], server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server never hears of the client's end: only its own clock ends the session that holds the lock."""
    world = worlds(POSTGRES)
    proxy = world.servers[server]
    window, record_id = world.plan()
    proxy.release()
    if server == "ledger":
        call, after = postgres_lifecycle_store._run, "lock_rows"  # the row is locked, its change is next
    else:
        call, after = Session.run, "read_receipts"  # the guard row is locked, the delete is next

    def call_and_vanish(owner: Any, name: str, *arguments: Any) -> Any:
        found = call(owner, name, *arguments)
        if name == after and not proxy.has_fired.is_set() and "IN_PROGRESS" in str(world.status(record_id)):
            proxy.arm(Fault.HALF_OPEN)
        return found

    proxy.has_fired.clear()
    if server == "ledger":
        monkeypatch.setattr(postgres_lifecycle_store, "_run", call_and_vanish)
    else:
        monkeypatch.setattr(Session, "run", call_and_vanish)
    errors = world.run(window)
    assert proxy.has_fired.is_set()
    for error in errors:
        require_honest(error, world.secrets)
    assert errors
    world.run_again(window, record_id, releasing=False)
    proxy.release()
    lost, doubled = world.lost_and_doubled()
    record("network", f"a worker's host vanishes while it holds a lock of the {server} server", tried=1, survived=1,
           rows_lost=lost, rows_doubled=doubled, guard="idle_in_transaction_session_timeout")  # fmt: skip
    assert (lost, doubled) == (0, 0)


def test_no_client_waits_for_ever(stack_env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LEDGER_URL", stack_env["LEDGER_URL"])
    monkeypatch.setenv("AIRFLOW_CONN_LIFECYCLE_POSTGRES", stack_env["AIRFLOW_CONN_LIFECYCLE_POSTGRES"])
    for connect in (connections.ledger_connect(), connections.client("lifecycle_postgres")):
        with connect() as connection:
            parameters = connection.info.get_parameters()
            assert {parameters[name] for name in connections.POSTGRES_DEFAULTS} == {"15", "30", "10", "3", "60000"}
    with connections.ledger_connect()() as connection:
        assert connection.execute("SHOW idle_in_transaction_session_timeout").fetchone() == ("1min",)
    target = PostgresTarget(connections.client("lifecycle_postgres"), PostgresTarget.Options(table="t"))
    with target._session("orders") as session:
        assert session.execute("SHOW idle_in_transaction_session_timeout", None, doing="show") == [("1min",)]
    own = "?keepalives_idle=7&options=-c%20idle_in_transaction_session_timeout%3D5s"
    monkeypatch.setenv("LEDGER_URL", stack_env["LEDGER_URL"] + own)
    with connections.ledger_connect()() as connection:
        assert connection.info.get_parameters()["keepalives_idle"] == "7"
        assert connection.execute("SHOW idle_in_transaction_session_timeout").fetchone() == ("5s",)

    snowflake = json.loads(stack_env["AIRFLOW_CONN_TARGET_SNOWFLAKE"])
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", stack_env["REQUESTS_CA_BUNDLE"])
    for extra, seconds in ({}, (3_600, None)), ({"network_timeout": 90, "socket_timeout": 20}, (90, 20)):
        monkeypatch.setenv(
            "AIRFLOW_CONN_TARGET_SNOWFLAKE", json.dumps(snowflake | {"extra": snowflake["extra"] | extra})
        )
        with connections.client("target_snowflake")() as connection:
            assert (connection.network_timeout, connection.socket_timeout) == seconds

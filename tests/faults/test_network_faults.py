"""A network fault at any answer of any server: the window moves in the end, exactly once, and no error is a riddle.

Each server stands behind a proxy of its own. A window's life is run once through healthy proxies, which counts the
answers of each server; then one of them is hit, the run may fail, and a later run has to mend it. In an ordinary run
each fault hits each server at one answer, chosen by `FAULTS_SEED`; in `make faults` at some more, with EVERY=1 at all.
"""

from __future__ import annotations

import json
import os
import random
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

from include.implementation_modules.postgres.connecting import POSTGRES_DEFAULTS
from include.implementation_modules.postgres.target import PostgresTarget
from include.implementation_modules.postgres_ledger import store as postgres_lifecycle_store
from include.implementation_modules.sql_warehouse.session import Session
from include.pipeline_framework.errors import ServiceUnavailableError, TransientError
from include.wiring import connections
from tests.conftest import record_identity
from tests.faults.network import ELASTICSEARCH, POSTGRES, World, elasticsearch_snowflake, postgres_postgres, proxied
from tests.faults.proxy import Fault
from tests.faults.results import EVERY, record

pytestmark = [
    pytest.mark.integration,
    # the connector's own timer, which cancels a statement that took too long, does not survive an outage
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]

IS_FULL = EVERY == 1
SEED = int(os.environ.get("FAULTS_SEED", "7"))


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
        url = admin.rpartition("/")[0] + "/" + created[-1]
        if template != "template1":
            record_identity(url)
        return url

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
                build = {ELASTICSEARCH: elasticsearch_snowflake, POSTGRES: postgres_postgres}[pipeline]
                built[pipeline] = build(stack, patch, stack_env, ledger_url, directory)
            world = built[pipeline]
            patch.setenv("LEDGER_URL", proxied(world.ledger_url, world.servers["ledger"]))
            if not world.answers:
                world.count_answers()
            return world

        yield world_of


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
    """All, or a few that the seed picks; not of the last ones, a run has a few more or less each time."""
    if IS_FULL:
        return list(range(1, count + 1))
    numbers = range(1, max(2, count * 4 // 5))
    return sorted(random.Random(seed).sample(numbers, min(len(numbers), 12 // EVERY or 1)))  # noqa: S311


@pytest.mark.timeout(0)
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
    assert tried, f"of {world.answers[server]} answers none was hit"
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
    for own_patience, connect_timeout in (("", "15"), ("77", "77")):  # libpq's own variable counts
        monkeypatch.setenv("PGCONNECT_TIMEOUT", own_patience)
        wanted = {name: str(value) for name, value in POSTGRES_DEFAULTS.items()}
        wanted["connect_timeout"] = connect_timeout
        for connect in (connections.ledger_connect(), connections.client("lifecycle_postgres")):
            with connect() as connection:
                parameters = connection.info.get_parameters()
                assert {name: parameters[name] for name in wanted} == wanted
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

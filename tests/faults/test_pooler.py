"""A real PgBouncer between the bundle and its databases, in both modes that matter.

In transaction mode a client's next statement may run in another session: what needs none works, what does need its own
refuses, and never is a lock held by nobody. In session mode everything works.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import psycopg
import pytest
import structlog

from include.implementation_modules.postgres.mirror import PostgresMirror
from include.implementation_modules.postgres.source import PostgresSource
from include.implementation_modules.postgres.target import PostgresTarget
from include.implementation_modules.postgres_ledger.adoption import PostgresAdoption
from include.implementation_modules.postgres_ledger.changed_rows import PostgresChanges
from include.implementation_modules.postgres_ledger.locks import PostgresLocks
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.orders_sync.adapters.postgres_orders import PostgresOrders
from include.orders_sync.core.pipelines import TD, SyncStatus
from include.orders_sync.core.runs import store_lock
from include.pipeline_framework.config.adoption_mapping import AdoptionMapping
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.errors import (
    ConfigurationError,
    PipelineError,
    ServiceBusyError,
    ServiceUnavailableError,
)
from include.pipeline_framework.tasks.audit_requests import parse_audit
from include.pipeline_framework.tasks.audit_windows import audit_windows
from include.pipeline_framework.tasks.publish_lifecycle import publish
from include.pipeline_framework.tasks.state_plans import apply_plan, make_plan
from include.sql.migrations import migrate
from include.wiring import connections
from tests.conftest import database
from tests.doubles.memory_transfer import MemoryStage
from tests.faults.points import postgres_connect
from tests.faults.results import record
from tests.integration.test_postgres_target import WINDOW, staged
from tests.postgres_servers import PgBouncer, private_folder
from tests.publishing import publish_one
from tests.unit.tasks.world import CLEANUP, RUN_1, World, window

pytestmark = pytest.mark.integration

MODES = ("transaction", "session")
NAMES = {"LEDGER_URL": "AIRFLOW_CONN_LIFECYCLE_POSTGRES", "ORDERS_URL": "AIRFLOW_CONN_ORDERS_POSTGRES"}


@pytest.fixture(scope="module")
def poolers(stack_env: dict[str, str]) -> Iterator[dict[str, PgBouncer]]:
    with (
        private_folder() as one,
        private_folder() as two,
        PgBouncer(one, stack_env["LEDGER_URL"], "transaction") as transaction,
        PgBouncer(two, stack_env["LEDGER_URL"], "session") as session,
    ):
        yield {"transaction": transaction, "session": session}


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def through(poolers: dict[str, PgBouncer], monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Leads a database's variables through a pooler; its URL."""

    def through(mode: str, url: str, variable: str = "LEDGER_URL") -> str:
        pooled = poolers[mode].url(url.rpartition("/")[2])
        monkeypatch.setenv(variable, pooled)
        monkeypatch.setenv(NAMES[variable], pooled)
        return pooled

    return through


@pytest.fixture
def world(mode: str, through: Callable[..., str], ledger_url: str) -> Iterator[World]:
    """A pipeline whose ledger is reached through the pooler."""
    through(mode, ledger_url)
    world = World(start_date="2013-03-09", end_date="2013-03-10")
    store = PostgresLifecycleStore(connections.ledger_connect())
    world.store = store  # type: ignore[assignment]
    yield world
    store.close()


@pytest.fixture
def stores(mode: str, through: Callable[..., str], ledger_url: str) -> Iterator[list[PostgresLifecycleStore]]:
    """Three more on the same ledger, as in three processes."""
    through(mode, ledger_url)
    made = [PostgresLifecycleStore(connections.ledger_connect()) for _ in range(3)]
    yield made
    for store in made:
        store.close()


# --- the ledger -------------------------------------------------------------------------------------------------------


def test_a_lock_is_one_holders_and_nobodys_afterwards(mode: str, stores: list[PostgresLifecycleStore]) -> None:
    """Others use the ledger all the time, so that servers change hands between any two statements."""
    first, second, third = stores
    done, rounds = threading.Event(), 30

    def use_the_ledger() -> None:
        while not done.is_set():
            third.now()

    user = threading.Thread(target=use_the_ledger)
    user.start()
    try:
        holders = []
        for number in range(rounds):
            name = f"source {number % 2}"
            with first.source_lock(name) as mine, first.table_lock(name) as turn:
                assert (mine, turn) == (True, True), number
                first.now()
                with second.source_lock(name) as theirs, second.table_lock(name) as their_turn:
                    assert (theirs, their_turn) == (False, False), number
                holders.append(first.table_holder(name))
                assert second.table_holder(name) == holders[-1] is not None
            assert second.table_holder(name) is None
            with second.source_lock(name) as theirs:
                assert theirs, number
    finally:
        done.set()
        user.join()
    assert len(set(holders)) == rounds  # whoever waits sees that the turn passes on, whichever server has it
    record("pooler", f"locks of sources and tables, PgBouncer in {mode} mode", tried=rounds, survived=rounds,
           guard="locks of open transactions")  # fmt: skip


def test_a_lock_ends_with_its_process(mode: str, stores: list[PostgresLifecycleStore]) -> None:
    holding = """
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.wiring import connections
with PostgresLifecycleStore(connections.ledger_connect()).source_lock("s") as is_mine:
    print(is_mine, flush=True)
    input()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", holding], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ)
    )
    assert process.stdout is not None and process.stdout.readline() == b"True\n"
    with stores[0].source_lock("s") as is_mine:
        assert not is_mine
    process.send_signal(signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 600
    while True:
        with stores[0].source_lock("s") as is_mine:
            if is_mine:
                break
        assert time.monotonic() < until, "the dead process still holds it"
        time.sleep(0.05)


def test_statements_are_repeated_more_often_than_psycopg_leaves_them_unprepared(
    stores: list[PostgresLifecycleStore], world: World
) -> None:
    (record_id,) = world.plan_and_claim(0)
    fence = world.store.take(record_id, RUN_1).fence
    for _ in range(12):
        for store in stores:
            store.heartbeat(record_id, fence)
            assert store.find() and store.now()
    for connect in (connections.ledger_connect(), connections.client("lifecycle_postgres")):
        with connect() as connection:
            assert connection.prepare_threshold is None


def test_a_repair_a_revisit_and_a_mirror_are_never_skipped(mode: str, world: World, scratch_postgres_url: str) -> None:
    world.plan(*(hour for hour in range(24) if hour != 7))
    made = make_plan([world.config], world.store, CLEANUP)
    assert made.plan
    apply_plan(made.plan.plan_id, {"flights": world.config}, world.store, CLEANUP)
    assert len(world.store.find()) == 24
    world.add_documents(3)
    (row,) = world.store.claim("flights", RUN_1, limit=1, ended_before=world.at, within=[window(0)])
    world.move(row.id)
    feed = PostgresChanges(connections.ledger_connect())
    mirror = PostgresMirror(lambda: psycopg.connect(scratch_postgres_url), PostgresMirror.Options(table="flights"))
    assert publish("test", ["main"], feed, mirror).rows == 24
    for number in range(8):
        world.add_documents(1, prefix=f"late{number}")
        report = audit_windows(world.pipeline, CLEANUP, parse_audit({"target_date": "2013-03-09"}, world.config))
        assert report.replaced == 1, number  # it would say that another audit is running
        run = Actor("data_pipeline_main", f"late-{number}", "audit", 0, 1)
        (replacement,) = world.store.claim("flights", run, limit=1, ended_before=world.at, within=[window(0)])
        world.move(replacement.id, actor=run)
        done = publish("test", ["main"], feed, mirror)
        assert done.skipped_because is None and done.rows >= 2, number
    record("pooler", f"repair, revisits and mirror through PgBouncer in {mode} mode", tried=17, survived=17)


def test_a_frozen_client_keeps_its_rows_for_a_minute_behind_a_pooler_too(
    mode: str, stores: list[PostgresLifecycleStore], through: Callable[..., str], ledger_url: str
) -> None:
    names = ("idle_in_transaction_session_timeout", "lock_timeout")
    with stores[0]._transaction() as cursor:
        assert [cursor.execute(f"SHOW {name}".encode()).fetchone()[name] for name in names] == ["1min", "90s"]  # type: ignore[index]
    with psycopg.connect(through(mode, ledger_url), autocommit=True) as other:  # nobody else gets them
        assert [other.execute(f"SHOW {name}".encode()).fetchone() for name in names] == [("0",), ("0",)]


def test_an_idle_lock_holds_nothing_back_and_no_clock_ends_it(ledger_url: str) -> None:
    clocks = "-c idle_in_transaction_session_timeout=300 -c transaction_timeout=600"
    locks = PostgresLocks(lambda: psycopg.connect(ledger_url, options=clocks, application_name="holder"))
    with psycopg.connect(ledger_url, autocommit=True) as watching, locks.holding("a"), locks.holding("b") as held:
        state = "SELECT state, backend_xid, backend_xmin FROM pg_stat_activity WHERE application_name = 'holder'"
        assert watching.execute(state).fetchall() == [("idle in transaction", None, None)] * 2
        time.sleep(1.5)
        assert watching.execute(state).fetchall() == [("idle in transaction", None, None)] * 2
        assert held is not None
    with locks.holding("b") as again, locks.holding("b") as twice:
        assert (again is not None, twice) == (True, None)
    assert len(locks._free) == 2
    locks.close()


def test_a_lock_whose_connection_is_lost_is_free_and_says_so(ledger_url: str) -> None:
    store, other = (PostgresLifecycleStore(lambda: psycopg.connect(ledger_url)) for _ in range(2))
    cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND state = %s"
    with psycopg.connect(ledger_url, autocommit=True) as admin, structlog.testing.capture_logs() as lines:
        with store.source_lock("s") as is_mine:
            assert is_mine
            admin.execute(cut, ("idle in transaction",))
            while not _is_free(other, "s"):
                time.sleep(0.05)
            store.now()  # its own connection is another one
        assert [line["lock"] for line in lines] == ["source s"]
        assert _is_free(store, "s")
        with store.source_lock("s"):
            pass
        admin.execute(cut, ("idle",))  # the kept one
        with pytest.raises(ServiceUnavailableError), store.source_lock("s"):
            raise AssertionError("it was not asked")
        assert _is_free(store, "s")
    store.close()
    other.close()


def _is_free(store: PostgresLifecycleStore, name: str) -> bool:
    with store.source_lock(name) as is_free:
        return is_free


def test_a_lock_costs_no_more_statements_than_one_of_the_session(ledger_url: str) -> None:
    """Six before: BEGIN, try, COMMIT, and the same to give it back."""
    seen: list[str] = []
    store = PostgresLifecycleStore(postgres_connect(ledger_url, seen.append))
    for _ in range(5):
        with store.source_lock("s") as is_mine:
            assert is_mine
    store.close()
    # and the try, which goes out in the simple protocol and is not seen here
    assert Counter(seen) == {"BEGIN ISOLATION LEVEL READ COMMITTED": 5, "ROLLBACK": 5}


# --- schemas, an older table ------------------------------------------------------------------------------------------


def test_migrations_run_one_at_a_time(mode: str, through: Callable[..., str], stack_env: dict[str, str]) -> None:
    with database(stack_env["LEDGER_URL"]) as url:
        through(mode, url)
        failed: list[BaseException] = []

        def run() -> None:
            try:
                migrate(connections.ledger_connect())
            except (PipelineError, psycopg.Error) as error:
                failed.append(error)

        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        assert_no_lock_stays(url)


def assert_no_lock_stays(url: str) -> None:
    """None in this database; a pooler clears a session only after its client has gone, so some seconds are given."""
    held = "SELECT count(*) FROM pg_locks JOIN pg_database ON pg_database.oid = database WHERE locktype = 'advisory'"
    with psycopg.connect(url, autocommit=True) as connection:
        for _ in range(600):
            found = connection.execute(f"{held} AND datname = current_database()").fetchone()
            if found == (0,):
                return
            time.sleep(0.1)
        assert found == (0,)


def test_an_older_table_is_adopted_by_one_at_a_time(mode: str, through: Callable[..., str], ledger_url: str) -> None:
    with psycopg.connect(ledger_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE older (source_object text, query_window_start_at timestamptz)")
    through(mode, ledger_url)
    adoption = PostgresAdoption(connections.ledger_connect())
    mapping = AdoptionMapping(source_object={"column": "source_object"})  # type: ignore[arg-type]
    for _ in range(5):
        another = adoption.importing("public.older", mapping, adopts=True, keeps=False)
        with adoption._one_at_a_time("older"), pytest.raises(ServiceBusyError, match="another adoption"):
            another.__enter__()


# --- sources, targets, orders -----------------------------------------------------------------------------------------


def test_a_source_is_read_in_one_transaction(mode: str, through: Callable[..., str], ledger_url: str) -> None:
    through(mode, ledger_url)
    connect = connections.client("lifecycle_postgres")
    with connect() as connection:
        connection.execute("CREATE TABLE events (id bigint, at timestamptz)")
        connection.execute(
            "INSERT INTO events SELECT n, %s + n * interval '1 second' FROM generate_series(1, 1000) AS n",
            (WINDOW.start,),
        )
    options = PostgresSource.Options(table="events", time_column="at", id_column="id", page_size=50)
    sources = [PostgresSource(connect, options) for _ in range(3)]
    with sources[0].extract(WINDOW) as one, sources[1].extract(WINDOW) as two:
        pages = [(len(a), len(b)) for a, b in zip(one.pages(), two.pages(), strict=True) if sources[2].count(WINDOW)]
    assert pages == [(50, 50)] * 20


def test_a_target_refuses_transaction_mode_and_loads_in_session_mode(
    mode: str, through: Callable[..., str], ledger_url: str
) -> None:
    through(mode, ledger_url)
    connect = connections.client("lifecycle_postgres", writes=True)
    target = PostgresTarget(connect, PostgresTarget.Options(table="loaded"))
    mirror = PostgresMirror(connect, PostgresMirror.Options(table="loaded"))
    stage = MemoryStage()
    if mode == "session":
        target.prepare("flights")
        assert publish_one(target, staged(stage, b"{}", b"{}"), stage, fence=1, lifecycle_id=7).loaded.rows == 2
        return
    for refused in (lambda: target.prepare("flights"), lambda: mirror.prepare([])):
        with pytest.raises(ConfigurationError, match="pooler in transaction mode") as error:
            refused()
        assert "loaded" in error.value.where or "mirror" in error.value.where
        assert "pool_mode=session" in error.value.remedy and error.value.meaning
    with psycopg.connect(ledger_url) as connection:
        assert connection.execute("SELECT to_regclass('loaded')").fetchone() == (None,)


def test_the_orders_sync_refuses_transaction_mode_before_its_first_lock(
    mode: str, through: Callable[..., str], orders_url: str
) -> None:
    through(mode, orders_url, "ORDERS_URL")
    connect = connections.orders_connect("orders_postgres")
    one, other = PostgresOrders(connect, "one"), PostgresOrders(connect, "other")
    try:
        assert (one.stores(), one.running_stores("r")) == ([], [])  # what only reads works
        one.start_run("one", TD, "test", date(2026, 1, 6))
        one.finish_run("one", SyncStatus.SUCCESS, "")
        if mode == "session":
            assert (one.try_lock(store_lock("S1")), other.try_lock(store_lock("S1"))) == (True, False)
            assert str(other.holder(store_lock("S1"))).startswith("one (process ")
            return
        with pytest.raises(ConfigurationError, match="pooler in transaction mode"):
            one.try_lock(store_lock("S1"))
        assert other.holder(store_lock("S1")) is None
    finally:
        one.close()
        other.close()


def test_a_full_pool_in_session_mode_is_not_taken_for_another(stack_env: dict[str, str], orders_url: str) -> None:
    name = orders_url.rpartition("/")[2]
    with private_folder() as folder, PgBouncer(folder, stack_env["LEDGER_URL"], "session", default_pool_size=1) as one:
        session = PostgresOrders(lambda: psycopg.connect(one.url(name)), "alone")
        assert session.try_lock("a")
        session.close()


def test_a_direct_connection_is_asked_nothing(orders_url: str) -> None:
    opened: list[psycopg.Connection[Any]] = []
    seen: list[str] = []
    session = PostgresOrders(postgres_connect(orders_url, seen.append, opened), "direct")
    assert session.try_lock("a") and session.try_lock("b")
    session.close()
    assert (len(opened), len(seen)) == (1, 3)

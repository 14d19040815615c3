"""The name stays, and what is behind it takes no writes: a demoted primary, a standby, an administrator's switch.

Every try is on a Postgres of its own, which is made read-only for sessions that are open, too, or has a real standby.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from include.implementation_modules.postgres.source import PostgresSource
from include.implementation_modules.postgres.target import PostgresTarget
from include.implementation_modules.postgres_ledger.changed_rows import PostgresChanges
from include.implementation_modules.postgres_ledger.overdue import PostgresOverdueAlarms
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.orders_sync.adapters.postgres_orders import PostgresOrders
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.core.watching.overdue import OverdueScope
from include.pipeline_framework.errors import ServiceUnavailableError
from include.pipeline_framework.tasks.window_attempt import WindowAttempt
from include.sql.migrations import LEDGER, ORDERS, migrate
from include.wiring import connections
from tests.conftest import record_identity
from tests.doubles.memory_transfer import MemoryStage
from tests.faults.results import record
from tests.integration.test_postgres_target import staged
from tests.postgres_servers import OwnPostgres, private_folder
from tests.publishing import publish_one
from tests.unit.tasks.world import RUN_1, RUN_2, World, window

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def server() -> Iterator[OwnPostgres]:
    with private_folder() as folder, OwnPostgres(folder / "primary") as server:
        server.execute("CREATE DATABASE migrated")
        for scripts in (LEDGER, ORDERS):
            migrate(lambda: psycopg.connect(server.url("migrated")), scripts)
        yield server


@pytest.fixture
def url(server: OwnPostgres) -> Iterator[str]:
    """An empty ledger and orders database."""
    server.execute("CREATE DATABASE ledger TEMPLATE migrated")
    record_identity(server.url("ledger"))
    yield server.url("ledger")
    server.execute("DROP DATABASE ledger WITH (FORCE)")


@pytest.fixture
def switch(server: OwnPostgres, url: str) -> Iterator[Callable[[bool], None]]:
    """Makes the server read-only, or lets it write again: for the next transaction of every session."""

    def switch(is_read_only: bool) -> None:
        server.execute(
            "SET default_transaction_read_only = off",
            f"ALTER SYSTEM SET default_transaction_read_only = {'on' if is_read_only else 'off'}",
            "SELECT pg_reload_conf()",
        )
        wanted = ("on" if is_read_only else "off",)
        with psycopg.connect(server.url(), autocommit=True) as connection:
            while connection.execute("SHOW default_transaction_read_only").fetchone() != wanted:
                time.sleep(0.05)

    yield switch
    switch(False)


@pytest.fixture(params=["as the bundle connects", "as any client does"])
def connect(request: pytest.FixtureRequest, url: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], Any]:
    monkeypatch.setenv("LEDGER_URL", url)
    if request.param == "as the bundle connects":
        return connections.ledger_connect()
    return lambda: psycopg.connect(url)


@pytest.fixture
def world(connect: Callable[[], Any]) -> Iterator[World]:
    world = World()
    store = PostgresLifecycleStore(connect)
    world.store = store  # type: ignore[assignment]
    yield world
    store.close()


def test_every_change_of_the_ledger_says_so_and_works_again_afterwards(
    world: World, switch: Callable[[bool], None]
) -> None:
    held, waiting = world.plan(0, 1)
    world.claim(limit=1)
    row = world.store.take(held, RUN_1)
    feed = PostgresChanges(world.store._connect)  # type: ignore[attr-defined]
    writes: dict[str, Callable[[], Any]] = {
        "claim": lambda: world.claim(RUN_2),
        "take": lambda: world.store.take(held, RUN_1),
        "heartbeat": lambda: world.store.heartbeat(held, row.fence),
        "change": lambda: world.store.change(held, _never, RUN_1),
        "plan": lambda: world.plan(2),
        "refusal": lambda: world.store.note_refusal(held, row.fence, "no", RUN_1),
        "overdue": lambda: PostgresOverdueAlarms(feed._connect).note_told(_scope(world), world.at),
        "mirror": lambda: _mirror(feed),
    }
    switch(True)
    for name, write in writes.items():
        with pytest.raises(ServiceUnavailableError, match="takes no writes") as refused:
            write()
        assert refused.value.where and refused.value.meaning and refused.value.remedy, name
        assert world.store._connection is None, name  # type: ignore[attr-defined]
    switch(False)
    assert [each.id for each in world.claim(RUN_2)] == [waiting]
    assert world.store.take(held, RUN_1).fence > row.fence
    _mirror(feed)
    record("read-only", "the ledger takes no writes for a while: claim, take, heartbeat, change, plan, mirror, alarms",
           tried=len(writes), survived=len(writes), guard="ServiceUnavailableError, and a new connection")  # fmt: skip


def _never(*_: Any) -> Any:
    raise AssertionError("a row that can't be locked is not decided on")


def _scope(world: World) -> OverdueScope:
    start, end = window(0).start, window(0).start + timedelta(days=1)
    return OverdueScope("flights", start, end, world.at, world.at, ())


def _mirror(feed: PostgresChanges) -> None:
    with feed.lock("m"), feed.read(None, ["main"]) as rows:
        feed.remember("m", ["main"], rows)


def test_a_heartbeat_outlives_a_server_that_takes_no_writes(
    world: World, url: str, switch: Callable[[bool], None]
) -> None:
    (record_id,) = world.plan_and_claim(0)
    seen: list[Any] = []

    def beats_after(moment: Any) -> None:
        while (beat := world.row(record_id).heartbeat_at) <= moment:
            time.sleep(0.02)
        seen.append(beat)

    def work(attempt: WindowAttempt) -> None:
        (thread,) = (each for each in threading.enumerate() if each.name == f"heartbeat-{record_id}")
        beats_after(attempt.row.heartbeat_at)
        switch(True)
        reader = PostgresLifecycleStore(lambda: psycopg.connect(url))
        quiet_since = reader.get(record_id).heartbeat_at
        time.sleep(0.5)  # ten beats
        assert thread.is_alive()
        assert reader.get(record_id).heartbeat_at - quiet_since < timedelta(seconds=0.2)
        reader.close()
        switch(False)
        beats_after(seen[-1] + timedelta(seconds=0.3))

    world.run(record_id, work, heartbeat_seconds=0.05)
    assert len(seen) == 2
    assert world.status(record_id) == "IN_PROGRESS"
    record("read-only", "the ledger takes no writes during a long extract: the lease is renewed when it does again",
           tried=1, survived=1, guard="the heartbeat goes on whatever it meets")  # fmt: skip


def test_a_target_and_the_orders_database_say_so_and_a_source_may_be_read(
    url: str, switch: Callable[[bool], None]
) -> None:
    def connect() -> Any:
        return psycopg.connect(url)

    stage, target = MemoryStage(), PostgresTarget(connect, PostgresTarget.Options(table="flights"))
    target.prepare("flights")
    manifest = staged(stage, b"{}")
    orders = PostgresOrders(connect, "a run")
    switch(True)
    for write in (
        lambda: publish_one(target, manifest, stage, fence=1, lifecycle_id=7),
        lambda: target.delete("flights", manifest.window, fence=1, lifecycle_id=7),
        lambda: orders.fail_dead_runs(1),
    ):
        with pytest.raises(ServiceUnavailableError, match="takes no writes"):
            write()
    orders.close()
    options = PostgresSource.Options(table="flights", time_column="_event_at", id_column="_id")
    source = PostgresSource(connect, options)
    year = TimeWindow(manifest.window.start - timedelta(days=200), manifest.window.end)
    assert source.count(year) == 0
    switch(False)
    assert publish_one(target, manifest, stage, fence=1, lifecycle_id=7).loaded.rows == 1
    assert source.count(year) == 1


def test_of_several_hosts_the_one_that_takes_writes_is_found_again(
    server: OwnPostgres, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A failover: the primary goes down and comes back read-only, and the standby takes over meanwhile."""
    with private_folder() as folder, server.standby(folder / "standby") as standby:
        hosts = f"postgresql://postgres@127.0.0.1:{standby.port},127.0.0.1:{server.port}/ledger"
        monkeypatch.setenv("LEDGER_URL", hosts)
        both = {"host": "127.0.0.1,127.0.0.1", "extra": {"port": f"{standby.port},{server.port}"}}
        cluster = {"conn_type": "postgres", "login": "postgres", "schema": "ledger", **both}
        monkeypatch.setenv("AIRFLOW_CONN_CLUSTER", json.dumps(cluster))
        with connections.client("cluster")() as reading, connections.client("cluster", writes=True)() as writing:
            assert (reading.info.port, writing.info.port) == (standby.port, server.port)
        world = World()
        store = PostgresLifecycleStore(connections.ledger_connect())
        world.store = store  # type: ignore[assignment]
        held, *_ = world.plan_and_claim(0, 1)
        fence = store.take(held, RUN_1).fence
        while store.find() != _rows(standby):
            time.sleep(0.05)
        server.stop()
        with pytest.raises(ServiceUnavailableError, match=r"takes no writes|does not answer"):
            store.heartbeat(held, fence)
        standby.promote()
        server.start()
        server.execute("ALTER SYSTEM SET default_transaction_read_only = on", "SELECT pg_reload_conf()")
        store.heartbeat(held, fence)
        assert store._connection is not None and store._connection.info.port == standby.port
        store.close()
    server.execute("SET default_transaction_read_only = off", "ALTER SYSTEM RESET default_transaction_read_only")
    server.execute("SELECT pg_reload_conf()")
    record("read-only", "a failover between two hosts of one connection", tried=1, survived=1,
           guard="target_session_attrs=read-write")  # fmt: skip


def _rows(standby: OwnPostgres) -> Any:
    reader = PostgresLifecycleStore(lambda: psycopg.connect(standby.url("ledger")))
    try:
        return reader.find()
    finally:
        reader.close()

"""The ledger fails over to a standby that lags: nothing that ran before may write over what the new ledger loads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from include.cli.__main__ import main
from include.implementation_modules.postgres.target import PostgresTarget
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.records.row import Actor, Phase, Status
from include.pipeline_framework.errors import FenceLostError, LedgerChangedError
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.ports.stage import StageRequest
from include.sql.migrations import migrate
from tests.faults.standby import Cluster, primary_and_standby
from tests.publishing import publish_one
from tests.unit.tasks.world import RUN_1, RUN_2, World, window

pytestmark = pytest.mark.integration

LOW = 2**40 - 1
"""The bits of a fence that the sequence counts in."""


@pytest.fixture
def clusters(stack_env: dict[str, str]) -> Iterator[tuple[Cluster, Cluster]]:
    with primary_and_standby(Path(stack_env["LOCAL_STACK_HOME"])) as both:
        yield both


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Cluster], PostgresLifecycleStore]]:
    """A cluster's ledger, which the command line sees from then on, too."""
    opened: list[PostgresLifecycleStore] = []

    def ledger(cluster: Cluster) -> PostgresLifecycleStore:
        monkeypatch.setenv("AIRFLOW_CONN_LIFECYCLE_POSTGRES", cluster.url)
        monkeypatch.setenv("LEDGER_URL", cluster.url)
        opened.append(PostgresLifecycleStore(lambda: psycopg.connect(cluster.url)))
        return opened[-1]

    yield ledger
    for store in opened:
        store.close()


@pytest.fixture
def world(scratch_postgres_url: str) -> World:
    """A pipeline whose target is a real Postgres that outlives the ledger's."""
    world = World()
    options = PostgresTarget.Options(table="flights")
    world.target = PostgresTarget(lambda: psycopg.connect(scratch_postgres_url), options)  # type: ignore[assignment]
    world.target.prepare("flights")
    return world


def wait_until(cluster: Cluster, text: str) -> None:
    """Streaming goes on in the background; a distant end for the test's own sake."""
    end = time.monotonic() + 120
    while cluster.execute(text) != [(True,)]:
        assert time.monotonic() < end, text
        time.sleep(0.05)


def cut_off(primary: Cluster, standby: Cluster) -> None:
    """The standby has all of it up to now, and nothing of what comes."""
    ((position,),) = primary.execute("SELECT pg_current_wal_flush_lsn()::text")
    wait_until(standby, f"SELECT pg_last_wal_replay_lsn() >= '{position}'")
    standby.execute("ALTER SYSTEM SET primary_conninfo = ''")
    standby.execute("SELECT pg_reload_conf()")
    wait_until(standby, "SELECT NOT EXISTS (SELECT FROM pg_stat_wal_receiver)")
    standby.execute("SELECT pg_wal_replay_pause()")


def test_a_worker_of_the_lost_primary_is_refused_at_the_target(
    clusters: tuple[Cluster, Cluster],
    use: Callable[[Cluster], PostgresLifecycleStore],
    world: World,
    capsys: pytest.CaptureFixture[str],
) -> None:
    primary, standby = clusters
    primary.execute("CREATE EXTENSION btree_gist")
    migrate(lambda: psycopg.connect(primary.url))
    before = use(primary)
    world.store = before  # type: ignore[assignment]
    (record_id,) = world.plan(0)
    cut_off(primary, standby)

    # on the primary: a worker that has started often has staged all there was, and stalls before it publishes
    world.add_documents(3)
    (row,) = before.claim("flights", RUN_1, limit=1, ended_before=world.at)
    for _ in range(60):
        fence = before.take(row.id, RUN_1).fence
    world.plan(5)  # its id is lost
    with world.source.extract(window(0)) as extract:
        request = StageRequest(row.id, "flights", "2013-03-09", window(0), fence)
        manifest = world.stage.write(request, extract)
    primary.stop()
    standby.promote()

    # nothing goes on until somebody has said that it is a failover
    after = use(standby)
    world.store = after  # type: ignore[assignment]
    for act in (
        lambda: after.claim("flights", RUN_2, limit=1, ended_before=world.at),
        lambda: after.take(record_id, RUN_2),
        lambda: world.plan(6),
    ):
        with pytest.raises(LedgerChangedError, match=r"timeline 2.*recorded is .*timeline 1") as refusal:
            act()
        assert all(way in refusal.value.remedy for way in ("adopt-failover --apply", "rebuild --apply"))
    assert [found.pipeline_final_status for found in after.find()] == [Status.PENDING]
    assert main(["ledger", "adopt-failover"]) == 0
    assert "Nothing was changed, do it with --apply" in capsys.readouterr().out
    assert not after.identity().is_recorded
    assert main(["ledger", "adopt-failover", "--apply"]) == 0
    assert "timeline 2" in capsys.readouterr().out
    seen = after.identity()
    assert seen.is_recorded
    assert (seen.recorded_by or "").startswith("cli ledger adopt-failover/")
    assert main(["ledger", "adopt-failover", "--apply"]) == 0
    assert "nothing to adopt" in capsys.readouterr().out

    assert after.last_fence() > fence  # reconciling finds no greater fence at the target
    # the new ledger loads the window, a late row among it, under a smaller number on a later timeline
    world.source.add(Document("late", window(0).start, b'{"n": 99}'))
    (claimed,) = after.claim("flights", RUN_2, limit=1, ended_before=world.at)
    world.move(claimed.id, Phase.AUDIT, RUN_2)
    loaded = after.get(record_id)
    assert (loaded.pipeline_final_status, loaded.target_count) == (Status.COMPLETED, 4)
    assert loaded.fence & LOW < fence & LOW
    assert (fence >> 40, loaded.fence >> 40) == (1, 2)

    # the worker wakes up
    with pytest.raises(FenceLostError, match=str(loaded.fence)):
        publish_one(world.target, manifest, world.stage, fence=fence, lifecycle_id=row.id)
    assert world.target.fingerprint("flights", window(0)).rows == 4
    # ids that the primary gave away are not given again
    assert world.plan(7)[0] > 1_000_000


def test_an_old_primary_that_comes_back_goes_on_in_its_own_time_only(
    clusters: tuple[Cluster, Cluster], use: Callable[[Cluster], PostgresLifecycleStore], world: World
) -> None:
    """Two primaries at once: each issues fences, those of the later timeline win wherever both write."""
    primary, standby = clusters
    primary.execute("CREATE EXTENSION btree_gist")
    migrate(lambda: psycopg.connect(primary.url))
    old = use(primary)
    world.store = old  # type: ignore[assignment]
    (record_id,) = world.plan(0)
    cut_off(primary, standby)
    standby.promote()
    new = use(standby)
    new.record_identity(Actor("tests", "adopted"))
    for store, run in ((old, RUN_1), (new, RUN_2)):
        store.claim("flights", run, limit=1, ended_before=world.at)
    newest = new.take(record_id, RUN_2).fence
    assert all(old.take(record_id, RUN_1).fence < newest for _ in range(20))

"""The shipped roles on a real ledger: the pipelines' own does all that a run needs, and unmakes no history."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import errors, sql

from include.implementation_modules.postgres.mirror import PostgresMirror
from include.implementation_modules.postgres_ledger.changed_rows import PostgresChanges
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.core.records.ledger_row import COLUMNS
from include.pipeline_framework.core.records.row import Actor, Phase, Status
from include.pipeline_framework.errors import ServiceUnavailableError
from include.pipeline_framework.tasks.audit_requests import parse_audit
from include.pipeline_framework.tasks.audit_windows import audit_windows
from include.pipeline_framework.tasks.cleanup_stale_locks import cleanup_stale_locks
from include.pipeline_framework.tasks.move_window import move_until
from include.pipeline_framework.tasks.publish_lifecycle import publish
from include.pipeline_framework.tasks.state_plans import apply_plan, make_plan
from include.sql import statement
from local_stack.home import Home
from local_stack.servers.postgres import Postgres
from local_stack.state import State
from tests.unit.tasks.world import CLEANUP, RUN_1, RUN_2, World, config

pytestmark = pytest.mark.integration


@pytest.fixture
def logins(stack_env: dict[str, str], ledger_url: str) -> Iterator[dict[str, str]]:
    """URLs of two logins, each with one of the roles; the file was applied twice."""
    home = Home.at(Path(stack_env["LOCAL_STACK_HOME"]))
    superuser = Postgres(home, State.load(home)).url("postgres", ledger_url.rpartition("/")[2])
    names = {role: f"{role}_{secrets.token_hex(4)}" for role in ("ledger_runtime", "ledger_reader")}
    password = secrets.token_hex(12)
    with psycopg.connect(superuser, autocommit=True) as admin:
        for _ in range(2):
            admin.execute(statement("roles/ledger_roles").encode())
        for role, name in names.items():
            admin.execute(
                sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}").format(
                    sql.Identifier(name), sql.Literal(password), sql.Identifier(role)
                )
            )
        address = ledger_url.partition("@")[2]
        yield {role: f"postgresql://{name}:{password}@{address}" for role, name in names.items()}
        for name in names.values():
            admin.execute(sql.SQL("DROP ROLE {}").format(sql.Identifier(name)))


@pytest.fixture
def world(logins: dict[str, str]) -> Iterator[World]:
    """A pipeline whose ledger is reached as the runtime role."""
    world = World()
    store = PostgresLifecycleStore(lambda: psycopg.connect(logins["ledger_runtime"]))
    world.store = store  # type: ignore[assignment]
    yield world
    store.close()


def test_a_whole_life_of_windows_works_as_the_runtime_role(world: World) -> None:
    world.add_documents(5)
    first, second = world.plan_and_claim(0, 1)
    world.move(first)
    assert world.status(first) == Status.COMPLETED
    with pytest.raises(ServiceUnavailableError):  # a try that fails, a heartbeat, the next try
        world.run(second, fail, is_last_try=True, heartbeat_seconds=0.01)
    assert world.status(second) == Status.PENDING
    assert {"planned", "claimed", "taken", "failed"} <= set(world.events(second))


def fail(attempt: Any) -> None:
    attempt.store.heartbeat(attempt.row.id, attempt.fence)
    raise ServiceUnavailableError("no")


def test_cleanup_and_replacement_work_as_the_runtime_role(world: World) -> None:
    (held,) = world.plan_and_claim(3, actor=RUN_2)
    world.store.take(held, RUN_2)
    released = cleanup_stale_locks(world.store, {"main": world.config}, CLEANUP, lambda _dag, _run: RunState.ENDED)
    assert [row["id"] for row in released] == [held]
    (done,) = world.complete(0)
    row = world.row(done)
    plan = {name: getattr(row, name) for name in COLUMNS if name in PLANNED}
    (new,) = world.store.replace([done], [plan], RUN_1, "corrected")
    assert (world.row(done).is_invalidated_flag, world.row(done).replaced_by_id) == (True, new.id)
    claimed = world.store.claim("flights", Actor("d", "r"), limit=5, ended_before=world.at)
    assert new.id in {row.id for row in claimed}
    assert list(world.store.replaced_windows(new.id)) == [done]
    world.run(new.id, lambda attempt: move_until(world.pipeline, attempt, Phase.AUDIT), Actor("d", "r"))
    assert world.store.preview_claim("flights", limit=5, ended_before=world.at - timedelta(days=9)) == []
    assert world.store.has_windows("flights")
    assert world.store.claimed_by("d", "r")
    assert len(world.store.describe()) > 60  # type: ignore[attr-defined]


PLANNED = {
    "pipeline_id", "source_name", "source_object", "target_name", "timezone", "granularity", "target_day",
    "query_window_start_at", "query_window_end_at", "time_interval", "source_query_window_duration_minutes",
}  # fmt: skip

REFUSED = {
    "ledger_runtime": [
        "DELETE FROM pipeline_lifecycle",
        "TRUNCATE pipeline_lifecycle",
        "UPDATE pipeline_lifecycle_events SET reason = 'other'",
        "DELETE FROM pipeline_lifecycle_events",
        "TRUNCATE pipeline_lifecycle_events",
        "ALTER TABLE pipeline_lifecycle_events DISABLE TRIGGER append_only",
        "ALTER TABLE pipeline_lifecycle DROP CONSTRAINT live_windows_do_not_overlap",
        "DROP TABLE pipeline_lifecycle",
        "DROP VIEW pipeline_records",
        "DROP FUNCTION pipeline_lifecycle_events_are_append_only CASCADE",
        "CREATE TABLE mine (a integer)",
        "CREATE FUNCTION mine() RETURNS integer LANGUAGE sql AS 'SELECT 1'",
        "CREATE SCHEMA mine",
        "SELECT setval('pipeline_lifecycle_fence', 1)",
        "UPDATE ledger_identity SET timeline = 1",
        "SELECT setval('pipeline_lifecycle_id_seq', 1)",
        "ALTER SEQUENCE pipeline_lifecycle_fence RESTART",
        "UPDATE pipeline_lifecycle_version SET version_num = '0000'",
        "CREATE ROLE mine",
        "UPDATE state_manager_plans SET items = '[1]'",
        "UPDATE state_manager_plans SET hash = 'x'",
        "DELETE FROM state_manager_plans",
        "DELETE FROM lifecycle_mirrors",
        "ALTER TABLE pipeline_lifecycle DISABLE TRIGGER notes_its_transaction",
    ],
    "ledger_reader": [
        "INSERT INTO pipeline_lifecycle (source_object) VALUES ('x')",
        "UPDATE pipeline_lifecycle SET priority = 1",
        "DELETE FROM pipeline_lifecycle",
        "SELECT * FROM pipeline_lifecycle FOR UPDATE",
        "INSERT INTO pipeline_lifecycle_events (lifecycle_id) VALUES (1)",
        "DELETE FROM pipeline_lifecycle_events",
        "SELECT nextval('pipeline_lifecycle_fence')",
        "UPDATE state_manager_plans SET approved_by = 'me'",
        "UPDATE lifecycle_mirrors SET watermark = '1'",
        "CREATE TABLE mine (a integer)",
        "BEGIN; LOCK TABLE pipeline_lifecycle IN ACCESS EXCLUSIVE MODE",
    ],
}


@pytest.mark.parametrize("role", REFUSED)
def test_what_unmakes_history_is_refused(logins: dict[str, str], world: World, role: str) -> None:
    world.complete(0)
    before = world.store.find(), world.store.events(world.store.find()[0].id)
    for text in REFUSED[role]:
        with psycopg.connect(logins[role], autocommit=True) as connection, pytest.raises(errors.InsufficientPrivilege):
            connection.execute(text.encode())
    assert (world.store.find(), world.store.events(world.store.find()[0].id)) == before


def test_a_plan_of_the_state_manager_is_kept_and_applied_as_the_runtime_role(world: World) -> None:
    world.config = config(fill_missing_days=False)
    world.plan(*(hour for hour in range(24) if hour != 7))
    made = make_plan([world.config], world.store, CLEANUP)
    assert made.plan
    done = apply_plan(made.plan.plan_id, {"flights": world.config}, world.store, CLEANUP)
    assert (len(world.store.find()), done.applied_by) == (24, "cleanup_stale_locks/cleanup-run")


def test_closed_windows_are_audited_as_the_runtime_role(world: World) -> None:
    world.add_documents(3)
    (record_id,) = world.complete(0)
    world.add_documents(1, prefix="late")
    report = audit_windows(world.pipeline, CLEANUP, parse_audit({"target_date": "2013-03-09"}, world.config))
    assert (report.replaced, world.row(record_id).is_invalidated_flag) == (1, True)


def test_the_ledger_is_mirrored_as_the_runtime_role(
    logins: dict[str, str], world: World, scratch_postgres_url: str
) -> None:
    world.complete(0)
    feed = PostgresChanges(lambda: psycopg.connect(logins["ledger_runtime"]))
    mirror = PostgresMirror(lambda: psycopg.connect(scratch_postgres_url), PostgresMirror.Options(table="flights"))
    # a cycle reads again what was changed beside an open transaction of the server; other tests have some
    closed = "SELECT bool_and(changed_in < pg_snapshot_xmin(pg_current_snapshot())) FROM pipeline_lifecycle"
    with psycopg.connect(logins["ledger_runtime"], autocommit=True) as connection:
        while connection.execute(closed).fetchone() != (True,):
            time.sleep(0.1)
    assert [publish("test", ["main"], feed, mirror).rows for _ in range(2)] == [1, 0]


def test_analysts_read_everything(logins: dict[str, str], world: World) -> None:
    world.complete(0, 1)
    with psycopg.connect(logins["ledger_reader"]) as connection:
        for table, rows in (("pipeline_lifecycle", 2), ("pipeline_records", 2)):
            assert connection.execute(f"SELECT count(*) FROM {table}".encode()).fetchone() == (rows,)
        events = connection.execute("SELECT count(*) FROM pipeline_lifecycle_events").fetchone()
    assert events is not None and events[0] > 10


def test_nothing_else_of_the_store_needs_more(world: World) -> None:
    """Every transition of the lifecycle goes through the same two statements; the rarest ones, too."""
    (record_id,) = world.plan_and_claim(0)
    row = world.store.take(record_id, RUN_1)
    world.store.change(record_id, lambda r, now: transitions.fail(r, row.fence, now, "no", max_retry_task=0), RUN_1)
    assert world.status(record_id) == Status.FAILED
    assert world.store.take(record_id, RUN_1).retry_attempt == 0

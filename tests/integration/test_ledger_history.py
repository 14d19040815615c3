"""What a scheduled run asks of the ledger does not grow with the history of its source."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from typing import Any

import psycopg
import pytest

from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.time.days import LocalDay, existing_days, local_day_of
from include.pipeline_framework.tasks.missing_days import missing_days
from include.pipeline_framework.tasks.planning import populate_pipeline_batches
from include.pipeline_framework.tasks.planning_days import plan_days
from include.pipeline_framework.tasks.state_manager import review
from include.pipeline_framework.tasks.store_and_validate import store_and_validate
from tests.conftest import database
from tests.unit.tasks.world import config

pytestmark = pytest.mark.integration

FINISH = """
UPDATE pipeline_lifecycle SET
    pipeline_final_status = 'COMPLETED', phase_completed = 'AUDIT', audit_result_status = 'PASSED'
WHERE target_day < CURRENT_DATE - 2
"""
PAGES = """
SELECT SUM(heap_blks_read + heap_blks_hit + COALESCE(idx_blks_read + idx_blks_hit, 0))::bigint
FROM pg_statio_user_tables
"""
OTHERS = """
SELECT COUNT(*) FROM pg_stat_activity
WHERE datname = CURRENT_DATABASE() AND backend_type = 'client backend' AND pid != PG_BACKEND_PID()
"""


class Source:
    """A source with a whole window for every hour of many days, nearly all of them COMPLETED."""

    def __init__(self, url: str, days: int) -> None:
        self.url = url
        with self.store() as store:
            today = local_day_of(store.now(), "UTC").date
            self.first = today - timedelta(days=days)
            self.config = config(timezone="UTC", start_date=self.first.isoformat(), fill_missing_days=True)
            all_days = existing_days(self.first, today + timedelta(days=1), "UTC")
            plan_days([(self.config, day) for day in all_days], store, Actor("planner", "first"), dry_run=False)
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(FINISH.encode())
            connection.execute("ALTER TABLE pipeline_lifecycle SET (autovacuum_enabled = FALSE)")
            connection.execute("VACUUM (FULL, ANALYZE) pipeline_lifecycle")
            connection.execute("VACUUM pipeline_lifecycle")  # only this one says which pages all can see

    @contextmanager
    def store(self) -> Iterator[PostgresLifecycleStore]:
        store = PostgresLifecycleStore(lambda: psycopg.connect(self.url))
        yield store
        store.close()

    def pages(self, work: Callable[[PostgresLifecycleStore], Any]) -> int:
        """How many pages of tables and indexes a piece of work reads; a session counts what it read when it ends."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            before = self._counted(connection)
            with self.store() as store:
                work(store)
            return self._counted(connection) - before

    def _counted(self, connection: psycopg.Connection[Any]) -> int:
        while self._one(connection, OTHERS):
            time.sleep(0.05)
        return self._one(connection, PAGES)

    @staticmethod
    def _one(connection: psycopg.Connection[Any], query: str) -> int:
        return int(connection.execute(query.encode()).fetchall()[0][0])


def scheduled_run(config: PipelineConfig, name: str) -> Callable[[PostgresLifecycleStore], None]:
    """What a run asks before it moves anything."""

    def run(store: PostgresLifecycleStore) -> None:
        actor = Actor("data_pipeline_main", name, "populate")
        report = populate_pipeline_batches(config, store, actor, RunRequest(max_windows=1))
        assert (report["inserted"], report["reported"]) == ([], [])
        assert len(store_and_validate(config, store, actor, RunRequest(max_windows=1))["claimed"]) == 1

    return run


@pytest.fixture
def pages(_migrated_template: str, stack_env: dict[str, str]) -> Callable[[int], dict[str, int]]:
    """Pages that a source with so many days of history costs: a run, the planner's search, a person's analysis."""

    def measured(days: int) -> dict[str, int]:
        with database(stack_env["LEDGER_URL"], _migrated_template) as url:
            source = Source(url, days)
            first = source.pages(scheduled_run(source.config, "run-1"))
            second = source.pages(scheduled_run(source.config, "run-2"))
            search = source.pages(lambda store: missing_days([source.config], store, store.now()))
            whole = source.pages(lambda store: review([source.config], store))
            return {"first": first, "second": second, "search": search, "whole": whole}

    return measured


def test_a_run_after_years_reads_as_much_as_one_after_months(pages: Callable[[int], dict[str, int]]) -> None:
    few, many = pages(100), pages(1_000)
    assert many["whole"] > 3 * few["whole"], (few, many)  # the measure sees what grows
    assert many["first"] > many["second"] + 100, (few, many)
    assert many["second"] < 1.3 * few["second"], (few, many)
    assert many["search"] < 1.3 * few["search"], (few, many)


def test_rows_deleted_by_hand_in_an_old_day_are_planned_again(
    _migrated_template: str, stack_env: dict[str, str]
) -> None:

    with database(stack_env["LEDGER_URL"], _migrated_template) as url:
        source = Source(url, 60)
        source.pages(scheduled_run(source.config, "run-1"))
        old = LocalDay(source.first + timedelta(days=3), "UTC")
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("DELETE FROM pipeline_lifecycle WHERE target_day = %s", [old.date])
        with source.store() as store:
            report = populate_pipeline_batches(source.config, store, Actor("d", "run-2"), RunRequest())
            assert len(report["inserted"]) == 24
            assert {row.target_day for row in store.find(statuses=["PENDING"])} >= {old.date}
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("TRUNCATE pipeline_lifecycle, pipeline_lifecycle_import")
        with source.store() as store:
            assert store.settled_days([source.config.source_object]) == {source.config.source_object: []}


def test_who_replaces_windows_does_not_wait_for_another(ledger_url: str) -> None:
    """The mark of an old day is a row of its own: two replacements of one source at once don't meet in it."""
    source = Source(ledger_url, 20)
    with source.store() as store:
        first, second = store.find(source_object=source.config.source_object, limit=2)
    invalidate = b"UPDATE pipeline_lifecycle SET is_invalidated_flag = TRUE WHERE id = %s"
    with psycopg.connect(ledger_url) as one, psycopg.connect(ledger_url) as other:
        for connection, row in ((one, first), (other, second)):
            connection.execute("SET lock_timeout = '5s'")
            connection.execute(invalidate, [row.id])
        one.commit()
        other.commit()
    with source.store() as store:
        marks = store.settled_days([source.config.source_object])[source.config.source_object]
        assert [mark.terms for mark in marks] == [None, None]
        assert {mark.before for mark in marks} == {
            first.query_window_start_at.astimezone(UTC).date() - timedelta(days=2)
        }

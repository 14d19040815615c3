"""What the ledger's hot paths send to Postgres: counts, not seconds, so that a slow machine can't hide a regression."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.config.loader import load_pipeline
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.tasks.planning import plan_sources, populate_pipeline_batches
from include.pipeline_framework.tasks.store_and_validate import store_and_validate
from tests.contract.ledger_counts import CountingConnection
from tests.contract.ledger_rows import DAY, HOUR, planned

pytestmark = pytest.mark.integration

LATER = datetime(2014, 1, 1, tzinfo=UTC)
PLANNER = Actor("daily_planner", "planner-run", "plan")
RUN = Actor("data_pipeline_main", "run-1", "claim", -1, 1)


@pytest.fixture
def connection(ledger_url: str) -> Iterator[CountingConnection]:
    with CountingConnection.to(ledger_url) as opened:
        yield opened


@pytest.fixture
def store(connection: CountingConnection) -> Iterator[PostgresLifecycleStore]:
    store = PostgresLifecycleStore(lambda: connection)
    store.now()
    yield store
    store.close()


def test_a_claim_of_a_day_is_four_statements(store: PostgresLifecycleStore, connection: CountingConnection) -> None:
    store.plan([planned(hour) for hour in range(24)], PLANNER)
    with connection.counted() as sent:
        assert len(store.claim("flights", RUN, limit=24, ended_before=LATER)) == 24
    assert (len(sent.statements), sent.round_trips) == (4, 3)


def test_a_run_claims_and_tells_what_waits(store: PostgresLifecycleStore, connection: CountingConnection) -> None:
    keys = dict.fromkeys(("key_x", "key_y", "key_z"), "key")
    store.plan([planned(hour, **keys) for hour in range(24)], PLANNER)
    config = load_pipeline("main")
    with connection.counted() as sent:
        found = store_and_validate(config, store, RUN, RunRequest(max_windows=20), now=LATER)
    assert (len(found["claimed"]), "4 more are due" in found["note"]) == (20, True)
    assert len(sent.statements) <= 7


def test_a_task_start_and_a_step(store: PostgresLifecycleStore, connection: CountingConnection) -> None:
    store.plan([planned(0)], PLANNER)
    (row,) = store.claim("flights", RUN, limit=1, ended_before=LATER)
    task = replace(RUN, task_id="move")
    with connection.counted() as sent:
        taken = store.take(row.id, task, row.identity)
    assert (len(sent.statements), sent.round_trips) == (3, 2)
    with connection.counted() as sent:
        store.change(row.id, lambda it, now: transitions.start_source_to_stage(it, taken.fence, now), task)
    assert (len(sent.statements), sent.round_trips) == (2, 2)
    with connection.counted() as sent:
        store.heartbeat(row.id, taken.fence)
    assert (len(sent.statements), sent.round_trips) == (1, 1)


@pytest.mark.parametrize("sources", [1, 30])
def test_planning_sends_as_much_for_many_sources_as_for_one(
    store: PostgresLifecycleStore, connection: CountingConnection, sources: int
) -> None:
    main = load_pipeline("main")
    configs = [main.model_copy(update={"source_object": f"source_{number}"}) for number in range(sources)]

    def plan() -> int:
        reports = plan_sources(configs, store, PLANNER, now=LATER, target_date=date(2013, 3, 9))
        return sum(report.inserted for report in reports)

    with connection.counted() as sent:
        assert plan() == 24 * sources
    assert len(sent.statements) == 6  # zone stamps, days on grid, live windows, identity, newest id, events; and COPY
    with connection.counted() as sent:
        assert plan() == 0
    assert (len(sent.statements), sent.round_trips) == (2, 2)


def test_a_day_asked_for_reads_live_windows_once(store: PostgresLifecycleStore, connection: CountingConnection) -> None:
    store.plan([planned(hour) for hour in range(24)], PLANNER)
    request = RunRequest(ranges=(TimeWindow(DAY, DAY + 24 * HOUR),))
    with connection.counted() as sent:
        populate_pipeline_batches(load_pipeline("main"), store, RUN, request)
    assert len(sent.statements) == 6  # clock, twice zone stamps and live windows, insert nothing, find

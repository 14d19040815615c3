"""A backfill of a thousand windows whose start is killed, on a real ledger."""

from __future__ import annotations

import multiprocessing
import os
import signal
from datetime import UTC, date, datetime
from typing import Any

import psycopg
import pytest

from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.lifecycle.campaigns import CampaignState, progress
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.tasks.backfill import change_state, parse_backfill, start_campaign
from include.pipeline_framework.tasks.planning import insert_windows
from tests.unit.tasks.world import PLANNER, config, window

pytestmark = pytest.mark.integration

PERSON = Actor("backfill_windows", "manual__1", "start_campaigns")
LATER = datetime(2014, 1, 1, tzinfo=UTC)
CONF = {"from": "2013-03-11", "to": "2013-04-21", "mode": "all", "reason": "once more"}
WINDOWS = 41 * 24


def start(url: str, kill_at: int | None) -> dict[str, Any]:
    """Start the campaign; with `kill_at` the process kills itself after so many steps."""

    def tick(done: int, _all: int) -> None:
        if kill_at is not None and done >= kill_at:
            os.kill(os.getpid(), signal.SIGKILL)

    store = PostgresLifecycleStore(lambda: psycopg.connect(url))
    pipeline = config()
    try:
        return start_campaign(pipeline, store, PERSON, parse_backfill(CONF, pipeline), tick=tick)
    finally:
        store.close()


def finish_days(store: PostgresLifecycleStore, windows: int) -> None:
    """The first windows of the range are planned and FAILED, as after an outage."""
    day = LocalDay(date(2013, 3, 11), "America/New_York")
    insert_windows(config(), [window(hour, day=day) for hour in range(windows)], store, PLANNER)
    run = Actor("data_pipeline_main", "outage", "audit")
    for row in store.claim("flights", run, limit=windows, ended_before=LATER):
        store.change(row.id, lambda r, now: transitions.take_over(r, now, "down", max_retry_task=0), run)


def test_a_killed_start_of_a_thousand_windows_goes_on(ledger_url: str) -> None:
    store = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))
    finish_days(store, 200)
    context = multiprocessing.get_context("fork")
    for kill_at in (700, 900):  # after an insert, then in the middle of the windows that join one by one
        process = context.Process(target=start, args=(ledger_url, kill_at))
        process.start()
        process.join()
        assert process.exitcode == -signal.SIGKILL
        assert progress(store.campaigns()[0])["state"] == "PLANNING"
    report = start(ledger_url, None)
    (campaign,) = store.campaigns()
    assert (progress(campaign)["state"], campaign["total"], campaign["remaining"]) == ("RUNNING", WINDOWS, WINDOWS)
    rows = store.campaign_rows(report["campaign_id"])
    assert len({row.query_window_start_at for row in rows}) == WINDOWS
    joins = [event for row in rows for event in store.events(row.id) if event["event"] == "joined_campaign"]
    assert len(joins) == 200
    store.close()


def test_paused_in_the_middle_of_draining(ledger_url: str) -> None:
    """Two runs claim, it is paused, nothing more is claimed, it is resumed and drained; each window exactly once."""
    store = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))
    number = start(ledger_url, None)["campaign_id"]
    seen: list[int] = []

    def claim(run: int) -> int:
        actor = Actor("data_pipeline_main", f"run-{run}", "store_and_validate")
        rows = store.claim("flights", actor, limit=100, ended_before=LATER, rules=config().claim_rules())
        seen.extend(row.id for row in rows)
        return len(rows)

    assert [claim(0), claim(1)] == [100, 100]
    change_state(store, PERSON, number, CampaignState.PAUSED)
    assert claim(2) == 0
    change_state(store, PERSON, number, CampaignState.RUNNING)
    while claim(len(seen) + 1_000):
        pass
    assert len(seen) == len(set(seen)) == WINDOWS
    store.close()

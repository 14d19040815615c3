"""Backfill campaigns and limits at the claim: the same on the in-memory double and on a real Postgres."""

from __future__ import annotations

import dataclasses
import threading
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import psycopg
import pytest

from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.lifecycle import campaigns, transitions
from include.pipeline_framework.core.lifecycle.campaigns import CampaignState, progress
from include.pipeline_framework.core.lifecycle.claiming import Cap, ClaimRules
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor, Status
from include.pipeline_framework.errors import IllegalTransitionError, InvalidInputError, WindowHeldError
from include.pipeline_framework.ports.ledger import LifecycleStore

START = datetime(2013, 3, 9, 5, tzinfo=UTC)
HOUR = timedelta(hours=1)
LATER = datetime(2014, 1, 1, tzinfo=UTC)
PERSON = Actor("backfill_windows", "manual__1", "start_campaigns")


def plan(store: LifecycleStore, *hours: int, source: str = "flights", **extra: Any) -> list[int]:
    rows = [
        {
            "pipeline_id": "main",
            "source_name": "elasticsearch",
            "source_object": source,
            "target_name": "snowflake",
            "target_object": "FLIGHTS",
            "timezone": "UTC",
            "granularity": "1h",
            "target_day": date(2013, 3, 9),
            "query_window_start_at": START + hour * HOUR,
            "query_window_end_at": START + (hour + 1) * HOUR,
            "time_interval": "1h",
            "source_query_window_duration_minutes": 60,
            **extra,
        }
        for hour in hours
    ]
    return [row.id for row in store.insert_planned(rows, PERSON).inserted]


def campaign(store: LifecycleStore, run: str = "manual__1", **changes: Any) -> int:
    values = {
        "source_object": "flights",
        "pipeline_id": "main",
        "mode": "missing",
        "ranges": [["2013-03-09T05:00:00Z", "2013-03-10T05:00:00Z"]],
        "granularity": None,
        "window_order": "oldest_first",
        "concurrency": None,
        "priority": 1,
        "reason": "",
        **changes,
    }
    return int(store.create_campaign(values, Actor("backfill_windows", run, "start_campaigns"))["campaign_id"])


def hours(rows: list[LedgerRow]) -> list[int]:
    return [int((row.query_window_start_at - START) / HOUR) for row in rows]


def claim(store: LifecycleStore, run: str, limit: int = 10, source: str = "flights", **rules: Any) -> list[int]:
    options: dict[str, Any] = {"limit": limit, "ended_before": LATER, "rules": ClaimRules(**rules)}
    shown = hours(store.preview_claim(source, **options))
    taken = hours(store.claim(source, Actor("data_pipeline_main", run, "store_and_validate"), **options))
    assert shown == taken
    return taken


class TestClaim:
    def test_scheduled_windows_keep_their_share_and_the_rest_is_the_campaigns(self, store: LifecycleStore) -> None:
        plan(store, *range(6))
        number = campaign(store)
        plan(store, *range(10, 20), campaign_id=number, priority=1)
        assert claim(store, "run-1", 5) == [0, 1, 2, 10, 11]
        assert claim(store, "run-2", 4, scheduled_share_percent=100) == [3, 4, 5, 12]
        assert claim(store, "run-3", 3) == [13, 14, 15]

    def test_a_campaign_without_priority_waits_for_the_scheduled_ones(self, store: LifecycleStore) -> None:
        plan(store, 0, 1, 2)
        number = campaign(store, priority=0)
        plan(store, 10, 11, campaign_id=number)
        assert claim(store, "run-1", 4, scheduled_share_percent=25) == [0, 1, 2, 10]

    def test_the_newest_first(self, store: LifecycleStore) -> None:
        number = campaign(store, window_order="newest_first")
        plan(store, *range(10), campaign_id=number, priority=1)
        assert claim(store, "run-1", 3) == [9, 8, 7]

    def test_the_more_important_campaign_first(self, store: LifecycleStore) -> None:
        low, high = campaign(store, "manual__1", priority=1), campaign(store, "manual__2", priority=5)
        plan(store, 0, 1, campaign_id=low, priority=1)
        plan(store, 5, 6, campaign_id=high, priority=5)
        assert claim(store, "run-1", 3) == [5, 6, 0]

    def test_its_concurrency_counts_windows_in_progress(self, store: LifecycleStore) -> None:
        number = campaign(store, concurrency=3)
        plan(store, *range(10), campaign_id=number, priority=1)
        assert claim(store, "run-1", 2) == [0, 1]
        assert claim(store, "run-2") == [2]
        assert claim(store, "run-3") == []
        (row, *_) = store.find(run=("data_pipeline_main", "run-1"))
        store.change(row.id, lambda r, now: transitions.take_over(r, now, "gone", max_retry_task=0), PERSON)
        assert claim(store, "run-4") == [3]

    @pytest.mark.parametrize("state", [CampaignState.PAUSED, CampaignState.CANCELLED])
    def test_paused_and_cancelled_windows_are_not_claimed(self, store: LifecycleStore, state: CampaignState) -> None:
        number = campaign(store)
        plan(store, 0, 1, campaign_id=number, priority=1)
        store.change_campaign(number, PERSON, state=state)
        assert claim(store, "run-1") == []
        assert claim(store, "run-2", 1, any_campaign=True) == [0]  # asked for explicitly
        if state == CampaignState.PAUSED:
            store.change_campaign(number, PERSON, state=CampaignState.RUNNING)
            assert claim(store, "run-3") == [1]


class TestCaps:
    def test_each_limit_counts_what_it_names(self, store: LifecycleStore) -> None:
        plan(store, *range(4))
        plan(store, *range(4), source="trains")
        plan(store, *range(4), source="ships", target_object="SHIPS", source_name="postgres")
        caps = (Cap(3, source_name="elasticsearch"), Cap(2, target_name="snowflake", target_object="FLIGHTS"))
        assert claim(store, "run-1", 1, source="flights", caps=caps) == [0]
        assert store.free_slots(caps) == {
            "source_name=elasticsearch": 2,
            "target_name=snowflake,target_object=FLIGHTS": 1,
        }
        assert claim(store, "run-2", source="trains", caps=caps) == [0]
        assert claim(store, "run-3", source="trains", caps=caps) == []
        ships = (Cap(3, source_name="postgres"), Cap(2, target_name="snowflake", target_object="SHIPS"))
        assert claim(store, "run-4", source="ships", caps=ships) == [0, 1]
        assert claim(store, "run-5", source="ships", caps=(Cap(2, source_object="ships"),)) == []

    @pytest.mark.integration
    @pytest.mark.parametrize("cap", [Cap(3, source_name="elasticsearch"), None])
    def test_sixteen_claimers_never_exceed_it(self, ledger_url: str, cap: Cap | None) -> None:
        """Limit 3 of a source system, and concurrency 3 of a campaign; windows are given back and claimed again."""
        store = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))
        number = None if cap else campaign(store, concurrency=3)
        plan(store, *range(60), campaign_id=number, priority=1)
        rules, most, seen = ClaimRules(caps=(cap,) if cap else ()), [0], Counter[int]()
        barrier = threading.Barrier(16)

        def work(worker: int) -> None:
            own = PostgresLifecycleStore(lambda: psycopg.connect(ledger_url))
            barrier.wait()
            for turn in range(12):
                run = Actor("data_pipeline_main", f"run-{worker}-{turn}", "store_and_validate")
                taken = own.claim("flights", run, limit=2, ended_before=LATER, rules=rules)
                with psycopg.connect(ledger_url) as connection:
                    ((held,),) = connection.execute(
                        "SELECT COUNT(*) FROM pipeline_lifecycle WHERE pipeline_final_status = 'IN_PROGRESS'"
                    ).fetchall()
                most[0] = max(most[0], held)
                for row in taken:
                    seen[row.id] += 1
                    own.change(row.id, lambda r, now: transitions.take_over(r, now, "x", max_retry_task=0), run)
            own.close()

        threads = [threading.Thread(target=work, args=(worker,)) for worker in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        store.close()
        assert most == [3]
        assert len(seen) == 60
        assert set(seen.values()) == {1}


class TestCampaigns:
    def test_one_of_a_run_and_source_however_often_it_is_tried(self, store: LifecycleStore) -> None:
        first = campaign(store, reason="first")
        assert campaign(store, reason="second") == first
        assert campaign(store, source_object="trains") != first
        assert campaign(store, "manual__2") != first
        (found,) = store.campaigns(campaign_id=first)
        assert (found["reason"], found["state"], found["planned_at"]) == ("first", "RUNNING", None)
        assert found["ranges"] == [["2013-03-09T05:00:00Z", "2013-03-10T05:00:00Z"]]

    def test_progress_tells_where_it_is(self, store: LifecycleStore) -> None:
        number = campaign(store)
        plan(store, *range(4), campaign_id=number, priority=1)
        (found,) = store.campaigns(source_object="flights")
        assert progress(found)["state"] == "PLANNING"
        store.change_campaign(number, PERSON, is_planned=True)
        claim(store, "run-1", 2)
        first, second = store.find(run=("data_pipeline_main", "run-1"))
        store.change(first.id, lambda r, now: transitions.take_over(r, now, "gone", max_retry_task=0), PERSON)
        shown = progress(store.campaigns()[0])
        figures = ("state", "total", "done", "running", "failed", "remaining", "percent", "eta_seconds")
        assert [shown[name] for name in figures] == ["RUNNING", 4, 0, 1, 1, 2, 0.0, None]
        assert {row.id for row in store.campaign_rows(number, statuses=["IN_PROGRESS"])} == {second.id}

    def test_it_is_done_when_nothing_is_left_to_do(self, store: LifecycleStore) -> None:
        number = campaign(store)
        (row_id,) = plan(store, 0, campaign_id=number)
        store.change_campaign(number, PERSON, is_planned=True)
        claim(store, "run-1")
        store.change(row_id, lambda r, now: transitions.take_over(r, now, "gone", max_retry_task=0), PERSON)
        assert progress(store.campaigns()[0])["state"] == "DONE"

    def test_cancelled_is_for_good(self, store: LifecycleStore) -> None:
        number = campaign(store)
        store.change_campaign(number, PERSON, state=CampaignState.CANCELLED)
        changed = store.change_campaign(number, PERSON, state=CampaignState.CANCELLED)
        assert changed["state_changed_by"] == str(PERSON)
        for state in (CampaignState.RUNNING, CampaignState.PAUSED):
            with pytest.raises(InvalidInputError, match="it is cancelled and can't become"):
                store.change_campaign(number, PERSON, state=state)
        with pytest.raises(InvalidInputError, match="there is no campaign 999"):
            store.change_campaign(999, PERSON, is_planned=True)


class TestJoinAndLeave:
    def test_a_waiting_and_a_failed_window_join(self, store: LifecycleStore) -> None:
        waiting, failed = plan(store, 0, 1)
        number = campaign(store)
        store.claim("flights", Actor("d", "r"), limit=2, ended_before=LATER)
        store.change(waiting, lambda r, now: transitions.take_over(r, now, "gone", max_retry_task=9), PERSON)
        store.change(failed, lambda r, now: transitions.take_over(r, now, "gone", max_retry_task=0), PERSON)
        for row_id in (waiting, failed):
            row = store.change(row_id, lambda r, now: campaigns.join(r, now, number, 7), PERSON)
            assert (row.pipeline_final_status, row.campaign_id, row.priority) == ("PENDING", number, 7)
            assert row.not_before_at is None
        assert store.get(failed).retry_attempt == 0
        assert sorted(claim(store, "run-1")) == [0, 1]

    def test_a_held_and_a_finished_one_do_not(self, store: LifecycleStore) -> None:
        (row_id,) = plan(store, 0)
        store.claim("flights", Actor("d", "r"), limit=1, ended_before=LATER)
        with pytest.raises(WindowHeldError, match="held by run r of d"):
            store.change(row_id, lambda r, now: campaigns.join(r, now, 1, 1), PERSON)
        row = dataclasses.replace(store.get(row_id), pipeline_final_status=Status.COMPLETED)
        with pytest.raises(IllegalTransitionError, match="COMPLETED can't join"):
            campaigns.join(row, LATER, 1, 1)

    def test_leaving_gives_the_window_back(self, store: LifecycleStore) -> None:
        (row_id,) = plan(store, 0)
        number = campaign(store)
        store.change(row_id, lambda r, now: campaigns.join(r, now, number, 7), PERSON)
        row = store.change(row_id, lambda r, now: campaigns.leave(r, now, 0), PERSON)
        assert (row.campaign_id, row.priority) == (None, 0)
        assert [event["event"] for event in store.events(row_id)] == ["planned", "joined_campaign", "left_campaign"]
        assert store.change(row_id, lambda r, now: campaigns.leave(r, now, 0), PERSON) == row

"""`why` on a ledger: what is gathered for the explanation, from planned to finished, and what is not there."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from include import framework
from include.cli.why import lines
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.lifecycle.campaigns import CampaignState, join
from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.tasks.why import DAILY_PLANNER_CRON, why
from tests.unit.tasks.world import PLANNER, RUN_1, World, window

REPO = Path(__file__).resolve().parents[3]


@dataclass
class Asking:
    """A world, and somebody who asks."""

    world: World

    def ask(self, instant: str = "2013-03-09T00:30", **options: Any) -> dict[str, Any]:
        return why("flights", instant, {"main": self.world.config}, self.world.store, **options)


@pytest.fixture
def asking() -> Asking:
    return Asking(World(fill_missing_days=False, cron_schedule="15 * * * *"))


def test_the_queue_is_the_claims_order(asking: Asking) -> None:
    asking.world.plan(0, 1, 2)
    found = asking.ask("2013-03-09T02:30")
    assert (found["state"], found["numbers"]["windows_before_it"]) == ("PENDING", 2)
    assert found["assumed"] == "2013-03-09T02:30 was read as local time of America/New_York"
    assert found["next_at"] == "2013-03-12T12:15:00Z"
    assert found["local"] == "2013-03-09 02:00-05:00 → 03:00-05:00"
    (claimed,) = asking.world.claim(limit=1)
    assert asking.ask("2013-03-09T02:30")["numbers"]["windows_before_it"] == 1
    assert claimed.id == asking.ask()["id"]


def test_a_held_window_names_its_run_and_asks_airflow(asking: Asking) -> None:
    (held,) = asking.world.plan_and_claim(0)
    asking.world.store.take(held, RUN_1)
    asking.world.pass_time(timedelta(minutes=3))
    asked: list[tuple[str, str]] = []

    def run_state(dag_id: str, run_id: str) -> RunState:
        asked.append((dag_id, run_id))
        return RunState.ACTIVE

    found = asking.ask(run_state=run_state)
    assert asked == [("data_pipeline_main", "run-1")]
    assert found["holder"] == {"dag_id": "data_pipeline_main", "dag_run_id": "run-1"}
    assert found["lease_ends_at"] == "2013-03-12T14:00:00Z"
    assert any("180 s ago" in sentence for sentence in found["sentences"])


def test_a_finished_window_has_its_numbers(asking: Asking) -> None:
    asking.world.add_documents(5)
    asking.world.complete(0)
    found = asking.ask("2013-03-09T05:00Z")
    assert (found["state"], found["assumed"]) == ("COMPLETED", "")
    assert (found["numbers"]["source_count"], found["numbers"]["target_count"]) == (5, 5)


def test_a_failed_window_tells_all_its_attempts(asking: Asking) -> None:
    (record_id,) = asking.world.plan(0)
    for reason in ("S3 is away", "S3 is still away", "S3 is gone"):
        asking.world.claim()
        fence = asking.world.store.take(record_id, RUN_1).fence
        asking.world.store.change(
            record_id,
            lambda row, now, fence=fence, reason=reason: transitions.fail(row, fence, now, reason, max_retry_task=2),
            RUN_1,
        )
        found = asking.ask()
        asking.world.pass_time(timedelta(hours=1))
        if reason != "S3 is gone":
            assert found["state"] == "PENDING"
            assert f"of 3: {reason}" in found["sentences"][0]
    assert found["state"] == "FAILED"
    assert [s.rpartition(": ")[2] for s in found["sentences"][1:]] == ["S3 is away", "S3 is still away", "S3 is gone"]


def test_a_paused_campaign_holds_its_windows(asking: Asking) -> None:
    (record_id,) = asking.world.plan(0)
    wanted = {"source_object": "flights", "pipeline_id": "main", "mode": "missing", "ranges": [], "granularity": None}
    more = {"window_order": "oldest_first", "concurrency": None, "priority": 1, "reason": ""}
    store = asking.world.store
    number = store.create_campaign({**wanted, **more}, PLANNER)["campaign_id"]
    store.change(record_id, lambda row, now: join(row, now, number, 1), PLANNER)
    assert "waits in the queue with priority 1, it is the next one" in asking.ask()["sentences"][0]
    store.change_campaign(number, PLANNER, state=CampaignState.PAUSED)
    found = asking.ask()
    assert f"python -m include.cli backfill resume {number}" in found["next"]


def test_the_limits_are_looked_at() -> None:
    asking = Asking(World(max_windows_in_progress={"pipeline": 1}))
    asking.world.plan(0, 1)
    asking.world.claim(limit=1)
    assert "max_windows_in_progress" in asking.ask("2013-03-09T01:30")["sentences"][0]


def test_a_gap_a_missing_day_and_the_future(asking: Asking) -> None:
    asking.world.plan(0, 2)
    assert asking.ask("2013-03-09T01:30")["state"] == "GAP"
    assert asking.ask("2013-03-08T01:30")["reason"] == "fill_missing_days: false"
    future = asking.ask("2013-03-20T12:00")
    assert (future["reason"], future["next_at"]) == ("future", "2013-03-20T00:30:00Z")
    assert asking.ask("2013-02-01")["state"] == "OUTSIDE_HORIZON"


def test_a_replaced_row_is_named_and_one_that_left_nothing(asking: Asking) -> None:
    (old,) = asking.world.plan(0)
    store = asking.world.store
    store.change(old, lambda row, now: transitions.invalidate(row, now, "gone"), PLANNER)
    found = asking.ask()
    assert found["state"] == "NOT_PLANNED"
    assert f"Row {old} over this time was invalidated and not replaced." in found["sentences"]
    asking.world.plan(0)
    assert any(f"Row {old} over this time" in sentence for sentence in asking.ask()["sentences"])


def test_a_removed_pipelines_rows_are_still_explained(asking: Asking) -> None:
    asking.world.plan(0)
    found = why("flights", "2013-03-09T00:30", {}, asking.world.store)
    assert (found["state"], found["timezone"]) == ("PENDING", "America/New_York")
    assert "No pipeline file has this source" in found["sentences"][0]


def test_an_unknown_source_is_refused_with_those_there_are(asking: Asking) -> None:
    with pytest.raises(InvalidInputError, match=r"no pipeline 'orders'.*main \(source flights\)"):
        why("orders", "2013-03-09", {"main": asking.world.config}, asking.world.store)


def test_the_framework_has_it_for_the_ui(asking: Asking) -> None:
    asking.world.plan(0)
    given: dict[str, Any] = {"store": asking.world.store, "configs": {"main": asking.world.config}}
    assert framework.why("flights", "2013-03-09T00:30", **given) == asking.ask()


def test_the_block_for_people(asking: Asking) -> None:
    asking.world.at = datetime(2013, 3, 9, 7, tzinfo=UTC)
    (record_id,) = asking.world.plan(0)
    assert lines(asking.ask("2013-03-09T00:30")) == [
        f"flights  2013-03-09 00:00-05:00 → 01:00-05:00 America/New_York (row {record_id}): PENDING",
        "  UTC    2013-03-09T05:00:00Z → 2013-03-09T06:00:00Z",
        "  asked  2013-03-09T00:30 was read as local time of America/New_York: "
        "2013-03-09 00:30:00-05:00 (2013-03-09T05:30:00Z)",
        "  why    Its data is not settled yet: it ends at 2013-03-09 01:00:00-05:00 (2013-03-09T06:00:00Z) and is left "
        "alone for x_time_back 1d.",
        "  data   fence 0, retry_attempt 0, priority 0",
        "  next   it can be claimed at 2013-03-10 01:00:00-05:00 (2013-03-10T06:00:00Z), by a run of "
        "data_pipeline_main",
        "  when   2013-03-10 01:00:00-05:00 (2013-03-10T06:00:00Z)",
    ]


def test_the_planners_schedule_is_the_dags() -> None:
    assert f'CronTriggerTimetable("{DAILY_PLANNER_CRON}", timezone="UTC")' in (
        REPO / "dags" / "daily_planner.py"
    ).read_text(encoding="utf-8")
    assert window(0).start == datetime(2013, 3, 9, 5, tzinfo=UTC)

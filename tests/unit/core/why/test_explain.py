"""Every status, with every combination of what may stand in a row and around it, is explained and has a next step."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Phase, Status
from include.pipeline_framework.core.records.validation import is_future_data
from include.pipeline_framework.core.time.durations import parse_granularity
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.core.why.explain import as_dict, explain
from include.pipeline_framework.core.why.facts import Facts, claimable_at
from tests.doubles.rows import ledger_row

ZONE = "America/New_York"
START = datetime(2013, 3, 9, 10, tzinfo=UTC)
NOW = datetime(2013, 3, 12, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
HORIZON = Horizon(ZONE, date(2013, 3, 1), date(2014, 1, 1))


def row(**values: Any) -> LedgerRow:
    """A planned row of one hour, with other values."""
    bounds = {"query_window_start_at": START, "query_window_end_at": START + HOUR}
    return ledger_row(**{"timezone": ZONE, **bounds, **values})


def owned(owner: str | None, **values: Any) -> LedgerRow:
    """A row that has a run whenever it is being moved."""
    has = owner or values["pipeline_final_status"] == "IN_PROGRESS"
    return row(**values, dag_id="data_pipeline_main" if has else None, dag_run_id="run-1" if has else None)


def facts(**values: Any) -> Facts:
    known = {"pipeline_id": "main", "horizon": HORIZON, "x_time_back": "1d", "next_run": lambda after: after + HOUR}
    return Facts("flights", ZONE, **{"instant": START + HOUR / 2, **known, **values})


instants = st.none() | st.sampled_from([NOW - timedelta(days=9), NOW - HOUR, NOW, NOW + HOUR])
flags = st.booleans()
statuses = st.sampled_from(list(Status))
counts = st.none() | st.integers(0, 9)
rows = st.fixed_dictionaries(
    {
        "pipeline_final_status": statuses.map(str),
        **dict.fromkeys(
            ("source_to_stage_ingestion_status", "stage_to_target_ingestion_status", "audit_process_status"),
            statuses.map(str),
        ),
        "phase_completed": st.none() | st.sampled_from(list(Phase)),
        **dict.fromkeys(
            (
                "is_invalidated_flag",
                "is_replacement_run_flag",
                "target_deletion_done_flag",
                "is_revisit_due_flag",
            ),
            flags,
        ),
        **dict.fromkeys(
            (
                "heartbeat_at",
                "pipeline_locked_at",
                "not_before_at",
                "pipeline_end_time",
                "audit_start_time",
                "source_to_stage_ingestion_start_time",
            ),
            instants,
        ),
        **dict.fromkeys(("source_count", "target_count", "quarantined_count"), counts),
        "retry_attempt": st.integers(0, 4),
        "last_error": st.none() | st.just("no\nyes."),
        "owner": st.none() | st.just("run-1"),
        "replaced_by_id": st.none() | st.just(9),
        "campaign_id": st.none() | st.just(3),
        "query_window_end_at": st.sampled_from([START + HOUR, NOW + HOUR]),
    }
).map(lambda values: owned(**values))
campaigns = st.fixed_dictionaries(
    {
        "state": st.sampled_from(["RUNNING", "PAUSED", "CANCELLED"]),
        "concurrency": st.none() | st.just(2),
        "running": st.integers(0, 2),
    }
)
worlds = st.fixed_dictionaries(
    {
        "instant": st.sampled_from(
            [START + HOUR / 2, NOW, NOW + timedelta(days=1), NOW + timedelta(days=5), START - timedelta(days=90)]
        ),
        "pipeline_id": st.none() | st.just("main"),
        "horizon": st.builds(
            Horizon,
            st.just(ZONE),
            st.just(date(2013, 3, 1)),
            st.none() | st.just(date(2013, 3, 9)),
            st.booleans(),
            st.booleans(),
        ),
        "x_time_back": st.none() | st.sampled_from(["1d", "2h"]),
        "next_run": st.sampled_from([lambda after: after + HOUR, lambda _after: None]),
        "next_planning": st.sampled_from([lambda after: after + HOUR, lambda _after: None]),
        "run_state": st.sampled_from(list(RunState)),
        "campaign": st.none() | campaigns,
        "full_caps": st.sampled_from([(), ("source_object=flights",)]),
        "ahead": st.none() | st.integers(0, 2),
        "invalidated": st.lists(rows, max_size=1).map(tuple),
        "is_day_planned": st.booleans(),
    }
).map(lambda values: Facts("flights", ZONE, **values))
events = st.lists(
    st.fixed_dictionaries(
        {
            "event": st.sampled_from(["planned", "failed", "audit_failed", "taken_over", "taken"]),
            "from_status": st.none() | statuses.map(str),
            "dag_id": st.sampled_from(["data_pipeline_main", "cleanup_stale_locks"]),
            "dag_run_id": st.just("run-1"),
            "task_id": st.sampled_from(["", "audit"]),
            "reason": st.sampled_from(["", "it broke"]),
            "occurred_at": instants,
        }
    ),
    max_size=3,
)


@given(st.none() | rows, events, worlds)
def test_there_is_always_an_explanation_and_a_next_step(
    found: LedgerRow | None, history: list[dict[str, Any]], around: Facts
) -> None:
    explained = explain(found, history, around, NOW)
    assert explained.next
    assert explained.sentences
    assert not [text for text in (*explained.sentences, explained.next) if not text or "None" in text]
    if found is not None and not found.is_invalidated_flag:
        assert explained.state == found.pipeline_final_status
    if explained.state == Status.IN_PROGRESS:
        assert explained.holder
        assert (explained.lease_ends_at is not None) == (found is not None and found.heartbeat_at is not None)
    assert json.loads(json.dumps(as_dict(explained, found, around)))["next"] == explained.next


@given(
    st.integers(0, 365 * 86_400).map(lambda seconds: datetime(2013, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)),
    st.sampled_from(["1h", "1d", "1d2h", "2d", "26h"]),
    st.sampled_from([ZONE, "UTC", "Europe/London", "Asia/Kathmandu", "Australia/Lord_Howe"]),
)
def test_a_window_settles_exactly_when_it_is_said_to(end: datetime, back: str, timezone: str) -> None:
    at = claimable_at(end, back, timezone)
    assert not is_future_data(end, at, back, timezone)
    assert is_future_data(end, at - timedelta(seconds=1), back, timezone)
    assert abs((at - end).total_seconds() - parse_granularity(back).total_seconds) <= 3_600 * 2


class TestPending:
    def test_it_waits_in_the_queue(self) -> None:
        explained = explain(row(), [], facts(ahead=3), NOW)
        assert "waits in the queue with priority 0, 3 windows are before it" in explained.sentences[0]
        assert explained.next == "a run of data_pipeline_main claims it unless that DAG is paused"
        assert explained.next_at == NOW + HOUR

    def test_its_data_is_not_settled(self) -> None:
        now = START + 2 * HOUR
        explained = explain(row(), [], facts(), now)
        assert "left alone for x_time_back 1d" in explained.sentences[0]
        assert explained.next_at == datetime(2013, 3, 10, 10, tzinfo=UTC)  # the same wall clock, an hour less
        assert "2013-03-10 06:00:00-04:00 (2013-03-10T10:00:00Z)" in explained.next

    def test_it_rests_after_a_failure(self) -> None:
        until = NOW + timedelta(minutes=8)
        found = row(not_before_at=until, retry_attempt=2, last_error="first\nS3 is away.", phase_completed="AUDIT")
        explained = explain(found, [], facts(max_retry_task=3), NOW)
        assert explained.sentences[0] == "It rests after attempt 2 of 4: S3 is away."
        assert (explained.next_at, explained.reason) == (until, "first\nS3 is away.")
        assert "resumes behind AUDIT" in explained.sentences[1]

    def test_the_later_of_two_waits_is_when(self) -> None:
        now, until = START + 2 * HOUR, START + 9 * HOUR
        explained = explain(row(not_before_at=until, retry_attempt=1), [], facts(), now)
        assert explained.next_at == datetime(2013, 3, 10, 10, tzinfo=UTC)
        assert len(explained.sentences) == 2

    @pytest.mark.parametrize(
        ("campaign", "sentence", "step"),
        [
            ({"state": "PAUSED"}, "campaign 3, which is paused", "backfill resume 3"),
            ({"state": "CANCELLED"}, "campaign 3, which was cancelled", "asks for it"),
            ({"state": "RUNNING", "concurrency": 2, "running": 2}, "lets 2 windows move at once", "is finished"),
        ],
    )
    def test_its_campaign_holds_it(self, campaign: dict[str, Any], sentence: str, step: str) -> None:
        around = facts(campaign={"concurrency": None, "running": 0, **campaign})
        explained = explain(row(campaign_id=3), [], around, NOW)
        assert sentence in explained.sentences[0]
        assert step in explained.next
        assert explained.next_at is None

    def test_a_running_campaign_is_only_named(self) -> None:
        around = facts(campaign={"state": "RUNNING", "concurrency": 2, "running": 1})
        explained = explain(row(campaign_id=3), [], around, NOW)
        assert explained.sentences[-1] == "It belongs to backfill campaign 3."
        assert explained.next_at

    def test_the_limits_are_full(self) -> None:
        explained = explain(row(), [], facts(full_caps=("source_object=flights",)), NOW)
        assert "max_windows_in_progress allows for source_object=flights" in explained.sentences[0]

    def test_a_disabled_pipelines_rows_rest(self) -> None:
        explained = explain(row(), [], facts(horizon=Horizon(ZONE, date(2013, 3, 1), enabled=False)), NOW)
        assert "the pipeline is disabled" in explained.sentences[0]
        assert "enabled" in explained.next
        assert explained.next_at is None


HELD = {
    "pipeline_final_status": "IN_PROGRESS",
    "dag_id": "data_pipeline_main",
    "dag_run_id": "run-1",
    "pipeline_locked_at": NOW - HOUR,
}


class TestInProgress:
    def test_a_task_works_on_it(self) -> None:
        found = row(
            **HELD, heartbeat_at=NOW - timedelta(seconds=20), stage_to_target_ingestion_status="IN_PROGRESS",
            stage_to_target_ingestion_start_time=NOW - timedelta(minutes=2),
        )  # fmt: skip
        explained = explain(found, [], facts(run_state=RunState.ACTIVE), NOW)
        assert explained.holder == ("data_pipeline_main", "run-1")
        assert explained.sentences[1].startswith("It is in stage_to_target, begun at 2013-03-12 07:58")
        assert "sign of life 20 s ago" in explained.sentences[2]
        assert explained.lease_ends_at == explained.next_at == NOW - timedelta(seconds=20) + 2 * HOUR
        assert "cleanup_stale_locks releases it" in explained.next

    def test_it_waits_in_a_living_runs_queue(self) -> None:
        explained = explain(row(**HELD), [], facts(run_state=RunState.ACTIVE), NOW)
        assert "waits in the queue of its run, without a lease" in explained.sentences[1]
        assert (explained.lease_ends_at, explained.next_at) == (None, None)

    def test_where_airflow_cannot_be_asked_the_claims_age_decides(self) -> None:
        explained = explain(row(**HELD), [], facts(), NOW)
        assert explained.next_at == NOW - HOUR + timedelta(hours=14)

    def test_its_owner_is_gone(self) -> None:
        explained = explain(row(**HELD), [], facts(run_state=RunState.ENDED), NOW)
        assert explained.reason == "run run-1 of data_pipeline_main has ended"
        assert "cleanup_stale_locks (every five minutes" in explained.next


class TestEnded:
    def test_completed(self) -> None:
        found = row(
            pipeline_final_status="COMPLETED", dag_id="data_pipeline_main", dag_run_id="run-1", fence=12,
            pipeline_end_time=NOW, source_count=94, target_count=93, quarantined_count=1,
        )  # fmt: skip
        explained = explain(found, [], facts(), NOW)
        assert "by run run-1 of data_pipeline_main, under fence 12" in explained.sentences[0]
        assert explained.sentences[1:3] == (
            "Rows: 94 at the source, 93 at the target.",
            "1 documents were quarantined beside the stage.",
        )
        assert '"windows": [["2013-03-09T10:00:00Z", "2013-03-09T11:00:00Z"]], "replace": true' in explained.next

    def test_a_revisit_is_due(self) -> None:
        explained = explain(row(pipeline_final_status="SKIPPED", is_revisit_due_flag=True), [], facts(), NOW)
        assert "a revisit is due" in explained.sentences[2]
        assert "audit" in explained.next

    def test_failed_tells_every_attempt_since_it_was_last_reopened(self) -> None:
        def event(name: str, reason: str, from_status: str = "IN_PROGRESS") -> dict[str, Any]:
            actor = {"dag_id": "data_pipeline_main", "dag_run_id": "run-4", "task_id": "window.audit"}
            return {"event": name, "reason": reason, "from_status": from_status, "occurred_at": NOW, **actor}

        history = [
            event("failed", "forgotten"),
            event("taken", "", "FAILED"),
            event("failed", "S3"),
            event("audit_failed", "93 of 94"),
        ]
        explained = explain(row(pipeline_final_status="FAILED", retry_attempt=2), history, facts(), NOW)
        text = "\n".join(explained.sentences)
        assert "forgotten" not in text
        assert text.index("S3") < text.index("93 of 94")
        assert "clear the failed task of run run-4 of data_pipeline_main" in explained.next

    def test_failed_without_a_history_shows_the_last_error(self) -> None:
        explained = explain(row(pipeline_final_status="FAILED", last_error="a\nb"), [], facts(), NOW)
        assert explained.sentences[1:3] == ("Reason: a", "Reason: b")

    def test_what_it_replaces_is_told(self) -> None:
        old = row(id=5, is_invalidated_flag=True, target_deletion_done_flag=True)
        explained = explain(row(is_replacement_run_flag=True), [], facts(invalidated=(old,)), NOW)
        assert explained.sentences[-1] == (
            "Row 5 over this time was invalidated; what it had loaded is deleted at the target."
        )


class TestNoRow:
    @pytest.mark.parametrize(
        ("changes", "state", "sentence", "step"),
        [
            ({"instant": START - timedelta(days=30)}, "OUTSIDE_HORIZON", "before start_date 2013-03-01", "start_date"),
            ({"instant": START + timedelta(days=400)}, "OUTSIDE_HORIZON", "after end_date 2014-01-01", "end_date"),
            ({"horizon": Horizon(ZONE, date(2013, 3, 1), None, False)}, "DISABLED", "is disabled", "enabled"),
            ({"pipeline_id": None}, "NO_PIPELINE", "No pipeline file", "put the pipeline's file back"),
            ({"is_day_planned": True}, "GAP", "it is a gap", "next run of data_pipeline_main plans it"),
            ({"instant": NOW + timedelta(days=5)}, "NOT_PLANNED", "lies in the future", "on the day before"),
            ({"instant": NOW + timedelta(days=1)}, "NOT_PLANNED", "by daily_planner", "daily_planner plans it"),
            ({}, "NOT_PLANNED", "its runs plan missing days", "next run of data_pipeline_main"),
            (
                {"instant": NOW + timedelta(days=5), "is_day_planned": True},
                "GAP",
                "a gap after tomorrow",
                "allow_future",
            ),
            (
                {"horizon": Horizon(ZONE, date(2013, 3, 1), None, True, False)},
                "NOT_PLANNED",
                "fill_missing_days: false",
                '{"target_date": "2013-03-09"}',
            ),
        ],
    )
    def test_it_says_why(self, changes: dict[str, Any], state: str, sentence: str, step: str) -> None:
        explained = explain(None, [], facts(**changes), NOW)
        assert explained.state == state
        assert sentence in " ".join(explained.sentences)
        assert step in explained.next

    def test_the_future_is_planned_on_the_day_before(self) -> None:
        explained = explain(None, [], facts(instant=NOW + timedelta(days=5), next_planning=lambda at: at + HOUR), NOW)
        assert explained.next_at == datetime(2013, 3, 16, 5, tzinfo=UTC)

    def test_an_invalidated_row_names_its_replacement(self) -> None:
        explained = explain(row(is_invalidated_flag=True, replaced_by_id=9), [], facts(), NOW)
        assert explained.state == "INVALIDATED"
        assert "replaced by row 9" in explained.sentences[0]
        assert "ledger show 9" in explained.next

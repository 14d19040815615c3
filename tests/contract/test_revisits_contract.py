"""Revisits of closed windows in the ledger: the same on the in-memory double and on a real Postgres."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.proof.audits import AuditNumbers
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.watching import late_data
from include.pipeline_framework.errors import IllegalTransitionError
from include.pipeline_framework.ports.ledger import LifecycleStore
from tests.contract.test_lifecycle_store_contract import LATER, LOADED, STAGED, claim, plan

RUN = Actor("audit_windows", "scheduled__1", "audit_pipeline", 0, 1)
OTHER_RUN = Actor("audit_windows", "scheduled__2", "audit_pipeline", 0, 1)
LONG_AGO = datetime(2000, 1, 1, tzinfo=UTC)
HUGE = 2**75


def revisit(**changes: Any) -> dict[str, Any]:
    return {
        "source_object": "flights",
        "target_day": date(2013, 3, 9),
        "days_after": 1,
        "mode": "count",
        "windows": 24,
        "changed": 2,
        "rows_before": 10**12,
        "rows_now": 10**12 + 3,
        "late_rows": 4,
        "gone_rows": 1,
        "lags": [[1, 25, 3], [2, 26, 1]],
        **changes,
    }


def complete(store: LifecycleStore, *hours: int, revisit_due: bool) -> list[int]:
    """Windows that were really claimed, taken and brought to COMPLETED."""
    ids = plan(store, *hours)
    same = Fingerprint(2, 2**70)
    numbers = AuditNumbers(same, same, same, source_count=3)
    run = Actor("data_pipeline_main", f"run-{ids[0]}", "audit")
    for row in claim(store, run):
        fence = store.take(row.id, run).fence
        for decide in (
            lambda r, now, f=fence: transitions.start_source_to_stage(r, f, now),
            lambda r, now, f=fence: transitions.complete_source_to_stage(r, f, now, STAGED),
            lambda r, now, f=fence: transitions.start_stage_to_target(r, f, now),
            lambda r, now, f=fence: transitions.complete_stage_to_target(r, f, now, LOADED),
            lambda r, now, f=fence: transitions.start_audit(r, f, now),
            lambda r, now, f=fence: transitions.pass_audit(r, f, now, numbers, revisit_due=revisit_due),
        ):
            store.change(row.id, decide, run)
    return ids


class TestRevisits:
    def test_a_revisit_is_kept_as_it_was_given(self, store: LifecycleStore) -> None:
        before = store.now()
        assert store.note_revisit(revisit(), RUN) is True
        (found,) = store.revisits("flights", LONG_AGO)
        assert {name: found[name] for name in revisit()} == revisit()
        assert (found["dag_id"], found["dag_run_id"]) == ("audit_windows", "scheduled__1")
        assert before <= found["revisited_at"] <= store.now()
        assert store.revisits("others", LONG_AGO) == []
        assert store.revisits("flights", found["revisited_at"]) == [found]
        assert store.revisits("flights", found["revisited_at"] + timedelta(microseconds=1)) == []

    def test_a_runs_second_try_changes_nothing_and_another_run_or_day_is_its_own(self, store: LifecycleStore) -> None:
        assert store.note_revisit(revisit(), RUN)
        assert not store.note_revisit(revisit(changed=0, lags=[]), RUN)
        assert store.note_revisit(revisit(changed=0, lags=[]), OTHER_RUN)
        assert store.note_revisit(revisit(days_after=3), RUN)
        assert store.note_revisit(revisit(target_day=date(2013, 3, 10)), RUN)
        assert [row["changed"] for row in store.revisits("flights", LONG_AGO)] == [2, 0, 2, 2]

    def test_what_is_returned_is_a_copy(self, store: LifecycleStore) -> None:
        store.note_revisit(revisit(), RUN)
        store.revisits("flights", LONG_AGO)[0]["lags"].clear()
        assert store.revisits("flights", LONG_AGO)[0]["lags"] == [[1, 25, 3], [2, 26, 1]]


class TestMarks:
    def test_only_closed_live_marked_rows_are_due_when_they_have_rested(self, store: LifecycleStore) -> None:
        (late,) = complete(store, 5, revisit_due=True)
        (sooner,) = complete(store, 2, revisit_due=True)
        complete(store, 3, revisit_due=False)
        (pending,) = plan(store, 7)
        assert [row.id for row in store.revisit_due("flights", LATER + timedelta(days=9_999))] == [sooner, late]
        assert store.revisit_due("flights", store.get(sooner).pipeline_end_time - timedelta(hours=1)) == []
        assert store.revisit_due("others", LATER + timedelta(days=9_999)) == []
        with pytest.raises(IllegalTransitionError):
            store.change(pending, lambda row, now: late_data.revisited(row, now, None), RUN)

    def test_marking_and_unmarking_are_events(self, store: LifecycleStore) -> None:
        (record_id,) = complete(store, 0, revisit_due=False)
        (change,) = late_data.find_changed([store.get(record_id)], {record_id: 5})
        for found in (change, None, None):
            store.change(record_id, lambda row, now, f=found: late_data.revisited(row, now, f), RUN)
        events = [event for event in store.events(record_id) if event["event"] == "revisited"]
        assert [(event["numbers"]["kind"], event["dag_run_id"]) for event in events] == [
            ("late_data", "scheduled__1"),
            ("equal", "scheduled__1"),
        ]
        assert store.revisit_due("flights", LATER + timedelta(days=9_999)) == []

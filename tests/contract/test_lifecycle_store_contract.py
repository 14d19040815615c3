"""What every `LifecycleStore` promises; the same tests run on the in-memory double and on a real Postgres."""

from __future__ import annotations

import dataclasses
import threading
from datetime import UTC, date, datetime
from typing import Any, NoReturn

import pytest

from include.pipeline_framework.core.continuity.zone_changes import DayStamp
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.lifecycle.claiming import ClaimRules
from include.pipeline_framework.core.proof.audits import AuditNumbers
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor, Phase
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import (
    FenceLostError,
    IllegalTransitionError,
    InvalidInputError,
    RowMistakenError,
    WindowFinishedError,
    WindowHeldError,
    WindowInvalidatedError,
)
from include.pipeline_framework.ports.ledger import LifecycleStore, RestoredRow
from tests.contract.ledger_rows import DAY, HOUR, planned, window

LOW = 2**40 - 1
"""The bits of a fence that count; above them is the ledger's timeline."""

FAR = 9 << 40
"""A timeline that the ledger's server has not come to."""

LATER = datetime(2014, 1, 1, tzinfo=UTC)
PLANNER = Actor("daily_planner", "planner-run", "plan")
RUN_1 = Actor("data_pipeline_main", "run-1", "claim", -1, 1)
RUN_2 = Actor("data_pipeline_main", "run-2", "claim", -1, 1)
STAGED = {
    "stage_location": "p/1",
    "stage_file_count": 1,
    "stage_byte_count": 10,
    "staged_count": 2,
    "staged_fingerprint": 2**70,
    "quarantined_count": 0,
    "source_count": 2,
    "source_parts": {"logs-a": "u1"},
}
LOADED = {"loaded_count": 2, "loaded_fingerprint": 2**70}
SAME = Fingerprint(2, 2**70)
NUMBERS = AuditNumbers(SAME, SAME, SAME, source_count=2)


def plan(store: LifecycleStore, *hours: int, **extra: Any) -> list[int]:
    outcome = store.insert_planned([planned(hour, **extra) for hour in hours], PLANNER)
    return [row.id for row in outcome.inserted]


def claim(store: LifecycleStore, actor: Actor = RUN_1, limit: int = 10, **options: Any) -> list[LedgerRow]:
    return store.claim("flights", actor, limit=limit, ended_before=options.pop("ended_before", LATER), **options)


def task(run: Actor, task_id: str, try_number: int = 1) -> Actor:
    return Actor(run.dag_id, run.dag_run_id, task_id, 0, try_number)


def move_to_audit(store: LifecycleStore, record_id: int, run: Actor = RUN_1, rows: int = 2) -> int:
    """Take the row and go through all phases up to a started audit; returns the fence."""
    fence = store.take(record_id, task(run, "audit")).fence
    for decide in (
        lambda row, now: transitions.start_source_to_stage(row, fence, now),
        lambda row, now: transitions.complete_source_to_stage(row, fence, now, {**STAGED, "staged_count": rows}),
        lambda row, now: transitions.start_stage_to_target(row, fence, now),
        lambda row, now: transitions.complete_stage_to_target(row, fence, now, LOADED),
        lambda row, now: transitions.start_audit(row, fence, now),
    ):
        store.change(record_id, decide, task(run, "audit"))
    return fence


def complete(store: LifecycleStore, record_id: int, run: Actor = RUN_1, rows: int = 2) -> LedgerRow:
    fence = move_to_audit(store, record_id, run, rows)
    return store.change(
        record_id,
        lambda row, now: transitions.pass_audit(row, fence, now, NUMBERS, revisit_due=False),
        task(run, "audit"),
    )


def fail(store: LifecycleStore, record_id: int, fence: int, retries: int = 3) -> LedgerRow:
    return store.change(
        record_id, lambda row, now: transitions.fail(row, fence, now, "boom", max_retry_task=retries), task(RUN_1, "t")
    )


class TestPlan:
    def test_a_planned_row_has_requirement_1s_defaults(self, store: LifecycleStore) -> None:
        row = store.get(plan(store, 0)[0])
        assert row.job_id is None
        assert (row.elt_process_status, row.audit_process_status) == ("PENDING", "PENDING")
        assert (row.audit_result_status, row.pipeline_final_status) == (None, "PENDING")
        flags = ("is_invalidated_flag", "is_replacement_run_flag", "target_deletion_done_flag")
        assert [getattr(row, flag) for flag in flags] == [False, False, False]
        assert row.record_inserted_at.tzinfo is not None
        assert row.record_last_updated_at >= row.record_inserted_at

    def test_planning_again_inserts_nothing(self, store: LifecycleStore) -> None:
        plan(store, 0, 1)
        outcome = store.insert_planned([planned(0), planned(1), planned(2)], PLANNER)
        assert [row.query_window_start_at for row in outcome.inserted] == [window(2).start]
        assert [row["query_window_start_at"] for row in outcome.refused] == [window(0).start, window(1).start]

    def test_an_overlapping_window_is_refused_but_another_source_may_have_it(self, store: LifecycleStore) -> None:
        plan(store, 0)
        half = {**planned(0), "query_window_start_at": DAY + HOUR / 2, "query_window_end_at": DAY + HOUR * 3 / 2}
        assert not store.insert_planned([half], PLANNER).inserted
        assert store.insert_planned([{**half, "source_object": "other"}], PLANNER).inserted

    def test_live_windows_overlap_the_asked_range(self, store: LifecycleStore) -> None:
        plan(store, 0, 1, 3)
        assert store.live_windows("flights", TimeWindow(window(1).start, window(3).start)) == [window(1)]

    def test_planned_days_have_live_rows(self, store: LifecycleStore) -> None:
        days = [date(2013, 3, day) for day in (9, 11, 12)]
        plan(store, 0, 1)
        plan(store, 48, target_day=days[1])
        plan(store, 72, target_day=days[2])
        (gone,) = plan(store, 24, target_day=date(2013, 3, 10))
        store.replace([gone], [], PLANNER, "not needed")
        assert store.planned_days({"flights": None, "other": None}) == {"flights": days, "other": []}
        assert store.planned_days({"flights": days[1]}) == {"flights": days[1:]}
        assert (store.has_windows("flights"), store.has_windows("other")) == (True, False)

    def test_a_source_whose_rows_are_all_gone_has_no_windows(self, store: LifecycleStore) -> None:
        store.replace(plan(store, 0), [], PLANNER, "not needed")
        assert not store.has_windows("flights")

    def test_recent_cost_is_the_median_of_loaded_windows(self, store: LifecycleStore) -> None:
        day, next_day = date(2013, 3, 9), date(2013, 3, 10)
        planned_ids = plan(store, 0, 1, 2, 3)
        assert store.recent_cost("flights", day, day) is None
        claim(store)
        for record_id, rows in zip(planned_ids, (7, 300, 20), strict=False):
            complete(store, record_id, rows=rows)
        cost = store.recent_cost("flights", day, day)
        assert cost is not None
        assert cost.rows == 20
        assert 0 <= cost.seconds < 60
        assert store.recent_cost("flights", next_day, next_day) is None
        assert store.recent_cost("other", day, day) is None

    def test_the_plan_is_an_event(self, store: LifecycleStore) -> None:
        (event,) = store.events(plan(store, 0)[0])
        assert (event["event"], event["to_status"], event["dag_id"]) == ("planned", "PENDING", "daily_planner")


class TestSettledDays:
    def test_a_mark_takes_the_place_of_the_known_ones(self, store: LifecycleStore) -> None:
        store.settle_days("flights", "terms", date(2013, 3, 1), [])
        (first,) = store.settled_days(["flights"])["flights"]
        assert (first.before, first.terms) == (date(2013, 3, 1), "terms")
        store.settle_days("flights", "others", date(2013, 3, 2), [first])
        (second,) = store.settled_days(["flights"])["flights"]
        assert (second.before, second.terms) == (date(2013, 3, 2), "others")
        assert store.settled_days(["other"]) == {"other": []}

    def test_a_row_that_is_taken_out_leaves_a_mark_that_stays_until_it_was_known(self, store: LifecycleStore) -> None:
        gone, *_ = plan(store, 5, 6)
        store.settle_days("flights", "terms", date(2014, 1, 1), [])
        known = store.settled_days(["flights"])["flights"]
        store.replace([gone], [planned(5)], PLANNER, "corrected")
        store.settle_days("flights", "terms", date(2014, 1, 2), known)
        marks = store.settled_days(["flights"])["flights"]
        found = {(mark.before, mark.terms) for mark in marks}
        assert found == {(date(2013, 3, 7), None), (date(2014, 1, 2), "terms")}
        store.settle_days("flights", "terms", date(2014, 1, 3), marks)
        assert [mark.before for mark in store.settled_days(["flights"])["flights"]] == [date(2014, 1, 3)]

    def test_a_claim_and_a_finished_window_leave_no_mark(self, store: LifecycleStore) -> None:
        plan(store, 0)
        (row,) = claim(store)
        complete(store, row.id)
        assert store.settled_days(["flights"]) == {"flights": []}


class TestClaim:
    def test_priority_then_age_then_window_start(self, store: LifecycleStore) -> None:
        plan(store, 5)
        plan(store, 3, 2)
        plan(store, 7, priority=5)
        assert [row.query_window_start_at for row in claim(store, limit=3)] == [
            window(7).start,
            window(5).start,
            window(2).start,
        ]

    def test_a_window_that_has_not_settled_is_not_claimed(self, store: LifecycleStore) -> None:
        plan(store, 0, 1)
        rows = claim(store, ended_before=window(0).end)
        assert [row.query_window_start_at for row in rows] == [window(0).start]

    def test_only_windows_wholly_inside_the_asked_ranges(self, store: LifecycleStore) -> None:
        plan(store, 0, 1, 2)
        within = [TimeWindow(window(0).start + HOUR / 2, window(2).start)]
        assert [row.query_window_start_at for row in claim(store, within=within)] == [window(1).start]
        assert claim(store, RUN_2, within=[]) == []

    def test_a_second_claim_of_the_run_gets_the_same_windows_and_no_more(self, store: LifecycleStore) -> None:
        """A kill between the claim's commit and the XCom push strands nothing."""
        plan(store, 0, 1, 2)
        first = claim(store, limit=2)
        again = claim(store, limit=3)
        assert [row.id for row in again] == [row.id for row in first]

    def test_two_runs_never_get_the_same_window(self, store: LifecycleStore) -> None:
        plan(store, *range(20))
        got: list[int] = []

        def work(number: int) -> None:
            rows = claim(store, Actor("data_pipeline_main", f"run-{number}"), limit=3)
            got.extend(row.id for row in rows)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == len(set(got)) == 18

    def test_a_resting_window_is_not_claimed(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        fence = store.take(record_id, task(RUN_1, "source_to_stage")).fence
        row = fail(store, record_id, fence)
        assert row.not_before_at > store.now()
        assert claim(store, RUN_2) == []

    def test_a_cleared_run_gets_its_own_unfinished_windows_back(self, store: LifecycleStore) -> None:
        done, failed, _free = plan(store, 0, 1, 2)
        claim(store, limit=2)
        complete(store, done)
        fail(store, failed, store.take(failed, task(RUN_1, "source_to_stage")).fence, retries=0)
        assert store.get(failed).pipeline_final_status == "FAILED"
        (row,) = claim(store, limit=5)
        assert (row.id, row.retry_attempt, row.pipeline_final_status) == (failed, 0, "IN_PROGRESS")

    def test_a_window_that_has_got_as_far_as_asked_is_left_out(self, store: LifecycleStore) -> None:
        staged, untouched = plan(store, 0, 1)
        claim(store, limit=1)
        fence = store.take(staged, task(RUN_1, "source_to_stage")).fence
        for decide in (
            lambda row, now: transitions.start_source_to_stage(row, fence, now),
            lambda row, now: transitions.complete_source_to_stage(row, fence, now, STAGED),
            lambda row, now: transitions.stop_after(row, fence, now, Phase.SOURCE_TO_STAGE),
        ):
            row = store.change(staged, decide, task(RUN_1, "source_to_stage"))
        assert (row.pipeline_final_status, row.phase_completed, row.dag_run_id) == (
            "PENDING",
            "SOURCE_TO_STAGE",
            None,
        )
        rules = ClaimRules(not_after=Phase.SOURCE_TO_STAGE.and_later)
        shown = store.preview_claim("flights", limit=5, ended_before=LATER, rules=rules)
        assert [row.id for row in shown] == [untouched]
        rows = store.claim("flights", RUN_2, limit=5, ended_before=LATER, rules=rules)
        assert [row.id for row in rows] == [untouched]
        later = ClaimRules(not_after=Phase.STAGE_TO_TARGET.and_later)
        rows = store.claim("flights", Actor("data_pipeline_main", "run-3"), limit=5, ended_before=LATER, rules=later)
        assert [row.id for row in rows] == [staged]

    def test_a_preview_takes_nothing(self, store: LifecycleStore) -> None:
        plan(store, 0)
        shown = store.preview_claim("flights", limit=5, ended_before=LATER)
        assert [row.pipeline_final_status for row in shown] == ["PENDING"]
        assert len(claim(store)) == 1


class TestFence:
    def test_every_start_gets_a_greater_fence_whatever_the_row(self, store: LifecycleStore) -> None:
        first, second = plan(store, 0, 1)
        claim(store)
        fences = [store.take(i, task(RUN_1, "t")).fence for i in (first, second, first)]
        assert fences == sorted(set(fences))

    def test_of_two_tries_the_older_is_refused(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        old = store.take(record_id, task(RUN_1, "source_to_stage", 1)).fence
        new = store.take(record_id, task(RUN_1, "source_to_stage", 2)).fence
        before = store.get(record_id)
        with pytest.raises(FenceLostError):
            store.heartbeat(record_id, old)
        with pytest.raises(FenceLostError):
            store.change(record_id, lambda row, now: transitions.start_source_to_stage(row, old, now), RUN_1)
        assert store.get(record_id) == before
        store.heartbeat(record_id, new)

    def test_taking_sets_the_heartbeat_and_the_end_of_the_task_clears_it(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        row = store.take(record_id, task(RUN_1, "t"))
        assert row.heartbeat_at is not None
        row = store.change(record_id, lambda row, now: transitions.end_task(row, row.fence, now), RUN_1)
        assert (row.heartbeat_at, row.pipeline_final_status) == (None, "IN_PROGRESS")

    def test_another_runs_window_is_refused_by_name(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        with pytest.raises(WindowHeldError, match="run-1"):
            store.take(record_id, task(RUN_2, "t"))

    def test_a_released_window_is_taken_back_by_a_cleared_task(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        fail(store, record_id, store.take(record_id, task(RUN_1, "t")).fence)
        row = store.take(record_id, task(RUN_1, "t", 2))
        assert (row.pipeline_final_status, row.dag_run_id, row.retry_attempt) == ("IN_PROGRESS", "run-1", 1)

    @pytest.mark.parametrize(
        "other",
        [{"source_object": "others"}, {"start": LATER}, {"end": LATER}],
        ids=["of another source", "another start", "another end"],
    )
    def test_a_row_whose_number_means_another_window_is_refused(
        self, store: LifecycleStore, other: dict[str, Any]
    ) -> None:
        (record_id,) = plan(store, 0)
        (row,) = claim(store)
        before = store.get(record_id)
        with pytest.raises(RowMistakenError, match=f"row {record_id} is not "):
            store.take(record_id, task(RUN_1, "t"), dataclasses.replace(row.identity, **other))
        assert store.get(record_id) == before
        assert store.take(record_id, task(RUN_1, "t"), row.identity).fence > before.fence

    def test_several_are_taken_at_once_and_who_is_refused_stops_none_beside_it(self, store: LifecycleStore) -> None:
        first, held, mistaken, last = plan(store, 0, 1, 2, 3)
        claim(store, limit=1)
        store.claim("flights", RUN_2, limit=1, ended_before=LATER)
        others = {row.id: row for row in claim(store, Actor("another", "run-3", "claim"))}
        before = [store.get(record_id) for record_id in (held, mistaken)]
        expected = {
            last: others[last].identity,
            held: None,
            mistaken: dataclasses.replace(others[mistaken].identity, source_object="other"),
            4_711: None,
        }
        taken = store.take_all(expected, Actor("another", "run-3", "t"))
        assert list(map(type, map(taken.get, (held, mistaken, 4_711)))) == [
            WindowHeldError,
            RowMistakenError,
            InvalidInputError,
        ]
        assert taken[last] == store.get(last)
        assert [store.get(record_id) for record_id in (held, mistaken)] == before
        both = store.take_all({first: None}, task(RUN_1, "t")) | store.take_all({held: None}, task(RUN_2, "t"))
        fences = [row.fence for row in (taken[last], both[first], both[held]) if isinstance(row, LedgerRow)]
        assert fences == sorted(set(fences)) and len(fences) == 3

    def test_each_of_several_gets_a_fence_of_its_own_and_an_event(self, store: LifecycleStore) -> None:
        ids = plan(store, 0, 1, 2)
        claim(store)
        rows = store.take_all(dict.fromkeys(reversed(ids)), task(RUN_1, "t"))
        assert {record_id: store.get(record_id) for record_id in ids} == rows
        assert len({store.get(record_id).fence for record_id in ids}) == 3
        assert [store.events(record_id)[-1]["fence"] for record_id in ids] == [store.get(i).fence for i in ids]

    def test_several_change_at_once_and_a_lost_fence_stops_none_beside_it(self, store: LifecycleStore) -> None:
        ids = plan(store, 0, 1, 2)
        claim(store)
        fences = {record_id: store.take(record_id, task(RUN_1, "t")).fence for record_id in ids}
        newer = store.take(ids[1], task(RUN_1, "t", 2))

        def start(fence: int) -> Any:
            return lambda row, now: transitions.start_source_to_stage(row, fence, now)

        changed = store.change_all({record_id: start(fences[record_id]) for record_id in ids}, task(RUN_1, "t"))
        assert isinstance(changed[ids[1]], FenceLostError)
        assert store.get(ids[1]) == newer
        for record_id in (ids[0], ids[2]):
            assert changed[record_id] == store.get(record_id)
            assert store.events(record_id)[-1]["event"] == "source_to_stage_started"
            assert store.events(record_id)[-1]["fence"] == fences[record_id]

    def test_a_bug_in_one_decision_writes_nothing(self, store: LifecycleStore) -> None:
        ids = plan(store, 0, 1)
        claim(store)
        rows = {record_id: store.take(record_id, task(RUN_1, "t")) for record_id in ids}

        def bug(_row: LedgerRow, _now: datetime) -> NoReturn:
            raise ZeroDivisionError

        first = rows[ids[0]].fence
        decisions = {ids[0]: lambda row, now: transitions.start_source_to_stage(row, first, now), ids[1]: bug}
        with pytest.raises(ZeroDivisionError):
            store.change_all(decisions, task(RUN_1, "t"))
        assert {record_id: store.get(record_id) for record_id in ids} == rows

    def test_a_temporary_run_takes_nothing(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        with pytest.raises(WindowHeldError, match="temporary"):
            store.take(record_id, Actor("data_pipeline_main", "__airflow_temporary_run_2013__", "audit"))
        assert store.get(record_id).pipeline_final_status == "PENDING"


class TestTakingRowsAway:
    def test_what_a_load_may_take_away_is_planned_with_the_row_and_changes_with_it(self, store: LifecycleStore) -> None:
        first, second = plan(store, 0, removable_count=3, is_removal_approved_flag=True) + plan(store, 1)
        assert [getattr(store.get(first), name) for name in ALLOWED] == [3, True]
        assert [getattr(store.get(second), name) for name in ALLOWED] == [None, False]
        claim(store)
        fence = move_to_audit(store, second)
        assert store.get(second).source_parts == {"logs-a": "u1"}
        row = store.change(
            second, lambda row, now: transitions.reopen_for_late_data(row, fence, now, NUMBERS, removable_rows=2), RUN_1
        )
        assert row.removable_count == 2


ALLOWED = ("removable_count", "is_removal_approved_flag")


class TestZoneRules:
    def test_stamps_tell_by_day_and_version_how_far_the_rows_reach(self, store: LifecycleStore) -> None:
        plan(store, 0, 1, zone_rules="2025b")
        plan(store, 2)
        plan(store, 3, zone_rules="2026f")
        plan(store, 24, zone_rules="2026f", target_day=date(2013, 3, 10))
        plan(store, 0, source="trains", zone_rules="2025b")
        plan(store, 5, zone_rules="2025b", timezone="UTC")
        store.replace(plan(store, 6, zone_rules="2025b"), [], PLANNER, "gone")
        zones = {"flights": "America/New_York", "ships": "UTC"}
        day, other = date(2013, 3, 9), date(2013, 3, 10)
        assert store.zone_stamps(zones, DAY, "2099a") == {
            "flights": [
                DayStamp(day, None, window(2).start, window(2).end, 1),
                DayStamp(day, "2025b", window(0).start, window(1).end, 2),
                DayStamp(day, "2026f", window(3).start, window(3).end, 1),
                DayStamp(other, "2026f", window(24).start, window(24).end, 1),
            ],
            "ships": [],
        }
        later = DAY + 4 * HOUR
        assert [stamp.day for stamp in store.zone_stamps(zones, later, "2099a")["flights"]] == [other]
        assert store.zone_stamps(zones, later, "2026f") == {"flights": [], "ships": []}
        assert [stamp.zone_rules for stamp in store.zone_stamps(zones, DAY, "2025b")["flights"]] == [
            None,
            "2026f",
            "2026f",
        ]

    def test_rows_of_one_version_leave_no_stamp(self, store: LifecycleStore) -> None:
        plan(store, 0, 1, zone_rules="2026f")
        store.replace(plan(store, 6, zone_rules="2025b"), [], PLANNER, "gone")
        assert store.zone_stamps({"flights": "America/New_York"}, DAY, "2026f") == {"flights": []}

    def test_where_only_pending_rows_make_way_nothing_is_replaced_once_one_has_begun(
        self, store: LifecycleStore
    ) -> None:
        first, second = plan(store, 0, 1)
        claim(store, limit=1)
        complete(store, first)
        new = [planned(0), planned(1)]
        with pytest.raises(IllegalTransitionError, match="is COMPLETED by now"):
            store.replace([first, second], new, PLANNER, "zone rules", only_pending=True)
        assert [store.get(row_id).is_invalidated_flag for row_id in (first, second)] == [False, False]
        (row,) = store.replace([second], new[1:], PLANNER, "zone rules", only_pending=True)
        assert store.get(second).replaced_by_id == row.id


class TestPhases:
    def test_a_window_goes_through_to_completed(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        row = complete(store, record_id)
        assert (row.pipeline_final_status, row.audit_result_status, row.phase_completed) == (
            "COMPLETED",
            "PASSED",
            "AUDIT",
        )
        assert (row.staged_fingerprint, row.loaded_fingerprint, row.count_difference) == (2**70, 2**70, 0)
        names = [event["event"] for event in store.events(record_id)]
        assert names == [
            "planned",
            "claimed",
            "taken",
            "source_to_stage_started",
            "source_to_stage_completed",
            "stage_to_target_started",
            "stage_to_target_completed",
            "audit_started",
            "completed",
        ]

    def test_a_repeated_transition_of_the_same_claim_has_no_effect(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        complete(store, record_id)
        fence = store.get(record_id).fence
        events = len(store.events(record_id))
        store.change(
            record_id, lambda row, now: transitions.pass_audit(row, fence, now, NUMBERS, revisit_due=False), RUN_1
        )
        assert len(store.events(record_id)) == events

    @pytest.mark.parametrize(
        ("decide", "names"),
        [
            (transitions.start_stage_to_target, "SOURCE_TO_STAGE.*None"),
            (transitions.start_audit, "STAGE_TO_TARGET.*None"),
            (lambda row, f, now: transitions.complete_source_to_stage(row, f, now, STAGED), "PENDING, not IN_PROGRESS"),
        ],
    )
    def test_an_illegal_transition_names_both_states(self, store: LifecycleStore, decide: Any, names: str) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        fence = store.take(record_id, task(RUN_1, "t")).fence
        before = store.get(record_id)
        with pytest.raises(IllegalTransitionError, match=names):
            store.change(record_id, lambda row, now: decide(row, fence, now), RUN_1)
        assert store.get(record_id) == before

    def test_a_finished_window_is_not_taken_again(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        complete(store, record_id)
        with pytest.raises(WindowFinishedError, match="COMPLETED"):
            store.take(record_id, task(RUN_1, "t"))

    def test_late_data_reopens_without_a_spent_attempt(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        fence = move_to_audit(store, record_id)
        row = store.change(
            record_id, lambda row, now: transitions.reopen_for_late_data(row, fence, now, NUMBERS), task(RUN_1, "audit")
        )
        assert (row.pipeline_final_status, row.audit_result_status, row.retry_attempt) == ("PENDING", None, 0)
        assert (row.is_revisit_due_flag, row.not_before_at, row.phase_completed) == (True, None, None)

    def test_a_failed_audit_starts_over_and_is_bounded(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        for attempt, status in ((1, "PENDING"), (2, "FAILED")):
            fence = move_to_audit(store, record_id)
            row = store.change(
                record_id,
                lambda row, now, fence=fence: transitions.fail_audit(
                    row, fence, now, NUMBERS, "lost", max_retry_task=1
                ),
                task(RUN_1, "audit"),
            )
            assert (row.pipeline_final_status, row.retry_attempt) == (status, attempt)
            assert (row.phase_completed, row.audit_result_status) == (None, "FAILED")


class TestFailAndTakeOver:
    def test_a_failure_keeps_the_phase_and_the_reasons(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        fence = store.take(record_id, task(RUN_1, "t")).fence
        store.change(record_id, lambda row, now: transitions.start_source_to_stage(row, fence, now), RUN_1)
        store.change(record_id, lambda row, now: transitions.complete_source_to_stage(row, fence, now, STAGED), RUN_1)
        row = fail(store, record_id, fence)
        assert (row.phase_completed, row.retry_attempt, row.last_error) == ("SOURCE_TO_STAGE", 1, "boom")
        assert row.dag_run_id is None

    def test_a_try_that_airflow_repeats_counts_nothing(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        fence = store.take(record_id, task(RUN_1, "t")).fence
        row = store.change(record_id, lambda row, now: transitions.retry_later(row, fence, now, "503"), RUN_1)
        assert (row.pipeline_final_status, row.dag_run_id, row.retry_attempt) == ("IN_PROGRESS", "run-1", 0)
        assert row.heartbeat_at is None

    def test_a_take_over_refuses_the_old_owner_and_ends_failed(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        statuses = []
        for number in range(2):
            run = Actor("data_pipeline_main", f"killed-{number}")
            if number:
                store.take(record_id, run)  # not_before_at keeps it from a claim for a minute
            else:
                claim(store, run)
            fence = store.take(record_id, run).fence
            row = store.change(
                record_id,
                lambda row, now: transitions.take_over(row, now, "its run is gone", max_retry_task=1),
                PLANNER,
            )
            statuses.append(row.pipeline_final_status)
            with pytest.raises((FenceLostError, IllegalTransitionError)):
                store.change(record_id, lambda row, now, f=fence: transitions.start_source_to_stage(row, f, now), run)
        assert statuses == ["PENDING", "FAILED"]
        numbers = store.events(record_id)[-1]["numbers"]
        assert (numbers["dag_run_id"], numbers["retry_attempt"]) == ("killed-1", 2)


class TestReplace:
    def test_a_finished_row_is_invalidated_and_replaced(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        complete(store, record_id)
        (new,) = store.replace([record_id], [planned(0)], PLANNER, "reload")
        old = store.get(record_id)
        assert (old.is_invalidated_flag, old.replaced_by_id, old.pipeline_final_status) == (
            True,
            new.id,
            "COMPLETED",
        )
        assert (new.is_replacement_run_flag, new.pipeline_final_status) == (True, "PENDING")
        with pytest.raises(WindowInvalidatedError, match=str(new.id)):
            store.take(record_id, task(RUN_1, "t"))

    def test_a_replacement_inherits_owed_deletions_until_its_publish(self, store: LifecycleStore) -> None:
        (first,) = plan(store, 0)
        (second,) = store.replace([first], [planned(0)], PLANNER, "a")
        (third,) = store.replace([second.id], [planned(0)], PLANNER, "b")
        owed = store.replaced_windows(third.id)
        assert owed == {first: window(0), second.id: window(0)}
        claim(store)
        fence = store.take(third.id, task(RUN_1, "t")).fence
        for decide in (
            lambda row, now: transitions.start_source_to_stage(row, fence, now),
            lambda row, now: transitions.complete_source_to_stage(row, fence, now, STAGED),
            lambda row, now: transitions.start_stage_to_target(row, fence, now),
            lambda row, now: transitions.complete_stage_to_target(row, fence, now, LOADED, tuple(owed)),
        ):
            store.change(third.id, decide, RUN_1)
        assert store.replaced_windows(third.id) == {}
        assert [store.get(i).target_deletion_done_flag for i in owed] == [True, True]

    def test_a_refusal_is_an_event_and_changes_nothing(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        old = store.take(record_id, task(RUN_1, "t")).fence
        row = store.take(record_id, task(RUN_1, "t"))
        store.note_refusal(record_id, old, "fence lost", task(RUN_1, "late"))
        assert store.get(record_id) == row
        event = store.events(record_id)[-1]
        assert (event["event"], event["reason"], event["task_id"]) == ("refused", "fence lost", "late")
        assert (event["from_status"], event["to_status"], event["fence"]) == (
            "IN_PROGRESS",
            "IN_PROGRESS",
            row.fence,
        )
        assert event["numbers"] == {"refused_fence": old}

    def test_a_window_in_progress_is_not_replaced(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        with pytest.raises(WindowHeldError, match="run-1"):
            store.replace([record_id], [planned(0)], PLANNER, "reload")
        assert not store.get(record_id).is_invalidated_flag

    def test_the_task_that_holds_a_window_may_replace_it_under_its_own_fence(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        claim(store)
        old = store.take(record_id, task(RUN_1, "pre_validation")).fence
        fence = store.take(record_id, task(RUN_1, "pre_validation", 2)).fence
        with pytest.raises(FenceLostError):
            store.replace([record_id], [planned(0)], RUN_1, "cut", fence=old)
        (new,) = store.replace([record_id], [planned(0)], RUN_1, "cut", fence=fence)
        row = store.get(record_id)
        assert (row.is_invalidated_flag, row.replaced_by_id, row.dag_run_id) == (True, new.id, None)

    def test_a_replacement_in_the_way_of_another_row_changes_nothing(self, store: LifecycleStore) -> None:
        first, _second = plan(store, 0, 1)
        wide = {**planned(0), "query_window_end_at": window(1).end}
        with pytest.raises(IllegalTransitionError):
            store.replace([first], [wide], PLANNER, "reload")
        assert not store.get(first).is_invalidated_flag
        assert len(store.find(source_object="flights", include_invalidated=True)) == 2

    def test_a_replacement_is_never_skipped(self, store: LifecycleStore) -> None:
        (record_id,) = plan(store, 0)
        (new,) = store.replace([record_id], [planned(0)], PLANNER, "reload")
        claim(store)
        fence = store.take(new.id, task(RUN_1, "t")).fence
        proof = {"source_count": 2, "target_count": 2, "loaded_fingerprint": 2**70}
        with pytest.raises(IllegalTransitionError, match="never SKIPPED"):
            store.change(new.id, lambda row, now: transitions.skip(row, fence, now, proof), RUN_1)


class TestReading:
    def test_find_gives_no_more_than_it_is_asked_for(self, store: LifecycleStore) -> None:
        later, earlier, others = plan(store, 5)[0], plan(store, 2)[0], plan(store, 1, source="others")[0]
        assert [row.id for row in store.find(limit=2)] == [earlier, later]
        assert [row.id for row in store.find(limit=2, is_oldest_first=True)] == [later, earlier]
        assert [row.id for row in store.find(is_oldest_first=True)] == [later, earlier, others]
        assert store.find(source_object="nobody", limit=1) == []

    def test_find_filters(self, store: LifecycleStore) -> None:
        plan(store, 0, 1)
        plan(store, 0, source="other")
        claim(store, limit=1)
        assert len(store.find()) == 3
        assert len(store.find(source_object="flights", statuses=["PENDING"])) == 1
        assert len(store.find(run=("data_pipeline_main", "run-1"))) == 1
        assert len(store.find(within=[window(0)])) == 2

    def test_what_a_run_ever_claimed(self, store: LifecycleStore) -> None:
        (record_id, _other) = plan(store, 0, 1)
        claim(store, limit=1)
        fail(store, record_id, store.take(record_id, task(RUN_1, "t")).fence)
        assert [row.id for row in store.claimed_by("data_pipeline_main", "run-1")] == [record_id]

    def test_an_unknown_row_is_named(self, store: LifecycleStore) -> None:
        with pytest.raises(InvalidInputError, match="4711"):
            store.get(4711)


REBUILDER = Actor("cli ledger rebuild", "ann", "ledger rebuild")


def lost(hour: int, record_id: int | None = None, **extra: Any) -> RestoredRow:
    """A row as a rebuild enters it: loaded, not audited."""
    proven = {
        **STAGED,
        **LOADED,
        "id": record_id,
        "fence": 77,
        "source_to_stage_ingestion_status": "COMPLETED",
        "stage_to_target_ingestion_status": "COMPLETED",
        "stage_to_target_ingestion_end_time": DAY + 30 * HOUR,
        "elt_process_status": "COMPLETED",
        "phase_completed": "STAGE_TO_TARGET",
    }
    return RestoredRow(planned(hour, **(proven | extra)), "a receipt proves it", {"rows": 2})


class TestRebuild:
    def test_a_restored_row_has_its_id_its_numbers_and_its_event(self, store: LifecycleStore) -> None:
        (row,) = store.restore([lost(0, 4711)], REBUILDER).inserted
        assert row == store.get(4711)
        assert (row.pipeline_final_status, row.phase_completed, row.fence) == (
            "PENDING",
            "STAGE_TO_TARGET",
            77,
        )
        assert (row.loaded_count, row.loaded_fingerprint, row.staged_fingerprint) == (2, 2**70, 2**70)
        assert (row.audit_process_status, row.elt_process_status, row.fence) == ("PENDING", "COMPLETED", 77)
        assert (row.stage_location, row.stage_to_target_ingestion_end_time) == ("p/1", DAY + 30 * HOUR)
        assert (row.dag_run_id, row.retry_attempt, row.is_replacement_run_flag) == (None, 0, False)
        (event,) = store.events(4711)
        assert (event["event"], event["from_status"], event["to_status"]) == ("rebuilt", None, "PENDING")
        assert (event["to_phase"], event["fence"], event["dag_id"]) == ("STAGE_TO_TARGET", 77, "cli ledger rebuild")
        assert (event["reason"], event["numbers"]) == ("a receipt proves it", {"rows": 2})

    def test_a_restored_row_is_claimed_and_audited_without_another_load(self, store: LifecycleStore) -> None:
        store.restore([lost(0, 4711)], REBUILDER)
        assert [row.id for row in claim(store)] == [4711]
        fence = store.take(4711, task(RUN_1, "audit")).fence
        store.change(4711, lambda row, now: transitions.start_audit(row, fence, now), RUN_1)
        row = store.change(
            4711, lambda row, now: transitions.pass_audit(row, fence, now, NUMBERS, revisit_due=False), RUN_1
        )
        assert row.pipeline_final_status == "COMPLETED"

    def test_a_row_in_the_way_is_left_alone_and_the_lost_one_refused(self, store: LifecycleStore) -> None:
        (there,) = plan(store, 0)
        before = store.get(there)
        outcome = store.restore([lost(0, 50), lost(1, there), lost(2, 52)], REBUILDER)
        assert [row.id for row in outcome.inserted] == [52]
        assert [row["query_window_start_at"] for row in outcome.refused] == [window(0).start, window(1).start]
        assert store.get(there) == before
        assert store.restore([lost(2, 52)], REBUILDER).inserted == []
        assert len(store.events(52)) == 1

    def test_without_an_id_it_gets_a_new_one(self, store: LifecycleStore) -> None:
        store.restore([lost(0, 4711)], REBUILDER)
        store.raise_sequences(fence=0, record_id=4711)
        (row,) = store.restore([lost(1, None, phase_completed=None)], REBUILDER).inserted
        assert (row.id, row.phase_completed) == (4712, None)
        assert store.known_ids([4711, 4712, 4713]) == {4711, 4712}

    def test_sequences_rise_and_never_sink(self, store: LifecycleStore) -> None:
        assert store.last_fence() & LOW == 0
        store.raise_sequences(fence=FAR + 1_000, record_id=400)
        store.raise_sequences(fence=10, record_id=5)
        assert store.last_fence() == FAR + 1_000
        (record_id,) = plan(store, 0)
        claim(store)
        fence = store.take(record_id, task(RUN_1, "t")).fence
        assert (record_id, fence) == (401, FAR + 1_001)
        assert store.last_fence() == fence

    def test_a_fence_in_a_row_counts_where_the_sequence_was_not_restored(self, store: LifecycleStore) -> None:
        store.restore([lost(0, 4711, fence=FAR + 900)], REBUILDER)
        assert store.last_fence() == FAR + 900
        store.raise_sequences(fence=1, record_id=1)
        claim(store)
        assert store.take(4711, task(RUN_1, "t")).fence == FAR + 901
        assert plan(store, 1) == [4712]

    def test_a_fence_of_a_later_timeline_is_exceeded_on_an_earlier_one(self, store: LifecycleStore) -> None:
        """A backup of a server that had failed over four times, on a new server: timeline 1 again."""
        store.raise_sequences(fence=(5 << 40) + 7, record_id=1)
        (record_id,) = plan(store, 0)
        claim(store)
        assert [store.take(record_id, task(RUN_1, "t")).fence for _ in range(2)] == [(5 << 40) + 8, (5 << 40) + 9]

    def test_the_recorded_ledger_issues_fences(self, store: LifecycleStore) -> None:
        assert store.identity().is_recorded
        (before,) = plan(store, 0)
        store.record_identity(REBUILDER, lift_ids=500)
        (after,) = plan(store, 1)
        assert (store.identity().is_recorded, after) == (True, before + 501)

    def test_fences_and_ids_that_are_drawn_meanwhile_are_unique(self, store: LifecycleStore) -> None:
        ids = plan(store, *range(4))
        claim(store)
        fences: list[int] = []

        def work(number: int) -> None:
            for _ in range(10):
                if number:
                    fences.append(store.take(ids[number - 1], task(RUN_1, "t")).fence)
                else:
                    store.raise_sequences(fence=store.last_fence() + 1, record_id=1)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(fences) == len(set(fences)) == 40

"""The ledger under random hands: planners, claims, starts, writes of any old or new start, pauses, cleanups, clears,
replacements, late data and jumps of the clock, on the real Postgres store; its rules hold after every step."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.core.lifecycle.transitions import Transition
from include.pipeline_framework.core.proof.audits import AuditNumbers
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor, Phase
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import LedgerRefusedError
from include.pipeline_framework.tasks.cleanup_stale_locks import cleanup_stale_locks, finish_run
from tests.faults.life import DAG, Life, history_problems, hours
from tests.faults.results import N, record

pytestmark = [pytest.mark.integration, pytest.mark.usefixtures("quiet")]

EXAMPLES = max(60, N // 5)
STEPS = 40
RUNS = ("run-a", "run-b", "run-c")
SAME = Fingerprint(2, 12)
NUMBERS = AuditNumbers(SAME, SAME, SAME, source_count=2)
STAGED = {"stage_location": "s/1", "stage_file_count": 1, "stage_byte_count": 9, "staged_count": 2,
          "staged_fingerprint": 12, "quarantined_count": 0, "source_count": 2}  # fmt: skip
LOADED = {"loaded_count": 2, "loaded_fingerprint": 12}
Write = Callable[[Any, int, Any], Transition]
WRITES: dict[str, Write] = {
    "start stage": transitions.start_source_to_stage,
    "staged": lambda row, fence, now: transitions.complete_source_to_stage(row, fence, now, STAGED),
    "start load": transitions.start_stage_to_target,
    "loaded": lambda row, fence, now: transitions.complete_stage_to_target(row, fence, now, LOADED),
    "start audit": transitions.start_audit,
    "passed": lambda row, fence, now: transitions.pass_audit(row, fence, now, NUMBERS, revisit_due=False),
    "failed audit": lambda row, fence, now: transitions.fail_audit(row, fence, now, NUMBERS, "bad", max_retry_task=2),
    "late data": lambda row, fence, now: transitions.reopen_for_late_data(row, fence, now, NUMBERS),
    "failed": lambda row, fence, now: transitions.fail(row, fence, now, "boom", max_retry_task=2),
    "try again": lambda row, fence, now: transitions.retry_later(row, fence, now, "boom"),
    "stopped staged": lambda row, fence, now: transitions.stop_after(row, fence, now, Phase.SOURCE_TO_STAGE),
    "stopped loaded": lambda row, fence, now: transitions.stop_after(row, fence, now, Phase.STAGE_TO_TARGET),
    "task ended": transitions.end_task,
    "skipped": lambda row, fence, now: transitions.skip(
        row, fence, now, {"source_count": 2, "target_count": 2, "loaded_fingerprint": 12}
    ),
}
USUAL = ("start stage", "staged", "start load", "loaded", "start audit", "passed")
OWNED = ("dag_id", "dag_run_id", "pipeline_locked_at")
windows = st.tuples(st.integers(0, 7), st.integers(1, 4)).map(lambda pair: hours(pair[0] / 2, (pair[0] + pair[1]) / 2))
counters: dict[str, int] = {"steps": 0, "refused": 0}


class Ledger(RuleBasedStateMachine):
    """One source object; `fences` are the starts that ever were, most of them zombies by now."""

    life: Life
    numbers = itertools.count(1)

    def __init__(self) -> None:
        super().__init__()
        self.life = Life(self.life.url, self.life.directory, f"machine_{next(self.numbers)}")
        self.pipeline = self.life.pipeline()
        self.store = self.pipeline.store
        assert isinstance(self.store, PostgresLifecycleStore)
        self.source_object = self.life.source_object
        self.fences: list[tuple[int, int, Actor]] = []
        self.greatest: dict[int, int] = {}
        self.states: dict[str, RunState] = dict.fromkeys(RUNS, RunState.ACTIVE)

    def teardown(self) -> None:
        self.store.close()

    def actor(self, run: str, task: str = "task", try_number: int = 1) -> Actor:
        return Actor(DAG, f"{self.source_object}/{run}", task, 0, try_number)

    def rows(self) -> list[LedgerRow]:
        return self.store.find(source_object=self.source_object, include_invalidated=True)

    @initialize(runs=st.lists(st.sampled_from(RUNS), min_size=1, max_size=2, unique=True))
    def some_are_started(self, runs: list[str]) -> None:
        """A ledger with nothing in it has little to get wrong."""
        self.plan([hours(0, 1), hours(1, 2)])
        for run in runs:
            self.claim(run, 1)
        for pick, try_number in itertools.product(range(2), (1, 2)):
            for run in runs:
                self.start(run, pick, try_number)

    @rule(wanted=st.lists(windows, min_size=1, max_size=3))
    def plan(self, wanted: list[TimeWindow]) -> None:
        from include.pipeline_framework.tasks.planning import insert_windows

        insert_windows(self.pipeline.config, wanted, self.store, Actor("planner", "plan"))

    @rule(run=st.sampled_from(RUNS), limit=st.integers(1, 3))
    def claim(self, run: str, limit: int) -> None:
        self.states[run] = RunState.ACTIVE
        claimed = self.store.claim(self.source_object, self.actor(run), limit=limit, ended_before=self.store.now())
        assert all(row.is_held_by(self.actor(run)) for row in claimed)

    @precondition(lambda self: self.rows())
    @rule(run=st.sampled_from(RUNS), pick=st.integers(0, 5), try_number=st.integers(1, 9))
    def start(self, run: str, pick: int, try_number: int) -> None:
        """A task starts, or starts again, or is cleared."""
        rows = self.rows()
        row, actor = rows[pick % len(rows)], self.actor(run, try_number=try_number)
        try:
            taken = self.store.take(row.id, actor)
        except LedgerRefusedError:
            counters["refused"] += 1
            assert self.store.get(row.id) == row, "a refusal writes nothing"
            return
        assert taken.fence > max(self.greatest.values(), default=0), "the newest start has the greatest fence"
        self.fences.append((row.id, taken.fence, actor))

    @precondition(lambda self: self.fences)
    @rule(pick=st.integers(0, 5), name=st.sampled_from(sorted(WRITES)))
    def write(self, pick: int, name: str) -> None:
        """Any start that ever was writes anything."""
        record_id, fence, actor = self.fences[-1 - pick % len(self.fences)]
        before = self.store.get(record_id)
        decide = WRITES[name]
        try:
            after = self.store.change(record_id, lambda row, now: decide(row, fence, now), actor)
        except LedgerRefusedError:
            counters["refused"] += 1
            assert self.store.get(record_id) == before, "a refusal writes nothing"
            return
        assert before.fence == fence == after.fence, f"a zombie's {name!r} was accepted"
        assert after == before or not before.is_invalidated_flag, "an invalidated row has changed"

    @precondition(lambda self: self.fences)
    @rule(pick=st.integers(0, 3), upto=st.integers(1, len(USUAL)))
    def go_on(self, pick: int, upto: int) -> None:
        """A start does what a task does, step by step."""
        for name in USUAL[:upto]:
            self.write(pick, name)

    @precondition(lambda self: self.fences)
    @rule(pick=st.integers(0, 5))
    def heartbeat(self, pick: int) -> None:
        record_id, fence, _actor = self.fences[-1 - pick % len(self.fences)]
        row = self.store.get(record_id)
        may = row.fence == fence and row.pipeline_final_status == "IN_PROGRESS" and row.is_live
        try:
            self.store.heartbeat(record_id, fence)
        except LedgerRefusedError:
            assert not may
        else:
            assert may

    @rule(run=st.sampled_from(RUNS))
    def end_run(self, run: str) -> None:
        """Airflow says that it has ended; its tasks may not know."""
        self.states[run] = RunState.ENDED

    @rule(run=st.sampled_from(RUNS))
    def finish(self, run: str) -> None:
        """The teardown."""
        try:
            finish_run(self.store, self.pipeline.config, self.actor(run))
        except Exception as error:  # noqa: BLE001 - it says which windows are unfinished
            assert "not finished" in str(error)
        held = self.store.find(run=(DAG, f"{self.source_object}/{run}"), statuses=["IN_PROGRESS"])
        assert held == []

    @rule()
    def clean_up(self) -> None:
        before = {row.id: row for row in self.rows()}
        prefix = f"{self.source_object}/"

        def state(_dag_id: str, run_id: str) -> RunState:
            return self.states[run_id.removeprefix(prefix)] if run_id.startswith(prefix) else RunState.ACTIVE

        released = cleanup_stale_locks(
            self.store, {"faults": self.pipeline.config}, Actor("cleanup_stale_locks", "cleanup", "release"), state
        )
        for entry in released:
            if (row := before.get(entry["id"])) is not None:
                ended = self.states[row.dag_run_id.removeprefix(prefix)] is RunState.ENDED
                assert ended or row.heartbeat_at is not None, "a window that only waits in a living run was taken"

    @precondition(lambda self: self.rows())
    @rule(pick=st.integers(0, 5), cut=st.integers(1, 3), more=st.booleans())
    def replace(self, pick: int, cut: int, more: bool) -> None:
        """One live row, or two neighbours, become one, two or three windows."""
        from include.pipeline_framework.config.derived import deriving
        from include.pipeline_framework.core.records.planning import planned_row

        live = [row for row in self.rows() if row.is_live]
        if not live:
            return
        first = pick % len(live)
        old = live[first : first + 1 + more]
        if len(old) == 2 and old[0].query_window_end_at != old[1].query_window_start_at:
            old = old[:1]
        start, end = old[0].query_window_start_at, old[-1].query_window_end_at
        edges = [start + (end - start) * n / cut for n in range(cut + 1)]
        new = [planned_row(self.pipeline.config.final_config(), TimeWindow(*pair), deriving)
               for pair in itertools.pairwise(edges)]  # fmt: skip
        before = self.rows()
        try:
            inserted = self.store.replace([row.id for row in old], new, Actor("person", "replace"), "test")
        except LedgerRefusedError:
            counters["refused"] += 1
            assert self.rows() == before, "a refusal writes nothing"
            return
        assert len(inserted) == cut

    @rule(jump=st.integers(1, 300))
    def the_clock_jumps(self, jump: int) -> None:
        """Minutes pass: rests end, leases run out."""
        self.life.sql(
            "UPDATE pipeline_lifecycle SET heartbeat_at = heartbeat_at - %s, not_before_at = not_before_at - %s, "
            "pipeline_locked_at = pipeline_locked_at - %s WHERE source_object = %s",
            *[timedelta(minutes=jump)] * 3,
            self.source_object,
        )

    @invariant()
    def holds(self) -> None:
        counters["steps"] += 1
        rows = self.rows()
        live = [row for row in rows if row.is_live]
        for one, other in itertools.pairwise(live):
            assert one.query_window_end_at <= other.query_window_start_at, "two live rows overlap"
        for row in rows:
            status = row.pipeline_final_status
            assert all((getattr(row, name) is not None) == (status == "IN_PROGRESS") for name in OWNED) or status in (
                "COMPLETED",
                "SKIPPED",
            ), f"{status} row is owned by {row.dag_run_id}"
            assert row.heartbeat_at is None or status == "IN_PROGRESS", "a lease runs and nobody owns the window"
            assert row.fence >= self.greatest.get(row.id, 0), "a fence sank"
            self.greatest[row.id] = row.fence
            assert not history_problems(row, self.store.events(row.id))


def test_the_ledgers_rules_hold_whatever_happens(new_life: Callable[[], Life]) -> None:
    Ledger.life = new_life()
    run_state_machine_as_test(
        Ledger,
        settings=settings(
            max_examples=EXAMPLES, stateful_step_count=STEPS, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
    record(
        "state machine",
        f"{counters['steps']} random steps in {EXAMPLES} ledgers, {counters['refused']} of them refused",
        tried=counters["steps"],
        survived=counters["steps"],
    )

"""The life of a pipeline's windows as its DAG's tasks live it, without Airflow: plan, claim, move, audit, replace.

The ledger and the target are real Postgres, the stage is real files; the source is in memory, because reading changes
nothing. What a test does to a life goes in through `reach` (see `points`) and through what it lets run at what time.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import psycopg

from include.implementation_modules.object_storage.stage import ObjectStorageStage
from include.implementation_modules.object_storage.storage import LocalStorage
from include.implementation_modules.postgres.target import PostgresTarget
from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor, Phase
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.time.windows import TimeWindow, merge
from include.pipeline_framework.errors import PipelineError, TransientError
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.tasks.cleanup_stale_locks import cleanup_stale_locks, finish_run
from include.pipeline_framework.tasks.move_window import move_all_until, move_until
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.planning import populate_pipeline_batches
from include.pipeline_framework.tasks.pre_validation import pre_validate
from include.pipeline_framework.tasks.store_and_validate import store_and_validate
from include.pipeline_framework.tasks.window_attempt import WindowAttempt, run_on_window, run_on_windows
from tests.doubles.memory_transfer import MemorySource
from tests.faults.points import PointStorage, Reach, postgres_connect

START = datetime(2024, 5, 1, tzinfo=UTC)
DAG = "data_pipeline_faults"
TABLE = "faults"
OF_NO_TASK = ("planned", "claimed", "taken_over", "invalidated", "replacement_planned", "rebuilt", "refused")
"""Events that need no fence: they are decided on the locked row."""

MANY = 50
"""Attempts that a window has: the schedules kill it more often than any pipeline allows."""

_NUMBERS = itertools.count(1)

Work = Callable[[Pipeline, WindowAttempt], Any]
TASKS: dict[str, Work] = {
    "pre_validation": pre_validate,
    "source_to_stage": lambda pipeline, attempt: move_until(pipeline, attempt, Phase.SOURCE_TO_STAGE),
    "stage_to_target": lambda pipeline, attempt: move_until(pipeline, attempt, Phase.STAGE_TO_TARGET),
    "audit": lambda pipeline, attempt: move_until(pipeline, attempt, Phase.AUDIT),
}


def nowhere(_name: str) -> None:
    """A `reach` that does nothing."""


def hours(start: float, end: float) -> TimeWindow:
    """A window by hours since START."""
    return TimeWindow(START + timedelta(hours=start), START + timedelta(hours=end))


@dataclass
class Life:
    """One source object with its documents, and how to run its pipeline; `pipeline(reach)` is one process's view."""

    url: str
    directory: Path
    source_object: str
    source: MemorySource = field(default_factory=MemorySource)
    max_retry_task: int = MANY
    guard_wait_seconds: float = 0.2

    @property
    def config(self) -> PipelineConfig:
        """One-hour windows that may be tried very often."""
        return PipelineConfig.model_validate(
            {
                "pipeline_id": "faults",
                "source_object": self.source_object,
                "granularity": "1h",
                "x_time_back": "1h",
                "start_date": "2024-05-01",
                "end_date": "2024-05-02",
                "max_retry_task": self.max_retry_task,
                "source": {"type": "memory"},
                "stage": {"type": "memory"},
                "target": {"type": "memory", "table": TABLE},
            }
        )

    def pipeline(self, reach: Reach = nowhere, opened: list[psycopg.Connection[Any]] | None = None) -> Pipeline:
        """The pipeline on connections of its own."""
        connect = postgres_connect(self.url, reach, opened)
        stage = ObjectStorageStage(
            PointStorage(LocalStorage(str(self.directory)), reach),
            ObjectStorageStage.Options(path=str(self.directory), file_rows=2),
        )
        target = PostgresTarget(
            connect,
            PostgresTarget.Options(table=TABLE, columns={"n": "integer"}, guard_wait_seconds=self.guard_wait_seconds),
        )
        return Pipeline(self.config, PostgresLifecycleStore(connect), self.source, stage, target)

    def add(self, window: TimeWindow, count: int = 3, prefix: str = "d") -> None:
        """Documents spread over a window; the first lies exactly on its start."""
        hour = (window.start - START) / timedelta(hours=1)
        step = window.duration / count
        self.source.add(
            *(Document(f"{prefix}{hour}-{n}", window.start + n * step, b'{"n": %d}' % n) for n in range(count))
        )

    def request(self, windows: Sequence[TimeWindow], *, replace: bool = False) -> RunRequest:
        """The checked conf that asks for exactly these windows."""
        return RunRequest(tuple(merge(windows)), tuple(windows), replace=replace, reason="test" if replace else "")

    def sql(self, statement: str, *parameters: Any) -> list[Any]:
        """What no port allows: a look behind, or a hand in, the database."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode(), parameters)
            return cursor.fetchall() if cursor.description else []

    def target_ids(self) -> Counter[str]:
        """Every id at the target, how often."""
        rows = self.sql(f"SELECT _id FROM {TABLE} WHERE _source_object = %s", self.source_object)
        return Counter(row[0] for row in rows)

    def source_ids(self) -> Counter[str]:
        """Every id at the source, once."""
        return Counter(list(self.source.documents))

    def let_rest_end(self) -> None:
        """No window waits for its next attempt any longer."""
        self.sql(
            "UPDATE pipeline_lifecycle SET not_before_at = NULL WHERE source_object = %s AND not_before_at IS NOT NULL",
            self.source_object,
        )


@dataclass
class Run:
    """One DAG run: its tasks in order, each a new start with a new fence; what fails is noted, as Airflow does."""

    pipeline: Pipeline
    run_id: str
    request: RunRequest
    errors: list[Exception] = field(default_factory=list)

    def actor(self, task: str, map_index: int = -1, try_number: int = 1) -> Actor:
        return Actor(DAG, f"{self.pipeline.config.source_object}/{self.run_id}", task, map_index, try_number)

    def all(self, *, is_batched: bool = False) -> None:
        """The whole run; raises only what is no error of the framework (a kill, a bug)."""
        claimed: list[dict[str, Any]] = []
        if self._noting(self.plan):
            self._noting(lambda: claimed.extend(self.claim()))
        if is_batched:
            self.batch(claimed)
        else:
            for index, record in enumerate(claimed):
                self.window(record, index)
        self._noting(self.finish)

    def plan(self) -> dict[str, Any]:
        return populate_pipeline_batches(
            self.pipeline.config, self.pipeline.store, self.actor("populate_pipeline_batches"), self.request
        )

    def claim(self) -> list[dict[str, Any]]:
        report = store_and_validate(
            self.pipeline.config, self.pipeline.store, self.actor("store_and_validate"), self.request
        )
        self.pipeline.target.prepare(self.pipeline.config.source_object)
        claimed: list[dict[str, Any]] = report["claimed"]
        return claimed

    def window(self, record: dict[str, Any], index: int = 0, tasks: Iterable[str] = TASKS, tries: int = 2) -> None:
        """The tasks of one window until one fails; a transient failure is tried again, as Airflow does."""
        for task in tasks:
            if not any(self._task(task, record["id"], index, number, tries) for number in range(1, tries + 1)):
                return

    def batch(self, records: Sequence[dict[str, Any]]) -> None:
        """The tasks of windows that one task instance carries: a phase for all of them, the publish together."""
        going = [record["id"] for record in records]
        for task in TASKS:
            if task != "stage_to_target":
                going = [record_id for record_id in going if self._noting(partial(self.task, task, record_id))]
                continue
            outcomes = run_on_windows(
                self.pipeline.store,
                dict.fromkeys(going),
                self.actor(task, 0),
                lambda attempts: move_all_until(self.pipeline, attempts, Phase.STAGE_TO_TARGET),
                max_retry_task=self.pipeline.config.max_retry_task,
                is_last_try=True,
            )
            self.errors += [outcome for outcome in outcomes if isinstance(outcome, Exception)]
            going = [one for one, outcome in zip(going, outcomes, strict=True) if not isinstance(outcome, Exception)]

    def task(self, task: str, record_id: int, index: int = 0, try_number: int = 1, *, is_last_try: bool = True) -> Any:
        """One start of one task; raises what it raises."""
        return run_on_window(
            self.pipeline.store,
            record_id,
            self.actor(task, index, try_number),
            lambda attempt: TASKS[task](self.pipeline, attempt),
            expected=None,
            max_retry_task=self.pipeline.config.max_retry_task,
            is_last_try=is_last_try,
        )

    def finish(self) -> dict[str, int]:
        return finish_run(self.pipeline.store, self.pipeline.config, self.actor("cleanup_stale_locks"))

    def _task(self, task: str, record_id: int, index: int, number: int, tries: int) -> bool:
        """Whether the try succeeded, or failed in a way that another try won't change (noted)."""
        try:
            self.task(task, record_id, index, number, is_last_try=number == tries)
        except TransientError as error:
            self.errors.append(error)
            return False
        except PipelineError as error:
            self.errors.append(error)
        return True

    def _noting(self, step: Callable[[], Any]) -> bool:
        try:
            step()
        except PipelineError as error:
            self.errors.append(error)
            return False
        return True


def clean_up(pipeline: Pipeline, states: dict[str, RunState]) -> list[dict[str, Any]]:
    """One run of the DAG `cleanup_stale_locks`; runs of this life that `states` doesn't name have ended."""
    prefix = f"{pipeline.config.source_object}/"
    return cleanup_stale_locks(
        pipeline.store,
        {"faults": pipeline.config},
        Actor("cleanup_stale_locks", "cleanup-run", "release"),
        lambda _dag_id, run_id: (
            states.get(run_id.removeprefix(prefix), RunState.ENDED) if run_id.startswith(prefix) else RunState.ACTIVE
        ),
    )


def drain(life: Life, windows: Sequence[TimeWindow], reach: Reach = nowhere) -> None:
    """Normal operation until nothing is pending: cleanup, then runs, as the scheduler starts them."""
    pipeline = life.pipeline(reach)
    try:
        for _ in range(6):
            clean_up(pipeline, {})
            life.let_rest_end()
            Run(pipeline, f"drain-{next(_NUMBERS)}", RunRequest(tuple(merge(windows)))).all()
            open_rows = pipeline.store.find(source_object=life.source_object, statuses=["PENDING", "IN_PROGRESS"])
            if not open_rows:
                return
    finally:
        pipeline.store.close()


def broken_promises(life: Life, windows: Sequence[TimeWindow], late: Collection[str] = ()) -> list[str]:
    """Everything that is not as the product promises, after the life has been drained; empty when all is well.

    `late` are ids that may still be missing: they came after a window was finished, and nobody has looked again yet.
    """
    pipeline, found = life.pipeline(), list[str]()
    try:
        rows = pipeline.store.find(source_object=life.source_object, include_invalidated=True)
        live = [row for row in rows if row.is_live]
        spans = [TimeWindow(row.query_window_start_at, row.query_window_end_at) for row in live]
        if merge(spans) != merge(windows):
            found.append(f"windows {list(map(str, spans))} instead of {list(map(str, windows))}")
        found += [f"row {row.id} is {row.pipeline_final_status}: {row.last_error}" for row in live
                  if row.pipeline_final_status not in ("COMPLETED", "SKIPPED")]  # fmt: skip
        found += [f"row {row.id} is held by {row.dag_run_id}" for row in live if row.heartbeat_at]
        for row in rows:
            if row.is_invalidated_flag and not row.replaced_by_id:
                found.append(f"row {row.id} was invalidated without a replacement")
            elif row.is_invalidated_flag and not row.target_deletion_done_flag:
                found.append(f"row {row.id} still owes its deletion at the target")
            history = pipeline.store.events(row.id)
            problems = history_problems(row, history)
            if row in live and row.pipeline_final_status == "COMPLETED":
                problems += proof_problems(pipeline, row, history)
            found += [f"row {row.id}: {problem}" for problem in problems]
    finally:
        pipeline.store.close()
    source, target = life.source_ids(), life.target_ids()
    if lost := source - target - Counter(list(late)):
        found.append(f"{lost.total()} rows lost: {sorted(lost)[:5]}")
    if doubled := target - source:
        found.append(f"{doubled.total()} rows too many: {sorted(doubled)[:5]}")
    return found


def history_problems(row: LedgerRow, events: Sequence[dict[str, Any]]) -> list[str]:
    """Whether the events explain the row: one chain of statuses and phases from `planned` (of a lost ledger, `rebuilt`)
    to now, fences only grow, and under a fence only the start that took it has written."""
    found, status, phase, fence, owner = list[str](), None, None, 0, None
    for event in events:
        actor = tuple(event[name] for name in ("dag_id", "dag_run_id", "task_id", "map_index", "try_number"))
        if event["event"] == "taken":
            owner = actor
        elif event["event"] not in OF_NO_TASK and actor != owner:
            found.append(f"event {event['id']} {event['event']} is by {actor}, the fence is {owner}'s")
        if (event["from_status"], event["from_phase"]) != (status, phase):
            found.append(f"event {event['id']} {event['event']} starts from {event['from_status']}, it was {status}")
        if event["fence"] < fence:
            found.append(f"event {event['id']} has fence {event['fence']} after {fence}")
        status, phase, fence = event["to_status"], event["to_phase"], event["fence"]
    if not events or events[0]["event"] not in ("planned", "rebuilt"):
        found.append("its first event is neither `planned` nor `rebuilt`")
    if (status, phase, fence) != (row.pipeline_final_status, row.phase_completed, row.fence):
        found.append(f"its events end with {status}, {phase}, fence {fence}")
    return found


def proof_problems(pipeline: Pipeline, row: LedgerRow, events: Sequence[dict[str, Any]]) -> list[str]:
    """Whether the target proves a COMPLETED row: a receipt of its own last load, and exactly these rows."""
    window = TimeWindow(row.query_window_start_at, row.query_window_end_at)
    receipt = pipeline.target.receipt(row.source_object, window)
    if receipt is None or receipt.kind != "load":
        return [f"the target has no live load receipt: {receipt}"]
    found = list[str]()
    loads = [event["fence"] for event in events if event["event"] == "stage_to_target_completed"]
    loaded_under = max(loads, default=0)  # none: the row was rebuilt from its receipt
    if (receipt.lifecycle_id, receipt.manifest) != (row.id, row.stage_location):
        found.append(f"the receipt is of row {receipt.lifecycle_id}, {receipt.manifest}")
    if receipt.fence < loaded_under:
        found.append(f"an older start, {receipt.fence}, wrote after the load under {loaded_under}")
    holds = pipeline.target.fingerprint(row.source_object, window)
    if not receipt.fingerprint == holds == Fingerprint(row.target_count, row.target_fingerprint):
        found.append(f"audited {row.target_fingerprint}, receipt {receipt.fingerprint}, target {holds}")
    return found

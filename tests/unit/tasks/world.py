"""A small world for the use cases: one pipeline, its ports in memory, and a clock that only tests move."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, NoReturn

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor, Phase
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.ports.ledger import LifecycleStore
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.tasks.move_window import move_all_until, move_until
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.planning import insert_windows
from include.pipeline_framework.tasks.record_generation import next_windows, validate_windows
from include.pipeline_framework.tasks.window_attempt import WindowAttempt, run_on_window, run_on_windows
from tests.doubles.memory_lifecycle_store import MemoryLifecycleStore
from tests.doubles.memory_target import MemoryTarget
from tests.doubles.memory_transfer import MemorySource, MemoryStage

ZONE = "America/New_York"
HOUR = timedelta(hours=1)
DAY = LocalDay(date(2013, 3, 9), ZONE)
PLANNER = Actor("daily_planner", "planner-run", "plan_windows")
RUN_1 = Actor("data_pipeline_main", "run-1", "audit", 0, 1)
RUN_2 = Actor("data_pipeline_main", "run-2", "audit", 0, 1)
CLEANUP = Actor("cleanup_stale_locks", "cleanup-run", "release")
TEMPORARY = Actor("data_pipeline_main", "__airflow_temporary_run_2013-03-12T00:00:00+00:00__")


def config(**changes: Any) -> PipelineConfig:
    """A valid pipeline of local hours in New York from March 2013 on; a change to None takes the key out."""
    written = {
        "pipeline_id": "main",
        "source_object": "flights",
        "timezone": ZONE,
        "granularity": "1h",
        "x_time_back": "1d",
        "start_date": "2013-03-01",
        "max_retry_task": 2,
        "source": {"type": "memory"},
        "stage": {"type": "memory"},
        "target": {"type": "memory", "table": "FLIGHTS"},
        **changes,
    }
    return PipelineConfig.model_validate({name: value for name, value in written.items() if value is not None})


def generate_records(
    config: PipelineConfig, store: LifecycleStore, *, now: datetime, allow_future: bool = False, **options: Any
) -> dict[str, Any]:
    """What the three tasks of `record_generation` do, one after the other."""
    found = next_windows(config, store, now=now, allow_future=allow_future, **options)
    checked = validate_windows(config, found.windows, now=now, allow_future=allow_future)
    bounds = [TimeWindow(row["query_window_start_at"], row["query_window_end_at"]) for row in checked.rows]
    return {
        "target_day": found.day,
        "records": [one.local_label(config.timezone) for one in bounds],
        "stored": len(insert_windows(config, bounds, store, PLANNER)),
        "reasons": checked.reasons,
        "note": found.note,
    }


def broken_function(*_arguments: Any) -> NoReturn:
    """A pipeline's own function for a derived column, with a bug."""
    raise ZeroDivisionError("a bug of the pipeline")


def nothing(*_arguments: Any) -> None:
    """A pipeline's own function that has no value for this window."""


def nothing_after_two(_config: Any, _day: Any, start: Any, *_arguments: Any) -> str | None:
    """A pipeline's own function that has a value for the first two hours of a day."""
    return "x" if start.hour < 2 else None


def window(hour: float, length: float = 1, day: LocalDay = DAY) -> TimeWindow:
    """A window by elapsed hours since a day's first instant."""
    return TimeWindow(day.start + hour * HOUR, day.start + (hour + length) * HOUR)


class World:
    """Everything that one pipeline needs; `at` is what the ledger's clock shows."""

    def __init__(self, **changes: Any) -> None:
        self.at = datetime(2013, 3, 12, 12, tzinfo=UTC)
        self.config = config(**changes)
        self.store = MemoryLifecycleStore(lambda: self.at)
        self.source = MemorySource()
        self.stage = MemoryStage()
        self.target = MemoryTarget()

    @property
    def pipeline(self) -> Pipeline:
        """As the tasks get it."""
        return Pipeline(self.config, self.store, self.source, self.stage, self.target)

    def pass_time(self, delta: timedelta) -> None:
        self.at += delta

    def plan(self, *hours: int, day: LocalDay = DAY) -> list[int]:
        """Plan hours of a day; their row ids."""
        insert_windows(self.config, [window(hour, day=day) for hour in hours], self.store, PLANNER)
        return [row.id for hour in hours for row in self.store.find(within=[window(hour, day=day)])]

    def plan_and_claim(self, *hours: int, actor: Actor = RUN_1) -> list[int]:
        ids = self.plan(*hours)
        claimed = self.claim(actor, limit=len(ids))
        assert {row.id for row in claimed} == set(ids)
        return ids

    def claim(self, actor: Actor = RUN_1, limit: int = 10) -> list[LedgerRow]:
        return self.store.claim(self.config.source_object, actor, limit=limit, ended_before=self.at)

    def add_documents(self, count: int, hour: float = 0, *, prefix: str = "doc") -> None:
        """Documents spread over one hour; the first lies exactly on its start."""
        start = window(hour).start
        self.source.add(
            *(
                Document(f"{prefix}-{hour}-{n}", start + HOUR * n / max(count, 1), b'{"n": %d}' % n)
                for n in range(count)
            )
        )

    def run(
        self,
        record_id: int,
        work: Callable[[WindowAttempt], Any],
        actor: Actor = RUN_1,
        *,
        is_last_try: bool = False,
        heartbeat_seconds: float = 30.0,
    ) -> Any:
        return run_on_window(
            self.store,
            record_id,
            actor,
            work,
            expected=None,
            max_retry_task=self.config.max_retry_task,
            is_last_try=is_last_try,
            heartbeat_seconds=heartbeat_seconds,
        )

    def move(self, record_id: int, phase: Phase = Phase.AUDIT, actor: Actor = RUN_1, **options: Any) -> dict[str, Any]:
        """One task that brings a window up to a phase."""
        return self.run(record_id, lambda attempt: move_until(self.pipeline, attempt, phase), actor, **options)

    def run_together(self, record_ids: Sequence[int], phase: Phase, actor: Actor = RUN_1, **options: Any) -> list[Any]:
        """One task that brings windows up to a phase together; results and errors."""
        return run_on_windows(
            self.store,
            dict.fromkeys(record_ids),
            actor,
            lambda attempts: move_all_until(self.pipeline, attempts, phase),
            max_retry_task=self.config.max_retry_task,
            **{"is_last_try": False, **options},
        )

    def complete(self, *hours: int, actor: Actor = RUN_1) -> list[int]:
        """Plan, claim and really move windows."""
        ids = self.plan_and_claim(*hours, actor=actor)
        for record_id in ids:
            self.move(record_id, actor=actor)
        return ids

    def row(self, record_id: int) -> LedgerRow:
        return self.store.get(record_id)

    def status(self, record_id: int) -> str:
        return str(self.row(record_id).pipeline_final_status)

    def events(self, record_id: int) -> list[str]:
        return [event["event"] for event in self.store.events(record_id)]

    def lose_target_rows(self, count: int = 1) -> None:
        """What no port allows: rows vanish behind everybody's back."""
        state = self.target._state
        self.target._state = dataclasses.replace(state, rows=state.rows[: len(state.rows) - count])

    def target_ids(self) -> list[str]:
        return sorted(row["_id"] for row in self.target.rows)

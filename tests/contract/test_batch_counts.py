"""What a batch of small windows asks of the ledger, over all its tasks: round trips, not seconds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest

from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
from include.pipeline_framework.core.records.row import Actor, Phase
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.tasks.move_window import move_all_until
from include.pipeline_framework.tasks.pre_validation import pre_validate
from include.pipeline_framework.tasks.window_attempt import each_alone, run_on_windows
from tests.contract.ledger_counts import CountingConnection
from tests.contract.ledger_rows import planned
from tests.unit.tasks.world import World

pytestmark = pytest.mark.integration

RUN = Actor("data_pipeline_main", "run-1", "claim", -1, 1)
WINDOWS = 24


def test_a_window_of_a_batch_waits_for_the_ledger_less_than_ten_times(ledger_url: str) -> None:
    with CountingConnection.to(ledger_url) as connection:
        store, world = PostgresLifecycleStore(lambda: connection), World()
        store.now()
        world.store = store  # type: ignore[assignment]
        world.target.prepare("flights")
        store.plan([planned(hour) for hour in range(WINDOWS)], Actor("daily_planner", "planner-run", "plan"))
        rows = store.claim("flights", RUN, limit=WINDOWS, ended_before=datetime(2014, 1, 1, tzinfo=UTC))
        world.source.add(*(Document(f"d{row.id}", row.query_window_start_at, b"{}") for row in rows))

        def trips(task: str, work: Callable[..., Any], *, together: bool = True) -> float:
            """Round trips for each window."""
            parts = [rows] if together else [[row] for row in rows]
            with connection.counted() as sent:
                for part in parts:
                    windows = {row.id: row.identity for row in part}
                    actor = replace(RUN, task_id=task)
                    outcomes = run_on_windows(store, windows, actor, work, max_retry_task=3, is_last_try=True)
                    assert not [outcome for outcome in outcomes if isinstance(outcome, Exception)]
            return sent.round_trips / WINDOWS

        def move(phase: Phase) -> Callable[..., Any]:
            return partial(move_all_until, world.pipeline, phase=phase)

        counted = {
            "pre_validation": trips("pre_validation", each_alone(partial(pre_validate, world.pipeline))),
            "source_to_stage": trips("source_to_stage", move(Phase.SOURCE_TO_STAGE), together=False),
            "stage_to_target": trips("stage_to_target", move(Phase.STAGE_TO_TARGET)),
            "audit": trips("audit", move(Phase.AUDIT)),
        }
        assert {row.pipeline_final_status for row in store.find(source_object="flights")} == {"COMPLETED"}
        limits = {"pre_validation": 0.2, "source_to_stage": 6, "stage_to_target": 1.4, "audit": 2.3}
        assert {task: number for task, number in counted.items() if number > limits[task]} == {}
        assert sum(counted.values()) < 10
        store.close()

"""What one small window asks of a SQL target: connections and statements of each of its four tasks, not seconds.

Every SQL target has these from `SqlTarget`; only the statements of `_set_up` and `_load` differ between databases.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from include.pipeline_framework.core.records.row import Phase
from include.pipeline_framework.tasks.move_window import move_until
from include.pipeline_framework.tasks.pre_validation import pre_validate
from include.pipeline_framework.tasks.window_attempt import WindowAttempt
from tests.sample_adapter.sqlite_target.target import SqliteTarget
from tests.unit.tasks.world import World

SET_UP = 1  # PRAGMA busy_timeout


class Counting:
    """A world whose target is a SQLite file, and what was sent to it."""

    def __init__(self, file: Path) -> None:
        self.sent: list[str] = []
        self.opened = 0
        self.world = World()
        self.world.target = SqliteTarget(self._connect(file), SqliteTarget.Options(table="flights"))  # type: ignore[assignment]
        self.world.target.prepare("flights")

    def _connect(self, file: Path) -> Callable[[], Any]:
        def connect() -> sqlite3.Connection:
            self.opened += 1
            connection = sqlite3.connect(file)
            connection.set_trace_callback(self.sent.append)
            return connection

        return connect

    def task(self, record_id: int, work: Callable[[WindowAttempt], Any]) -> tuple[int, int]:
        """Connections and statements of one task."""
        self.sent.clear()
        self.opened = 0
        self.world.run(record_id, work)
        return self.opened, len(self.sent) - SET_UP * self.opened


@pytest.fixture
def counting(tmp_path: Path) -> Counting:
    return Counting(tmp_path / "flights.db")


def test_each_task_of_a_window_opens_one_connection(counting: Counting) -> None:
    world = counting.world
    world.add_documents(3, 1)
    (row_id,) = world.plan_and_claim(1)
    phases = (Phase.SOURCE_TO_STAGE, Phase.STAGE_TO_TARGET, Phase.AUDIT)
    works: list[Callable[[WindowAttempt], Any]] = [lambda attempt: pre_validate(world.pipeline, attempt)]
    works += [lambda attempt, phase=phase: move_until(world.pipeline, attempt, phase) for phase in phases]  # type: ignore[misc]
    found = [counting.task(row_id, work) for work in works]
    # count and receipts; nothing; guard, receipts, load, transaction; count
    assert [connections for connections, _ in found] == [1, 0, 1, 1]
    assert [statements for _, statements in found] == [2, 0, 15, 1]  # three of the 15 insert one landed row each
    assert world.status(row_id) == "COMPLETED"


def test_what_was_received_is_not_loaded_to_find_that_out(counting: Counting) -> None:
    world = counting.world
    world.add_documents(3, 1)
    (row_id,) = world.complete(1)
    row = world.row(row_id)
    assert row.stage_location is not None
    manifest = world.stage.read_manifest(row.stage_location)
    counting.sent.clear()
    world.target.publish(manifest, world.stage, fence=row.fence + 1, lifecycle_id=row.id)
    assert not [text for text in counting.sent if "landed" in text]

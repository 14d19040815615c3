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
from tests.publishing import publish_one
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
    # count; nothing; guard, receipts, load, transaction; count
    assert [connections for connections, _ in found] == [1, 0, 1, 1]
    assert [statements for _, statements in found] == [1, 0, 15, 1]  # three of the 15 insert one landed row each
    assert world.status(row_id) == "COMPLETED"


def test_windows_that_are_published_together_share_a_connection_a_load_and_a_transaction(counting: Counting) -> None:
    world = counting.world
    for hour in range(24):
        world.add_documents(2, hour)
    ids = world.plan_and_claim(*range(24))
    for record_id in ids:
        world.move(record_id, Phase.SOURCE_TO_STAGE)
    counting.sent.clear()
    counting.opened = 0
    world.run_together(ids, Phase.STAGE_TO_TARGET)
    landing = [text for text in counting.sent if text.startswith('INSERT INTO "flights_landed"')]
    assert (counting.opened, len(landing)) == (1, 48)
    # guard, receipts, table, check, BEGIN, guard, receipts, count, insert, count, receipts, COMMIT
    assert len(counting.sent) - SET_UP - len(landing) == 12
    for record_id in ids:
        assert counting.task(record_id, lambda attempt: move_until(world.pipeline, attempt, Phase.AUDIT)) == (1, 1)
    assert {world.status(record_id) for record_id in ids} == {"COMPLETED"}


def test_windows_that_are_loaded_again_together_delete_one_by_one_in_one_transaction(counting: Counting) -> None:
    world = counting.world
    for hour in range(3):
        world.add_documents(2, hour)
    ids = world.plan_and_claim(*range(3))
    world.run_together(ids, Phase.STAGE_TO_TARGET)
    world.target.raise_floor("flights", 1)
    for record_id in ids:
        world.store.amend(record_id, phase_completed=None)
    counting.sent.clear()
    world.run_together(ids, Phase.STAGE_TO_TARGET)
    kinds = [text.split()[0] for text in counting.sent]
    assert (kinds.count("BEGIN"), kinds.count("DELETE"), kinds.count("UPDATE")) == (1, 3, 4)
    assert len(world.target.held_rows("flights")) == 6


def test_what_was_received_is_not_loaded_to_find_that_out(counting: Counting) -> None:
    world = counting.world
    world.add_documents(3, 1)
    (row_id,) = world.complete(1)
    row = world.row(row_id)
    assert row.stage_location is not None
    manifest = world.stage.read_manifest(row.stage_location)
    counting.sent.clear()
    publish_one(world.target, manifest, world.stage, fence=row.fence + 1, lifecycle_id=row.id)
    assert not [text for text in counting.sent if "landed" in text]

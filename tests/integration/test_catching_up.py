"""The second sample pipeline, `fill_missing_days` over an index that keeps growing: three days without any run are made
up by themselves, on real Elasticsearch, S3, the Snowflake emulator and Postgres. Only the clock is the test's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.tasks.cleanup_stale_locks import finish_run
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.planning import populate_pipeline_batches
from include.pipeline_framework.tasks.state_manager import review
from include.pipeline_framework.tasks.store_and_validate import store_and_validate
from local_stack.replay import PIPELINE, grow
from tests.integration import moving, replaying
from tests.integration.replaying import START

pytestmark = pytest.mark.integration

HOUR = timedelta(hours=1)
DAYS = [date(2026, 11, day) for day in (16, 17, 18, 19, 20)]


class Growing:
    """The pipeline, its index, and the time that both share."""

    def __init__(self, pipeline: Pipeline, elasticsearch_url: str) -> None:
        self.pipeline, self.elasticsearch_url = pipeline, elasticsearch_url
        self.at = START
        self.runs = 0
        pipeline.store.now = lambda: self.at  # type: ignore[method-assign]

    def pass_time(self, delta: timedelta) -> None:
        """Time passes, and flights leave."""
        grow(self.elasticsearch_url, self.at, self.at + delta)
        self.at += delta

    def run(self) -> int:
        """One scheduled run of the pipeline, task by task; how many windows it moved."""
        self.runs += 1
        pipeline, actor = self.pipeline, Actor("data_pipeline_replay", f"run-{self.runs}", "audit", 0, 1)
        populate_pipeline_batches(pipeline.config, pipeline.store, actor, RunRequest())
        claimed = store_and_validate(pipeline.config, pipeline.store, actor, RunRequest())["claimed"]
        for record in claimed:
            moving.move(pipeline, record["id"], actor)
        finish_run(pipeline.store, pipeline.config, actor)
        return len(claimed)


@pytest.fixture
def growing(tmp_path: Path, ledger_url: str, elasticsearch_url: str, stack_env: dict[str, str]) -> Iterator[Growing]:
    del ledger_url, stack_env
    replaying.switch_on(tmp_path)
    with replaying.no_traces(elasticsearch_url):
        pipeline = moving.wire(tmp_path, PIPELINE)
        pipeline.target.prepare(pipeline.config.source_object)
        yield Growing(pipeline, elasticsearch_url)


def covered(growing: Growing) -> dict[date, Any]:
    """The hours of each day that live windows cover."""
    found: dict[date, timedelta] = {}
    for row in growing.pipeline.store.find(source_object=growing.pipeline.config.source_object):
        found[row.target_day] = found.get(row.target_day, timedelta()) + row.window.duration
    return {day: covered // HOUR for day, covered in found.items()}


def test_three_days_without_runs_are_caught_up(growing: Growing) -> None:
    growing.pass_time(13 * HOUR)
    assert growing.run() == 2  # two windows have ended an hour ago
    assert covered(growing) == dict.fromkeys(DAYS[:2], 24)

    growing.pass_time(timedelta(days=3))  # nobody runs anything, planner included; flights go on leaving
    moved = []
    while not moved or moved[-1]:
        moved.append(growing.run())
    assert moved == [12, 0]
    assert covered(growing) == dict.fromkeys(DAYS, 24)

    settled = START + timedelta(days=3, hours=12)
    rows = growing.pipeline.store.find(
        source_object=growing.pipeline.config.source_object, within=[TimeWindow(START, settled)]
    )
    assert [row.pipeline_final_status for row in rows] == ["COMPLETED"] * 14
    expected = replaying.left_until(settled)
    assert expected.total() > 2_000
    assert replaying.ids_at_target() == expected
    (found,) = review([growing.pipeline.config], growing.pipeline.store)
    assert found.findings == ()


def test_a_day_deleted_by_hand_comes_back(growing: Growing) -> None:
    """A person deletes rows of the ledger that were never loaded; the next run plans them again."""
    growing.pass_time(8 * HOUR)
    assert growing.run() == 1
    noon = START + 12 * HOUR
    with psycopg.connect(os.environ["LEDGER_URL"], autocommit=True) as connection:
        connection.execute("DELETE FROM pipeline_lifecycle WHERE query_window_start_at >= %s", [noon])
    assert covered(growing) == {DAYS[0]: 12}
    growing.run()
    assert covered(growing) == dict.fromkeys(DAYS[:2], 24)

"""The tasks of `record_generation`: each does its own step, and a dry run stores nothing."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowSkipException

from include.orchestration import ledger_tasks, task_runs
from include.pipeline_framework.core.records.row import Actor
from include.wiring import assembly, run_context
from tests.unit.tasks.world import RUN_1, TEMPORARY, World

CONF = {"pipeline_id": "main", "target_date": "2013-03-09", "max_records": 2, "dry_run": False}


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    monkeypatch.setattr(assembly, "parsed_config", lambda _id: found.config)
    monkeypatch.setattr(assembly, "lifecycle_store", lambda: found.store)
    return found


def run_as(monkeypatch: pytest.MonkeyPatch, actor: Actor, **conf: Any) -> None:
    monkeypatch.setattr(run_context, "current_actor", lambda *_: actor)
    monkeypatch.setattr(task_runs, "conf", lambda: {**CONF, **conf})


def test_the_chain_stores_what_was_validated(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run_as(monkeypatch, RUN_1)
    valid = ledger_tasks.validate_records(ledger_tasks.generate_records())
    assert world.store.find() == []
    assert ledger_tasks.store_records(valid)["stored"] == 2
    starts = [row.query_window_start_at for row in world.store.find()]
    assert starts == [datetime(2013, 3, 9, hour, tzinfo=UTC) for hour in (5, 6)]


@pytest.mark.parametrize(("actor", "dry_run"), [(RUN_1, True), (TEMPORARY, False)])
def test_a_dry_run_stores_nothing(world: World, monkeypatch: pytest.MonkeyPatch, actor: Actor, dry_run: bool) -> None:
    run_as(monkeypatch, actor, dry_run=dry_run)
    valid = ledger_tasks.validate_records(ledger_tasks.generate_records())
    with pytest.raises(AirflowSkipException, match=r"a dry run stores nothing: .*2013-03-09 00:00"):
        ledger_tasks.store_records(valid)
    assert world.store.find() == []


def test_validation_alone_generates_what_the_day_lacks(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    run_as(monkeypatch, RUN_1)
    assert ledger_tasks.validate_records(None)[0] == ["2013-03-09T05:00:00Z", "2013-03-09T06:00:00Z"]
    assert world.store.find() == []

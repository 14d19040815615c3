"""A consumer's windows: from the partition keys of events to the ledger's rows."""

from __future__ import annotations

import pytest

from include.pipeline_framework.core.lifecycle.transitions import invalidate
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.tasks.consume_windows import Announcement, announced_windows, window_of_key
from tests.unit.tasks.world import PLANNER, World, window

DAG = "data_pipeline_main"


def test_each_window_once_in_order_with_its_rows() -> None:
    world = World()
    world.add_documents(4, 1)
    world.complete(0, 1)
    later, first = (Announcement(DAG, str(window(hour))) for hour in (1, 0))
    found = announced_windows([later, first, later], {"main": world.config}, world.store)
    assert [(w["start"], w["status"], w["rows"]) for w in found] == [
        ("2013-03-09T05:00:00Z", "COMPLETED", 0),
        ("2013-03-09T06:00:00Z", "COMPLETED", 4),
    ]
    assert found[1]["local"] == "2013-03-09 01:00-05:00 → 02:00-05:00"


def test_a_window_that_is_gone_has_no_status() -> None:
    world = World()
    (record_id,) = world.plan(0)
    world.store.change(record_id, lambda row, now: invalidate(row, now, "cut anew"), PLANNER)
    (found,) = announced_windows([Announcement(DAG, str(window(0)))], {"main": world.config}, world.store)
    assert (found["status"], found["rows"]) == (None, None)


def test_an_event_of_somebody_else_is_refused() -> None:
    world = World()
    with pytest.raises(InvalidInputError, match="no pipeline's DAG"):
        announced_windows([Announcement("other", str(window(0)))], {"main": world.config}, world.store)
    with pytest.raises(InvalidInputError, match="is no window"):
        window_of_key("2013-03-09")

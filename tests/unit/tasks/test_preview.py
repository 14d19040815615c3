"""What a preview shows of a day, and that it changes nothing."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.tasks.preview import preview
from include.wiring.previews import typed_by
from tests.unit.tasks.world import DAY, RUN_1, ZONE, World, window

SPRING = LocalDay(date(2013, 3, 10), ZONE)


def typed(document: Document) -> dict[str, Any]:
    return {"size": len(document.body), "never": None}


def test_windows_of_the_grid_and_of_the_ledger_with_their_rows() -> None:
    world = World()
    world.plan(0, 1)
    world.claim(RUN_1, limit=1)
    world.add_documents(5, 1)
    world.add_documents(2, 3)
    found = preview(world.pipeline, DAY, typed)
    assert len(found.windows) == 24
    assert [(one.rows, one.status) for one in found.windows[:4]] == [
        (0, "IN_PROGRESS"),
        (5, "PENDING"),
        (0, None),
        (2, None),
    ]
    assert (found.rows, found.shown) == (7, window(1))
    assert [document.id for document, _ in found.documents] == ["doc-1-0", "doc-1-1", "doc-1-2"]
    assert (found.looked_at, found.empty, found.refused.total()) == (5, ["never"], 0)
    assert len(world.store.find()) == 2
    assert world.target.rows == []


def test_a_day_without_rows_has_windows_and_nothing_to_show() -> None:
    found = preview(World().pipeline, SPRING, typed)
    assert (len(found.windows), found.rows, found.shown, found.documents) == (23, 0, None, [])


def test_a_day_outside_of_the_pipeline_is_refused() -> None:
    with pytest.raises(InvalidInputError, match="before start_date"):
        preview(World().pipeline, LocalDay(date(2012, 3, 9), ZONE), typed)


def test_values_are_typed_as_they_are_loaded_and_refusals_are_counted() -> None:
    world = World(
        target={"type": "snowflake", "table": "T", "columns": {"n": "integer", "day": "date", "gone": "text"}}
    )
    start = window(2).start
    world.source.add(
        Document("good", start, b'{"n": 7.0, "day": "2013-03-09T23:30:00-05:00"}'),
        Document("bad", start, b'{"n": "seven", "day": null}'),
    )
    found = preview(world.pipeline, DAY, typed_by(world.config))
    (good, bad) = (values for _, values in found.documents)
    assert good == {"n": 7, "day": date(2013, 3, 10), "gone": None}
    assert (str(bad["n"]), bad["day"]) == ("no integer", None)
    assert (found.refused, found.empty) == ({("n", "no integer"): 1}, ["gone"])

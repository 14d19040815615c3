"""Days of many sources are planned together, and each fails alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import pytest

from include.pipeline_framework.config.loader import load_pipeline
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.errors import InvalidInputError, ServiceUnavailableError
from include.pipeline_framework.tasks import planning_days
from include.pipeline_framework.tasks.planning_days import plan_days
from tests.doubles.memory_lifecycle_store import MemoryLifecycleStore

PLANNER = Actor("daily_planner", "run-1", "plan")
DAYS = [date(2013, 3, 9), date(2013, 3, 10), date(2013, 3, 11)]


def source(name: str, **changes: Any) -> PipelineConfig:
    return load_pipeline("main").model_copy(update={"source_object": name, **changes})


def asked(*configs: PipelineConfig) -> list[tuple[PipelineConfig, LocalDay]]:
    return [(config, LocalDay(day, config.timezone)) for config in configs for day in DAYS]


class Counting(MemoryLifecycleStore):
    """A store that notes how many rows each call of `plan` gets, and may refuse a source's rows."""

    def __init__(self, error: Exception | None = None) -> None:
        super().__init__()
        self.calls: list[int] = []
        self.error = error

    def plan(self, records: Sequence[Mapping[str, Any]], actor: Actor, reason: str = "") -> Any:
        self.calls.append(len(records))
        if self.error and any(record["source_object"] == "bad" for record in records):
            raise self.error
        return super().plan(records, actor, reason)


def test_all_days_of_all_sources_are_one_call_and_then_none() -> None:
    store = Counting()
    reports = plan_days(asked(source("a"), source("b")), store, PLANNER, dry_run=False)
    assert [(report.source_object, report.day, report.inserted) for report in reports[2:4]] == [
        ("a", "2013-03-11", 24),
        ("b", "2013-03-09", 24),
    ]
    assert [report.inserted for report in reports] == [24, 23, 24] * 2  # clocks change on the 10th
    again = plan_days(asked(source("a"), source("b")), store, PLANNER, dry_run=False)
    assert [(report.expected, report.existing, report.inserted) for report in again[:2]] == [(24, 24, 0), (23, 23, 0)]
    assert store.calls == [142]


def test_not_more_than_so_many_windows_are_planned_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planning_days, "MAX_TOGETHER", 40)
    store = Counting()
    plan_days(asked(source("a"), source("b")), store, PLANNER, dry_run=False)
    assert store.calls == [47, 48, 47]


def test_a_refused_value_fails_its_own_source_only() -> None:
    store = Counting(InvalidInputError("the ledger can't hold a value"))
    reports = plan_days(asked(source("a"), source("bad"), source("z")), store, PLANNER, dry_run=False)
    assert [bool(report.failed) for report in reports] == [False] * 3 + [True] * 3 + [False] * 3
    assert {row.source_object for row in store.find()} == {"a", "z"}


def test_a_ledger_that_does_not_answer_ends_the_plan() -> None:
    with pytest.raises(ServiceUnavailableError):
        plan_days(asked(source("bad")), Counting(ServiceUnavailableError("gone")), PLANNER, dry_run=False)


def test_windows_that_another_planner_was_faster_with_are_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    store, config = Counting(), source("a")
    plan_days(asked(config)[:1], store, PLANNER, dry_run=False)
    monkeypatch.setattr(store, "days_on_grid", lambda _days: set())
    monkeypatch.setattr(store, "live_windows_of", lambda spans: {name: [] for name in spans})
    reports = plan_days(asked(config), store, PLANNER, dry_run=False)
    assert [report.inserted for report in reports] == [0, 23, 24]


def test_a_dry_run_lists_windows_and_inserts_none() -> None:
    store = Counting()
    (report,) = plan_days(asked(source("a", granularity="12h"))[:1], store, PLANNER, dry_run=True)
    assert report.windows == ["2013-03-09 00:00-05:00 → 12:00-05:00", "2013-03-09 12:00-05:00 → 2013-03-10 00:00-05:00"]
    assert (report.inserted, store.calls, store.find()) == (2, [], [])

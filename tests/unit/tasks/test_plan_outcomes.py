"""How a plan ends: the preview like the plan, every failure named, a first plan of very many windows asked about."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any, ClassVar

import pytest

from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError, TerminalError
from include.pipeline_framework.tasks import plan_outcomes
from include.pipeline_framework.tasks.plan_outcomes import (
    PlanReport,
    choose_sources,
    conclude,
    outcome_table,
    require_planned,
)
from include.pipeline_framework.tasks.planning import plan_sources, populate_pipeline_batches
from tests.doubles.memory_lifecycle_store import MemoryLifecycleStore
from tests.unit.tasks.world import PLANNER, RUN_1, config

NOW = datetime(2013, 3, 12, 12, tzinfo=UTC)
DAY = date(2013, 3, 9)
CALLABLE = {"callable": "tests.unit.tasks.world:broken_function"}


def plan(store: MemoryLifecycleStore, *configs: Any, **options: Any) -> list[PlanReport]:
    return plan_sources(configs, store, PLANNER, now=NOW, **options)


@pytest.fixture
def store() -> MemoryLifecycleStore:
    return MemoryLifecycleStore(lambda: NOW)


class TestPreview:
    @pytest.mark.parametrize("is_scheduled", [False, True])
    def test_what_fails_in_the_plan_fails_in_the_preview(self, store: MemoryLifecycleStore, is_scheduled: bool) -> None:
        sources = config(source_object="broken", derived={"key_x": CALLABLE}), config()
        options: dict[str, Any] = {} if is_scheduled else {"target_date": DAY}
        shown = plan(store, *sources, dry_run=True, **options)
        assert store.find() == []
        done = plan(store, *sources, **options)
        names = ("source_object", "day", "expected", "existing", "inserted", "failed")
        assert [[getattr(report, name) for name in names] for report in shown] == [
            [getattr(report, name) for name in names] for report in done
        ]
        assert {row.source_object for row in store.find()} == {"flights"}
        for reports, told in ((shown, "A dry run: nothing was inserted"), (done, "All others were planned")):
            failed = [line for line in outcome_table(reports, {}) if "raised ZeroDivisionError" in line]
            assert [line.split()[0] for line in failed] == ["broken"] * (10 if is_scheduled else 1)
            with pytest.raises(
                TerminalError, match=r"1 sources c.* broken: 2013-.* raised ZeroDivisionError"
            ) as refused:
                require_planned(reports, {})
            assert told in refused.value.meaning

    def test_the_populating_task_shows_a_failing_function_too(self, store: MemoryLifecycleStore) -> None:
        broken = config(derived={"key_x": CALLABLE}, fill_missing_days=True)
        shown = populate_pipeline_batches(broken, store, RUN_1, RunRequest(dry_run=True))
        assert shown["inserted"] == []
        assert len([text for text in shown["reported"] if "raised ZeroDivisionError" in text]) > 1

    def test_every_broken_file_is_listed_always(self, store: MemoryLifecycleStore) -> None:
        errors = {"x": ConfigurationError("bad granularity"), "y": ConfigurationError("bad zone")}
        told: list[str] = []
        failing = config(source_object="failing", derived={"key_x": CALLABLE})
        for configs in ([config()], [failing, config()]):
            told.clear()
            with pytest.raises(TerminalError) as refused:
                conclude(plan(store, *configs, target_date=DAY), {"main": config()}, errors, errors, told.append)
            assert all(name in str(refused.value) for name in ("bad granularity", "bad zone"))
            assert [line for line in told if line.startswith("flights")]
            assert [line.split(":")[1] for line in told if line.startswith("broken file")] == [" x", " y"]

    def test_named_pipelines_are_planned_although_another_named_one_is_broken(self) -> None:
        configs, errors = (
            {"a": config(), "b": config()},
            {"x": ConfigurationError("bad"), "z": ConfigurationError("no")},
        )
        assert choose_sources(configs, errors, ["b", "x"]) == ([configs["b"]], {"x": errors["x"]})
        assert choose_sources(configs, errors, None) == ([configs["a"], configs["b"]], errors)
        with pytest.raises(InvalidInputError, match="no pipeline 'y'"):
            choose_sources(configs, errors, ["y"])


class TestFirstPlan:
    FINE: ClassVar = {"granularity": "30s", "fill_missing_days": False}

    def test_it_asks_with_the_number_and_the_days(self, store: MemoryLifecycleStore) -> None:
        (report,) = plan(store, config(**self.FINE))
        assert (report.inserted, report.failed) == (
            0,
            "a first plan of 5,760 windows of 30s (2 days, 2013-03-12 to 2013-03-13) needs a yes: --yes, or conf"
            ' {"yes": true}',
        )
        assert store.find() == []
        with pytest.raises(TerminalError, match="flights: 2013-03-12: a first plan of 5,760 windows"):
            require_planned([report], {})

    def test_a_preview_says_so_and_is_no_failure(self, store: MemoryLifecycleStore) -> None:
        reports = plan(store, config(**self.FINE), dry_run=True)
        require_planned(reports, {})
        assert "dry run; a first plan of 5,760 windows" in outcome_table(reports, {})[1]

    def test_with_a_yes_it_is_planned_and_afterwards_nobody_is_asked(
        self, store: MemoryLifecycleStore, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(plan_outcomes, "MAX_FIRST_WINDOWS", 100)
        fine = config(granularity="10m", fill_missing_days=False)
        assert [report.inserted for report in plan(store, fine)] == [0]
        assert [report.inserted for report in plan(store, fine, yes=True)] == [144, 144]
        assert all(not report.failed for report in plan(store, fine, target_date=date(2013, 3, 11)))
        assert len(store.find(source_object="flights")) == 3 * 144

    def test_others_are_planned_meanwhile(self, store: MemoryLifecycleStore) -> None:
        reports = plan(store, config(**self.FINE), config(source_object="other"), target_date=DAY)
        assert [(report.source_object, report.inserted) for report in reports] == [("flights", 0), ("other", 24)]

    @pytest.mark.parametrize(("granularity", "is_asked"), [("1h", False), ("30m", False), ("29m", True)])
    def test_as_many_as_the_limit_are_not_asked_about(
        self, store: MemoryLifecycleStore, monkeypatch: pytest.MonkeyPatch, granularity: str, is_asked: bool
    ) -> None:
        assert plan_outcomes.MAX_FIRST_WINDOWS == 2_000
        monkeypatch.setattr(plan_outcomes, "MAX_FIRST_WINDOWS", 48)
        (report,) = plan(store, config(granularity=granularity), target_date=DAY)
        assert bool(report.failed) == is_asked

    def test_a_run_of_the_pipeline_does_not_go_around_it(self, store: MemoryLifecycleStore) -> None:
        report = populate_pipeline_batches(
            config(granularity="30s", fill_missing_days=True), store, RUN_1, RunRequest()
        )
        assert report["inserted"] == []
        assert any("a first plan of 5,760 windows" in text for text in report["reported"])

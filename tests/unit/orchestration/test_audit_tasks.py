"""Which pipelines `audit_windows` looks at, and how a broken or excluded one is left out."""

from __future__ import annotations

from typing import Any

import pytest

from include.orchestration import audit_tasks, task_runs
from include.pipeline_framework.config.loader import LoadedPipelines
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError
from include.wiring import assembly, run_context
from tests.unit.tasks.test_audit_windows import a_world
from tests.unit.tasks.world import config


class Skipped(Exception):
    """What Airflow would be told."""


def skip(message: str) -> None:
    raise Skipped(message)


@pytest.fixture
def conf(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The run's conf, to be filled."""
    given: dict[str, Any] = {}
    monkeypatch.setattr(task_runs, "conf", lambda: given)
    monkeypatch.setattr(task_runs, "skip", skip)
    monkeypatch.setattr(run_context, "current_actor", lambda *_: Actor("audit_windows", "run-1", "audit_pipeline"))
    configs = {
        "main": config(),
        "late": config(pipeline_id="late", source_object="late", start_date="2014-01-01"),
        "off": config(pipeline_id="off", source_object="off", enabled=False),
        "lake": config(pipeline_id="lake", source_object="lake", moved_by="external"),
    }
    errors = {"broken": ConfigurationError("broken")}
    monkeypatch.setattr(assembly, "all_configs", lambda: LoadedPipelines(configs, errors))
    return given


def test_by_schedule_every_enabled_pipeline(conf: dict[str, Any]) -> None:
    assert audit_tasks.choose_pipelines() == ["late", "main"]


def test_what_another_system_moves_is_no_warning_every_day(
    conf: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO"):
        audit_tasks.choose_pipelines()
    levels = {record.levelname for record in caplog.records if "another system moves" in record.getMessage()}
    assert levels == {"INFO"}
    conf["target_date"] = "2013-03-09"
    with caplog.at_level("INFO"):
        audit_tasks.choose_pipelines()
    assert "WARNING" in {record.levelname for record in caplog.records if "left out: " in record.getMessage()}


def test_a_range_leaves_out_pipelines_that_do_not_have_it(conf: dict[str, Any]) -> None:
    conf["target_date"] = "2013-03-09"
    assert audit_tasks.choose_pipelines() == ["main"]


def test_a_named_pipeline_that_another_system_moves_is_an_error(conf: dict[str, Any]) -> None:
    conf["pipelines"] = ["main", "lake"]
    with pytest.raises(ConfigurationError, match="another system moves its data"):
        audit_tasks.choose_pipelines()


@pytest.mark.parametrize("wrong", [{"mode": "guess"}, {"target_date": "2013-03-09", "pipelines": ["main", "late"]}])
def test_a_conf_that_makes_no_sense_is_refused_before_anything_is_done(
    conf: dict[str, Any], wrong: dict[str, Any]
) -> None:
    conf.update(wrong)
    with pytest.raises(InvalidInputError):
        audit_tasks.choose_pipelines()


def test_a_named_pipeline_that_is_disabled_is_skipped_and_a_broken_one_is_an_error(conf: dict[str, Any]) -> None:
    conf["pipelines"] = ["off"]
    with pytest.raises(Skipped, match="no pipeline is enabled"):
        audit_tasks.choose_pipelines()
    conf["pipelines"] = ["broken"]
    with pytest.raises(ConfigurationError):
        audit_tasks.choose_pipelines()


def test_one_pipeline(conf: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    world, _, _ = a_world(0, 1)
    world.add_documents(1, 1, prefix="late")
    monkeypatch.setattr(assembly, "pipeline", lambda _: world.pipeline)
    conf.update(target_date="2013-03-09", pipelines=["main"], mode="count")
    report = audit_tasks.audit_pipeline("main")
    assert (report["windows"], report["replaced"], report["changed"]) == (2, 1, {"late_data": 1})
    with world.store.source_lock("flights audit"), pytest.raises(Skipped, match="another audit"):
        audit_tasks.audit_pipeline("main")

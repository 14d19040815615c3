"""Which warehouses get a mirror, and what a cycle's task tells Airflow."""

from __future__ import annotations

from contextlib import contextmanager
from typing import Any

import pytest

from include.orchestration import mirror_tasks, task_runs
from include.pipeline_framework.config.loader import LoadedPipelines
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError
from include.pipeline_framework.tasks import publish_lifecycle
from include.wiring import assembly, connections, run_context
from tests.unit.tasks.world import TEMPORARY, World

RUN = Actor("publish_lifecycle", "run-1", "publish", 0, 1)


class Skipped(Exception):
    """What Airflow would be told."""


def pipeline(pipeline_id: str, type_name: str = "snowflake", **options: Any) -> PipelineConfig:
    config: PipelineConfig = World().config
    given = {"type": type_name, "connection_id": "target_" + type_name[:8], "table": "T", **options}
    target = type(config.target).model_validate(given)
    return config.model_copy(update={"pipeline_id": pipeline_id, "target": target})


@pytest.fixture
def bundle(monkeypatch: pytest.MonkeyPatch) -> dict[str, PipelineConfig]:
    """Pipelines by id; a conf; an actor."""
    configs: dict[str, PipelineConfig] = {}

    def skip(message: str) -> None:
        raise Skipped(message)

    def configured(pipeline_id: str) -> PipelineConfig:
        if configs[pipeline_id] is None:
            raise ConfigurationError("not set: WAREHOUSE")
        return configs[pipeline_id]

    broken = {"broken": ConfigurationError("no")}
    monkeypatch.setattr(assembly, "all_configs", lambda: LoadedPipelines(configs, broken))
    monkeypatch.setattr(assembly, "runtime_config", configured)
    monkeypatch.setattr(task_runs, "skip", skip)
    monkeypatch.setattr(task_runs, "conf", dict)
    monkeypatch.setattr(run_context, "current_actor", lambda *_: RUN)
    monkeypatch.setattr(connections, "client", lambda _, **__: None)
    return configs


def test_one_mirror_per_place_that_pipelines_load_into(bundle: dict[str, PipelineConfig]) -> None:
    bundle |= {
        "b": pipeline("b"),
        "a": pipeline("a"),
        "sales": pipeline("sales", database="Sales", schema="raw"),
        "more": pipeline("more", database="SALES", schema="RAW"),
        "pg": pipeline("pg", "postgres"),
        "own": pipeline("own", "my.module:Target"),
        "lake": pipeline("lake", "external"),
        "unset": None,  # type: ignore[dict-item] # names a Variable that is not set
    }
    assert mirror_tasks.find_mirrors() == [
        {"mirror": "target_postgres", "pipelines": ["pg"]},
        {"mirror": "target_snowflak", "pipelines": ["a", "b"]},
        {"mirror": "target_snowflak/sales/raw", "pipelines": ["more", "sales"]},
    ]


def test_without_a_warehouse_there_is_nothing_to_do(bundle: dict[str, PipelineConfig]) -> None:
    bundle["own"] = pipeline("own", "my.module:Target")
    with pytest.raises(Skipped, match="no pipeline loads"):
        mirror_tasks.find_mirrors()


def test_pipelines_that_moved_meanwhile_are_refused(bundle: dict[str, PipelineConfig]) -> None:
    bundle["main"] = pipeline("main", database="other", schema="raw")
    with pytest.raises(InvalidInputError, match="target_snowflak/other/raw now"):
        mirror_tasks.publish("target_snowflak", ["main"])


class Busy:
    """A feed whose mirror is being written by another cycle."""

    @contextmanager
    def lock(self, _: str) -> Any:
        yield False


def test_a_second_cycle_is_skipped_with_a_note(
    bundle: dict[str, PipelineConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle["main"] = pipeline("main")
    monkeypatch.setattr(assembly, "lifecycle_feed", Busy)
    with pytest.raises(Skipped, match="another cycle of this mirror is running"):
        mirror_tasks.publish("target_snowflak", ["main"])


def test_what_was_checked_is_what_is_mirrored(
    bundle: dict[str, PipelineConfig], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Variable that changes in between moves no rows to another place under the first one's name."""
    places, opened = iter([pipeline("main"), pipeline("main", connection_id="elsewhere")]), list[str]()
    monkeypatch.setattr(assembly, "runtime_config", lambda _: next(places))
    monkeypatch.setattr(assembly, "lifecycle_feed", Busy)
    monkeypatch.setattr(assembly, "mirror", lambda target: opened.append(target.connection_id))
    monkeypatch.setattr(publish_lifecycle, "publish", lambda name, *_, **__: publish_lifecycle.MirrorReport(name))
    mirror_tasks.publish("target_snowflak", ["main"])
    assert opened == ["target_snowflak"]


@pytest.mark.parametrize("actor", [RUN, TEMPORARY])
def test_conf_and_temporary_runs_reach_the_cycle(
    bundle: dict[str, PipelineConfig], monkeypatch: pytest.MonkeyPatch, actor: Actor
) -> None:
    given: dict[str, Any] = {}

    def publish(mirror: str, pipelines: list[str], *_: Any, **options: Any) -> Any:
        given.update(options)
        return publish_lifecycle.MirrorReport(mirror, 3, "asked for")

    bundle["main"] = pipeline("main")
    monkeypatch.setattr(assembly, "lifecycle_feed", Busy)
    monkeypatch.setattr(publish_lifecycle, "publish", publish)
    monkeypatch.setattr(task_runs, "conf", lambda: {"full": True, "dry_run": False})
    monkeypatch.setattr(run_context, "current_actor", lambda *_: actor)
    report = mirror_tasks.publish("target_snowflak", ["main"])
    assert report == {"mirror": "target_snowflak", "rows": 3, "full_because": "asked for", "skipped_because": None}
    assert given == {"is_full": True, "dry_run": actor.is_temporary}

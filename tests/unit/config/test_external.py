"""`moved_by: external`: what such a pipeline need not say, and where its sections don't belong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from include.pipeline_framework.config.external import require_moved_elsewhere, require_moved_here
from include.pipeline_framework.config.loader import load_all_pipelines, load_pipeline, validate_all
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.config.scaffold import pipeline_mismatches, write_pipeline
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError
from tests.unit.config.doubles import good, options_model, write

EXTERNAL = {"type": "external"}


def external(**changes: Any) -> dict[str, Any]:
    return {**good(source=None, stage=None, target=None), "moved_by": "external", **changes}


def load(directory: Path, data: dict[str, Any]) -> PipelineConfig:
    write(directory, "events", data)
    return load_pipeline("events", directory, options_model=options_model)


def test_sections_may_be_left_out_and_names_have_defaults(tmp_path: Path) -> None:
    config = load(tmp_path, external())
    assert config.is_external
    assert [config.source.type, config.stage.type, config.target.type] == ["external"] * 3
    assert [config.source_name, config.stage_name, config.target_name] == ["external"] * 3
    assert config.target_object is None
    record = config.default_record()
    assert (record["source_name"], record["target_name"]) == ("external", "external")


def test_names_and_sections_may_be_given(tmp_path: Path) -> None:
    named = external(source_name="sap", target_name="lake", target_object="SALES", source=EXTERNAL)
    config = load(tmp_path, named)
    assert (config.source_name, config.stage_name, config.target_name) == ("sap", "external", "lake")
    assert config.target_object == "SALES"
    told = load(tmp_path, {**good(), "moved_by": "external"})
    assert (told.source_name, told.target_object) == ("memory", "EVENTS")


def test_one_of_a_list_may_be_external(tmp_path: Path) -> None:
    shared = good(source_object=None, stage=None)
    one, two = {"source_object": "one", "moved_by": "external"}, {"source_object": "two", "stage": {"type": "memory"}}
    write(tmp_path, "many", {**shared, "sources": [one, two]})
    loaded = load_all_pipelines(tmp_path, options_model=options_model)
    assert {name: config.is_external for name, config in loaded.configs.items()} == {"one": True, "two": False}
    sections = [
        loaded.configs["one"].source,
        loaded.configs["one"].target,
    ]  # it takes none of those that are moved here
    assert [(section.type, section.options) for section in sections] == [("external", {})] * 2
    assert loaded.configs["two"].source.options == {"index": "events"}


def test_sections_that_are_shared_with_the_setting_are_taken(tmp_path: Path) -> None:
    write(tmp_path, "defaults", {"stage": {"type": "memory"}})
    shared = {**good(source_object=None, stage=None), "moved_by": "external"}
    write(tmp_path, "many", {**shared, "sources": [{"source_object": "one"}]})
    config = load_all_pipelines(tmp_path, options_model=options_model).configs["one"]
    assert (config.source_name, config.stage_name, config.target_object) == ("memory", "external", "EVENTS")


@pytest.mark.parametrize(
    ("data", "path", "says"),
    [
        (good(source=EXTERNAL), "source.type", "only a pipeline with moved_by: external has it"),
        (good(target=EXTERNAL), "target.type", "only a pipeline with moved_by: external has it"),
        (external(stage={**EXTERNAL, "bucket": "b"}), "stage.bucket", "a section of type external says nothing more"),
        (external(target={**EXTERNAL, "connection_id": "c"}), "target.connection_id", "says nothing more"),
        (external(source={"index": "x"}), "source.type", "is missing"),
        (external(source={"type": "memory", "indx": "x"}), "source.indx", "did you mean index?"),
        (external(moved_by="other"), "moved_by", "'pipeline' or 'external'"),
        (external(moved_by=True), "moved_by", "'pipeline' or 'external'"),
    ],
)
def test_what_is_wrong(tmp_path: Path, data: dict[str, Any], path: str, says: str) -> None:
    write(tmp_path, "events", data)
    found = [problem for problem in validate_all(tmp_path, options_model=options_model) if problem.key == path]
    assert len(found) == 1
    assert says in found[0].message


def test_without_moved_by_the_sections_are_missing(tmp_path: Path) -> None:
    write(tmp_path, "events", good(source=None, stage=None, target=None))
    keys = [problem.key for problem in validate_all(tmp_path, options_model=options_model)]
    assert keys == ["source", "stage", "target"]


def test_the_hash_of_other_pipelines_is_as_before_and_the_setting_is_in_the_plain_dict(tmp_path: Path) -> None:
    assert load(tmp_path, good()).config_hash == load(tmp_path, {**good(), "moved_by": "pipeline"}).config_hash
    assert load(tmp_path, external()).final_config()["moved_by"] == "external"


def test_who_moves_it_is_asked_for_by_name(tmp_path: Path) -> None:
    moved_here, moved_elsewhere = load(tmp_path, good()), load(tmp_path, external())
    require_moved_here(moved_here)
    require_moved_elsewhere(moved_elsewhere)
    with pytest.raises(ConfigurationError, match="ledger report --pipeline events"):
        require_moved_here(moved_elsewhere)
    with pytest.raises(ConfigurationError, match="write moved_by: external"):
        require_moved_elsewhere(moved_here)


@pytest.mark.parametrize("where", ["own", "shared", "defaults"])
def test_it_needs_no_dag_file_and_may_have_none(tmp_path: Path, where: str) -> None:
    directory = tmp_path / "include/pipelines"
    directory.mkdir(parents=True)
    said = {"moved_by": "external"}
    item = {"source_object": "lake", **(said if where == "own" else {})}
    write(directory, "many", {"granularity": "1h", **(said if where == "shared" else {}), "sources": [item]})
    if where == "defaults":
        write(directory, "defaults", said)
    assert pipeline_mismatches(tmp_path) == []
    with pytest.raises(InvalidInputError, match="moved_by: external"):
        write_pipeline("lake", tmp_path)
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags/data_pipeline_lake.py").write_text("")
    (told,) = pipeline_mismatches(tmp_path)
    assert "data_pipeline_lake.py must go: another system moves lake" in told

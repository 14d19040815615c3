"""The examples of the page on pipeline files: one for every key, and all of them are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import BaseModel

from include.implementation_modules.registry import options_model, registered_options
from include.pipeline_framework.config.describe import configuration_page
from include.pipeline_framework.config.examples import EXAMPLES, SECTION_EXAMPLES
from include.pipeline_framework.config.loader import load_pipeline
from include.pipeline_framework.config.models import AdapterSection, PipelineConfig

ADAPTERS = [(role, name, model) for role, models in registered_options().items() for name, model in models.items()]


def keys(model: type[BaseModel]) -> set[str]:
    return set(model.model_json_schema(mode="validation")["properties"])


def load(directory: Path, changes: dict[str, Any]) -> PipelineConfig:
    data = {name: value for name, value in EXAMPLES.items() if name != "query_window_delta_label"} | changes
    (directory / "weblogs.yaml").write_text(yaml.safe_dump(data))
    return load_pipeline("weblogs", directory, options_model=options_model)


def test_together_they_are_a_file(tmp_path: Path) -> None:
    assert set(EXAMPLES) == keys(PipelineConfig)
    config = load(tmp_path, {})
    assert (config.pipeline_id, config.x_time_back, config.granularity) == ("weblogs", "30m", "1h")


@pytest.mark.parametrize(
    "section", ["late_data_tolerance", "vanished_data_limit", "max_windows_in_progress", "derived"]
)
def test_every_key_of_a_section_has_one(section: str, tmp_path: Path) -> None:
    assert set(SECTION_EXAMPLES[section]) == keys(PipelineConfig.model_fields[section].annotation)  # type: ignore[arg-type]
    example = SECTION_EXAMPLES[section]
    if section == "derived":  # a function of one's own has to be there
        example = {**example, "target_category": {"callable": "tests.unit.tasks.world:nothing"}}
    load(tmp_path, {section: example})


@pytest.mark.parametrize(("role", "name", "model"), ADAPTERS, ids=[f"{role} {name}" for role, name, _ in ADAPTERS])
def test_every_key_of_an_adapter_has_one(role: str, name: str, model: type[BaseModel], tmp_path: Path) -> None:
    example = SECTION_EXAMPLES[f"{role} {name}"]
    assert set(example) == keys(model) | keys(AdapterSection)
    alternatives = [["bucket", "connection_id"], ["path"]] if name == "object_storage" else [[]]
    for left_out in alternatives:
        load(tmp_path, {role: {key: value for key, value in example.items() if key not in left_out}})


def test_the_page_shows_them_with_type_and_connection() -> None:
    page = configuration_page(registered_options())
    assert "| `granularity` | text | required | `1h` |" in page
    assert "| `source` | integer or null |  | `8` |" in page
    assert "`{STATUS: integer, BYTES: {type: number, path: http.bytes}}`" in page
    section = page.partition("## target, type `postgres`")[2]
    assert "| `type` | text | required | `postgres` |" in section
    assert "| `connection_id` | text or null |  | `warehouse_postgres` |" in section

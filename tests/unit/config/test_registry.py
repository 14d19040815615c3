"""Names to adapter classes, and what goes wrong on the way; and the JSON schema built from what is registered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic import BaseModel

from include.implementation_modules import registry
from include.implementation_modules.elasticsearch import checking as elasticsearch_checking
from include.implementation_modules.object_storage import checking as object_storage_checking
from include.implementation_modules.postgres import checking as postgres_checking
from include.implementation_modules.registry import ADAPTERS, adapter_class, create_adapter, options_model
from include.implementation_modules.snowflake import checking as snowflake_checking
from include.pipeline_framework.config.json_schema import SCHEMA_FILE, render_json_schema
from include.pipeline_framework.config.loader import (
    PIPELINES_DIRECTORY,
    load_pipeline,
    pipeline_files,
    resolve_variables,
    validate_all,
)
from include.pipeline_framework.errors import ConfigurationError
from tests.unit.config import doubles

DOUBLE = "tests.unit.config.doubles:Adapter"
REGISTERED = [(role, name) for role, names in ADAPTERS.items() for name in names]


@pytest.mark.parametrize(("role", "name"), REGISTERED)
def test_every_registered_adapter_is_there(role: str, name: str) -> None:
    assert isinstance(adapter_class(role, name), type)
    model = options_model(role, name)
    assert issubclass(model, BaseModel)
    assert model.model_config.get("extra") == "forbid"


def test_a_dotted_path_names_any_class() -> None:
    adapter = create_adapter("source", DOUBLE, "client", {"index": "x"})
    assert isinstance(adapter, doubles.Adapter)
    assert (adapter.client, adapter.options.index) == ("client", "x")


@pytest.mark.parametrize(
    ("type_name", "says"),
    [
        ("elasticsarch", "did you mean elasticsearch?"),
        ("kafka", "allowed: elasticsearch, postgres"),
        ("no_such_module:X", "can't be imported: ModuleNotFoundError"),
        ("tests.unit.config.doubles:Nope", "can't be imported: AttributeError"),
        ("tests.unit.config.doubles:NOT_A_CLASS", "is not a class"),
        ("tests.unit.config.doubles:WithoutOptions", "no pydantic model as its attribute Options"),
    ],
)
def test_wrong_types(type_name: str, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says.replace("?", r"\?")):
        options_model("source", type_name)


def test_a_wrong_option_names_its_path_and_not_its_value() -> None:
    with pytest.raises(ConfigurationError, match=r"source\.page_size: ") as caught:
        create_adapter("source", DOUBLE, None, {"page_size": "hunter2"})
    assert "hunter2" not in str(caught.value)


class TestCommittedFiles:
    def test_are_all_valid(self) -> None:
        assert [str(problem) for problem in validate_all(options_model=options_model)] == []

    def test_the_flights_pipeline_resolves_and_its_options_are_valid(self) -> None:
        config = resolve_variables(load_pipeline("main"), lambda name: None, options_model=options_model)
        assert config.source.options["index"] == "flights"

    def test_the_schema_is_up_to_date(self) -> None:
        committed = (PIPELINES_DIRECTORY / SCHEMA_FILE).read_text(encoding="utf-8")
        assert committed == render_json_schema(registry.registered_options()), "write it again: make schema"

    @pytest.mark.parametrize("path", [*pipeline_files(PIPELINES_DIRECTORY), PIPELINES_DIRECTORY / "defaults.yaml"])
    def test_name_the_schema_and_fit_it(self, path: Path) -> None:
        text = path.read_text(encoding="utf-8")
        assert text.startswith("# yaml-language-server: $schema=./pipeline.schema.json\n")
        validator().validate(plain(text))


@pytest.mark.parametrize(
    "changes",
    [
        {"granularty": "1h"},
        {"max_retry_task": -1},
        {"derived": {"key_x": {"callable": "os.system"}}},
        {"source": {"type": "elasticsearch", "indx": "a"}},
        {"source": {"type": "elasticsearch", "index": "a", "page_size": "many"}},
        {"source": {"type": "kafka"}},
        {"target": {"type": "snowflake", "table": "T", "columns": {"year": "int"}}},
        {"target": {"type": "postgres", "table": "T", "columns": {"a; drop": "text"}}},
        {"sources": []},
        {"sources": {"source_object": "a"}},
        {"sources": ["a"]},
        {"sources": [{"granularty": "1h"}]},
        {"sources": [{"sources": []}]},
        {"sources": [{"source": {"type": "elasticsearch", "indx": "a"}}]},
        [{"max_retry_task": -1}],
        [],
    ],
)
def test_the_schema_refuses(changes: Any) -> None:
    with pytest.raises(jsonschema.ValidationError):
        validator().validate(changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"query_window_delta_label": "1 hour", "metadata": {"team": {"name": "x"}}, "cron_schedule": None},
        {"source": {"type": "elasticsearch", "index": "${INDEX}", "page_size": "${SIZE:-100}"}},
        {"source": {"type": "my.module:Source", "anything": [1]}},
        {"target": {"type": "postgres", "table": "t", "columns": {"a": {"type": "text", "path": "x.y"}}}},
        {"derived": {"key_x": {"callable": "a.b:c"}, "key_y": "{target_day}"}},
        {"timezone": "UTC", "sources": [{"source_object": "a", "source": {"index": "a"}}, {"source_object": "b"}]},
        [{"source_object": "a", "source": {"type": "elasticsearch", "index": "a"}}],
    ],
)
def test_the_schema_accepts(changes: Any) -> None:
    validator().validate(changes)


def validator() -> jsonschema.Draft202012Validator:
    schema = json.loads((PIPELINES_DIRECTORY / SCHEMA_FILE).read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def plain(text: str) -> Any:
    """Dates as editors see them: text."""
    return json.loads(json.dumps(yaml.safe_load(text), default=str))


def test_every_registered_adapter_has_its_check() -> None:
    assert {(role, name): registry.known_check(role, name) for role, name in REGISTERED} == {
        ("source", "elasticsearch"): elasticsearch_checking.check,
        ("source", "postgres"): postgres_checking.check_source,
        ("stage", "object_storage"): object_storage_checking.check,
        ("target", "snowflake"): snowflake_checking.check,
        ("target", "postgres"): postgres_checking.check_target,
    }


def test_a_class_of_somebody_elses_brings_its_own_check_or_has_none() -> None:
    assert registry.known_check("source", DOUBLE) is None
    assert registry.known_check("target", f"{__name__}:Checked") is Checked.check


class Checked:
    """An adapter with a check."""

    @staticmethod
    def check(*_: object) -> tuple[()]:
        return ()

"""Build the JSON schema of pipeline files for editors, from the models and the options of every registered adapter.

It requires nothing but a section's `type`, because `defaults.yaml` may give everything else and has the same schema;
the loader finds missing keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from include.pipeline_framework.config.columns import TargetColumns
from include.pipeline_framework.config.file_sources import SOURCES
from include.pipeline_framework.config.models import EXTERNAL, AdapterSection, PipelineConfig
from include.pipeline_framework.config.variables import PLACEHOLDER_SECTIONS

SCHEMA_FILE = "pipeline.schema.json"

Adapters = Mapping[str, Mapping[str, type[BaseModel]]]
"""Maps role and registered type to the model of the options."""

_PLACEHOLDER = {"type": "string", "pattern": r"\$\{", "description": "${VARIABLE_NAME} or ${VARIABLE_NAME:-default}"}
_DOTTED = {"type": "string", "pattern": r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", "description": "package.module:Class"}


def pipeline_json_schema(adapters: Adapters) -> dict[str, Any]:
    """Return the schema as plain data; a section is a union of the registered types and any `package.module:Class`."""
    schema = PipelineConfig.model_json_schema()
    definitions = schema.setdefault("$defs", {})
    definitions.pop(AdapterSection.__name__, None)
    for role, models in adapters.items():
        branches = []
        for name, model in sorted(models.items()):
            definitions[f"{role}_{name}"] = _section(f"{role}_{name}", name, model, definitions)
            branches.append({"$ref": f"#/$defs/{role}_{name}"})
        definitions[f"{role}_dotted"] = {
            "type": "object",
            "properties": {"type": _DOTTED, "connection_id": _connection_id()},
            "required": ["type"],
        }
        branches += [{"$ref": f"#/$defs/{role}_dotted"}, {"$ref": "#/$defs/external"}]
        schema["properties"][role] = {"oneOf": branches}
    definitions["external"] = {
        "type": "object",
        "description": "Of a pipeline with moved_by: external.",
        "properties": {"type": {"const": EXTERNAL}},
        "required": ["type"],
        "additionalProperties": False,
    }
    schema.pop("required", None)
    schema = _with_lists(schema)
    head = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A pipeline, a list of sources, or the defaults of all pipelines",
        "description": "Generated from the models; do not edit.",
    }
    return {**_closed(schema), **head}


def _with_lists(schema: dict[str, Any]) -> dict[str, Any]:
    """Add the same for a file with a list of sources: below the key `sources`, or as the root of the file."""
    properties: dict[str, Any] = {name: {"$ref": f"#/properties/{name}"} for name in schema["properties"]}
    for role in PLACEHOLDER_SECTIONS:  # its type may be a shared one
        properties[role] = {"anyOf": [properties[role], {"type": "object", "not": {"required": ["type"]}}]}
    item = {
        "type": "object",
        "description": "One source of a list; its id is its pipeline_id, else its source_object.",
        "properties": properties,
        "additionalProperties": False,
    }
    schema["$defs"]["source_of_a_list"] = item
    sources = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/source_of_a_list"}}
    described = {**sources, "description": "Several sources in one file, over everything else that it says."}
    return {
        **schema,
        **sources,
        "type": ["object", "array"],
        "properties": {**schema["properties"], SOURCES: described},
    }


def render_json_schema(adapters: Adapters) -> str:
    """Return the text of the committed schema file."""
    return json.dumps(pipeline_json_schema(adapters), indent=2, sort_keys=True) + "\n"


def _section(prefix: str, name: str, model: type[BaseModel], definitions: dict[str, Any]) -> dict[str, Any]:
    schema = model.model_json_schema(ref_template=f"#/$defs/{prefix}_{{model}}")
    if prefix.startswith("target_") and "columns" in schema.get("properties", {}):
        columns = TargetColumns.model_json_schema(ref_template=f"#/$defs/{prefix}_{{model}}")
        schema["properties"]["columns"] = columns["properties"]["columns"]
        schema.setdefault("$defs", {}).update(columns["$defs"])
    definitions |= {f"{prefix}_{key}": inner for key, inner in schema.pop("$defs", {}).items()}
    options = {key: {"anyOf": [inner, _PLACEHOLDER]} for key, inner in schema.get("properties", {}).items()}
    return {
        "type": "object",
        "description": schema.get("description", ""),
        "properties": {"type": {"const": name}, "connection_id": _connection_id(), **options},
        "required": ["type"],
        "additionalProperties": False,
    }


def _closed(schema: Any) -> Any:
    """Forbid other keys in mappings whose keys follow a pattern; pydantic allows them."""
    if isinstance(schema, list):
        return [_closed(inner) for inner in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: _closed(inner) for key, inner in schema.items()}
    return {"additionalProperties": False, **closed} if "patternProperties" in closed else closed


def _connection_id() -> dict[str, Any]:
    found: dict[str, Any] = AdapterSection.model_json_schema()["properties"]["connection_id"]
    return found

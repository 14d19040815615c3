"""Write the pipeline file's keys as a page for people, from the models themselves."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from include.pipeline_framework.config.derived_columns import DerivedColumns
from include.pipeline_framework.config.examples import EXAMPLES, SECTION_EXAMPLES
from include.pipeline_framework.config.limits import LateDataTolerance, VanishedData, WindowsInProgress
from include.pipeline_framework.config.models import AdapterSection, PipelineConfig
from include.pipeline_framework.config.pipeline_text import flow_text
from include.pipeline_framework.core.records.derived import TEMPLATE_FIELDS

_INTRODUCTION = """# Pipeline files

<!-- Generated from the models: `make docs`. Edit include/pipeline_framework/config/models.py instead. -->

One file per pipeline, `include/pipelines/<id>.yaml`, or several in one file (below), over
`include/pipelines/defaults.yaml`. `python -m include.cli config validate` names every problem with file, line, path,
value and what is allowed; editors check while you type with `pipeline.schema.json`. No secrets: credentials live in
Airflow connections. In `source`, `stage` and `target`, `${NAME}` and `${NAME:-default}` are replaced by Airflow
Variables when a task runs.

The environment variable `PIPELINES_DIRECTORY` names another folder than `include/pipelines`, outside the bundle say;
every process of Airflow, and the command line, has to have it.

## Several sources in one file

A file may have a key `sources`, a list of mappings. Everything else in the file is shared by them, merged as
`defaults.yaml` is: mappings key by key, a section only for the same `type`; what an item says wins. A file whose root
is a list is the same without a shared part. An item's id is its `pipeline_id`, else its `source_object`; each has a DAG
file of its own, which `python -m include.cli new <id>` writes.

```yaml
# include/pipelines/shop.yaml: three pipelines, shop_orders, shop_returns and clicks
timezone: Europe/Berlin
granularity: 1h
start_date: 2025-01-01
source: {type: postgres, connection_id: source_shop, id_column: id, time_column: created_at}
stage: {type: object_storage, connection_id: stage_s3, bucket: stage}
target: {type: snowflake, connection_id: target_snowflake, database: ANALYTICS, schema: SHOP}
sources:
  - source_object: shop_orders
    source: {table: orders}
    target: {table: ORDERS}
  - source_object: shop_returns
    granularity: 1d
    source: {table: returns}
    target: {table: RETURNS}
  - pipeline_id: clicks
    source_object: Shop.Clicks-v2
    source: {table: clicks}
    target: {table: CLICKS}
```

What is wrong in one item (`sources[1].granularity`) concerns that source alone; what is wrong in the shared part, every
source that has it. An id, and a `source_object`, may stand in one place of all files only. A file may have
1,000,000 bytes and 20,000 values; a list that is longer needs several files.
"""


_SECTIONS: dict[str, type[BaseModel]] = {
    "late_data_tolerance": LateDataTolerance,
    "vanished_data_limit": VanishedData,
    "max_windows_in_progress": WindowsInProgress,
}


def configuration_page(adapters: Mapping[str, Mapping[str, type[BaseModel]]]) -> str:
    """Return Markdown: every key with its example and meaning; then the options of every registered adapter."""
    parts = [_INTRODUCTION, "## Keys", _table(PipelineConfig, EXAMPLES)]
    for name, section in _SECTIONS.items():
        parts += [f"## {name}", _table(section, SECTION_EXAMPLES[name])]
    fields = ", ".join(f"`{{{name}}}`" for name in TEMPLATE_FIELDS)
    parts += [
        f"## derived\n\nTemplates may use {fields}; or `{{callable: package.module:function}}`.",
        _table(DerivedColumns, SECTION_EXAMPLES["derived"]),
    ]
    for role, models in adapters.items():
        for name, model in models.items():
            parts += [
                f"## {role}, type `{name}`",
                _table(model, SECTION_EXAMPLES.get(f"{role} {name}", {}), AdapterSection),
            ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _table(model: type[BaseModel], examples: Mapping[str, Any], head: type[BaseModel] | None = None) -> str:
    """Return the keys of a model, after those that every model of its kind has."""
    lines = ["| key | type | default | example | meaning |", "| --- | --- | --- | --- | --- |"]
    for each in [head, model] if head else [model]:
        schema = each.model_json_schema(mode="validation")
        required = set(schema.get("required", ()))
        for key, field in schema.get("properties", {}).items():
            default = "required" if key in required else _default(field.get("default"))
            example = f"`{flow_text(examples[key])}`" if key in examples else ""
            meaning = field.get("description", "").replace("|", "\\|")
            lines.append(f"| `{key}` | {_type(field)} | {default} | {example} | {meaning} |")
    return "\n".join(lines)


def _type(field: Mapping[str, Any]) -> str:
    if "anyOf" in field or "oneOf" in field:
        kinds = dict.fromkeys(_type(option) for option in field.get("anyOf") or field["oneOf"])
        return " or ".join(kinds)
    if "enum" in field:
        return " or ".join(f"`{value}`" for value in field["enum"])
    if "$ref" in field:
        return "section"
    if field.get("type") == "array":
        return f"list of {_type(field.get('items', {}))}"
    names = {"object": "mapping", "string": "text", "null": "null", "boolean": "true or false"}
    kind = field.get("format") or field.get("type") or "any"
    return names.get(kind, kind)


def _default(value: Any) -> str:
    return "" if value is None or isinstance(value, dict) else f"`{json.dumps(value)}`"

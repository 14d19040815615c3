"""Wires what `preview` needs beside a pipeline: how its target's columns are filled."""

from __future__ import annotations

from typing import Any

from include.implementation_modules.registry import options_model
from include.implementation_modules.sql_warehouse.columns import convert, parse_document, value_at
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.tasks import preview as use_case
from include.wiring import assembly


def preview(pipeline_id: str, day: LocalDay) -> use_case.Preview:
    """Return what the pipeline would do with a day; see `tasks.preview`."""
    pipeline = assembly.pipeline(pipeline_id)
    try:
        return use_case.preview(pipeline, day, typed_by(pipeline.config))
    finally:
        pipeline.store.close()


def typed_by(config: PipelineConfig) -> use_case.Typed:
    """Return what gives a document's typed columns, by the reference that all targets keep to."""
    section = config.target
    columns = getattr(options_model("target", section.type).model_validate(section.options), "columns", ())

    def typed(document: Document) -> dict[str, Any]:
        content, values = parse_document(document.body) if columns else None, dict[str, Any]()
        for column in columns:
            try:
                values[column.name] = convert(value_at(content, column.path), column.type, column.format)
            except ValueError as error:
                values[column.name] = error
        return values

    return typed

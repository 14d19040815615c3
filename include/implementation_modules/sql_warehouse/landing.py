"""Staged lines as rows of the landing table, for databases that get rows from the client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from include.implementation_modules.sql_warehouse.columns import convert, parse_document, refused_value, value_at
from include.implementation_modules.staged_lines import staged_lines
from include.pipeline_framework.ports.stage import Manifest, Stage
from include.pipeline_framework.ports.target import ColumnSpec


def typed_rows(
    manifests: Sequence[Manifest], stage: Stage, columns: Sequence[ColumnSpec], where: str
) -> Iterator[tuple[Any, ...]]:
    """Yield `(_lifecycle_id, _id, _id_hash, _event_at, doc, *typed values)` of every staged line, in order.

    `_lifecycle_id` is that of the line's manifest; `_event_at` is ISO 8601 text, UTC with six decimals and `Z`; `doc`
    is the document's text as it was sent; the typed values are Python's `str`, `int`, `float`, `bool`, `datetime` in
    UTC, `date`, or None.

    Raises:
        TornStageError: A file is missing or damaged.
        BadDocumentError: A typed column can't hold its value; the message names document and column.
    """
    for manifest in manifests:
        for line in staged_lines(manifest, stage):
            body = bytes(line.doc)
            document = parse_document(body) if columns else None
            values = (typed_value(line.id, document, column, where) for column in columns)
            yield manifest.lifecycle_id, line.id, line.id_hash, line.event_at, body.decode(), *values


def typed_value(document_id: str, document: Any, column: ColumnSpec, where: str) -> Any:
    """Return a document's value for one typed column.

    Raises:
        BadDocumentError: The column can't hold it; the message names document and column.
    """
    try:
        value = convert(value_at(document, column.path), column.type, column.format)
        if isinstance(value, str):
            value.encode()  # a lone surrogate has no UTF-8
    except ValueError as error:
        raise refused_value(document_id, column, where) from error
    return value

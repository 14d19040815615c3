"""Staged lines as rows of the landing table, for databases that get rows from the client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from include.implementation_modules.sql_warehouse import publishing
from include.implementation_modules.sql_warehouse.columns import convert, parse_document, refused_value, value_at
from include.implementation_modules.sql_warehouse.session import Session
from include.implementation_modules.staged_lines import StagedLine, staged_lines
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.ports.stage import Manifest, Stage
from include.pipeline_framework.ports.target import ColumnSpec


def typed_rows(
    manifest: Manifest, stage: Stage, columns: Sequence[ColumnSpec], where: str
) -> Iterator[tuple[Any, ...]]:
    """Yield `(_id, _id_hash, _event_at, doc, *typed values)` of every staged line, in order.

    `_event_at` is ISO 8601 text, UTC with six decimals and `Z`; `doc` is the document's text as it was sent; the typed
    values are Python's `str`, `int`, `float`, `bool`, `datetime` in UTC, `date`, or None.

    Raises:
        TornStageError: A file is missing or damaged.
        BadDocumentError: A typed column can't hold its value; the message names document and column.
    """
    for line in staged_lines(manifest, stage):
        body = bytes(line.doc)
        document = parse_document(body) if columns else None
        yield line.id, line.id_hash, line.event_at, body.decode(), *(_typed(line, document, c, where) for c in columns)


def check_landed(session: Session, manifest: Manifest) -> int:
    """Compare the landed rows with the manifest, by `check_loaded`; return how many share another row's id.

    Raises:
        TornStageError: They differ.
    """
    rows, hash_sum, ids = session.run("check_loaded")[0]
    publishing.require_same(Fingerprint(int(rows), int(hash_sum)), manifest, "The staged files hold", session.where)
    return int(rows) - int(ids)


def _typed(line: StagedLine, document: Any, column: ColumnSpec, where: str) -> Any:
    try:
        value = convert(value_at(document, column.path), column.type, column.format)
        if isinstance(value, str):
            value.encode()  # a lone surrogate has no UTF-8
    except ValueError as error:
        raise refused_value(line.id, column, where) from error
    return value

"""The lines that Postgres makes of a source's rows, as pages: one decode for each page, and no object for each row."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from include.implementation_modules.staged_lines import LINES, LinePage
from include.pipeline_framework.errors import BadDocumentError
from include.pipeline_framework.ports.source import Document

_ID, _DOCUMENT, _TIME = b'{"_id":', b',"_source":', b',"sort":[0,'
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def page_of(lines: Sequence[bytes], where: str) -> Sequence[Document]:
    """Return the rows as a page of lines; as documents where a row is not what every target can hold.

    Args:
        lines: What `lines.sql` gives, in order.
        where: Table and window, for messages.

    Raises:
        BadDocumentError: A row has no id.
    """
    text = b"\n".join(lines) + b"\n"
    if text.count(b"\n") != len(lines) or b"\r" in text:
        # json columns keep their original line breaks; inside strings these are always escaped
        lines = [line.translate(None, b"\r\n") for line in lines]
        text = b"\n".join(lines) + b"\n"
    try:
        return LinePage([line.id for line in LINES.decode_lines(text)], text, "us")
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return [_document(line, where) for line in lines]


def _document(line: bytes, where: str) -> Document:
    """Take a line apart; the quotes of the cuts can't be inside an id or after the document, where they are escaped."""
    cut, end = line.index(_DOCUMENT), line.rindex(_TIME)
    row_id = json.loads(line[len(_ID) : cut].decode("utf-8", "surrogateescape"))
    event_at = _EPOCH + timedelta(microseconds=int(line[end + len(_TIME) : -2]))
    if row_id is None:
        raise BadDocumentError(
            f"A row of {event_at.isoformat()} has no id",
            where=where,
            meaning="It could not be counted and compared at the target",
            remedy="Set id_column to a column that is unique and never NULL.",
        )
    return Document(row_id, event_at, line[cut + len(_DOCUMENT) : end])

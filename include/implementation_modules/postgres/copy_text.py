"""Staged lines as the text that COPY reads, a page at a time.

A page is decoded once for all typed columns, and only as far as their paths go. A value in its plain form is valid text
of its type as it stands in the document; any other one goes through `typed_value`, which converts or refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any

import msgspec

from include.implementation_modules.sql_warehouse.columns import parse_document, places
from include.implementation_modules.sql_warehouse.landing import typed_value
from include.implementation_modules.staged_lines import StagedPage, staged_pages
from include.pipeline_framework.ports.stage import Manifest, Stage
from include.pipeline_framework.ports.target import ColumnSpec

NULL = "\\N"
_SPECIAL = re.compile(r"[\\\b\f\n\r\t\v]")
_ESCAPED = {ord(char): f"\\{name}" for char, name in zip("\\\b\f\n\r\t\v", "\\bfnrtv", strict=True)}
_DAY, _CLOCK = "[0-9]{4}-[0-9]{2}-[0-9]{2}", "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
_INSTANT = re.compile(f'"{_DAY}T{_CLOCK}([.][0-9]{{1,6}})?Z"')
_PLAIN = {
    "text": re.compile(r'"[^"\\\x00-\x1f]*"'),
    "integer": re.compile("-?[1-9][0-9]{0,36}|0|null"),
    "number": re.compile("-?[0-9]{1,200}([.][0-9]{1,200})?|null"),
    "boolean": re.compile("true|false|null"),
    "timestamp": _INSTANT,
    "date": _INSTANT,
    "json": re.compile(".*"),
}
"""Of each type the JSON texts that are valid text of the type, or would be without their quotes."""

_PLAIN_PAGES = {kind: re.compile(f"(?>{plain.pattern})(\n(?>{plain.pattern}))*+") for kind, plain in _PLAIN.items()}
_MISSING = msgspec.Raw(b"null")


def escaped(text: str) -> str:
    r"""Return a text as a field of COPY.

    >>> print(escaped("a" + chr(9) + "b"))
    a\tb
    """
    return text.translate(_ESCAPED) if _SPECIAL.search(text) else text


class CopyText:
    """Turns staged lines into lines of COPY: own fields, `_id`, `_id_hash`, `_event_at`, `doc`, typed columns.

    Args:
        columns: The typed columns.
        where: Table and window, for messages.
    """

    def __init__(self, columns: Sequence[ColumnSpec], where: str) -> None:
        self._columns, self._where = columns, where
        self._keys = _Keys([place for column in columns for place in places(column.path)]) if columns else None

    def blocks(
        self, manifests: Sequence[Manifest], stage: Stage, own: Callable[[Manifest], Sequence[Any]]
    ) -> Iterator[str]:
        """Yield the lines of all staged lines, in order, many at a time; each ends with a line break.

        Args:
            manifests: What to read.
            stage: Where the files are.
            own: Returns the fields that all lines of a manifest have before the others.

        Raises:
            TornStageError: A file is missing or damaged.
            BadDocumentError: A typed column can't hold its value; the message names document and column.
        """
        for manifest in manifests:
            first = "\t".join(escaped(str(field)) for field in own(manifest))
            for page in staged_pages(manifest, stage):
                yield self._block(page, first)

    def _block(self, page: StagedPage, first: str) -> str:
        text, ids = str(b"\n".join(page.docs), "utf-8"), page.ids
        # a document has no other characters to escape, unless white space stands between its tokens
        has_space = "\t" in text or "\r" in text
        docs = [escaped(doc) for doc in text.split("\n")] if has_space else text.replace("\\", "\\\\").split("\n")
        if _SPECIAL.search("".join(ids)):
            ids = [escaped(document_id) for document_id in ids]
        fields = [[first] * len(ids), ids, map(str, page.id_hashes), page.event_times, docs]
        fields += self._typed_fields(page)
        return "\n".join(map("\t".join, zip(*fields, strict=True))) + "\n"

    def _typed_fields(self, page: StagedPage) -> list[list[str]]:
        """Return the fields of each typed column."""
        if self._keys is None:
            return []
        try:
            found = self._keys.found(page.docs)
        except (msgspec.ValidationError, ValueError):  # a document is no object, or a key has a quote: one by one then
            numbers = range(len(page.ids))
            return [[self._converted(column, page, number) for number in numbers] for column in self._columns]
        return [self._typed(column, page, self._keys, found) for column in self._columns]

    def _typed(self, column: ColumnSpec, page: StagedPage, keys: _Keys, found: Any) -> list[str]:
        """Return the fields of one column."""
        text, *others = [keys.values(place, found) for place in places(column.path)]
        if others:
            rows = zip(*(each.split("\n") for each in (text, *others)), strict=True)
            text = "\n".join([next((value for value in row if value != "null"), "null") for row in rows])
        if _PLAIN_PAGES[column.type].fullmatch(text) and (fields := _fields(column.type, text)) is not None:
            return fields
        return [self._field(column, page, number, value) for number, value in enumerate(text.split("\n"))]

    def _field(self, column: ColumnSpec, page: StagedPage, number: int, value: str) -> str:
        """Return one field: of a value as it stands, or of what it is converted to."""
        if value == "null":
            return NULL
        if _PLAIN[column.type].fullmatch(value) and (fields := _fields(column.type, value)) is not None:
            return fields[0]
        return self._converted(column, page, number)

    def _converted(self, column: ColumnSpec, page: StagedPage, number: int) -> str:
        value = typed_value(page.ids[number], parse_document(bytes(page.docs[number])), column, self._where)
        if value is None:
            return NULL
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, date):
            return value.isoformat()
        return escaped(value) if isinstance(value, str) else repr(value)


class _Keys:
    """The keys of one level of the documents that paths go through, and below them the keys of the next level."""

    def __init__(self, paths: Sequence[tuple[str, ...]]) -> None:
        self._names = {key: f"key_{number}" for number, key in enumerate(dict.fromkeys(path[0] for path in paths))}
        self._below = {
            key: _Keys(below)
            for key in self._names
            if (below := [path[1:] for path in paths if path[0] == key and len(path) > 1])
        }

    @cached_property
    def _documents(self) -> Any:
        members = [(name, msgspec.Raw, msgspec.field(default=_MISSING, name=key)) for key, name in self._names.items()]
        return msgspec.json.Decoder(list[msgspec.defstruct("Keys", members, gc=False)])  # type: ignore[misc]

    def found(self, documents: Sequence[Any]) -> Any:
        """Return the objects' values of the keys.

        Raises:
            msgspec.ValidationError: A document is no object.
            ValueError: A key has a quote, a backslash or a control character.
        """
        return self._documents.decode(b"[" + b",".join(documents) + b"]")

    def values(self, path: tuple[str, ...], found: Any) -> str:
        """Return the JSON text at the path of each object, in lines; `null` where there is none."""
        key, *rest = path
        values = list(map(attrgetter(self._names[key]), found))
        if not rest:
            return str(b"\n".join(values), "utf-8")
        below = self._below[key]
        inner = [value if bytes(memoryview(value)[:1]) == b"{" else b"{}" for value in values]
        return below.values(tuple(rest), below.found(inner))


def _fields(kind: str, text: str) -> list[str] | None:
    """Return the fields of plain values in lines; None if one of them is no day of the calendar."""
    if kind == "text":
        return text[1:-1].split('"\n"')
    if kind == "json":
        return [NULL if value == "null" else escaped(value) for value in text.split("\n")]
    if kind in ("timestamp", "date"):
        instants = text[1:-1].split('"\n"')
        days = [instant[:10] for instant in instants]
        return None if not all(map(_is_day, set(days))) else days if kind == "date" else instants
    return text.replace("null", NULL).split("\n")


@lru_cache(maxsize=4_096)
def _is_day(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True

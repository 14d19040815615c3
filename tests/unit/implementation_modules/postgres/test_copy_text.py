"""COPY text holds what `typed_rows`, the reference, converts, and refuses what it refuses."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.implementation_modules.postgres.copy_text import NULL, CopyText
from include.implementation_modules.sql_warehouse.columns import parse_columns
from include.implementation_modules.sql_warehouse.landing import typed_rows
from include.implementation_modules.staged_lines import staged_lines, staged_pages
from include.pipeline_framework.core.proof.fingerprints import Fingerprint, id_hash
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import BadDocumentError, TornStageError
from include.pipeline_framework.ports.source import TimeUnit
from include.pipeline_framework.ports.stage import Manifest, StagedFile
from include.pipeline_framework.ports.target import ColumnSpec

START = datetime(2026, 1, 1, tzinfo=UTC)
COLUMNS = parse_columns(
    {kind: {"type": kind, "path": "v"} for kind in ("text", "integer", "number", "boolean", "timestamp", "date")}
)
UNESCAPED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}


class Files:
    """A stage with one file in memory."""

    def __init__(self, text: bytes) -> None:
        self._stored = gzip.compress(text)

    @contextmanager
    def open(self, key: str) -> Iterator[Any]:
        yield io.BytesIO(self._stored)


def staged(lines: Sequence[bytes], unit: TimeUnit | None = "us") -> tuple[Manifest, Any]:
    file = StagedFile("part-0.gz", len(lines), 1, "")
    window = TimeWindow(START, START + timedelta(days=1))
    manifest = Manifest("a/1", 7, "flights", window, 1, len(lines), Fingerprint(), (file,), time_unit=unit)
    return manifest, Files(b"".join(line + b"\n" for line in lines))


def line(document_id: str, document: str, at: int = 0) -> bytes:
    return f'{{"_id":{json.dumps(document_id)},"_source":{document},"sort":[0,{at}]}}'.encode()


def unescaped(field: str) -> str | None:
    if field == NULL:
        return None
    pieces = iter(field)
    return "".join(UNESCAPED[next(pieces)] if char == "\\" else char for char in pieces)


def value_of(column: ColumnSpec, field: str) -> Any:
    """Return a field as Postgres would read it."""
    text = unescaped(field)
    if text is None:
        return None
    if column.type in ("timestamp", "date"):
        return datetime.fromisoformat(text) if column.type == "timestamp" else date.fromisoformat(text)
    if column.type == "boolean":
        return {"true": True, "false": False}[text]
    read: Any = {"text": str, "integer": Decimal, "number": float}
    return read[column.type](text)


def copied(lines: Sequence[bytes], columns: Sequence[ColumnSpec]) -> list[list[str]]:
    manifest, stage = staged(lines)
    blocks = CopyText(columns, "here").blocks([manifest], stage, lambda manifest: [manifest.lifecycle_id, "a\tb"])
    return [text.split("\t") for text in "".join(blocks).split("\n")[:-1]]


def outcome(read: Any) -> Any:
    try:
        return read()
    except BadDocumentError as error:
        return str(error)


NUMBERS = st.sampled_from(
    [
        *("0", "-0", "1", "-1", "1.0", "-0.0", "1e2", "1E400", "12.50", "0.1", "1.5e3", "1e-400", "9007199254740993"),
        *("1356998400", "1356998400000", "1356998400.000", "9" * 37, "9" * 38, "-" + "9" * 37),
        *("1" * 250, "0." + "0" * 250 + "1"),
    ]
)
TEXTS = st.one_of(
    st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12),
    st.sampled_from(
        [
            *("a\tb", "a\\b", "\\N", "true", "False", "TRUE", "null", "1", "1.0", "1e2", "0x1", "nan", "Infinity"),
            *("2013-03-09", "2013-02-29T00:00:00Z", "2013-03-09T12:30:00Z", "2013-03-09 12:30", "0000-01-01T00:00:00Z"),
            *("2013-03-09T12:30:00.1234567Z", "2013-03-09T12:30:00.123456Z", "2013-03-09T23:30:00-05:00"),
            *("2013-03-09T24:00:00Z", "9999-12-31T23:59:59-01:00", "2013-03-09T12:30:00", "2013-13-09T12:30:00Z"),
        ]
    ),
)
VALUES = st.one_of(
    NUMBERS,
    st.builds(json.dumps, TEXTS, ensure_ascii=st.booleans()),
    st.sampled_from(["null", "true", "false", "[1, 2]", '{"a": "b\\\\c"}', '{"v":1}', "[]"]),
)


@settings(max_examples=300)
@given(st.lists(VALUES, min_size=1, max_size=4))
def test_a_page_of_any_values_is_what_the_reference_converts(values: list[str]) -> None:
    lines = [line(f"id-{number}", f'{{"w":{{"v":1}},"v":{value}}}') for number, value in enumerate(values)]
    manifest, stage = staged(lines)
    for column in COLUMNS:
        expected = outcome(lambda column=column: [row[5] for row in typed_rows([manifest], stage, [column], "here")])
        found = outcome(lambda column=column: [value_of(column, row[-1]) for row in copied(lines, [column])])
        assert found == expected, column


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ('{"a":{"b":{"c":"deep"}}}', "deep"),
        ('{"a":{"b.c":"half"}}', "half"),
        ('{"a.b":{"c":"other half"}}', "other half"),
        ('{"a.b.c":"flat"}', "flat"),
        ('{"a":{"b":{"c":null}},"a.b.c":"second"}', "second"),
        ('{"a":{"b":{"c":"first"}},"a":{"b":{"c":"last"}}}', "last"),
        ('{"a":{"b":{"c":1}},"a":"no object"}', None),
        ('{"\\u0061":{"b":{"c":"escaped key"}}}', "escaped key"),
        ('{"a":[{"b":{"c":1}}]}', None),
        ('{"a":{"b":7}}', None),
        ("{}", None),
        ('{"a":{"b":{"c":{"d": [1, "x\\ty"]}}}}', '{"d":[1,"x\\ty"]}'),
    ],
)
def test_a_value_is_found_at_every_place_of_its_path(document: str, text: str | None) -> None:
    (column,) = parse_columns({"c": {"type": "text", "path": "a.b.c"}})
    lines = [line("x", document), line("y", '{"a":{"b":{"c":"neighbour"}}}')]
    assert [unescaped(row[-1]) for row in copied(lines, [column])] == [text, "neighbour"]
    assert [row[5] for row in typed_rows([staged(lines)[0]], staged(lines)[1], [column], "here")] == [text, "neighbour"]


def test_keys_that_need_escapes_and_documents_that_are_no_objects_are_read_one_by_one() -> None:
    quoted, plain = parse_columns({"q": {"type": "integer", "path": ['say "a"']}, "p": "integer"})
    assert [row[-2:] for row in copied([line("x", '{"say \\"a\\"":1,"p":2}')], [quoted, plain])] == [["1", "2"]]
    assert [row[-1] for row in copied([line("x", "[1]"), line("y", '{"p":2}')], [plain])] == [NULL, "2"]


def test_ids_and_documents_keep_every_character() -> None:
    ids = ["plain", "tab\tid", "back\\slash", "line\nbreak", "naïve 北京"]
    documents = [r'{"m":"a\\b\n\"c\""}', '{"m":\t"tab between tokens"}', "{}", '{"m":"北京"}', r'{"m":"\u0041"}']
    rows = copied([line(*each) for each in zip(ids, documents, strict=True)], ())
    assert [row[:2] for row in rows] == [["7", "a\\tb"]] * 5
    assert [unescaped(row[2]) for row in rows] == ids
    assert [int(row[3]) for row in rows] == [id_hash(document_id) for document_id in ids]
    assert [unescaped(row[5]) for row in rows] == documents


@pytest.mark.parametrize(
    ("unit", "count", "text"),
    [
        ("ms", 1_767_225_600_123, "2026-01-01T00:00:00.123000Z"),
        ("us", -1, "1969-12-31T23:59:59.999999Z"),
        ("ns", -1, "1969-12-31T23:59:59.999999Z"),
        ("ns", 1_999, "1970-01-01T00:00:00.000001Z"),
    ],
)
def test_event_times_are_utc_and_cut_to_microseconds(unit: TimeUnit, count: int, text: str) -> None:
    manifest, stage = staged([line("x", "{}", count)], unit)
    assert [each.event_at for each in staged_lines(manifest, stage)] == [text]


def test_lines_longer_than_a_page_and_a_last_one_without_a_break_are_read_whole() -> None:
    lengths = [10, 3_000_000, 600_000, 1]
    lines = [line(str(number), json.dumps({"m": "x" * length})) for number, length in enumerate(lengths)]
    manifest, _ = staged(lines)
    pages = list(staged_pages(manifest, Files(b"\n".join(lines))))  # type: ignore[arg-type]
    assert [document_id for page in pages for document_id in page.ids] == ["0", "1", "2", "3"]
    assert [len(bytes(doc)) - len('{"m": ""}') for page in pages for doc in page.docs] == lengths


def test_a_file_that_was_cut_or_changed_is_a_torn_stage() -> None:
    manifest, stage = staged([line(str(number), "{}") for number in range(1_000)])
    stored = stage._stored
    for damaged in (stored[:-9], stored[:50], b"no gzip", stored[:40] + b"\0\0\0\0" + stored[44:], b""):
        stage._stored = damaged
        if damaged:
            with pytest.raises(TornStageError):
                list(staged_pages(manifest, stage))
        else:
            assert list(staged_pages(manifest, stage)) == []

"""A column type means the same in every target: one table of accepted and one of refused values."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any, ClassVar

import pytest

from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import BadDocumentError
from include.pipeline_framework.ports.source import Document
from tests.contract.target_harness import FLIGHTS, NOON, TargetHarness, document, window

NAMES = ("integer", "number", "boolean", "timestamp", "date", "text")
INSTANT = datetime(2013, 3, 9, 5, 6, 7, 123456, tzinfo=UTC)
ACCEPTED = [
    ("integer", "1", 1),
    ("integer", "1.0", 1),
    ("integer", "1e2", 100),
    ("integer", "1e20", 10**20),
    ("integer", "15e1", 150),
    ("integer", "-12345678901234567890123456789", -12345678901234567890123456789),
    ("integer", '"007"', 7),
    ("number", "1.5", 1.5),
    ("number", '"-1.5e3"', -1500.0),
    ("number", "2", 2.0),
    ("boolean", "true", True),
    ("boolean", '"False"', False),
    ("timestamp", '"2013-03-09T05:06:07.123456Z"', INSTANT),
    ("timestamp", '"2013-03-09T05:06:07.123456999Z"', INSTANT),
    ("timestamp", '"2013-03-09 10:36:07.123456+05:30"', INSTANT),
    ("timestamp", '"2013-03-08T21:06:07.123456-0800"', INSTANT),
    ("timestamp", '"2013-03-09T05:06"', INSTANT.replace(second=0, microsecond=0)),
    ("timestamp", '"2013-03-09"', INSTANT.replace(hour=0, minute=0, second=0, microsecond=0)),
    ("timestamp", "1362805567123", INSTANT.replace(microsecond=123000)),
    ("timestamp", "0", datetime(1970, 1, 1, tzinfo=UTC)),
    ("timestamp", "-1", datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
    ("date", '"2013-03-09"', INSTANT.date()),
    ("date", '"2013-03-08T21:06:07-08:00"', INSTANT.date()),
    ("text", '"a\\"b\\\\c"', 'a"b\\c'),
    ("text", "12", "12"),
    ("text", "true", "true"),
    ("text", '{"a":[1,"x"]}', '{"a":[1,"x"]}'),
    *((name, "null", None) for name in NAMES),
]
REFUSED = [
    *(
        ("integer", value)
        for value in ("1.5", '"1.5"', '"x"', '""', "true", "[1]", '{"a":1}', "1" * 38, "15e-1", "1e40")
    ),
    *(("number", value) for value in ('"x"', '"NaN"', '"inf"', "1e999", "false", "[1.5]", '"1,5"')),
    *(("boolean", value) for value in ("1", '"yes"', '"t"', "[true]")),
    *(
        ("timestamp", value)
        for value in ('"2013-02-30"', '"2013-03-09T24:00:00Z"', '"2013"', '"yesterday"', '"1362805567123"')
    ),
    *(
        ("timestamp", value)
        for value in (
            "true",
            "1.5",
            "1362805567",
            "999999999",
            "123456789012345",
            '["2013-03-09"]',
            '"2013-03-09T05:06:07 UTC"',
        )
    ),
    *(("date", value) for value in ('"09.03.2013"', '"2013-13-01"', "false")),
]


class ColumnTypesContract:
    """What a typed column holds, and what it refuses.

    Attributes:
        counts_refused: True where the target's error counts every refused document, so that one publish shows them all.
    """

    counts_refused: ClassVar[bool] = False

    @pytest.fixture
    def typed(self, unprepared: TargetHarness) -> TargetHarness:
        """A table with one column of each type."""
        return with_columns(unprepared, {f"v_{column}": column for column in NAMES})

    def test_a_column_type_means_the_same_everywhere(self, typed: TargetHarness) -> None:
        typed.load([numbered(n, column, value) for n, (column, value, _) in enumerate(ACCEPTED)])
        rows = {row["_id"]: row for row in typed.rows()}
        for n, (column, value, expected) in enumerate(ACCEPTED):
            loaded = rows[f"{n:03}"][f"v_{column}"]
            assert (utc(loaded) if isinstance(loaded, datetime) else loaded) == expected, f"{column} {value}"
            absent = {f"v_{other}" for other in NAMES} - {f"v_{column}"}
            assert {rows[f"{n:03}"][other] for other in absent} == {None}, f"{column} {value}"

    def test_a_number_counts_what_the_columns_format_says(self, unprepared: TargetHarness) -> None:
        formats = {"s": "epoch_second", "ms": "epoch_millis"}
        columns: dict[str, Any] = {key: {"type": "timestamp", "format": unit} for key, unit in formats.items()}
        harness = with_columns(unprepared, columns | {"d": {"type": "date", "format": "epoch_second"}})
        body = b'{"s": 1362805567, "ms": 1362805567, "d": 1362805567}'
        harness.load([Document("a", NOON, body), Document("b", NOON, b'{"s": "2013-03-09T05:06:07Z"}')])
        rows = {row["_id"]: row for row in harness.rows()}
        second = INSTANT.replace(microsecond=0)
        assert [utc(rows[key]["s"]) for key in ("a", "b")] == [second, second]
        assert utc(rows["a"]["ms"]) == datetime(1970, 1, 16, 18, 33, 25, 567000, tzinfo=UTC)
        assert rows["a"]["d"] == second.date()

    def test_a_path_is_found_however_its_keys_are_joined(self, unprepared: TargetHarness) -> None:
        columns = {"v": {"type": "integer", "path": "a.b.c"}, "t": {"type": "timestamp", "path": "a.at"}}
        harness = with_columns(unprepared, columns)
        bodies = [
            '{"a": {"b": {"c": 7}}, "a.at": "2013-03-09"}',
            '{"a.b": {"c": 7}, "a": {"at": "2013-03-09"}}',
            '{"a": {"b.c": 7, "at": null}, "a.at": "2013-03-09"}',
            '{"a.b.c": 7, "a": {"at": "2013-03-09"}}',
            '{"a": 1, "a.b": {"c": 7}, "a.at": "2013-03-09"}',
        ]
        nothing = '{"a": {"b": 7}, "a.b": null}'
        harness.load([Document(str(n), NOON, body.encode()) for n, body in enumerate([*bodies, nothing])])
        rows = {row["_id"]: row for row in harness.rows()}
        day = INSTANT.replace(hour=0, minute=0, second=0, microsecond=0)
        assert [(rows[str(n)]["v"], utc(rows[str(n)]["t"])) for n in range(len(bodies))] == [(7, day)] * len(bodies)
        assert rows["5"]["v"] is None

    def test_a_json_column_keeps_whatever_lies_there(self, unprepared: TargetHarness) -> None:
        harness = with_columns(unprepared, {"j": "json", "below": {"type": "json", "path": "a.b"}})
        values = ['{"x": [1, {"y": "a\\"\\\\b"}], "n": 1.50}', '[1, "two", null]', "7", '"text"', "true", "[]", "null"]
        content = [Document(str(n), NOON, b'{"j": %s}' % value.encode()) for n, value in enumerate(values)]
        content.append(Document("apart", NOON, b'{"a": {"b": [1]}, "j": null}'))
        content.append(Document("joined", NOON, b'{"a.b": {"c": 2}}'))
        harness.load(content)
        rows = {row["_id"]: row for row in harness.rows()}
        assert [parsed(rows[str(n)]["j"]) for n in range(len(values))] == [json.loads(value) for value in values]
        assert [rows[key]["j"] for key in ("6", "apart", "joined")] == [None] * 3
        assert [parsed(rows[key]["below"]) for key in ("0", "apart", "joined")] == [None, [1], {"c": 2}]

    def test_a_column_that_the_file_gets_later_is_added_to_the_table(self, unprepared: TargetHarness) -> None:
        before = with_columns(unprepared, {"n": "integer"})
        before.load([Document("old", NOON, b'{"n": 1, "Tag": "a", "list": [1]}')])
        after = with_columns(before, {"n": "integer", "Tag": "text", "list": "json", "at": "timestamp"})
        after.target.prepare(FLIGHTS)  # once more: nothing is missing
        later = TimeWindow(window().end, window().end + window().duration)
        after.load([Document("new", later.start, b'{"n": 2, "Tag": "b", "list": [2]}')], later, row=2)
        rows = {row["_id"]: {name.lower(): value for name, value in row.items()} for row in after.rows()}
        assert (rows["old"]["n"], rows["old"].get("tag"), rows["old"].get("list")) == (1, None, None)
        assert (rows["new"]["n"], rows["new"]["tag"], parsed(rows["new"]["list"])) == (2, "b", [2])

    def test_what_a_column_refuses_is_the_same_everywhere(self, typed: TargetHarness) -> None:
        content = [numbered(n, column, value) for n, (column, value) in enumerate(REFUSED)]
        good = document("good")
        if self.counts_refused:
            with pytest.raises(BadDocumentError, match=rf"'000' \(and {len(REFUSED) - 1} more documents\)"):
                typed.load([*content, good])
        else:
            for bad, (column, _) in zip(content, REFUSED, strict=True):
                with pytest.raises(BadDocumentError, match=f"{bad.id!r}.*'v_{column}'"):
                    typed.load([bad, good])
        assert typed.rows() == []


def with_columns(unprepared: TargetHarness, columns: dict[str, Any]) -> TargetHarness:
    harness = unprepared.another(columns=columns)
    harness.target.prepare(FLIGHTS)
    return harness


def numbered(number: int, column_type: str, value: str) -> Document:
    return Document(f"{number:03}", NOON, b'{"v_%s": %s}' % (column_type.encode(), value.encode()))


def parsed(value: Any) -> Any:
    """What a json column holds; drivers return text, or what it says."""
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant.astimezone(UTC)

"""Columns of target tables: identifiers that can't inject, and one meaning of every column type in all targets.

`convert` is the reference: the memory and Postgres targets call it, Snowflake's `include/sql/snowflake/cast_*.sql` do
the same in SQL, and the contract suite runs one table of cases through all of them.

| type | column | accepts; anything else is refused, never rounded |
| --- | --- | --- |
| text | text | every value; numbers, objects and arrays as the target's own JSON text |
| integer | 37 digits | a number without a fraction (`1`, `1.0`, `1e2`), or text that spells one |
| number | 64-bit float | a finite number, or text that spells one |
| boolean | boolean | `true`, `false`, or text that spells one in any case |
| timestamp | UTC instant | ISO 8601 text (no offset: UTC; finer than microseconds: cut), or epoch milliseconds |
| date | date | what `timestamp` accepts: its day in UTC |
| json | JSON (`VARIANT`, `jsonb`) | every value as it is: objects and arrays, too |

JSON null and an absent path are NULL. `format` gives the unit of a number in a `timestamp` or `date` column:
`epoch_second` or `epoch_millis`. Without a format the unit is milliseconds, and a number that is a second of 1973 to
2286 is refused: as milliseconds it would be a day of 1970, which is hardly meant.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator

from include.pipeline_framework.errors import BadDocumentError
from include.pipeline_framework.ports.target import ColumnSpec
from include.sql.text import IDENTIFIER

COLUMN_TYPES = ("text", "integer", "number", "boolean", "timestamp", "date", "json")
OWN_COLUMNS = ("_source_object", "_id", "_id_hash", "_event_at", "_lifecycle_id", "_fence", "_file", "doc")
LONGEST_PATH = 8
"""The most keys of a path; each way to join some of them with dots is another place where the value may be."""

LONGEST_NAME = 48
"""The most characters of a name; they leave room for suffixes like `_receipts` in Postgres' 63 bytes."""

_NUMBER = re.compile(r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?")
_INSTANT = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})"
    r"([T ](?P<time>([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9]([.][0-9]+)?)?)"
    r"(Z|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2}))?)?"
)
_MILLISECONDS = re.compile(r"([0-9]{1,14}|-[0-9]{1,13})([.]0*)?")
_SECONDS = re.compile(r"([0-9]{1,11}|-[0-9]{1,10})([.]0*)?")
_LOOKS_LIKE_SECONDS = re.compile(r"[0-9]{9,10}([.]0*)?")
FORMATS = ("epoch_second", "epoch_millis")
_INTEGER_DIGITS = 37
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def checked_name(name: str) -> str:
    """Return the name if every target accepts it: a letter or underscore, then letters, digits, underscores.

    Raises:
        ValueError: It is not.
    """
    if not IDENTIFIER.fullmatch(name) or len(name) > LONGEST_NAME:
        raise ValueError(
            f"{name!r} is no usable name: letters, digits, underscores, no digit first, at most {LONGEST_NAME} long"
        )
    return name


Name = Annotated[str, BeforeValidator(lambda value: checked_name(str(value)))]


def parse_columns(value: Any) -> tuple[ColumnSpec, ...]:
    """Return the columns of the YAML, `{name: type}` or `{name: {type, path, format}}`, in order.

    `path` is text with dots or a list of keys (for keys that contain dots); without it the column's name is the key.

    >>> parse_columns({"origin": "text", "delay": {"type": "number", "path": "flight.dep_delay"}})[1].path
    ('flight', 'dep_delay')

    Raises:
        ValueError: A name, type or path is wrong, or two names differ only in case.
    """
    if isinstance(value, tuple) and all(isinstance(column, ColumnSpec) for column in value):
        return value
    if not isinstance(value, Mapping):
        raise ValueError(f"columns are a mapping of name to type, got {type(value).__name__}")
    columns = tuple(_column(str(name), spec) for name, spec in value.items())
    seen = set(OWN_COLUMNS)
    for column in columns:
        if column.name.lower() in seen:
            raise ValueError(
                f"column {column.name!r} is there twice, or is one of the framework's own: {', '.join(OWN_COLUMNS)}"
            )
        seen.add(column.name.lower())
    return columns


Columns = Annotated[tuple[ColumnSpec, ...], BeforeValidator(parse_columns)]


def _column(name: str, spec: Any) -> ColumnSpec:
    if isinstance(spec, str):
        spec = {"type": spec}
    if not isinstance(spec, Mapping) or set(spec) - {"type", "path", "format"} or spec.get("type") not in COLUMN_TYPES:
        raise ValueError(
            f"column {name!r} needs a type of {', '.join(COLUMN_TYPES)}, and may have a path and a format; got {spec!r}"
        )
    unit = spec.get("format") or ""
    if unit and (unit not in FORMATS or spec["type"] not in ("timestamp", "date")):
        raise ValueError(
            f"the format of column {name!r} is {unit!r}: a timestamp or date may have one of {', '.join(FORMATS)}"
        )
    path = spec.get("path", [name])
    keys = tuple(path.split(".")) if isinstance(path, str) else tuple(path)
    if not keys or not all(isinstance(key, str) and key for key in keys):
        raise ValueError(f"the path of column {name!r} is text like 'a.b' or a list of keys, got {path!r}")
    if len(keys) > LONGEST_PATH:
        raise ValueError(f"the path of column {name!r} has {len(keys)} keys, at most {LONGEST_PATH} are possible")
    return ColumnSpec(checked_name(name), spec["type"], keys, unit)


def parse_document(body: bytes) -> Any:
    """Parse a document's JSON with exact numbers: integers of any size, fractions as `Decimal`."""
    return json.loads(body, parse_float=Decimal)


def places(path: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return the places where a path's value may be: Elasticsearch treats keys joined with dots as the same field.

    >>> places(("a", "b", "c"))
    [('a', 'b', 'c'), ('a', 'b.c'), ('a.b', 'c'), ('a.b.c',)]
    """
    if len(path) < 2:
        return [path]
    apart = [(path[0], *rest) for rest in places(path[1:])]
    joined = places((f"{path[0]}.{path[1]}", *path[2:]))
    return [*apart, *joined]


def value_at(document: Any, path: tuple[str, ...]) -> Any:
    """Return the first value that is not null at a path's places; None if a key is absent or no object is there."""
    for keys in places(path):
        value = document
        for key in keys:
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is not None:
            return value
    return None


def convert(value: Any, column_type: str, unit: str = "") -> Any:
    """Return a parsed JSON value as the value of a typed column; None for null. `unit` is the column's `format`.

    Raises:
        ValueError: The type can't hold the value exactly as the table above says.
    """
    if value is None:
        return None
    if column_type == "text":
        return value if isinstance(value, str) else _json_text(value)
    if column_type == "json":
        return _exact_json(value)
    if isinstance(value, dict | list):
        raise ValueError(f"an object or array is no {column_type}")
    text = value if isinstance(value, str) else _json_text(value)
    if not isinstance(value, str) and column_type in ("timestamp", "date"):
        instant = _counted(text, unit)
        converted = instant.date() if instant and column_type == "date" else instant
    else:
        converted = _CONVERSIONS[column_type](text)
    if converted is None:
        raise ValueError(f"no {column_type}")
    return converted


def refused_value(document_id: Any, column: ColumnSpec, where: str, documents: int = 1) -> BadDocumentError:
    """Return the error for a value that its typed column can't hold; the error does not contain the value."""
    others = f" (and {documents - 1} more documents)" if documents > 1 else ""
    is_time = column.type in ("timestamp", "date")
    unit = " Where numbers are seconds, give the column `format: epoch_second`." if is_time else ""
    return BadDocumentError(
        f"document {document_id!r}{others} has no {column.type} for column {column.name!r} at {list(column.path)}",
        where=where,
        meaning="Nothing was changed in the target",
        remedy="Mend the document, or give the column another type (`text` takes everything), then clear the task."
        f"{unit}",
    )


def _json_text(value: Any) -> str:
    if isinstance(value, Decimal):
        return str(value)
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=float)


def _exact_json(value: Any) -> str:
    """Return JSON text with every digit of its numbers."""
    if isinstance(value, Mapping):
        members = (f"{json.dumps(key, ensure_ascii=False)}:{_exact_json(each)}" for key, each in value.items())
        return f"{{{','.join(members)}}}"
    if isinstance(value, list):
        return f"[{','.join(map(_exact_json, value))}]"
    return str(value) if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def _integer(text: str) -> int | None:
    if not _NUMBER.fullmatch(text):
        return None
    number = Decimal(text)
    return int(number) if number.adjusted() < _INTEGER_DIGITS and number == number.to_integral_value() else None


def _number(text: str) -> float | None:
    return float(text) if _NUMBER.fullmatch(text) and abs(float(text)) != float("inf") else None


def _boolean(text: str) -> bool | None:
    return {"true": True, "false": False}.get(text.lower())


def _counted(text: str, unit: str) -> datetime | None:
    """Return the instant of a number of seconds or milliseconds since 1970."""
    pattern = _SECONDS if unit == "epoch_second" else _MILLISECONDS
    number = pattern.fullmatch(text)
    if not number or (not unit and _LOOKS_LIKE_SECONDS.fullmatch(text)):
        return None
    try:
        count = int(number[1])
        return _EPOCH + (timedelta(seconds=count) if unit == "epoch_second" else timedelta(milliseconds=count))
    except OverflowError:
        return None


def _timestamp(text: str) -> datetime | None:
    try:
        match = _INSTANT.fullmatch(text)
        if not match:
            return None
        time = (match["time"] or "")[:15]
        wall = datetime.fromisoformat(f"{match[1]}T{time}{'00:00:00.000000'[len(time) :]}").replace(tzinfo=UTC)
        if not match["sign"]:
            return wall
        offset = timedelta(hours=int(match["hours"]), minutes=int(match["minutes"]))
        return wall + offset if match["sign"] == "-" else wall - offset
    except (ValueError, OverflowError):
        return None


def _date(text: str) -> Any:
    instant = _timestamp(text)
    return instant.date() if instant else None


_CONVERSIONS = {"integer": _integer, "number": _number, "boolean": _boolean, "timestamp": _timestamp, "date": _date}

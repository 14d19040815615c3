"""Propose typed columns: from what the source says about its fields, and from what a sample really has there.

A type is proposed only if every value of the sample fits it; `text` takes everything. Arrays and objects get no column:
they are in `doc`, with the rest of the document.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from include.pipeline_framework.core.proposing.description import SourceDescription, SourceField
from include.pipeline_framework.core.proposing.documents import Path, Seen, flatten
from include.pipeline_framework.core.texts import counted

MOST_COLUMNS = 300
"""The most proposed columns: beyond, those that most documents have; the rest is in `doc`."""

ENOUGH = 20
"""Values that a sample must have before they overrule a source that calls the field text."""

_EXACT_DIGITS = 15
_NUMBER = re.compile(r"[+-]?([0-9]+([.][0-9]*)?|[.][0-9]+)([eE][+-]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class ColumnRules:
    """What targets accept.

    Attributes:
        convert: Returns a value as one of a column's type, given type and unit; ValueError: it is none.
        reserved: Names that no column may have, in lower case.
        longest_name: Characters.
        longest_path: Keys.
    """

    convert: Callable[[Any, str, str], Any]
    reserved: Collection[str]
    longest_name: int
    longest_path: int

    def fits(self, value: Any, column_type: str, unit: str) -> bool:
        """Return whether a value is one of a column's type."""
        with suppress(ValueError):
            self.convert(value, column_type, unit)
            return True
        return False


@dataclass(frozen=True, slots=True)
class ProposedColumn:
    """A typed column; `unit` is its `format` ("" without one), `reason` says what is not obvious about it."""

    name: str
    type: str
    path: Path
    unit: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A field that gets no column, and why."""

    path: Path
    reason: str


def propose_columns(seen: SourceDescription, rules: ColumnRules) -> tuple[list[ProposedColumn], list[LeftOut]]:
    """Return the columns, in the source's order, and what gets none."""
    shape = seen.shape
    found = flatten((each.document for each in seen.sample), dots_nest=shape.dots_nest)
    known = {each.path: each for each in shape.fields}
    paths = [*known, *(path for path in found if path not in known)]
    columns: list[ProposedColumn] = []
    left: list[LeftOut] = []
    for path in paths:
        at = found.get(path, Seen())
        reason = _no_column(path, known, found, rules)
        if reason is None:
            continue
        if reason:
            left.append(LeftOut(path, reason))
            continue
        column_type, unit, why = _type_of(known.get(path), at, rules)
        columns.append(ProposedColumn("", column_type, path, unit, why))
    if len(columns) > MOST_COLUMNS:
        often = sorted(columns, key=lambda column: -found.get(column.path, Seen()).documents)
        kept = {column.path for column in often[:MOST_COLUMNS]}
        rest = [column for column in columns if column.path not in kept]
        left += [LeftOut(column.path, f"beyond the first {MOST_COLUMNS} columns") for column in rest]
        columns = [column for column in columns if column.path in kept]
    names = _names([column.path for column in columns], rules)
    return [
        ProposedColumn(name, column.type, column.path, column.unit, column.reason)
        for name, column in zip(names, columns, strict=True)
    ], left


def _no_column(path: Path, known: dict[Path, SourceField], found: dict[Path, Seen], rules: ColumnRules) -> str | None:
    """Return why a path gets no column; "" if it gets one, None if another path speaks for it."""
    above = [path[:length] for length in range(1, len(path))]
    if any(each in found and found[each].arrays for each in above):
        return None  # the list above is named
    if any(each in known and known[each].kind == "nested" for each in above):
        return None
    at, field = found.get(path, Seen()), known.get(path)
    if at.objects and not _is_json(field, at):
        below = any(len(each) > len(path) and each[: len(path)] == path for each in (*known, *found))
        return None if below else "an object without keys"
    if field and not at.values and field.kind in ("absent", "unknown"):
        return f"{field.type}: no document seen has it"
    if not all(path):
        return "a key of no characters"
    if len(path) > rules.longest_path:
        return f"more than {rules.longest_path} keys deep"
    return ""


def _is_json(field: SourceField | None, at: Seen) -> bool:
    """Return whether a path holds arrays, or objects that are not single values everywhere."""
    return bool(at.arrays or (at.objects and at.values) or (field and field.kind == "nested"))


def _type_of(field: SourceField | None, at: Seen, rules: ColumnRules) -> tuple[str, str, str]:
    """Return type, unit and what is not obvious about them."""
    values = at.values
    if _is_json(field, at):
        if at.arrays:
            return "json", "", f"an array in {at.arrays} of {at.documents} documents seen"
        if at.objects and values:
            said = f"an object in {at.objects} of {at.documents} documents seen, a single value in the others"
            return "json", "", said
        return "json", "", f"{field.type if field else 'nested'}: an array or an object"
    if field is None or field.kind in ("unknown", "absent"):
        return _by_sample(field.type if field else "no field of the source's own", values, rules)
    kind, note = field.kind, field.note
    if not values:
        said = "" if kind == "text" else f"{field.type}, not in the sample"
        return kind, field.unit if kind == "timestamp" else "", _joined(note, said)
    if kind == "timestamp":
        return _time_type(field, values, rules)
    if kind == "text":
        return _text_type(field, values, rules)
    misfits = sum(not rules.fits(value, kind, "") for value in values)
    if misfits:
        said = f"{field.type}, but {misfits:,} of {len(values):,} values seen are no {kind}"
        return _narrowest(values, rules) or "text", "", _joined(note, said)
    if kind == "number" and field.is_decimal and not _are_exact(values):
        return "text", "", _joined(note, f"{field.type}, with more digits than a 64-bit float keeps")
    return kind, "", note


def _by_sample(said: str, values: list[Any], rules: ColumnRules) -> tuple[str, str, str]:
    """Return the type of a field about which the source says nothing: text stays text, unless it is all times."""
    fitting = _narrowest(values, rules)
    is_safe = fitting == "timestamp" or not any(isinstance(value, str) for value in values)
    return (
        (fitting if fitting and is_safe else "text"),
        "",
        _joined(said, f"by what {counted(len(values), 'document')} had"),
    )


def _text_type(field: SourceField, values: list[Any], rules: ColumnRules) -> tuple[str, str, str]:
    """Return text, unless all of many values are JSON numbers or booleans."""
    fitting = _narrowest(values, rules) if len(values) >= ENOUGH else None
    if fitting is None:
        return "text", "", field.note
    if not any(isinstance(value, str) for value in values):
        said = f"{field.type}, but all {len(values):,} values seen are {_plural(fitting)}"
        return fitting, "", _joined(field.note, said)
    return "text", "", _joined(field.note, f"all {len(values):,} values seen would fit {fitting}, too")


def _time_type(field: SourceField, values: list[Any], rules: ColumnRules) -> tuple[str, str, str]:
    has_numbers = any(not isinstance(value, str) for value in values)
    unit = field.unit if has_numbers else ""
    misfits = sum(not rules.fits(value, "timestamp", unit) for value in values)
    if misfits:
        said = f"{field.type}, but {misfits:,} of {len(values):,} values seen have another format"
        return _by_sample("", values, rules)[0], "", _joined(field.note, said)
    if not has_numbers and all(len(value) == len("2013-03-09") for value in values):
        return "date", "", _joined(field.note, f"{field.type}, all values seen are days")
    return "timestamp", unit, field.note


def _narrowest(values: list[Any], rules: ColumnRules) -> str | None:
    """Return the narrowest type that keeps every value as it is; None if only text does.

    A number is a time only where the source says so, and text like `007` or `+1` is no number.
    """
    if any(isinstance(value, str) and re.match(r"[+-]?0[0-9]|[+]", value) for value in values):
        return None
    candidates = ["boolean", "integer"]
    candidates += ["number"] if _are_exact(values) else []
    candidates += ["timestamp"] if all(isinstance(value, str) for value in values) else []
    return next((each for each in candidates if all(rules.fits(value, each, "") for value in values)), None)


def _are_exact(values: list[Any]) -> bool:
    """Return whether a 64-bit float keeps all digits of those that are numbers."""
    numbers = [Decimal(str(value)) for value in values if _NUMBER.fullmatch(str(value))]
    digits = ("".join(map(str, number.as_tuple().digits)).strip("0") for number in numbers)
    return all(len(each) <= _EXACT_DIGITS for each in digits)


def _plural(column_type: str) -> str:
    return {"boolean": "true or false", "integer": "whole numbers", "number": "numbers"}[column_type]


def _joined(*parts: str) -> str:
    return ", ".join(part for part in parts if part)


def _names(paths: list[Path], rules: ColumnRules) -> list[str]:
    """Return a legal name for each path, no two the same but for case, none of the reserved ones."""
    taken = {each.lower() for each in rules.reserved}
    names = []
    for path in paths:
        plain = _legal("_".join(path))[: rules.longest_name]
        name, number = plain, 1
        while name.lower() in taken:
            number += 1
            name = f"{plain[: rules.longest_name - len(str(number)) - 1]}_{number}"
        taken.add(name.lower())
        names.append(name)
    return names


def _legal(text: str) -> str:
    ascii_text = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    words = re.sub(r"[^A-Za-z0-9_]+", "_", ascii_text).strip("_") or "field"
    return f"n{words}" if words[0].isdigit() else words


def ingest_lags(seen: SourceDescription, path: Path, unit: str, rules: ColumnRules) -> list[float]:
    """Return, in order of size, by how many seconds a time field of the sample lies after the event."""
    found = []
    for each in seen.sample:
        values = flatten([each.document], dots_nest=seen.shape.dots_nest).get(path, Seen()).values
        for value in values:
            with suppress(ValueError):
                at: datetime = rules.convert(value, "timestamp", "" if isinstance(value, str) else unit)
                found.append((at - each.event_at).total_seconds())
    return sorted(found)

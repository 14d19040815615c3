"""Cells of a report as typed values: exactly what the file says, or a refusal with the reason.

A value is never rounded, completed or read in two ways: a number that may have lost a digit on its way (a number in
scientific notation, a workbook's number with more digits than a workbook keeps) is no order number.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

LONGEST_TEXT = 255
"""Characters of a business key; our own limit, so that the tables' indexes can hold every key."""

_MAX_DIGITS = 100
_NUMBER = re.compile(r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)
_SCIENTIFIC = re.compile(r"[+-]?\d(?:\.\d+[eE]\+?|[eE]\+)\d+", re.ASCII)
_NOT_STORABLE = re.compile("[\0\ud800-\udfff]")
_TEXT_FORMULA = re.compile(r'="((?:[^"]|"")*)"', re.DOTALL)
_INSTANT = re.compile(r"\d{4}-?\d{2}-?\d{2}(?:[T ].+)?", re.ASCII)


class DoubtfulNumber(Decimal):
    """A number of a workbook that is valid as a number, but can't stand for a text.

    Attributes:
        doubt: Why.
    """

    doubt: str

    def __new__(cls, value: Decimal | int | str, doubt: str) -> DoubtfulNumber:
        """Create the number with its doubt."""
        made = super().__new__(cls, value)
        made.doubt = doubt
        return made


class CellError(ValueError):
    """A cell that its column can't hold; the text completes a sentence after "is …,"."""


def parse_text(cell: Any, _zone: ZoneInfo) -> str:
    """Return the text of a cell; for a number its digits, if none of them can be lost.

    >>> zone = ZoneInfo("UTC")
    >>> parse_text(" 0012345 ", zone), parse_text(Decimal("2.026030500000011E+15"), zone)
    ('0012345', '2026030500000011')
    >>> parse_text('="0012345"', zone)
    Traceback (most recent call last):
    include.orders_sync.core.cells.CellError: the text of a formula: written as plain text it would be another value
    """
    if not isinstance(cell, str):
        if isinstance(cell, bool):
            raise CellError("a yes or no, not text")
        if isinstance(cell, datetime):
            raise CellError("a date, not text (spreadsheet programs make dates of texts such as 3-5)")
        return _digits(cell)
    text = cell.strip()
    if _NOT_STORABLE.search(text):
        raise CellError("not text that the database can hold")
    if _SCIENTIFIC.fullmatch(text):
        raise CellError("a number in scientific notation, whose last digits may be lost")
    if text.startswith("=") and _TEXT_FORMULA.fullmatch(text):
        raise CellError("the text of a formula: written as plain text it would be another value")
    return text


def text_of_formula(text: str) -> str:
    """Return the text of `="0012345"` in a CSV file: exporters write it so that spreadsheets keep the zeros.

    >>> text_of_formula('="0012345"'), text_of_formula("0012345"), text_of_formula('="a""b"')
    ('0012345', '0012345', 'a"b')
    """
    found = _TEXT_FORMULA.fullmatch(text.strip()) if text.lstrip().startswith("=") else None
    return found[1].replace('""', '"') if found else text


def parse_integer(cell: Any, _zone: ZoneInfo) -> int:
    """Return a whole number below 2^31."""
    number = _number(cell)
    if number != number.to_integral_value() or abs(number) >= 2**31:
        raise ValueError
    return int(number)


def parse_decimal(cell: Any, _zone: ZoneInfo) -> Decimal:
    """Return an amount of at most 2 decimal places, in ASCII digits, without separators of thousands."""
    number = _number(cell)
    rounded = round(number, 2)
    if number != rounded or abs(number) >= 10**12:
        raise ValueError
    return rounded


def parse_instant(cell: Any, zone: ZoneInfo) -> datetime:
    """Return an instant in UTC; without an offset it is local in `zone`."""
    if isinstance(cell, datetime):
        value = cell
    elif isinstance(cell, str) and _INSTANT.fullmatch(cell.strip()):
        value = datetime.fromisoformat(cell.strip())
    else:
        raise ValueError
    return (value if value.tzinfo else value.replace(tzinfo=zone)).astimezone(UTC)


def _number(cell: Any) -> Decimal:
    if isinstance(cell, str):
        if not _NUMBER.fullmatch(cell.strip()):
            raise ValueError
    elif isinstance(cell, bool) or not isinstance(cell, int | Decimal | float):
        raise ValueError
    number = Decimal(str(cell) if isinstance(cell, float) else cell)
    if not number.is_finite():
        raise ValueError
    return number


def _digits(number: int | Decimal) -> str:
    """Return a whole number without exponent or fraction, and any other number as it is written."""
    if isinstance(number, DoubtfulNumber):
        raise CellError(number.doubt)
    if isinstance(number, int):
        return str(number)
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or abs(number.adjusted()) > _MAX_DIGITS:
        raise CellError("a number that no key can be")
    if exponent > 0:
        raise CellError("a number in scientific notation, whose last digits may be lost")
    return str(int(number)) if number == number.to_integral_value() else f"{number:f}"


PARSERS: dict[str, Callable[[Any, ZoneInfo], Any]] = {
    "text": parse_text,
    "integer": parse_integer,
    "decimal": parse_decimal,
    "instant": parse_instant,
}
"""Parsers by the kind of a column; each raises ValueError, ArithmeticError or CellError for a cell that it refuses."""

KINDS = {
    "text": "text that the database can hold",
    "integer": "a whole number below 2^31",
    "decimal": "an amount with at most 2 decimal places",
    "instant": "an instant such as 2026-01-31T19:05:00+05:30",
}
"""The condition for a cell of each kind, for messages."""

"""A workbook's numbers: the text of a `<v>` and the format of its cell together give the value.

The writers that were examined differ: openpyxl writes whole numbers in full; XlsxWriter keeps 16 digits
(`2.026030500000011E+16`), pyexcelerate 15 (`2.02603050000001e+15`, for …0011 and …0012 alike), Java programs the
shortest text that gives the same double (`2.026030500000011E15`, exact up to 2^53).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from include.orders_sync.core.cells import DoubtfulNumber

_MAX_EXACT = 2**53
"""Up to this number a double holds every whole number."""
_DECIMALS = "a number with decimals: zeros at its end are not in the file"
_SHOWN_DIGITS = 15
"""Excel shows, and means, 15 digits; it stores 1.1 as 1.1000000000000001."""

_NUMBER = re.compile(r"-?0*(\d+)(?:\.(\d*))?(?:([eE])([+-]?)(\d{1,4}))?", re.ASCII)
_ESCAPED = re.compile(r"_x([0-9a-fA-F]{4})_")
_QUOTED = re.compile(r'"[^"]*"|\\.|\[[^\]]*\]|_.|\*.', re.DOTALL)
_BUILTIN_DATES = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_BUILTIN_PLAIN = frozenset({0, 1, 2, 3, 4, 37, 38, 39, 40, 49})


@dataclass(frozen=True, slots=True)
class NumberFormat:
    """The effect of a cell's number format on its value.

    Attributes:
        is_date: The format shows the number as a date.
        zeros: The format fills a whole number up with zeros to this many digits.
        doubt: Why the number can't stand for a text.
    """

    is_date: bool = False
    zeros: int = 0
    doubt: str = ""


def number_cell(text: str, shown: NumberFormat, *, is_1904: bool) -> Any:
    """Return a number cell as datetime, text with the zeros of the format or the file, int, or Decimal.

    None means that it is no number.

    >>> number_cell("123", NumberFormat(zeros=8), is_1904=False), number_cell("00000123", NumberFormat(), is_1904=False)
    ('00000123', '00000123')
    """
    value = exact_number(text)
    if value is None:
        return None
    if shown.is_date:
        return date_of(Decimal(text), is_1904=is_1904)
    if isinstance(value, int) and value >= 0 and shown.zeros:
        return str(value).zfill(shown.zeros)
    if text.isdigit() and len(text) > len(str(int(text))):
        return text  # a person wrote the zeros on purpose
    return DoubtfulNumber(value, shown.doubt) if shown.doubt else value


def exact_number(text: str) -> int | DoubtfulNumber | None:
    """Return the number of a `<v>`: an int where that is certain, else a number with a doubt; None if it is no number.

    >>> exact_number("2.026030500000011E15"), exact_number("1.1000000000000001"), exact_number("20260305000000111")
    (2026030500000011, Decimal('1.1'), 20260305000000111)
    >>> exact_number("2.02603050000001e+15").doubt
    'a number of which the file has 15 of 16 digits'
    """
    if len(text) <= _SHOWN_DIGITS and text.isascii() and text.isdigit():
        return int(text)  # what most numbers are
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    whole, fraction, has_exponent, sign, exponent = found.groups()
    if not has_exponent and len(text) <= _SHOWN_DIGITS and fraction and fraction.strip("0"):
        return DoubtfulNumber(text, _DECIMALS)
    number = Decimal(text)
    if number != number.to_integral_value():
        digits = len((whole + (fraction or "")).lstrip("0"))
        shown = Decimal(f"{float(text):.{_SHOWN_DIGITS}g}") if digits > _SHOWN_DIGITS else number
        return DoubtfulNumber(shown, _DECIMALS)
    written, needed = len(whole + (fraction or "")), len(whole) + int(exponent or 0)
    if has_exponent and sign != "-" and written < needed and not (sign == "" and abs(number) <= _MAX_EXACT):
        # Java's form (no sign) is the shortest that gives the same double; others cut after 15 or 16 digits
        return DoubtfulNumber(number, f"a number of which the file has {written} of {needed} digits")
    if abs(number) > _MAX_EXACT and (has_exponent or int(number) == int(float(text))):
        return DoubtfulNumber(number, "a number with more digits than a workbook's numbers keep")
    return int(number)


def date_of(serial: Decimal, *, is_1904: bool) -> datetime | DoubtfulNumber:
    """Return the date of days since 1900 (to Excel a leap year) or 1904, to the millisecond, as Excel shows it."""
    days = serial + 1462 if is_1904 else serial
    if not 1 <= days < 2_958_466:
        return DoubtfulNumber(serial, "a time or a date off the calendar, not text")
    epoch = datetime(1899, 12, 30 if days >= 60 else 31)  # noqa: DTZ001 - a workbook knows no zones
    return epoch + timedelta(milliseconds=int((days * 86_400_000).to_integral_value()))


def number_format(number: int, code: str | None) -> NumberFormat:
    """Return the effect of the format with this number; `code` is None if it is one of the built-in formats."""
    if code is None:
        is_plain = number in _BUILTIN_PLAIN
        return NumberFormat(
            is_date=number in _BUILTIN_DATES, doubt="" if is_plain else "shown by its format as another text"
        )
    first = code.partition(";")[0].strip()
    bare = _QUOTED.sub("", first)
    if re.search("[dmyhs]", bare, re.IGNORECASE) and "general" not in bare.lower():
        return NumberFormat(is_date=True)
    if re.fullmatch("0{2,}", first):
        return NumberFormat(zeros=len(first))
    if re.fullmatch(r"(?i)general|@|[#0?,]+(\.[#0?]*)?", first):
        return NumberFormat()
    return NumberFormat(doubt=f"shown by its format {first[:40]!r} as another text")


def unescaped(text: str) -> str:
    """Decode `_x0001_`, which stands for a character that XML can't hold, or for an underscore before such a text."""
    return _ESCAPED.sub(lambda found: chr(int(found[1], 16)), text) if "_x" in text else text

"""The value of a worksheet's cell, from its kind, its style and its text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.orders_sync.adapters.workbook_errors import WorkbookError
from include.orders_sync.adapters.workbook_numbers import NumberFormat, number_cell, unescaped

_NO_FORMAT = NumberFormat()


@dataclass(frozen=True, slots=True)
class Cells:
    """What the values of a worksheet's cells depend on besides the cells.

    Attributes:
        strings: The workbook's shared strings.
        formats: Number formats by the number of a cell's style.
        is_1904: Days count from 1904.
    """

    strings: Sequence[str]
    formats: Sequence[NumberFormat]
    is_1904: bool

    def value(self, kind: str, style: str, text: str | None, *, has_formula: bool, row: int) -> Any:
        """Return text, int, Decimal, DoubtfulNumber, bool, datetime (a number that is formatted as a date) or None.

        Args:
            kind: The cell's attribute `t`; `n` where it has none.
            style: Its attribute `s`.
            text: Of its `<v>`, or of the `<t>` of an `inlineStr`; None: it has none.
            has_formula: It has one.
            row: The row's number as people count the report's rows, without the header.

        Raises:
            WorkbookError: The value can't be determined.
        """
        if text is not None and kind in ("str", "inlineStr"):
            return unescaped(text) or None
        text = (text or "").strip()
        if not text:
            if has_formula:
                raise WorkbookError(f"row {row} has a formula whose value is not in the file")
            return None
        if kind == "s":
            if (number := _index(text)) is None or number >= len(self.strings):
                raise WorkbookError(f"row {row} has a text that is not in the file")
            return self.strings[number] or None
        if kind == "e":
            raise WorkbookError(f"row {row} has the value of a formula that failed")
        if kind == "b":
            return text in ("1", "true")
        if kind == "d":
            return _iso_date(text, row)
        value = number_cell(text, self._format(style), is_1904=self.is_1904)
        if value is None:
            raise WorkbookError(f"row {row} has a number that is none")
        return value

    def _format(self, style: str) -> NumberFormat:
        number = (_index(style) or 0) if style else 0
        return self.formats[number] if number < len(self.formats) else _NO_FORMAT


def _index(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _iso_date(text: str, row: int) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise WorkbookError(f"row {row} has a date that is none") from None

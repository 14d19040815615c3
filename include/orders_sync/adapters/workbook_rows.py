"""The rows of a worksheet, one after the other, while its XML is unpacked.

Two readers give the same rows. The quick one looks for rows and cells with regular expressions and knows only how
spreadsheet programs write them, in well-formed XML that expat has seen before; whatever else there is makes it give up.
Then the other one begins again, which understands all of XML by expat's callbacks and is four times as slow.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import islice
from typing import Any, BinaryIO

from include.orders_sync.adapters.workbook_cells import Cells
from include.orders_sync.adapters.workbook_errors import TooManyRowsError, WorkbookError
from include.orders_sync.adapters.workbook_parts import NotPlainError, parse, plain_pieces, plain_text

MAX_COLUMNS = 16_384

_PLACE = re.compile(r"([A-Z]{1,4})(\d{1,9})", re.ASCII)
_BEGIN, _END, _ROW_END = "<sheetData>", "</sheetData>", "</row>"
_ROW = re.compile(r"\s*<row(?: r=\"(\d{1,9})\")?(?: (?!r=)[a-zA-Z0-9:]+=\"[^<>\"]*\")*>", re.ASCII)
_CELL = re.compile(
    r"<c(?: r=\"([A-Z]{1,4})\d{1,9}\")?(?: s=\"(\d{1,9})\")?(?: t=\"([a-zA-Z]+)\")?"
    r"(?:/>|>(<f(?=[ />])[^<>]*>(?:[^<]*</f>)?)?"
    r"(?:(<v>|<is><t(?: xml:space=\"preserve\")?>)([^<]*)(?:</v>|</t></is>))?</c>)|(\S)",
    re.ASCII,
)
"""Column, style, kind, formula, the tags before the text, the text, or a character of something else."""
_LONGEST_ROW = 4 * 1024 * 1024
"""Characters of a row, or of what comes before the rows, that the quick reader looks through."""


def worksheet_rows(open_part: Callable[[], BinaryIO], name: str, cells: Cells, max_rows: int) -> Iterator[list[Any]]:
    """Yield rows without empty cells at their ends and without empty rows at the end; a missing row is an empty one.

    Args:
        open_part: Opens the worksheet's XML from its start.
        name: Of the part, for messages.
        cells: Gives the values.
        max_rows: A greater number of a row is refused.

    Raises:
        WorkbookError: The part is damaged, or the value of a cell can't be determined; rows before were yielded.
    """
    empty = 0
    for row in _all_rows(open_part, name, cells, max_rows):
        if not row:
            empty += 1
            continue
        while empty:
            yield []
            empty -= 1
        yield row


def _all_rows(open_part: Callable[[], BinaryIO], name: str, cells: Cells, max_rows: int) -> Iterator[list[Any]]:
    given = 0
    try:
        with open_part() as part:
            for row in _PlainSheet(cells, max_rows).rows(part, name):
                yield row
                given += 1
    except NotPlainError:
        with open_part() as part:
            yield from islice(_Sheet(cells, max_rows).rows(part, name), given, None)


class _Places:
    """Counts the rows; numbers of rows may leave some out, but not go back."""

    def __init__(self, max_rows: int) -> None:
        self.count = 0
        """Rows before this one: also its number as people count the report's rows, without the header."""
        self._max_rows = max_rows

    def missing(self, number: str) -> int:
        """Return how many empty rows come before the row that says this number, if it says one, and count them."""
        at = self.count + 1
        if number:
            if not (number.isascii() and number.isdigit()) or int(number[:12]) < at:
                raise WorkbookError("its rows are not in order")
            at = int(number[:12])
        if at > self._max_rows:
            raise TooManyRowsError(f"has more than {self._max_rows:,} rows")
        left_out = at - 1 - self.count
        self.count = at - 1
        return left_out


class _PlainSheet:
    """Reads one worksheet's rows as long as they are written as spreadsheet programs do."""

    def __init__(self, cells: Cells, max_rows: int) -> None:
        self._cells = cells
        self._places = _Places(max_rows)

    def rows(self, part: BinaryIO, name: str) -> Iterator[list[Any]]:
        """Yield the rows.

        Raises:
            NotPlainError: What follows is written in another way.
        """
        rest, is_before, is_inside = "", True, False
        for piece in plain_pieces(part, name):
            rest += piece
            if is_before and _BEGIN in rest:
                before, _, rest = rest.partition(_BEGIN)
                if "<!" in before or "<?" in before or "xmlns=" in before or "sheetData" in before:
                    raise NotPlainError
                is_before, is_inside = False, True
            if is_inside:
                *lines, rest = rest.split(_ROW_END)
                for line in lines:
                    yield from self._row(line)
                if _END in rest:
                    empty, _, rest = rest.partition(_END)
                    if empty.strip():
                        raise NotPlainError
                    is_inside = False
            if not is_before and not is_inside:
                if "sheetData" in rest:
                    raise NotPlainError
                rest = rest[-len(_END) :]
            if len(rest) > _LONGEST_ROW:
                raise NotPlainError
        if is_before or is_inside:
            raise NotPlainError

    def _row(self, line: str) -> Iterator[list[Any]]:
        start = _ROW.match(line)
        if start is None:
            raise NotPlainError
        for _ in range(self._places.missing(start[1] or "")):
            yield []
        number, cells, strings = self._places.count, self._cells, self._cells.strings
        row: list[Any] = []
        for letters, style, kind, formula, tags, text, odd in _CELL.findall(line, start.end()):
            if letters and (column := _column(letters)) != len(row):
                if column < len(row):
                    raise WorkbookError(f"the cells of row {number} are not in order")
                row += [None] * (column - len(row))
            is_index = kind == "s" and tags == "<v>" and len(text) < 10 and text.isascii() and text.isdigit()
            if is_index and int(text) < len(strings):
                row.append(strings[int(text)] or None)  # what most cells are
                continue
            if odd or (kind == "inlineStr") != tags.startswith("<is>"):
                raise NotPlainError
            given = plain_text(text) if tags else None
            row.append(cells.value(kind or "n", style, given, has_formula=bool(formula), row=number))
        while row and row[-1] is None:
            row.pop()
        self._places.count += 1
        yield row


@dataclass(slots=True)
class _Cell:
    """A cell during reading."""

    kind: str = "n"
    style: str = "0"
    value: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    has_value: bool = False
    has_formula: bool = False


class _Sheet:
    """Reads one worksheet's rows however they are written."""

    def __init__(self, cells: Cells, max_rows: int) -> None:
        self._cells = cells
        self._places = _Places(max_rows)
        self._rows: list[list[Any]] = []
        self._row: list[Any] = []
        self._cell: _Cell | None = None
        self._into: list[str] | None = None
        self._phonetic = 0
        self._inside = False

    def rows(self, part: BinaryIO, name: str) -> Iterator[list[Any]]:
        """Yield the rows."""
        for _ in parse(part, name, self._start, self._end, self._text):
            rows, self._rows = self._rows, []
            yield from rows

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "sheetData":
            self._inside = True
        elif not self._inside:
            return
        elif tag == "c":
            self._start_cell(attributes)
        elif tag == "row":
            self._rows += [[] for _ in range(self._places.missing(attributes.get("r", "")))]
            self._row = []
        elif (cell := self._cell) is None:
            return
        elif tag == "v":
            cell.has_value, self._into = True, cell.value
        elif tag == "t" and not self._phonetic:
            cell.has_value, self._into = True, cell.text
        elif tag == "f":
            cell.has_formula = True
        elif tag == "rPh":
            self._phonetic += 1

    def _start_cell(self, attributes: Mapping[str, str]) -> None:
        if place := attributes.get("r"):
            found = _PLACE.fullmatch(place)
            column = _column(found[1] if found else "")
            if column < len(self._row):
                raise WorkbookError(f"the cells of row {self._places.count} are not in order")
            self._row += [None] * (column - len(self._row))
        self._cell = _Cell(attributes.get("t", "n"), attributes.get("s", "0"))

    def _end(self, tag: str) -> None:
        if tag in ("v", "t"):
            self._into = None
        elif tag == "rPh":
            self._phonetic -= 1
        elif tag == "c" and self._cell is not None:
            self._row.append(self._value(self._cell))
            self._cell = None
        elif tag == "row" and self._inside:
            while self._row and self._row[-1] is None:
                self._row.pop()
            self._rows.append(self._row)
            self._places.count += 1
        elif tag == "sheetData":
            self._inside = False

    def _text(self, text: str) -> None:
        if self._into is not None:
            self._into.append(text)

    def _value(self, cell: _Cell) -> Any:
        text = "".join(cell.text if cell.kind == "inlineStr" else cell.value)
        given = text if cell.has_value else None
        return self._cells.value(cell.kind, cell.style, given, has_formula=cell.has_formula, row=self._places.count)


@cache
def _column(letters: str) -> int:
    """Return the column's number from 0: `A` is 0, `AA` is 26."""
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    if not 1 <= number <= MAX_COLUMNS:
        raise WorkbookError("a cell's place is none of a worksheet's")
    return number - 1

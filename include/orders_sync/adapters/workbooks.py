"""Reads the first worksheet of an XLSX file from its XML, with the digits that are written there.

Libraries read every number as a float, and two order numbers become one. Here a number is the text of its `<v>`: exact
where a double is exact, and a `DoubtfulNumber` where a writer may have lost a digit. Only the parts that values need
are read (sheets, shared strings, number formats); fills, fonts and drawings are ignored.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from posixpath import dirname, join, normpath
from typing import Any
from xml.parsers import expat

from include.orders_sync.adapters.workbook_numbers import NumberFormat, number_cell, number_format, unescaped

MAX_ROWS = 1_048_576
"""Rows of a worksheet, by the format's own limit; a greater row number would create empty rows without end."""
MAX_COLUMNS = 16_384

_MAIN = (
    "http://schemas.openxmlformats.org/spreadsheetml/2006/main ",
    "http://purl.oclc.org/ooxml/spreadsheetml/main ",
)
_RELATION_ID = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships id",
    "http://purl.oclc.org/ooxml/officeDocument/relationships id",
)
_CELL = re.compile(r"([A-Z]{1,4})(\d{1,9})", re.ASCII)


class WorkbookError(ValueError):
    """A workbook can't be read; the message says why, without its content."""


class TooManyRowsError(WorkbookError):
    """A row number is beyond the end of every worksheet."""


@dataclass(slots=True)
class _Cell:
    """A cell during reading."""

    kind: str = "n"
    style: int = 0
    value: list[str] = field(default_factory=list)
    text: list[str] = field(default_factory=list)
    has_value: bool = False
    has_formula: bool = False


def first_worksheet(archive: zipfile.ZipFile, max_rows: int = MAX_ROWS) -> list[list[Any]]:
    """Return rows without empty cells at their ends and without empty rows at the end; none if there is no worksheet.

    Cells: text, int, Decimal, DoubtfulNumber, bool, datetime (a number that is formatted as a date), None.

    Raises:
        WorkbookError: A part is missing or damaged, or the value of a cell can't be determined.
        zipfile.BadZipFile: A part's checksum is wrong.
    """
    parts = {name.lower(): name for name in archive.namelist()}

    def read(name: str) -> bytes | None:
        found = parts.get(name.lower())
        return None if found is None else archive.read(found)

    _parse(_required(read, "[Content_Types].xml"), "[Content_Types].xml", lambda *_: None)
    book = _target(_required(read, "_rels/.rels"), "_rels/.rels", "", kind="/officeDocument") or "xl/workbook.xml"
    sheets, is_1904 = _sheets(_required(read, book), book)
    relations = f"{dirname(book)}/_rels/{book.rpartition('/')[2]}.rels"
    related = _required(read, relations)
    sheet = next((path for each in sheets if (path := _target(related, relations, book, relation_id=each))), None)
    if sheet is None:
        return []
    strings = read(_target(related, relations, book, kind="/sharedStrings") or "") or b""
    styles = read(_target(related, relations, book, kind="/styles") or "") or b""
    return _Sheet(
        _strings(strings) if strings else [], _formats(styles) if styles else [], is_1904=is_1904, max_rows=max_rows
    ).read(_required(read, sheet), sheet)


class _Sheet:
    """Reads one worksheet's rows."""

    def __init__(self, strings: list[str], formats: list[NumberFormat], *, is_1904: bool, max_rows: int) -> None:
        self._strings, self._formats, self._is_1904, self._max_rows = strings, formats, is_1904, max_rows
        self._rows: list[list[Any]] = []
        self._row: list[Any] = []
        self._cell: _Cell | None = None
        self._into: list[str] | None = None
        self._phonetic = 0
        self._inside = False

    def read(self, body: bytes, name: str) -> list[list[Any]]:
        """Return the rows; see `first_worksheet`."""
        _parse(body, name, self._start, self._end, self._text)
        while self._rows and not self._rows[-1]:
            self._rows.pop()
        return self._rows

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "sheetData":
            self._inside = True
        elif not self._inside:
            return
        elif tag == "c":
            self._start_cell(attributes)
        elif tag == "row":
            self._start_row(attributes.get("r", ""))
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

    def _start_row(self, number: str) -> None:
        at = len(self._rows) + 1
        if number:
            if not (number.isascii() and number.isdigit()) or int(number[:12]) < at:
                raise WorkbookError("its rows are not in order")
            at = int(number[:12])
        if at > self._max_rows:
            raise TooManyRowsError(f"has more than {self._max_rows:,} rows")
        self._rows += [[] for _ in range(at - 1 - len(self._rows))]
        self._row = []

    def _start_cell(self, attributes: Mapping[str, str]) -> None:
        if place := attributes.get("r"):
            column = _column(place)
            if column < len(self._row):
                raise WorkbookError(f"the cells of row {self._number} are not in order")
            self._row += [None] * (column - len(self._row))
        style = attributes.get("s", "0")
        self._cell = _Cell(attributes.get("t", "n"), int(style) if style.isdigit() else 0)

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
        elif tag == "sheetData":
            self._inside = False

    def _text(self, text: str) -> None:
        if self._into is not None:
            self._into.append(text)

    @property
    def _number(self) -> int:
        """Return the number of the row, without the header, as people count the report's rows."""
        return len(self._rows)

    def _value(self, cell: _Cell) -> Any:
        text = "".join(cell.text if cell.kind == "inlineStr" else cell.value)
        if cell.has_value and cell.kind in ("str", "inlineStr"):
            return unescaped(text) or None
        text = text.strip()
        if not text:
            if cell.has_formula:
                raise WorkbookError(f"row {self._number} has a formula whose value is not in the file")
            return None
        if cell.kind == "s":
            if not text.isdigit() or int(text) >= len(self._strings):
                raise WorkbookError(f"row {self._number} has a text that is not in the file")
            return self._strings[int(text)] or None
        if cell.kind == "e":
            raise WorkbookError(f"row {self._number} has the value of a formula that failed")
        if cell.kind == "b":
            return text in ("1", "true")
        if cell.kind == "d":
            return self._iso_date(text)
        return self._of_number(text, self._formats[cell.style] if cell.style < len(self._formats) else NumberFormat())

    def _of_number(self, text: str, shown: NumberFormat) -> Any:
        if (value := number_cell(text, shown, is_1904=self._is_1904)) is None:
            raise WorkbookError(f"row {self._number} has a number that is none")
        return value

    def _iso_date(self, text: str) -> datetime:
        try:
            return datetime.fromisoformat(text)
        except ValueError:
            raise WorkbookError(f"row {self._number} has a date that is none") from None


def _formats(body: bytes) -> list[NumberFormat]:
    """Return the number formats by the number of a cell's style."""
    codes: dict[int, str] = {}
    numbers: list[int] = []
    inside: list[str] = []

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        inside.append(tag)
        number = attributes.get("numFmtId", "0")
        number = number if number.isdigit() else "0"
        if tag == "numFmt":
            codes[int(number)] = attributes.get("formatCode", "")
        elif tag == "xf" and "cellXfs" in inside:
            numbers.append(int(number))

    _parse(body, "styles", start, lambda _tag: inside.pop())
    return [number_format(number, codes.get(number)) for number in numbers]


def _strings(body: bytes) -> list[str]:
    """Return the shared strings; the parts of rich ones are joined, their phonetic parts are left out."""
    strings: list[str] = []
    pieces: list[str] = []
    state = {"text": 0, "phonetic": 0}

    def start(tag: str, _attributes: Mapping[str, str]) -> None:
        if tag == "si":
            pieces.clear()
        state["text"] += tag == "t"
        state["phonetic"] += tag == "rPh"

    def end(tag: str) -> None:
        if tag == "si":
            strings.append(unescaped("".join(pieces)))
        state["text"] -= tag == "t"
        state["phonetic"] -= tag == "rPh"

    def text(piece: str) -> None:
        if state["text"] and not state["phonetic"]:
            pieces.append(piece)

    _parse(body, "shared strings", start, end, text)
    return strings


def _sheets(body: bytes, name: str) -> tuple[list[str], bool]:
    """Return the relations of the sheets in their order, and whether days count from 1904."""
    relations: list[str] = []
    is_1904 = []

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "sheet":
            relations.extend(attributes[key] for key in _RELATION_ID if key in attributes)
        elif tag == "workbookPr" and attributes.get("date1904", "0") in ("1", "true"):
            is_1904.append(True)

    _parse(body, name, start)
    return relations, bool(is_1904)


def _target(body: bytes, name: str, of: str, *, relation_id: str = "", kind: str = "") -> str | None:
    """Return the part that a relation leads to; for an id only if it is a worksheet (a chart also has a sheet)."""
    found: list[str] = []

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        type_ = attributes.get("Type", "")
        wanted = type_.endswith(kind) if kind else attributes.get("Id") == relation_id and type_.endswith("/worksheet")
        if tag == "Relationship" and wanted:
            target = attributes.get("Target", "")
            found.append(target[1:] if target.startswith("/") else normpath(join(dirname(of), target)))

    _parse(body, name, start)
    return found[0] if found else None


def _parse(
    body: bytes,
    name: str,
    start: Callable[[str, Mapping[str, str]], None],
    end: Callable[[str], object] = lambda _tag: None,
    text: Callable[[str], None] | None = None,
) -> None:
    """Call the callbacks for the elements of a part, by their names without the format's namespace."""
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    parser.StartElementHandler = lambda tag, attributes: start(_local(tag), attributes)
    parser.EndElementHandler = lambda tag: end(_local(tag))
    if text is not None:
        parser.CharacterDataHandler = text
    parser.StartDoctypeDeclHandler = _no_doctype
    with _told(name):
        parser.Parse(body, True)


def _no_doctype(*_: Any) -> None:
    raise WorkbookError("it declares entities of its own, which no workbook does")


@contextmanager
def _told(name: str) -> Iterator[None]:
    try:
        yield
    except expat.ExpatError as error:
        raise WorkbookError(f"its part {name} is damaged (line {error.lineno})") from error


def _required(read: Callable[[str], bytes | None], name: str) -> bytes:
    found = read(name)
    if found is None:
        raise WorkbookError(f"it has no part {name}")
    return found


def _local(tag: str) -> str:
    """Return the name without the format's namespace; elements of extensions keep theirs, so they are ignored."""
    for namespace in _MAIN:
        if tag.startswith(namespace):
            return tag[len(namespace) :]
    return tag.rpartition(" ")[2] if "package/2006/relationships " in tag else tag


def _column(place: str) -> int:
    """Return the column's number from 0: `A1` is 0, `AA7` is 26."""
    found = _CELL.fullmatch(place)
    number = 0
    for letter in found[1] if found else "":
        number = number * 26 + ord(letter) - 64
    if not 1 <= number <= MAX_COLUMNS:
        raise WorkbookError("a cell's place is none of a worksheet's")
    return number - 1

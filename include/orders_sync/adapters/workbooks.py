"""Reads the first worksheet of an XLSX file from its XML, with the digits that are written there.

Libraries read every number as a float, and two order numbers become one. Here a number is the text of its `<v>`: exact
where a double is exact, and a `DoubtfulNumber` where a writer may have lost a digit. Only the parts that values need
are read (sheets, shared strings, number formats); fills, fonts and drawings are ignored. The worksheet's XML is never
whole in memory; the shared strings are, since any row may use any of them.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterator, Mapping
from posixpath import dirname, join, normpath
from typing import Any, BinaryIO

from include.orders_sync.adapters.workbook_cells import Cells
from include.orders_sync.adapters.workbook_errors import WorkbookError
from include.orders_sync.adapters.workbook_numbers import NumberFormat, number_format
from include.orders_sync.adapters.workbook_parts import parse
from include.orders_sync.adapters.workbook_rows import worksheet_rows
from include.orders_sync.adapters.workbook_strings import shared_strings

MAX_ROWS = 1_048_576
"""Rows of a worksheet, by the format's own limit; a greater row number would create empty rows without end."""

_RELATION_ID = (
    "http://schemas.openxmlformats.org/officeDocument/2006/relationships id",
    "http://purl.oclc.org/ooxml/officeDocument/relationships id",
)


def first_worksheet(archive: zipfile.ZipFile, max_rows: int = MAX_ROWS) -> Iterator[list[Any]]:
    """Yield rows without empty cells at their ends and without empty rows at the end; none if there is no worksheet.

    Cells: text, int, Decimal, DoubtfulNumber, bool, datetime (a number that is formatted as a date), None. Rows are
    yielded while the rest is still packed: a part that is damaged later raises after them.

    Raises:
        WorkbookError: A part is missing or damaged, or the value of a cell can't be determined.
        zipfile.BadZipFile: A part's checksum is wrong.
    """
    parts = {name.lower(): name for name in archive.namelist()}

    def opened(name: str) -> BinaryIO:
        found = parts.get(name.lower())
        if found is None:
            raise WorkbookError(f"it has no part {name}")
        return archive.open(found)  # type: ignore[return-value]

    def optional(name: str | None) -> Callable[[], BinaryIO] | None:
        """Return what opens a part that is there and not empty."""
        if not name or not (found := parts.get(name.lower())) or not archive.getinfo(found).file_size:
            return None
        return lambda: opened(name)

    _read(opened("[Content_Types].xml"), "[Content_Types].xml", lambda *_: None)
    book = _target(opened, "_rels/.rels", "", kind="/officeDocument") or "xl/workbook.xml"
    sheets, is_1904 = _sheets(opened(book), book)
    relations = f"{dirname(book)}/_rels/{book.rpartition('/')[2]}.rels"
    opened(relations).close()
    targets = (_target(opened, relations, book, relation_id=each) for each in sheets)
    sheet = next((path for path in targets if path), None)
    if sheet is None:
        return
    strings = optional(_target(opened, relations, book, kind="/sharedStrings"))
    styles = optional(_target(opened, relations, book, kind="/styles"))
    cells = Cells(shared_strings(strings) if strings else [], _formats(styles()) if styles else [], is_1904)
    yield from worksheet_rows(lambda: opened(sheet), sheet, cells, max_rows)


def _formats(part: BinaryIO) -> list[NumberFormat]:
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

    _read(part, "styles", start, lambda _tag: inside.pop())
    return [number_format(number, codes.get(number)) for number in numbers]


def _sheets(part: BinaryIO, name: str) -> tuple[list[str], bool]:
    """Return the relations of the sheets in their order, and whether days count from 1904."""
    relations: list[str] = []
    is_1904 = []

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        if tag == "sheet":
            relations.extend(attributes[key] for key in _RELATION_ID if key in attributes)
        elif tag == "workbookPr" and attributes.get("date1904", "0") in ("1", "true"):
            is_1904.append(True)

    _read(part, name, start)
    return relations, bool(is_1904)


def _target(
    opened: Callable[[str], BinaryIO], name: str, of: str, *, relation_id: str = "", kind: str = ""
) -> str | None:
    """Return the part that a relation leads to; for an id only if it is a worksheet (a chart also has a sheet)."""
    found: list[str] = []

    def start(tag: str, attributes: Mapping[str, str]) -> None:
        type_ = attributes.get("Type", "")
        wanted = type_.endswith(kind) if kind else attributes.get("Id") == relation_id and type_.endswith("/worksheet")
        if tag == "Relationship" and wanted:
            target = attributes.get("Target", "")
            found.append(target[1:] if target.startswith("/") else normpath(join(dirname(of), target)))

    _read(opened(name), name, start)
    return found[0] if found else None


def _read(
    part: BinaryIO,
    name: str,
    start: Callable[[str, Mapping[str, str]], None],
    end: Callable[[str], object] = lambda _tag: None,
) -> None:
    """Read a small part."""
    with part:
        for _ in parse(part, name, start, end):
            pass

"""One page of a report as columns and rows; bytes that are no such page are refused, never guessed at.

Cells come out as exact as they went in: text, int, Decimal, bool or None; from a workbook datetimes, too, where a cell
is formatted as one.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NoReturn

from include.orders_sync.core.reports import BadReportError
from include.orders_sync.ports import RawReport

LARGEST_UNPACKED = 256 * 1024 * 1024
"""Bytes that the parts of a workbook may have together when they are unpacked, as its directory declares them."""
MOST_PARTS = 1_000
MOST_ROWS = 1_048_576
"""Of a worksheet, by the format's own limit; a row number beyond would make empty rows without end."""

_EXCEL_ERRORS = frozenset({"#NULL!", "#DIV/0!", "#VALUE!", "#REF!", "#NAME?", "#NUM!", "#N/A"})
_CELL_TYPES = (str, int, Decimal, type(None))


class OversizedReportError(BadReportError):
    """A page that is far larger than any page can be; it was not unpacked, and asking again won't help."""


class _NotSuchAPageError(ValueError):
    """Why the bytes are no page of a report."""


def parse_page(body: bytes, report_format: str, *, where: str) -> RawReport:
    """Columns and rows of one page; every row has as many cells as there are columns.

    Args:
        body: JSON (`{"columns": […], "rows": [[…]]}`), CSV (UTF-8, the first line names the columns) or XLSX (the first
            worksheet, the values of formulas, the first row names the columns).
        report_format: `json`, `csv` or `xlsx`.
        where: Finds the page, for messages.

    Raises:
        BadReportError: It isn't what `report_format` says, is cut off, or its rows don't fit its columns.
    """
    try:
        columns, rows = _PARSERS[report_format](body)
        return RawReport(_checked_columns(columns), _checked_rows(rows, len(columns)))
    except OversizedReportError as error:
        error.where = where
        raise
    except _NotSuchAPageError as error:
        raise BadReportError(
            f"the CRM's answer is no {report_format.upper()} report: {error}",
            where=where,
            meaning="Nothing of it was used",
            remedy="See what the CRM answers there; a maintenance or log-in page looks like this, too.",
        ) from error


def _from_json(body: bytes) -> tuple[list[str], list[Any]]:
    try:
        document = json.loads(body.decode("utf-8-sig"), parse_float=Decimal, parse_constant=_no_number)
    except (ValueError, ArithmeticError, RecursionError) as error:
        raise _NotSuchAPageError(f"it can't be read ({_reason(error)})") from error
    if not (isinstance(document, dict) and isinstance(document.get("columns"), list)):
        raise _NotSuchAPageError("it is JSON, but not an object with columns and rows")
    columns, rows = document["columns"], document.get("rows")
    if not isinstance(rows, list) or not all(isinstance(row, list) for row in rows):
        raise _NotSuchAPageError("its rows are not a list of lists")
    if not all(isinstance(column, str) for column in columns):
        raise _NotSuchAPageError("the name of a column is no text")
    for number, row in enumerate(rows, 1):
        if not all(isinstance(cell, _CELL_TYPES) for cell in row):
            raise _NotSuchAPageError(f"row {number} has a cell that is neither text nor a number")
    return columns, rows


def _from_csv(body: bytes) -> tuple[list[str], list[list[str]]]:
    try:
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        lines = [line for line in reader if line]
    except (ValueError, csv.Error) as error:
        raise _NotSuchAPageError(f"it can't be read ({_reason(error)})") from error
    return (lines[0], lines[1:]) if lines else ([], [])


def _from_xlsx(body: bytes) -> tuple[list[str], list[list[Any]]]:
    _check_archive(body)
    try:
        lines = _worksheet_rows(body)
    except OversizedReportError:
        raise
    except Exception as error:  # a damaged part shows as any of a dozen errors of zipfile, expat and openpyxl
        raise _NotSuchAPageError(f"the workbook can't be read ({type(error).__name__})") from error
    if not lines:
        return [], []
    header, rows = lines[0], lines[1:]
    for number, row in enumerate(rows, 1):
        if not _EXCEL_ERRORS.isdisjoint(row):
            raise _NotSuchAPageError(f"row {number} has the value of a formula that failed")
    columns = ["" if name is None else str(name) for name in header]
    return columns, [row + [None] * (len(columns) - len(row)) for row in rows]


def _worksheet_rows(body: bytes) -> list[list[Any]]:
    """Rows of the first worksheet without empty cells at their ends, and without empty rows at the end."""
    from openpyxl import load_workbook

    workbook = load_workbook(io.BytesIO(body), read_only=True, data_only=True)
    try:
        if not workbook.worksheets:
            return []
        sheet: Any = workbook.worksheets[0]
        sheet.reset_dimensions()  # some writers declare A1 only, and openpyxl would read no further
        rows: list[list[Any]] = []
        for number, cells in enumerate(sheet.iter_rows(values_only=True), 1):
            if number > MOST_ROWS:
                raise _oversized(f"has more than {MOST_ROWS:,} rows")
            rows.append(_without_empty_end(cells))
    finally:
        workbook.close()
    while rows and not rows[-1]:
        rows.pop()
    return [[_exact(cell) for cell in row] for row in rows]


def _without_empty_end(cells: Sequence[Any]) -> list[Any]:
    end = len(cells)
    while end and cells[end - 1] is None:
        end -= 1
    return list(cells[:end])


def _exact(cell: Any) -> Any:
    """A float as Excel shows it, in 15 digits: it stores 1.1 as 1.1000000000000001."""
    if isinstance(cell, float):
        return Decimal(f"{cell:.15g}")
    if isinstance(cell, str | int | datetime) or cell is None:
        return cell
    return cell.isoformat() if isinstance(cell, date) else str(cell)


def _check_archive(body: bytes) -> None:
    """Refuse what would unpack to far more than a page: by its directory, which unpacking then holds it to."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            parts = archive.infolist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise _NotSuchAPageError(f"it is no workbook ({_reason(error)})") from error
    if len(parts) > MOST_PARTS or sum(part.file_size for part in parts) > LARGEST_UNPACKED:
        raise _oversized(f"unpacks to {sum(part.file_size for part in parts):,} bytes in {len(parts):,} parts")


def _oversized(what: str) -> OversizedReportError:
    return OversizedReportError(
        f"the workbook {what}",
        meaning="No page of a report is that large; nothing of it was used",
        remedy="Look at the report in the CRM; lower `http.page_size` if its pages really are so large.",
    )


def _checked_columns(columns: Iterable[str]) -> list[str]:
    names = [name.strip() for name in columns]
    if not any(names):
        raise _NotSuchAPageError("it is empty, even its header")
    if names[0].startswith("<"):
        raise _NotSuchAPageError("it is a page of HTML or XML")
    twice = sorted({name for name in names if name and names.count(name) > 1})
    if twice:
        raise _NotSuchAPageError(f"it has the column {', '.join(twice)} twice")
    return names


def _checked_rows(rows: list[list[Any]], width: int) -> list[list[Any]]:
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise _NotSuchAPageError(f"row {number} has {len(row)} cells, and there are {width} columns")
    return rows


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _reason(error: BaseException) -> str:
    """What went wrong without what was read: a report holds names and numbers of customers."""
    if isinstance(error, UnicodeDecodeError):
        return f"no UTF-8 at byte {error.start}"
    if isinstance(error, json.JSONDecodeError):
        return f"{error.msg} at character {error.pos}"
    return str(error)[:100] if isinstance(error, csv.Error | zipfile.BadZipFile) else type(error).__name__


_PARSERS: dict[str, Callable[[bytes], tuple[list[str], list[Any]]]] = {
    "json": _from_json,
    "csv": _from_csv,
    "xlsx": _from_xlsx,
}

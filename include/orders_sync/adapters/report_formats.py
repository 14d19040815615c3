"""Parses one page of a report into columns and rows; bytes that are no such page are refused, never guessed at.

Cells keep their exact values: text, int, Decimal, bool or None; from a workbook also datetimes, where a cell is
formatted as one, and `DoubtfulNumber` where digits may have been lost before we had the file.
"""

from __future__ import annotations

import csv
import io
import json
import zipfile
import zlib
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, NamedTuple, NoReturn

from include.orders_sync.adapters.workbook_errors import TooManyRowsError, WorkbookError
from include.orders_sync.adapters.workbooks import MAX_ROWS, first_worksheet
from include.orders_sync.core.cells import text_of_formula
from include.orders_sync.core.reports import BadReportError

LARGEST_UNPACKED = 256 * 1024 * 1024
"""Bytes that the parts of a workbook may have together after unpacking, as its directory declares them."""
MAX_PARTS = 1_000
LONGEST_CELL = 1_000_000
"""Characters of a cell; Excel's own limit is 32,767, the CSV reader's default limit is 131,072."""

_CELL_TYPES = (str, int, Decimal, type(None))


class PageContent(NamedTuple):
    """Names of the columns, and one list of cells per row in their order."""

    columns: list[str]
    rows: list[list[Any]]


class OversizedReportError(BadReportError):
    """The page is far larger than any page can be; it was not unpacked, and another request would not help."""


class _NotSuchAPageError(ValueError):
    """The bytes are no page of a report; the message says why."""

    remedy = "See what the CRM answers there; a maintenance or log-in page looks like this, too."


class _UnreadableError(_NotSuchAPageError):
    """A file of the right kind can't be used; the message says why."""

    remedy = (
        "Look at this report in the CRM and have it corrected; docs/orders-sync.md names what is read, and our limits."
    )


def parse_page(body: bytes, report_format: str, *, where: str, may_be_empty: bool = False) -> PageContent:
    """Return columns and rows of one page; every row has as many cells as there are columns.

    With `may_be_empty` (the answer proves that the report has no rows) an empty body means no rows and no columns.

    Args:
        body: JSON (`{"columns": […], "rows": [[…]]}`), CSV (UTF-8, the first line names the columns) or XLSX (the first
            worksheet, the values of formulas, the first row names the columns).
        report_format: `json`, `csv` or `xlsx`.
        where: Names the page in messages.
        may_be_empty: Accept a page without even a header.

    Raises:
        BadReportError: It isn't what `report_format` says, is cut off, or its rows don't fit its columns.
    """
    if may_be_empty and _is_empty(body):
        return PageContent([], [])
    try:
        columns, rows = _PARSERS[report_format](body)
        if may_be_empty and not rows and not any(columns):
            return PageContent([], [])
        return PageContent(_checked_columns(columns), _checked_rows(rows, len(columns)))
    except OversizedReportError as error:
        error.where = where
        raise
    except _NotSuchAPageError as error:
        raise BadReportError(
            f"the CRM's answer is no {report_format.upper()} report: {error}",
            where=where,
            meaning="Nothing of it was used",
            remedy=error.remedy,
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
        csv.field_size_limit(max(csv.field_size_limit(), len(body)))  # for the whole process; our limit differs
        reader = csv.reader(io.StringIO(body.decode("utf-8-sig"), newline=""), strict=True)
        lines = [[text_of_formula(cell) for cell in line] for line in reader if line]
    except (ValueError, csv.Error) as error:
        raise _NotSuchAPageError(f"it can't be read ({_reason(error)})") from error
    return (lines[0], lines[1:]) if lines else ([], [])


def _from_xlsx(body: bytes) -> tuple[list[str], list[list[Any]]]:
    try:
        with _archive(body) as archive:
            lines = list(first_worksheet(archive, MAX_ROWS))
    except TooManyRowsError as error:
        raise _oversized(str(error)) from error
    except WorkbookError as error:
        raise _UnreadableError(str(error)) from error
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        RuntimeError,
        NotImplementedError,
        UnicodeError,
        LookupError,
    ) as error:
        raise _UnreadableError(f"the workbook can't be read ({type(error).__name__})") from error
    if not lines:
        return [], []
    header, rows = lines[0], lines[1:]
    columns = ["" if name is None else str(name) for name in header]
    for row in rows:
        if len(row) < len(columns):
            row += [None] * (len(columns) - len(row))
    return columns, rows


def _archive(body: bytes) -> zipfile.ZipFile:
    """Refuse a workbook that would unpack to far more than a page, by its directory, whose sizes bind the unpacking."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(body))
    except (zipfile.BadZipFile, ValueError, NotImplementedError) as error:
        raise _NotSuchAPageError(f"it is no workbook ({_reason(error)})") from error
    parts = archive.infolist()
    if len(parts) > MAX_PARTS or sum(part.file_size for part in parts) > LARGEST_UNPACKED:
        raise _oversized(f"unpacks to {sum(part.file_size for part in parts):,} bytes in {len(parts):,} parts")
    return archive


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
        raise _UnreadableError(f"it has the column {', '.join(twice)} twice")
    return names


def _checked_rows(rows: list[list[Any]], width: int) -> list[list[Any]]:
    for number, row in enumerate(rows, 1):
        if len(row) != width:
            raise _UnreadableError(f"row {number} has {len(row)} cells, and there are {width} columns")
        longest = max([len(cell) for cell in row if isinstance(cell, str)], default=0)
        if longest > LONGEST_CELL:
            raise _UnreadableError(
                f"row {number} has a cell of {longest:,} characters, and our limit is {LONGEST_CELL:,}"
            )
    return rows


def _is_empty(body: bytes) -> bool:
    """Return True for an empty body, or JSON without content."""
    return body.removeprefix(b"\xef\xbb\xbf").strip() in (b"", b"[]", b"{}", b"null", b'{"rows":[]}', b'{"rows": []}')


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no JSON")


def _reason(error: BaseException) -> str:
    """Return what went wrong without the content that was read: a report holds names and numbers of customers."""
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

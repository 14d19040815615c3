"""The schemas of all reports, and the check of their cells; a wrong cell is named by row and column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from include.orders_sync.core.cells import KINDS, LONGEST_TEXT, PARSERS, CellError, parse_text
from include.orders_sync.core.pipelines import TD, UC
from include.pipeline_framework.errors import TerminalError


class BadReportError(TerminalError):
    """The report lacks a column, or has a cell that its column can't hold; the message names row and column."""


@dataclass(frozen=True, slots=True)
class Column:
    """One column of a report and of its table.

    Attributes:
        name: In the report and in the table.
        kind: `text`, `integer`, `decimal` (2 places) or `instant`.
        is_optional: A cell may be empty.
    """

    name: str
    kind: str = "text"
    is_optional: bool = False


@dataclass(frozen=True, slots=True)
class ReportSchema:
    """A report, and the table of the same columns that it fills.

    Attributes:
        name: `orders`, `sales` or `gst`.
        table: The table it fills.
        key: The column that is the business key within one store.
        event_at: The column with the instant whose local date selects the report's rows.
        date_column: The table's column with that local date.
        pulled_at: The column of `orders_sync_log` that says when it was pulled.
        columns: In the table's order.
    """

    name: str
    table: str
    key: str
    event_at: str
    date_column: str
    pulled_at: str
    columns: tuple[Column, ...]

    @property
    def table_columns(self) -> tuple[str, ...]:
        """The columns that `check_report` returns for every row, in this order."""
        return (self.date_column, *(column.name for column in self.columns))


TD_ORDERS = ReportSchema(
    "orders", "td_orders", "order_number", "ordered_at", "order_date", "orders_pulled_at",
    (
        Column("order_number"),
        Column("ordered_at", "instant"),
        Column("customer_code", is_optional=True),
        Column("order_status"),
        Column("pieces", "integer"),
        Column("gross_amount", "decimal"),
        Column("discount_amount", "decimal"),
        Column("net_amount", "decimal"),
        Column("delivered_at", "instant", is_optional=True),
    ),
)  # fmt: skip

TD_SALES = ReportSchema(
    "sales", "td_sales", "sale_number", "sold_at", "sale_date", "sales_pulled_at",
    (
        Column("sale_number"),
        Column("order_number"),
        Column("sold_at", "instant"),
        Column("payment_mode"),
        Column("amount", "decimal"),
    ),
)  # fmt: skip

UC_GST = ReportSchema(
    "gst", "uc_gst", "invoice_number", "invoiced_at", "invoice_date", "orders_pulled_at",
    (
        Column("invoice_number"),
        Column("order_number"),
        Column("invoiced_at", "instant"),
        Column("customer_gstin", is_optional=True),
        Column("taxable_amount", "decimal"),
        Column("cgst_amount", "decimal"),
        Column("sgst_amount", "decimal"),
        Column("total_amount", "decimal"),
    ),
)  # fmt: skip

REPORTS: dict[str, tuple[ReportSchema, ...]] = {TD: (TD_ORDERS, TD_SALES), UC: (UC_GST,)}
"""Reports by pipeline, in the order in which they are pulled: if orders fail, sales aren't tried."""


_CORRECTED = "Have it corrected in the CRM, and pull these dates again."
_OTHER_ZONE = (
    "If the store's days are those of another time zone, put its name into store_master.store_timezone, else have it"
    " corrected in the CRM; pull these dates again."
)
_AS_TEXT = "Have the CRM write this column as text (or the report as JSON or CSV), and pull these dates again."


def check_report(
    schema: ReportSchema,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    store_code: str,
    from_date: date,
    to_date: date,
    timezone: str,
    first_number: int = 1,
) -> list[tuple[Any, ...]]:
    """Return every row of a report, or of a part of it, as `schema.table_columns`, in their order.

    Instants without an offset are local in `timezone`; all are returned in UTC. Columns that the schema doesn't have
    are ignored. Rows are checked one by one: whether a business key occurs twice is seen where all rows are together
    (`OrdersDatabase.save_report`). A report without any columns has no rows: the client returns it only for an answer
    that proves that there are none.

    Args:
        schema: The report's columns and table.
        columns: The report's columns.
        rows: Cells in their order.
        store_code: The report's store, for messages; a column of this name has to hold it.
        from_date: First requested local date.
        to_date: Last one, inclusive.
        timezone: IANA name: the store's, or `pipeline_timezone`.
        first_number: The number of the first of the rows. Rows count from 1, without the header.

    Raises:
        BadReportError: A column is missing, a cell is wrong, or a row lies outside the dates.
    """
    if not columns and not rows:
        return []
    where = _where(schema, store_code, from_date, to_date)
    names = [str(name).strip() for name in columns]
    missing = [column.name for column in schema.columns if column.name not in names]
    if missing:
        raise BadReportError(
            f"the report has no column {', '.join(map(repr, missing))}",
            where=where,
            meaning=f"It has {', '.join(names) or 'none at all'}; nothing of it was written",
            remedy="Ask the CRM's people what changed; the columns are those of include/orders_sync/core/reports.py.",
        )
    zone = ZoneInfo(timezone)
    cells = [(names.index(column.name), column, PARSERS[column.kind]) for column in schema.columns]
    event_index = next(i for i, column in enumerate(schema.columns) if column.name == schema.event_at)
    key_index = next(i for i, column in enumerate(schema.columns) if column.name == schema.key)
    store_index = names.index("store_code") if "store_code" in names else None
    found: list[tuple[Any, ...]] = []
    for number, row in enumerate(rows, first_number):
        if len(row) != len(names):
            raise _wrong(where, number, "", f"has {len(row)} cells where the report has {len(names)} columns")
        if store_index is not None and not _is_store(row[store_index], store_code, zone):
            raise _wrong(where, number, "store_code", f"is {row[store_index]!r}, of another store")
        values = tuple(_value(row[index], column, parse, zone, where, number) for index, column, parse in cells)
        day = values[event_index].astimezone(zone).date()
        if not from_date <= day <= to_date:
            what = f"is on {day} in {timezone}, which was not asked for"
            raise _wrong(where, number, schema.event_at, what, remedy=_OTHER_ZONE)
        if len(values[key_index]) > LONGEST_TEXT:
            raise _wrong(where, number, schema.key, f"has more than {LONGEST_TEXT} characters, our limit for a key")
        found.append((day, *values))
    return found


def two_contents(
    schema: ReportSchema, key: str, number: int, first_number: int, *, store_code: str, from_date: date, to_date: date
) -> BadReportError:
    """Return the error for a row that has the business key of an earlier row, and other cells."""
    what = f"is {key!r} like row {first_number}, but the rows are not the same"
    return _wrong(_where(schema, store_code, from_date, to_date), number, schema.key, what)


def _where(schema: ReportSchema, store_code: str, from_date: date, to_date: date) -> str:
    return f"store {store_code}, report {schema.name}, {from_date} to {to_date}"


def _value(
    cell: Any, column: Column, parse: Callable[[Any, ZoneInfo], Any], zone: ZoneInfo, where: str, number: int
) -> Any:
    if cell is None or (isinstance(cell, str) and not cell.strip()):
        if column.is_optional:
            return None
        raise _wrong(where, number, column.name, "is empty")
    try:
        return parse(cell, zone)
    except (ValueError, InvalidOperation, OverflowError) as error:
        shown = repr(cell) if len(repr(cell)) <= _LONGEST_CELL else f"{repr(cell)[:_LONGEST_CELL]}…"
        if isinstance(error, CellError):
            raise _wrong(where, number, column.name, f"is {shown}, {error}", remedy=_AS_TEXT) from None
        raise _wrong(where, number, column.name, f"is {shown}, not {KINDS[column.kind]}") from None


def _is_store(cell: Any, store_code: str, zone: ZoneInfo) -> bool:
    try:
        return parse_text(cell, zone) == store_code
    except CellError:
        return False


def _wrong(where: str, number: int, column: str, what: str, *, remedy: str = _CORRECTED) -> BadReportError:
    place = f"row {number}, column {column!r}" if column else f"row {number}"
    return BadReportError(
        f"{place} {what}",
        where=where,
        meaning="Nothing of this report was written",
        remedy=remedy,
    )


_LONGEST_CELL = 60

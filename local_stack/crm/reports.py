"""The three reports as the CRM shows them at one moment: columns, rows, and the truth that tests compare with."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from local_stack.crm.orders import LONGEST_LIFE_DAYS, OFFSET_SECONDS, Order, day_orders, local_midnight
from local_stack.crm.stores import DEFAULT_SEED, DEFAULT_STORES, Store, find_store, store_master_rows

INDIA = timezone(timedelta(seconds=OFFSET_SECONDS))
Row = tuple[Any, ...]
"""Cells: text, int, Decimal (amounts, two places) or None."""


@dataclass(frozen=True, slots=True)
class Report:
    """One report of one CRM.

    Attributes:
        name: In its path.
        system: `td` or `uc`.
        default_format: When a request names none.
        columns: In their order; `store_code` comes first, the last ones interest nobody.
        key: The business key within a store.
        rows: Those of one order at a moment, each with the instant by whose local date it is reported.
        look_back_days: So many days before a date orders may have rows on it.
    """

    name: str
    system: str
    default_format: str
    columns: tuple[str, ...]
    key: str
    rows: Callable[[Store, Order, float], Iterator[tuple[int, Row]]]
    look_back_days: int = 0


@dataclass(frozen=True, slots=True)
class Data:
    """What all rows are a function of, besides store, date and clock.

    Attributes:
        today: The youngest store may open on this date; no clock.
        seed: Another one gives other data.
        stores: How many.
        volume: Times as many orders as usual.
    """

    today: date
    seed: int = DEFAULT_SEED
    stores: int = DEFAULT_STORES
    volume: float = 1.0

    def find_store(self, code: str, system: str) -> Store | None:
        """The store, if this CRM knows it."""
        found = find_store(code, count=self.stores, seed=self.seed, today=self.today)
        return found if found and found.row.sync_group in ("ALL", system.upper()) else None

    def store_rows(self) -> list[dict[str, Any]]:
        """`store_master` as JSON objects."""
        rows = store_master_rows(self.stores, seed=self.seed, today=self.today)
        return [{**row._asdict(), "start_date": row.start_date.isoformat()} for row in rows]

    def as_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {"today": self.today.isoformat(), "seed": self.seed, "stores": self.stores, "volume": self.volume}

    def changed(self, values: dict[str, Any]) -> Data:
        """With some values of `as_json` replaced.

        Raises:
            ValueError, TypeError: There is no such value, or it is of another type.
        """
        kinds: dict[str, Callable[[Any], Any]] = {
            "today": date.fromisoformat, "seed": int, "stores": int, "volume": float,
        }  # fmt: skip
        if unknown := set(values) - set(kinds):
            raise ValueError(f"no such value: {', '.join(sorted(unknown))}")
        return replace(self, **{name: kinds[name](value) for name, value in values.items() if value is not None})


def report_rows(report: Report, data: Data, store: Store, from_date: date, to_date: date, as_of: float) -> list[Row]:
    """What a report shows at `as_of`, by instant: rows whose local date lies in the range, both ends inclusive."""
    start, end = local_midnight(from_date), local_midnight(to_date + timedelta(days=1))
    found: list[tuple[int, Row]] = []
    first = max(from_date - timedelta(days=report.look_back_days), store.row.start_date)
    last = min(to_date, datetime.fromtimestamp(as_of, INDIA).date())
    for offset in range((last - first).days + 1):
        day = first + timedelta(days=offset)
        for order in day_orders(store, day, system=report.system, seed=data.seed, volume=data.volume):
            if order.is_visible(as_of):
                found += [(at, row) for at, row in report.rows(store, order, as_of) if start <= at < end]
    found.sort(key=lambda pair: (pair[0], str(pair[1][1])))
    return [row for _, row in found]


def truth(report: Report, rows: list[Row], as_of: float) -> dict[str, Any]:
    """What a complete pull at `as_of` has: rows as text, their keys, and the sum of every column of amounts."""
    key = report.columns.index(report.key)
    sums = {
        name: str(sum((row[index] for row in rows), Decimal("0.00")))
        for index, name in enumerate(report.columns)
        if name.endswith("amount")
    }
    return {
        "columns": report.columns,
        "rows": [[None if cell is None else str(cell) for cell in row] for row in rows],
        "keys": [row[key] for row in rows],
        "sums": sums,
        "count": len(rows),
        "as_of": datetime.fromtimestamp(as_of, UTC).isoformat(),
    }


def _orders(store: Store, order: Order, as_of: float) -> Iterator[tuple[int, Row]]:
    discount = order.discount_at(as_of)
    is_delivered = order.delivered_at is not None and order.delivered_at <= as_of
    yield (
        order.ordered_at,
        (
            store.row.store_code,
            order.number,
            _instant(store, order.ordered_at),
            None if order.customer is None else f"C{order.customer:05d}",
            order.name,
            order.status(as_of),
            order.pieces,
            _rupees(order.gross),
            _rupees(discount),
            _rupees(order.gross - discount),
            _instant(store, order.delivered_at) if is_delivered and order.delivered_at else None,
            "app" if order.pieces % 2 else "counter",
        ),
    )


def _sales(store: Store, order: Order, as_of: float) -> Iterator[tuple[int, Row]]:
    for index, (paid_at, mode, share) in enumerate(order.payments, 1):
        if paid_at <= as_of:
            amount = (order.gross - order.discount_at(paid_at)) * share // 100
            yield (
                paid_at,
                (
                    store.row.store_code,
                    f"P{order.number}-{index}",
                    order.number,
                    _instant(store, paid_at),
                    mode,
                    _rupees(amount),
                    order.name,
                ),
            )


def _gst(store: Store, order: Order, as_of: float) -> Iterator[tuple[int, Row]]:
    taxable = order.gross - order.discount_at(as_of)
    tax = (taxable * 9 + 50) // 100
    has_number = order.gstin_at is not None and order.gstin_at <= as_of
    yield (
        order.ordered_at,
        (
            store.row.store_code,
            f"INV/{order.number}",
            order.number,
            datetime.fromtimestamp(order.ordered_at, INDIA).strftime("%Y-%m-%dT%H:%M:%S"),
            f"29ABCDE{order.customer or 0:04d}F1Z5" if has_number else None,
            order.name,
            _rupees(taxable),
            _rupees(tax),
            _rupees(tax),
            _rupees(taxable + 2 * tax),
            "29-Karnataka",
        ),
    )


def _instant(store: Store, at: int) -> str:
    if store.writes_utc:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return datetime.fromtimestamp(at, INDIA).isoformat()


def _rupees(paise: int) -> Decimal:
    return Decimal(paise).scaleb(-2)


REPORTS: dict[str, Report] = {
    report.name: report
    for report in (
        Report(
            "orders", "td", "xlsx",
            ("store_code", "order_number", "ordered_at", "customer_code", "customer_name", "order_status", "pieces",
             "gross_amount", "discount_amount", "net_amount", "delivered_at", "channel"),
            "order_number", _orders,
        ),
        Report(
            "sales", "td", "csv",
            ("store_code", "sale_number", "order_number", "sold_at", "payment_mode", "amount", "customer_name"),
            "sale_number", _sales, LONGEST_LIFE_DAYS,
        ),
        Report(
            "gst", "uc", "json",
            ("store_code", "invoice_number", "order_number", "invoiced_at", "customer_gstin", "customer_name",
             "taxable_amount", "cgst_amount", "sgst_amount", "total_amount", "place_of_supply"),
            "invoice_number", _gst,
        ),
    )
}  # fmt: skip
SYSTEMS = ("td", "uc")

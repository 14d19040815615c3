"""Reports as typed rows; what is wrong is named by row and column."""

from __future__ import annotations

import pickle
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from include.orders_sync.core.pipelines import TD, UC
from include.orders_sync.core.reports import REPORTS, TD_SALES, UC_GST, BadReportError, check_report

COLUMNS = ["store_code", "sale_number", "order_number", "sold_at", "payment_mode", "amount", "ignored"]
GOOD = ["S001", "N1", "O1", "2026-01-06T19:00:00+05:30", "cash", "10.50", "x"]


def check(*rows: list[Any], columns: list[str] = COLUMNS) -> list[tuple[Any, ...]]:
    return check_report(
        TD_SALES,
        columns,
        rows,
        store_code="S001",
        from_date=date(2026, 1, 6),
        to_date=date(2026, 1, 7),
        timezone="Asia/Kolkata",
    )


def changed(column: str, value: Any) -> list[Any]:
    return [value if name == column else cell for name, cell in zip(COLUMNS, GOOD, strict=True)]


def test_typed_rows_in_the_order_of_the_table() -> None:
    assert TD_SALES.table_columns == (
        "sale_date", "sale_number", "order_number", "sold_at", "payment_mode", "amount"
    )  # fmt: skip
    at = datetime(2026, 1, 6, 13, 30, tzinfo=UTC)
    assert check(GOOD) == [(date(2026, 1, 6), "N1", "O1", at, "cash", Decimal("10.50"))]


@pytest.mark.parametrize(
    ("text", "day", "at"),
    [
        ("2026-01-06T18:30:00Z", 7, datetime(2026, 1, 6, 18, 30, tzinfo=UTC)),  # midnight where the business is
        ("2026-01-06T18:29:59Z", 6, datetime(2026, 1, 6, 18, 29, 59, tzinfo=UTC)),
        ("2026-01-07 00:00:00", 7, datetime(2026, 1, 6, 18, 30, tzinfo=UTC)),  # no offset: local
        (datetime(2026, 1, 7, 23, 59), 7, datetime(2026, 1, 7, 18, 29, tzinfo=UTC)),  # noqa: DTZ001 - as XLSX has it
    ],
)
def test_the_date_is_local_and_the_instant_utc(text: Any, day: int, at: datetime) -> None:
    ((date_of, _, _, sold_at, *_),) = check(changed("sold_at", text))
    assert (date_of, sold_at, sold_at.tzinfo) == (date(2026, 1, day), at, UTC)


@pytest.mark.parametrize(
    ("amount", "expected"), [("1", "1.00"), (1.5, "1.50"), (Decimal("2.25"), "2.25"), (" 3.10 ", "3.10"), (0, "0.00")]
)
def test_amounts_are_exact(amount: Any, expected: str) -> None:
    assert str(check(changed("amount", amount))[0][-1]) == expected


@pytest.mark.parametrize(
    ("cell", "key"),
    [
        ("00000123", "00000123"), (2026030500000011, "2026030500000011"),
        (Decimal("2.026030500000011E15"), "2026030500000011"),
        (Decimal("1.0"), "1"), (Decimal("12.50"), "12.50"), ("1E5", "1E5"), ("O-1.5E", "O-1.5E"),
    ],
)  # fmt: skip
def test_a_key_is_exact(cell: Any, key: str) -> None:
    assert check(changed("sale_number", cell))[0][1] == key


@pytest.mark.parametrize(
    ("cell", "told"),
    [
        ('="0012345"', "the text of a formula"),
        ("2.02603E+15", "scientific notation"),
        ("2.02603E15", "scientific notation"),
        (Decimal("2.02603E15"), "scientific notation"),
        (Decimal("1E-4000"), "no key can be"),
        (True, "a yes or no"),
        (datetime(2026, 3, 5), "a date, not text"),  # noqa: DTZ001 - as XLSX has it
        ("x" * 256, "more than 255 characters, our limit"),
    ],
)
def test_a_key_is_exact_or_refused(cell: Any, told: str) -> None:
    with pytest.raises(BadReportError, match=told):
        check(changed("sale_number", cell))


@pytest.mark.parametrize(
    ("column", "value", "told"),
    [
        ("amount", "1_234.50", "not an amount"),
        ("amount", "1,234.50", "not an amount"),
        ("amount", "١٢.٥٠", "not an amount"),
        ("amount", "１２.５０", "not an amount"),
        ("sold_at", 20260106, "is 20260106, not an instant"),
        ("sold_at", "2026-W02-2", "not an instant"),
        ("store_code", True, "of another store"),
        ("amount", "n/a", "row 2, column 'amount' is 'n/a', not an amount"),
        ("amount", "1.234", "not an amount with at most 2 decimal places"),
        ("amount", "NaN", "not an amount"),
        ("amount", True, "not an amount"),
        ("amount", "1e20", "not an amount"),
        ("amount", None, "column 'amount' is empty"),
        ("payment_mode", "  ", "column 'payment_mode' is empty"),
        ("payment_mode", "a\0b", "not text that the database can hold"),
        ("sold_at", "yesterday", "column 'sold_at' is 'yesterday', not an instant"),
        ("sold_at", "2026-01-08T00:00:00+05:30", "is on 2026-01-08 in Asia/Kolkata, which was not asked for"),
        ("sold_at", "2026-01-05T23:59:00+05:30", "which was not asked for"),
        ("store_code", "S002", "column 'store_code' is 'S002', of another store"),
    ],
)
def test_a_wrong_cell_is_named(column: str, value: Any, told: str) -> None:
    wrong = changed(column, value)
    wrong[1] = "N2"
    with pytest.raises(BadReportError, match=told) as caught:
        check(GOOD, wrong)
    assert "row 2" in str(caught.value)
    assert "store S001, report sales, 2026-01-06 to 2026-01-07" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)  # noqa: S301 - our own


def test_missing_columns_and_short_rows_are_named() -> None:
    with pytest.raises(BadReportError, match="no column 'payment_mode', 'amount'"):
        check(GOOD[:4], columns=COLUMNS[:4])
    with pytest.raises(BadReportError, match="row 1 has 6 cells where the report has 7 columns"):
        check(GOOD[:6])


def test_rows_of_a_later_page_have_their_numbers_in_the_report() -> None:
    page: dict[str, Any] = {"store_code": "S001", "from_date": date(2026, 1, 6), "to_date": date(2026, 1, 6)}
    with pytest.raises(BadReportError, match="row 1002, column 'amount'"):
        check_report(
            TD_SALES,
            COLUMNS,
            [GOOD, changed("amount", "x")],
            **page,
            timezone="Asia/Kolkata",
            first_number=1001,
        )


def test_optional_cells_may_be_empty_and_whole_numbers_are_whole() -> None:
    def gst(gstin: Any) -> list[Any]:
        return ["I1", "O1", "2026-01-06T10:00:00", gstin, "100", "9", "9", "118"]

    def rows(cells: list[Any]) -> list[tuple[Any, ...]]:
        return check_report(
            UC_GST,
            [column.name for column in UC_GST.columns],
            [cells],
            store_code="S001",
            from_date=date(2026, 1, 6),
            to_date=date(2026, 1, 6),
            timezone="Asia/Kolkata",
        )

    assert rows(gst(""))[0][4] is None
    assert rows(gst("29ABC"))[0][4] == "29ABC"


def test_gst_is_order_data_and_orders_come_before_sales() -> None:
    assert [schema.pulled_at for schema in REPORTS[TD]] == ["orders_pulled_at", "sales_pulled_at"]
    assert [schema.pulled_at for schema in REPORTS[UC]] == ["orders_pulled_at"]

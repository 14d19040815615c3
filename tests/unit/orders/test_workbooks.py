"""Workbooks of several writers: every cell exactly as the file says it, or refused; never another order's number."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from xml.sax.saxutils import escape

import openpyxl
import pyexcelerate
import pytest
import xlsxwriter
from hypothesis import given
from hypothesis import strategies as st

from include.orders_sync.adapters.report_formats import parse_page
from include.orders_sync.adapters.workbook_numbers import exact_number
from include.orders_sync.core.cells import DoubtfulNumber
from include.orders_sync.core.reports import UC_GST, BadReportError, check_report

Rows = Sequence[Sequence[Any]]
Writer = Callable[[Rows], bytes]
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


def by_openpyxl(rows: Rows) -> bytes:
    """Whole numbers in full, floats as Python shows them."""
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in rows:
        book.worksheets[0].append(list(row))
    book.save(out)
    return out.getvalue()


def by_xlsxwriter(rows: Rows) -> bytes:
    """As C's %.16G."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"default_date_format": "yyyy-mm-dd hh:mm:ss"})
    sheet = book.add_worksheet()
    for number, row in enumerate(rows):
        sheet.write_row(number, 0, row)
    book.close()
    return out.getvalue()


def by_pyexcelerate(rows: Rows) -> bytes:
    """As C's %.15g, texts in their cells."""
    book, out = pyexcelerate.Workbook(), io.BytesIO()
    book.new_sheet("orders", data=[list(row) for row in rows])
    book._save(out)
    return out.getvalue()


def by_hand(
    rows: Rows,
    *,
    prefix: str = "x:",
    styles: str | None = "<fills><fill/></fills>",
    book: str = "",
    number: Callable[[Any], str] = str,
    cells: Callable[[str], str] = str,
) -> bytes:
    """As programs write it that build the XML themselves: a prefix for every name, no places, an empty fill."""

    def cell(value: Any) -> str:
        if value is None:
            return f"<{prefix}c/>"
        if isinstance(value, str):
            return (
                f'<{prefix}c t="inlineStr"><{prefix}is><{prefix}t>{escape(value)}</{prefix}t></{prefix}is></{prefix}c>'
            )
        return f"<{prefix}c><{prefix}v>{number(value)}</{prefix}v></{prefix}c>"

    name = prefix.rstrip(":")
    declared = f'xmlns{":" + name if name else ""}="{_MAIN}"'
    lines = "".join(f"<{prefix}row>{''.join(map(cell, row))}</{prefix}row>" for row in rows)
    relations = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    related = [("rId1", "worksheet", "/xl/worksheets/sheet.xml")] + ([("rId2", "styles", "st.xml")] if styles else [])
    entries = "".join(f'<Relationship Id="{i}" Type="{relations}/{kind}" Target="{t}"/>' for i, kind, t in related)
    package = "http://schemas.openxmlformats.org/package/2006/relationships"
    parts = {
        "[Content_Types].xml": '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{package}"><Relationship Id="r" Type="{relations}/officeDocument"'
        ' Target="xl/book.xml"/></Relationships>',
        "xl/book.xml": f'<{prefix}workbook {declared} xmlns:r="{relations}">{book}<{prefix}sheets>'
        f'<{prefix}sheet name="s" sheetId="1" r:id="rId1"/></{prefix}sheets></{prefix}workbook>',
        "xl/_rels/book.xml.rels": f'<Relationships xmlns="{package}">{entries}</Relationships>',
        "xl/worksheets/sheet.xml": f"<{prefix}worksheet {declared}><{prefix}sheetData>{cells(lines)}"
        f"</{prefix}sheetData></{prefix}worksheet>",
        **({"xl/st.xml": f'<styleSheet xmlns="{_MAIN}">{styles}</styleSheet>'} if styles else {}),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for part, content in parts.items():
            archive.writestr(part, content)
    return out.getvalue()


def by_java(rows: Rows) -> bytes:
    """Every number as Java's Double.toString, as Apache POI writes it."""

    def number(value: Any) -> str:
        text = repr(float(value))
        if abs(float(value)) < 1e7:
            return text
        digits, exponent = f"{float(value):.17g}", len(str(abs(int(value)))) - 1
        shortest = next(f"{float(value):.{n}g}" for n in range(1, 18) if float(f"{float(value):.{n}g}") == float(value))
        mantissa = shortest.partition("e")[0].replace(".", "").rstrip("0") or digits
        return f"{mantissa[0]}.{mantissa[1:] or '0'}E{exponent}"

    return by_hand(rows, number=number, prefix="")


WRITERS: dict[str, Writer] = {
    "openpyxl": by_openpyxl,
    "xlsxwriter": by_xlsxwriter,
    "pyexcelerate": by_pyexcelerate,
    "java": by_java,
    "hand": by_hand,
}
every_writer = pytest.mark.parametrize("writer", WRITERS.values(), ids=WRITERS)


def read(body: bytes) -> list[list[Any]]:
    return parse_page(body, "xlsx", where="here").rows


GST = [column.name for column in UC_GST.columns]
AT = "2026-03-05T10:00:00+05:30"


def keys(body: bytes) -> list[str]:
    """The invoice numbers that would be written, after every check of a report."""
    raw = parse_page(body, "xlsx", where="here")
    day = date(2026, 3, 5)
    rows = check_report(
        UC_GST, raw.columns, raw.rows, store_code="S1", from_date=day, to_date=day, timezone="Asia/Kolkata"
    )
    return [row[1] for row in rows]


def gst(*invoices: Any) -> Rows:
    return [GST, *([invoice, "O1", AT, None, 100, 9, 9, 118] for invoice in invoices)]


class TestKeys:
    @every_writer
    def test_two_long_numbers_are_two_orders_or_none(self, writer: Writer) -> None:
        body = writer(gst(2026030500000011, 2026030500000012))
        if writer is by_pyexcelerate:  # which keeps 15 digits: both are the same number in the file
            with pytest.raises(BadReportError, match=r"row 1, column 'invoice_number' is .*15 of 16 digits") as caught:
                keys(body)
            assert "as text" in caught.value.remedy
        else:
            assert keys(body) == ["2026030500000011", "2026030500000012"]

    @every_writer
    def test_a_text_is_itself_whatever_it_looks_like(self, writer: Writer) -> None:
        texts = ["0012345", "20260305000000000011", "007.50", "1_2", "TRUE", "O-3-5", "#N/A-1", "٣", "a & <b>"]
        assert keys(writer(gst(*texts))) == texts

    @every_writer
    @given(numbers=st.lists(st.integers(0, 10**18), min_size=1, max_size=5))
    def test_a_number_is_exact_or_refused(self, writer: Writer, numbers: list[int]) -> None:
        body = writer(gst(*numbers))
        try:
            found = keys(body)
        except BadReportError as error:
            assert "digits" in str(error)
            assert max(numbers) > 10**14
        else:
            assert found == [str(number) for number in numbers]

    @pytest.mark.parametrize(
        ("stored", "key"),
        [
            ("2.026030500000011E15", "2026030500000011"), ("2026030500000011", "2026030500000011"),
            ("2026030500000011.0", "2026030500000011"), ("20260305000000111", "20260305000000111"),
            ("00000123", "00000123"), ("42", "42"), ("4.2E1", "42"), ("42.0", "42"), ("0", "0"), ("-7", "-7"),
        ],
    )  # fmt: skip
    def test_what_the_file_says(self, stored: str, key: str) -> None:
        assert keys(by_hand(gst(1), number=lambda value: stored if value == 1 else str(value))) == [key]

    @pytest.mark.parametrize(
        ("stored", "why"),
        [
            ("2.02603050000001E+15", "15 of 16 digits"), ("2.02603050000001e+15", "15 of 16 digits"),
            ("2.026030500000011E+16", "16 of 17 digits"), ("2.02603E+15", "6 of 16 digits"),
            ("2.0260305000000112E16", "more digits than"), ("20260305000000112", "more digits than"),
            ("1E+21", "1 of 22 digits"), ("12.5", "with decimals"), ("0.1", "with decimals"),
        ],
    )  # fmt: skip
    def test_what_may_have_lost_a_digit(self, stored: str, why: str) -> None:
        body = by_hand(gst(1), number=lambda value: stored if value == 1 else str(value))
        with pytest.raises(BadReportError, match=why):
            keys(body)

    def test_a_number_that_its_format_shows_otherwise(self) -> None:
        def formatted(code: str) -> bytes:
            out = io.BytesIO()
            book = xlsxwriter.Workbook(out)
            sheet = book.add_worksheet()
            for number, row in enumerate(gst(123)):
                sheet.write_row(number, 0, row)
            sheet.write_number(1, 0, 123, book.add_format({"num_format": code}))
            book.close()
            return out.getvalue()

        assert keys(formatted("00000000")) == ["00000123"]
        for code in ("0", "#,##0", "@", "General", "0.00"):
            assert keys(formatted(code)) == ["123"]
        for code in ('"ORD-"0000', "000-000", "0%", "0.00E+00"):
            with pytest.raises(BadReportError, match="shown by its format"):
                keys(formatted(code))
        with pytest.raises(BadReportError, match="make dates of texts"):
            keys(formatted("dd-mmm"))

    def test_yes_and_no_are_no_keys(self) -> None:
        with pytest.raises(BadReportError, match="a yes or no, not text"):
            keys(by_openpyxl(gst(True)))


class TestValues:
    @every_writer
    def test_amounts_whole_numbers_and_nothing(self, writer: Writer) -> None:
        rows = read(writer([["a", "b", "c", "d"], ["x", 1234.1, 0, None], ["y", -0.5, 999999999999.99, 7]]))
        assert rows == [["x", Decimal("1234.1"), 0, None], ["y", Decimal("-0.5"), Decimal("999999999999.99"), 7]]
        assert not any(isinstance(cell, float) for row in rows for cell in row)

    @pytest.mark.parametrize("writer", [by_openpyxl, by_xlsxwriter])
    def test_dates_to_the_second(self, writer: Writer) -> None:
        ats = [datetime(2026, 3, 1, 23, 59, 30), datetime(1900, 3, 1), datetime(2026, 12, 31, 0, 0, 1)]  # noqa: DTZ001
        assert read(writer([["at"], *([at] for at in ats)])) == [[at] for at in ats]

    @pytest.mark.parametrize(
        ("serial", "is_1904", "at"),
        [
            ("59", False, datetime(1900, 2, 28)),  # noqa: DTZ001
            ("61", False, datetime(1900, 3, 1)),  # noqa: DTZ001
            ("46082.99965277778", False, datetime(2026, 3, 1, 23, 59, 30)),  # noqa: DTZ001
            ("44620.99965277778", True, datetime(2026, 3, 1, 23, 59, 30)),  # noqa: DTZ001
        ],
    )
    def test_days_count_from_1900_or_1904(self, serial: str, is_1904: bool, at: datetime) -> None:
        styles = '<cellXfs><xf numFmtId="0"/><xf numFmtId="22"/></cellXfs>'
        book = f'<x:workbookPr date1904="{int(is_1904)}"/>'
        body = by_hand([["at"], [1]], styles=styles, book=book, number=lambda _: serial, cells=with_style)
        assert read(body) == [[at]]

    def test_a_number_without_a_date_format_is_no_instant(self) -> None:
        for stored in (20260305, 46082.5):
            with pytest.raises(BadReportError, match="not an instant"):
                keys(by_openpyxl([GST, ["I1", "O1", stored, None, 100, 9, 9, 118]]))

    def test_rich_texts_and_what_xml_can_not_hold(self) -> None:
        out = io.BytesIO()
        book = xlsxwriter.Workbook(out)
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["a", "b", "c"])
        sheet.write_rich_string(1, 0, "to", book.add_format({"bold": True}), "gether")
        sheet.write_string(1, 1, "_x000D_ a\x01b")
        sheet.write_formula(1, 2, '="0012345"', None, "0012345")
        book.close()
        assert read(out.getvalue()) == [["together", "_x000D_ a\x01b", "0012345"]]

    def test_a_formula_without_its_value_is_refused_not_empty(self) -> None:
        with pytest.raises(BadReportError, match="row 1 has a formula whose value is not in the file"):
            read(by_openpyxl([["a", "b"], ["x", "=SUM(A1:A9)"]]))

    def test_spoken_forms_are_no_text(self) -> None:
        body = by_hand(
            [["a"], ["東京"]], cells=lambda xml: xml.replace("</x:is>", "<x:rPh><x:t>トウ</x:t></x:rPh></x:is>")
        )
        assert read(body) == [["東京"]]

    @pytest.mark.parametrize("styles", [None, "<fills><fill/></fills>", "<fonts/><cellXfs/>", "<dxfs><dxf/></dxfs>"])
    def test_styles_may_be_as_they_like(self, styles: str | None) -> None:
        assert read(by_hand([["a", "b"], ["x", 1]], styles=styles)) == [["x", 1]]

    def test_places_out_of_order_are_refused(self) -> None:
        body = by_hand([["a"], ["x"]], cells=lambda xml: xml.replace("<x:c ", '<x:c r="B1" ', 1))
        assert parse_page(body, "xlsx", where="here").columns == ["", "a"]
        body = by_hand([["a", "b"], ["x", "y"]], cells=lambda xml: xml.replace("<x:c ", '<x:c r="A1" '))
        with pytest.raises(BadReportError, match="not in order") as caught:
            read(body)
        assert "log-in" not in str(caught.value)


def with_style(xml: str) -> str:
    return xml.replace("<x:c><x:v>", '<x:c s="1"><x:v>')


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=2, allow_nan=False))
def test_an_amount_survives_the_float_that_a_writer_made_of_it(amount: Decimal) -> None:
    for text in (repr(float(amount)), f"{float(amount):.17g}", f"{float(amount):.16G}", f"{float(amount):.15g}"):
        found = exact_number(text)
        assert found is not None
        assert Decimal(found) == amount


def test_a_doubtful_number_is_a_number() -> None:
    assert DoubtfulNumber("1.50", "why") + 1 == Decimal("2.50")

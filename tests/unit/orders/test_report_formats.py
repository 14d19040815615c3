"""JSON, CSV and XLSX as other programs write them: exact cells, and a clear refusal of what is no report."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pandas
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openpyxl import Workbook

from include.orders_sync.adapters import report_formats
from include.orders_sync.adapters.report_formats import OversizedReportError, PageContent, parse_page
from include.orders_sync.core.reports import BadReportError
from local_stack.crm.rendering import FORMATS, render

HEADER = ["key", "amount"]


def parse(body: bytes | str, report_format: str) -> PageContent:
    return parse_page(body.encode() if isinstance(body, str) else body, report_format, where="here")


def workbook(*rows: list[Any], change: Callable[[Any], None] = lambda _sheet: None) -> bytes:
    """As openpyxl writes it, which is much as Excel does."""
    book = Workbook()
    for row in rows:
        book.worksheets[0].append(row)
    change(book.worksheets[0])
    out = io.BytesIO()
    book.save(out)
    return out.getvalue()


def replaced(body: bytes, part: str, change: Callable[[str], str]) -> bytes:
    """A workbook with one part changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as before, zipfile.ZipFile(out, "w") as after:
        for name in before.namelist():
            content = before.read(name)
            after.writestr(name, change(content.decode()) if name == part else content)
    return out.getvalue()


def sheet_part(body: bytes, change: Callable[[str], str]) -> bytes:
    return replaced(body, "xl/worksheets/sheet1.xml", change)


TEXTS = (
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1)
    .map(str.strip)
    .filter(lambda text: text != "" and not text.startswith('="'))  # which has its own tests
)
AMOUNTS = st.integers(-(10**13), 10**13).map(lambda paise: Decimal(paise).scaleb(-2))


@given(rows=st.lists(st.tuples(TEXTS, AMOUNTS), max_size=20), report_format=st.sampled_from(FORMATS))
def test_what_the_simulator_writes_is_read_exactly(rows: list[tuple[str, Decimal]], report_format: str) -> None:
    got = parse(render(HEADER, rows, report_format), report_format)
    assert got.columns == HEADER
    assert [(key, Decimal(str(amount))) for key, amount in got.rows] == rows


def test_a_text_that_looks_like_excels_errors_is_one_in_other_formats() -> None:
    assert parse('{"columns": ["a"], "rows": [["#N/A"]]}', "json").rows == [["#N/A"]]
    assert parse("a\n#N/A\n", "csv").rows == [["#N/A"]]


class TestJson:
    def test_numbers_stay_exact(self) -> None:
        body = '{"columns": ["a"], "rows": [[0.10], [12345678901234567890.12], [9007199254740993], [null], ["1.0"]]}'
        cells = [row[0] for row in parse(body, "json").rows]
        assert [str(cell) for cell in cells] == ["0.10", "12345678901234567890.12", "9007199254740993", "None", "1.0"]
        assert not any(isinstance(cell, float) for cell in cells)

    def test_a_byte_order_mark_is_no_problem(self) -> None:
        assert parse(b"\xef\xbb\xbf" + b'{"columns": ["a"], "rows": []}', "json") == PageContent(["a"], [])

    @pytest.mark.parametrize(
        "body",
        [
            "", "null", "[]", "{}", '"text"', '{"columns": ["a"]}', '{"rows": []}', '{"columns": "a", "rows": []}',
            '{"columns": ["a"], "rows": {}}', '{"columns": ["a"], "rows": ["x"]}', '{"columns": [1], "rows": []}',
            '{"columns": ["a"], "rows": [[[]]]}', '{"columns": ["a"], "rows": [[{}]]}', '{"columns": [], "rows": []}',
            '{"columns": ["a"], "rows": [[NaN]]}', '{"columns": ["a"], "rows": [[-Infinity]]}',
            '{"columns": ["a"], "rows": [["x"]', '{"columns": ["a"], "rows": [[1, 2]]}', "[" * 100_000,
            '{"columns": ["a"], "rows": [[1e99999999999999999999]]}', '{"columns": ["a", "a"], "rows": []}',
            '{"columns": ["a"], "rows": [[' + "9" * 5_000 + "]]}", "<html></html>",
        ],
    )  # fmt: skip
    def test_anything_else_is_refused(self, body: str) -> None:
        with pytest.raises(BadReportError, match="no JSON report") as caught:
            parse(body, "json")
        assert caught.value.where == "here"
        assert len(str(caught.value)) < 500

    def test_a_wrong_encoding_is_refused(self) -> None:
        with pytest.raises(BadReportError, match="no UTF-8 at byte 15"):
            parse(b'{"columns": ["a\xff"], "rows": []}', "json")


class TestCsv:
    def test_quotes_newlines_blank_lines_and_a_byte_order_mark(self) -> None:
        body = '\ufeffkey, amount\r\n"a, ""b""\r\nc",1.10\r\n\r\n" d ",\r\n'
        assert parse(body, "csv") == PageContent(HEADER, [['a, "b"\r\nc', "1.10"], [" d ", ""]])

    def test_a_long_cell_is_one_up_to_our_own_limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """The standard library's own limit is 131,072."""
        body = "key,amount\n" + "x" * 200_000 + ",1\n"
        assert len(parse(body, "csv").rows[0][0]) == 200_000
        monkeypatch.setattr(report_formats, "LONGEST_CELL", 199_999)
        with pytest.raises(BadReportError, match="a cell of 200,000 characters, and our limit is 199,999") as caught:
            parse(body, "csv")
        assert "log-in" not in str(caught.value)

    @pytest.mark.parametrize(
        ("written", "meant"),
        [
            ('="0012345"', "0012345"), ('"=""0012345"""', "0012345"), ('"=""a,""""b"""', 'a,"b'), ('=""', ""),
            ("0012345", "0012345"), ("=1+1", "=1+1"), ("'0012345", "'0012345"),
        ],
    )  # fmt: skip
    def test_a_text_that_is_written_as_a_formula_is_the_text(self, written: str, meant: str) -> None:
        assert parse(f"key,amount\n{written},1\n", "csv").rows == [[meant, "1"]]

    def test_three_writers_give_the_same_cells(self) -> None:
        """The standard library's, pandas', and a spreadsheet program's that quotes everything."""
        rows = [["0012345", "1.10", "a, b"], ["2026030500000011", "-3", 'say "x"\nand go']]
        columns = ["key", "amount", "note"]
        plain, quoted = io.StringIO(newline=""), io.StringIO(newline="")
        csv.writer(plain).writerows([columns, *rows])
        csv.writer(quoted, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows([columns, *rows])
        frames = pandas.DataFrame(rows, columns=columns).to_csv(index=False)
        for body in (plain.getvalue(), "\ufeff" + quoted.getvalue(), frames):
            assert parse(body, "csv") == PageContent(columns, rows)

    def test_the_last_line_may_have_no_end(self) -> None:
        assert parse("key,amount\na,1", "csv").rows == [["a", "1"]]

    @pytest.mark.parametrize(
        "body",
        [
            "", "\n\n", "key,amount\na\n", "key,amount\na,1,2\n", 'key,amount\n"a,1\n', 'key,amount\n"a"b,1\n',
            "a,a\n1,2\n", "<!DOCTYPE html>\n<html>Back soon</html>\n", "<?xml version='1.0'?>\n",
            "key,amount\n" + "x" * (report_formats.LONGEST_CELL + 1) + ",1\n",
        ],
    )  # fmt: skip
    def test_anything_else_is_refused(self, body: str) -> None:
        with pytest.raises(BadReportError, match="no CSV report"):
            parse(body, "csv")

    @pytest.mark.parametrize("cut", [18, 20, 28, 31])
    def test_a_body_that_was_cut_in_a_line_is_refused(self, cut: int) -> None:
        body = b"key,amount,name\na,1.10,x\nb,2.20,y\n"
        with pytest.raises(BadReportError, match="cells, and there are 3 columns"):
            parse(body[:cut], "csv")

    def test_a_cell_in_another_encoding_is_refused(self) -> None:
        with pytest.raises(BadReportError, match="UTF-8"):
            parse("key,amount\né,1\n".encode("latin-1"), "csv")


class TestXlsx:
    def test_cells_of_every_kind(self) -> None:
        at = datetime(2026, 3, 1, 23, 59, 30)  # noqa: DTZ001 - a workbook knows no zones
        body = workbook(
            ["key", "number", "amount", "text", "at", "on", "yes"],
            ["a", 7, 1234.1, "007", at, date(2026, 3, 1), True],
            ["b", None, 0, " x ", None, None, None],
        )
        got = parse(body, "xlsx")
        assert got.rows[0] == ["a", 7, Decimal("1234.1"), "007", at, datetime(2026, 3, 1), True]  # noqa: DTZ001
        assert got.rows[1] == ["b", None, 0, " x ", None, None, None]
        assert not any(isinstance(cell, float) for row in got.rows for cell in row)

    @pytest.mark.parametrize(
        ("stored", "meant"),
        [("1.1000000000000001", "1.1"), ("1110.6899999999998", "1110.69"), ("999999999999.99", "999999999999.99")],
    )
    def test_the_noise_of_excels_numbers_is_gone(self, stored: str, meant: str) -> None:
        body = sheet_part(workbook(HEADER, ["a", 42]), lambda text: text.replace("<v>42</v>", f"<v>{stored}</v>"))
        assert parse(body, "xlsx").rows == [["a", Decimal(meant)]]

    def test_a_formula_gives_its_value(self) -> None:
        body = sheet_part(
            workbook(HEADER, ["a", 42]), lambda text: text.replace("<v>42</v>", "<f>SUM(A1:A9)</f><v>12.50</v>")
        )
        assert parse(body, "xlsx").rows == [["a", Decimal("12.5")]]

    def test_the_declared_size_of_a_sheet_is_not_believed(self) -> None:
        body = workbook(HEADER, ["a", 1], ["b", 2])
        assert "A1:B3" in zipfile.ZipFile(io.BytesIO(body)).read("xl/worksheets/sheet1.xml").decode()
        assert len(parse(sheet_part(body, lambda text: text.replace("A1:B3", "A1")), "xlsx").rows) == 2

    def test_empty_cells_and_rows_at_the_ends_are_nothing(self) -> None:
        def touch(sheet: Any) -> None:
            sheet["F9"].number_format = "0.00"
            sheet["D1"].number_format = "0.00"

        got = parse(workbook(HEADER, ["a", None], ["b", 2], change=touch), "xlsx")
        assert got == PageContent(HEADER, [["a", None], ["b", 2]])

    def test_only_the_first_sheet_counts(self) -> None:
        def add(sheet: Any) -> None:
            sheet.parent.create_sheet("Notes").append(["something else"])

        assert parse(workbook(HEADER, ["a", 1], change=add), "xlsx").rows == [["a", 1]]

    @pytest.mark.parametrize("value", ["#N/A", "#REF!", "#DIV/0!"])
    def test_a_formula_that_failed_is_refused(self, value: str) -> None:
        with pytest.raises(BadReportError, match="row 2 has the value of a formula that failed"):
            parse(workbook(HEADER, ["a", 1], ["b", value]), "xlsx")

    @pytest.mark.parametrize(
        "part", ["[Content_Types].xml", "xl/workbook.xml", "xl/worksheets/sheet1.xml", "xl/styles.xml"]
    )
    def test_a_damaged_part_is_refused(self, part: str) -> None:
        with pytest.raises(BadReportError, match="no XLSX report"):
            parse(replaced(workbook(HEADER, ["a", 1]), part, lambda text: text[: len(text) // 2]), "xlsx")

    def test_entities_do_not_grow(self) -> None:
        levels = "".join(f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 12))
        doctype = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e0 "ha">{levels}]>'
        bomb = sheet_part(
            workbook(HEADER, ["a", 42]),
            lambda text: doctype + text[text.index("<worksheet") :].replace("<v>42</v>", "<v>&e11;</v>"),
        )
        with pytest.raises(BadReportError):
            parse(bomb, "xlsx")

    @pytest.mark.parametrize(
        "body", [b"", b"PK", b"<html></html>", b"PK\x03\x04" + b"\0" * 100, workbook([]), workbook()]
    )
    def test_anything_else_is_refused(self, body: bytes) -> None:
        with pytest.raises(BadReportError):
            parse(body, "xlsx")

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
    def test_a_body_that_was_cut_is_refused(self, share: float) -> None:
        body = workbook(HEADER, *(["a", number] for number in range(100)))
        with pytest.raises(BadReportError, match="no XLSX report"):
            parse(body[: int(len(body) * share)], "xlsx")

    def test_a_changed_byte_is_found(self) -> None:
        body = bytearray(workbook(HEADER, *(["a", number] for number in range(2_000))))
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            entry = archive.getinfo("xl/worksheets/sheet1.xml")
        body[entry.header_offset + 200 + entry.compress_size // 2] ^= 0x55
        with pytest.raises(BadReportError, match=r"can't be read|is damaged"):
            parse(bytes(body), "xlsx")

    def test_what_would_unpack_to_gigabytes_is_not_unpacked(self, monkeypatch: pytest.MonkeyPatch) -> None:
        body = sheet_part(workbook(HEADER), lambda text: text + " " * 3_000_000)
        monkeypatch.setattr(report_formats, "LARGEST_UNPACKED", 3_000_000)
        with pytest.raises(OversizedReportError, match="unpacks to 3,0") as caught:
            parse(body, "xlsx")
        assert caught.value.where == "here"

    def test_a_directory_that_lies_about_sizes_does_not_help(self) -> None:
        body = bytearray(sheet_part(workbook(HEADER, ["a", 1]), lambda text: text + " " * 100_000))
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            size = archive.getinfo("xl/worksheets/sheet1.xml").file_size.to_bytes(4, "little")
        with pytest.raises(BadReportError, match="can't be read"):
            parse(bytes(body).replace(size, (100).to_bytes(4, "little")), "xlsx")

    def test_a_row_number_beyond_a_worksheets_end_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(report_formats, "MAX_ROWS", 1_000)
        body = sheet_part(
            workbook(HEADER, ["a", 1]), lambda text: text.replace('r="2"', 'r="99999999999"').replace('r="A2"', "")
        )
        with pytest.raises(OversizedReportError, match="1,000 rows"):
            parse(body, "xlsx")


def test_a_refusal_quotes_nothing_of_a_customer() -> None:
    for report_format, body in (
        ("json", '{"columns": ["a"], "rows": [["Asha Rao", 29]]}'),
        ("csv", "a\nAsha Rao,29\n"),
    ):
        with pytest.raises(BadReportError) as caught:
            parse(body, report_format)
        assert "Asha" not in f"{caught.value} {caught.value.__cause__}"

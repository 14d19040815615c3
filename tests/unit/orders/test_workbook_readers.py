"""The quick reader of workbooks and the one that understands all of XML give the same cells, or the same refusal."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from include.orders_sync.adapters import workbook_rows, workbook_strings
from include.orders_sync.adapters.report_formats import parse_page
from include.orders_sync.adapters.workbook_errors import WorkbookError
from include.orders_sync.adapters.workbooks import first_worksheet
from include.orders_sync.core.reports import BadReportError
from local_stack.crm.rendering import render
from tests.unit.orders.test_workbooks import by_hand, by_openpyxl, by_pyexcelerate, by_xlsxwriter

STYLES = (
    '<numFmts><numFmt numFmtId="164" formatCode="00000000"/><numFmt numFmtId="165" formatCode="0%"/></numFmts>'
    '<cellXfs><xf numFmtId="0"/><xf numFmtId="22"/><xf numFmtId="164"/><xf numFmtId="165"/></cellXfs>'
)
HEADER = '<row r="1"><c r="A1" t="str"><v>a</v></c></row>'
READ_IN_FULL = "<!-- no program writes this -->"

ROWS = {
    "numbers": "<row><c><v>7</v></c><c><v>007</v></c><c><v> 1.50 </v></c><c><v>2.026E15</v></c><c><v>-0</v></c></row>",
    "long numbers": "<row><c><v>2026030500000011</v></c><c><v>20260305000000112</v></c><c><v>1E+21</v></c></row>",
    "formats": (
        '<row><c s="1"><v>46082.5</v></c><c s="2"><v>123</v></c><c s="3"><v>0.5</v></c><c s="9"><v>1</v></c></row>'
    ),
    "kinds": '<row><c t="b"><v>1</v></c><c t="b"><v>0</v></c><c t="d"><v>2026-03-05T10:00:00</v></c></row>',
    "no number": "<row><c><v>abc</v></c></row>",
    "no date": '<row><c t="d"><v>yesterday</v></c></row>',
    "error": '<row><c t="e"><v>#N/A</v></c></row>',
    "no kind that there is": '<row><c t="zz"><v>5</v></c></row>',
    "shared": '<row><c t="s"><v>0</v></c><c t="s"><v>1</v></c><c t="s"><v>2</v></c></row>',
    "shared, not there": '<row><c t="s"><v>99</v></c></row>',
    "shared, with a text of its own": '<row><c t="s"><is><t>0</t></is></c><c><v>1</v></c></row>',
    "shared, of a formula": '<row><c t="s"><f>A1</f><v>0</v></c><c t="s"><f>A1</f></c></row>',
    "shared, no number": '<row><c t="s"><v>\u00b2</v></c></row>',
    "shared, an absurd number": f'<row><c t="s"><v>{"9" * 5_000}</v></c></row>',
    "shared, nothing": '<row><c t="s"/><c t="s"><v></v></c><c><v>1</v></c></row>',
    "inline": (
        '<row><c t="inlineStr"><is><t xml:space="preserve"> a &amp; &lt;b&gt; &#x41;&#66;&quot; </t></is></c></row>'
    ),
    "inline, empty": (
        '<row><c t="inlineStr"><is><t></t></is></c><c t="inlineStr"/><c t="inlineStr"><is/></c><c><v>1</v></c></row>'
    ),
    "inline, rich": '<row><c t="inlineStr"><is><r><rPr><b/></rPr><t>to</t></r><r><t>gether</t></r></is></c></row>',
    "inline, spoken": '<row><c t="inlineStr"><is><t>東京</t><rPh sb="0" eb="2"><t>トウ</t></rPh></is></c></row>',
    "inline with a value": '<row><c t="inlineStr"><v>5</v></c><c t="str"><is><t>x</t></is></c><c><v>1</v></c></row>',
    "a text of many lines": '<row><c t="str"><v>a\r\nb\rc&#13;d&#10;e\tf</v></c></row>',
    "escaped": '<row><c t="str"><v>_x000D__x005F_x0041_ _x12</v></c></row>',
    "CDATA": '<row><c t="str"><v><![CDATA[a </v></c></row> b]]></v></c></row>',
    "comment in a text": '<row><c t="str"><v>a<!-- </row> -->b</v></c></row>',
    "a greater-than sign": '<row><c t="str"><v>a > b</v></c><c><f>A1>B1</f><v>1</v></c></row>',
    "formula": (
        '<row><c><f>SUM(A1:A9)</f><v>12.5</v></c><c t="str"><f t="shared" ref="A1:A2" si="0">T(1)</f><v>x</v></c></row>'
    ),
    "formula, empty text": '<row><c t="str"><f>T("")</f><v></v></c><c t="str"><f/><v/></c><c><v>1</v></c></row>',
    "formula, no value": "<row><c><f>SUM(A1:A9)</f></c></row>",
    "formula, no value, closed": '<row><c t="str"><f si="0"/></c></row>',
    "places": '<row r="2"><c r="B2"><v>1</v></c><c><v>2</v></c><c r="AA2"><v>3</v></c></row>',
    "places that differ from the row": '<row r="2"><c r="A9"><v>1</v></c></row>',
    "places, back": '<row r="2"><c r="B2"><v>1</v></c><c r="A2"><v>2</v></c></row>',
    "places, none": '<row r="2"><c r="ZZZZ2"><v>1</v></c></row>',
    "places, lower case": '<row r="2"><c r="b2"><v>1</v></c></row>',
    "rows left out": '<row r="4"><c><v>1</v></c></row><row><c><v>2</v></c></row><row r="9"><c/></row>',
    "rows back": '<row r="4"><c><v>1</v></c></row><row r="3"><c><v>1</v></c></row>',
    "row without a number": '<row r="x"><c><v>1</v></c></row>',
    "row beyond the end": '<row r="1048577"><c><v>1</v></c></row>',
    "rows closed at once": (
        '<row r="2"/><row r="3"><c r="A3"/></row><row r="4" spans="1:3" ht="15"><c><v>1</v></c></row>'
    ),
    "empty cells at the end": "<row><c><v>1</v></c><c/><c><v></v></c></row>",
    "attributes in another order": '<row spans="1:2" r="2"><c t="str" r="B2" s="2"><v>x</v></c></row>',
    "single quotes": "<row r='2'><c r='B2' t='str'><v>x</v></c></row>",
    "more attributes": '<row r="2" x:dy="0.2" xmlns:x="urn:x"><c r="A2" cm="1"><v>1</v></c></row>',
    "another namespace": '<row><c xmlns="urn:x"><v>5</v></c><c><v xmlns="urn:x">6</v></c><c><v>7</v></c></row>',
    "extensions": "<row><c><v>1</v><extLst><ext><v>9</v></ext></extLst></c></row>",
    "white space": '<row r="2">\n  <c r="A2" >\n <v>1</v>\n </c>\n</row>\n  <row>\n<c><v>2</v></c>\n</row>\n',
    "text between cells": "<row>text<c><v>1</v></c></row>",
    "nothing": "",
    "not closed": "<row><c><v>1</c></row>",
    "no entity that there is": "<row><c><v>&nbsp;</v></c></row>",
}
STRINGS = {
    "plain": "<si><t>x &amp; y</t></si><si><t xml:space='preserve'> z </t></si>\n<si><t/></si>",
    "one tag each": '<si><t>x &#233; _x0041_</t></si><si><t xml:space="preserve"> z\r\n </t></si><si><t></t></si>',
    "rich": "<si><r><t>to</t></r><r><rPr><b/></rPr><t>gether</t></r></si><si><t>y</t></si><si/>",
    "spoken": '<si><t>東京</t><rPh sb="0" eb="1"><t>トウ</t></rPh></si><si><t>y</t></si><si><t>z</t></si>',
    "CDATA": "<si><t><![CDATA[</si><si><t>]]></t></si><si><t>y</t></si><si><t>z</t></si>",
    "none": "",
}
WHOLE = {
    "a sheet of another namespace first": lambda xml: xml.replace(
        "<sheetData>", '<e:x xmlns:e="urn:e"><e:sheetData/></e:x><sheetData>'
    ),
    "two lists of rows": lambda xml: xml.replace("</sheetData>", f"</sheetData><sheetData>{HEADER}</sheetData>"),
    "what comes after": lambda xml: xml.replace("</sheetData>", '</sheetData><autoFilter ref="A1"/><!-- <c/> -->'),
    "an extension's default namespace": lambda xml: xml.replace(
        "<sheetData>", '<ext xmlns="urn:x"><sheetData><row/></sheetData></ext><sheetData>'
    ),
    "a comment that looks like rows": lambda xml: xml.replace("<sheetData>", "<!-- <sheetData> --><sheetData>"),
    "an instruction": lambda xml: xml.replace("<sheetData>", "<?x <sheetData> ?><sheetData>"),
    "a head": lambda xml: '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n' + xml,
    "a byte order mark": lambda xml: "\ufeff" + xml,
    "UTF-16": lambda xml: ('<?xml version="1.0" encoding="UTF-16"?>' + xml).encode("utf-16"),
    "Latin 1": lambda xml: ('<?xml version="1.0" encoding="iso-8859-1"?>' + xml).encode("latin-1"),
    "cut off": lambda xml: xml[:-20],
    "an entity of its own": lambda xml: '<!DOCTYPE x [<!ENTITY e "ha">]>' + xml,
}


def workbook(
    rows: str, strings: str = STRINGS["one tag each"], change: Callable[[str], str | bytes] = str, comment: str = ""
) -> bytes:
    """A workbook of these rows; with the comment, both readers that are quick give up."""
    body = by_hand([["x"]], prefix="", styles=STYLES)
    main = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
    relation = '<Relationship Id="rId9" Type="urn:x/sharedStrings" Target="strings.xml"/></Relationships>'
    sheet = f'<worksheet xmlns="{main}">{comment}<sheetData>{HEADER}{rows}</sheetData></worksheet>'
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as before, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            content: str | bytes = before.read(name).decode()
            if name.endswith("sheet.xml"):
                content = change(sheet)
            elif name.endswith("book.xml.rels"):
                content = str(content).replace("</Relationships>", relation)
            after.writestr(name, content)
        after.writestr("xl/strings.xml", f'<sst xmlns="{main}">{comment}{strings}</sst>')
    return out.getvalue()


def outcome(body: bytes) -> str:
    """The cells with their types, or the refusal."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            rows = list(first_worksheet(archive))
    except WorkbookError as error:
        return f"{type(error).__name__}: {error}"
    return repr([[(type(cell).__name__, cell, getattr(cell, "doubt", "")) for cell in row] for row in rows])


@pytest.mark.parametrize("rows", ROWS.values(), ids=ROWS)
def test_the_same_cells_or_the_same_refusal(rows: str) -> None:
    assert outcome(workbook(rows)) == outcome(workbook(rows, comment=READ_IN_FULL))


@pytest.mark.parametrize("rows", ["numbers", "formula, no value"])
def test_also_where_the_quick_one_gives_up_in_the_middle(rows: str) -> None:
    many = 5_000 * ROWS["numbers"]
    for odd in ("CDATA", "single quotes", "another namespace"):
        mixed = many + ROWS[odd].replace(' r="2"', "").replace(" r='2'", "") + ROWS[rows]
        assert outcome(workbook(mixed)) == outcome(workbook(mixed, comment=READ_IN_FULL))


def test_an_encoding_that_nobody_knows_is_refused() -> None:
    body = workbook("", change=lambda xml: '<?xml version="1.0" encoding="klingon"?>' + xml)
    with pytest.raises(BadReportError, match="the workbook can't be read"):
        parse_page(body, "xlsx", where="here")


@pytest.mark.parametrize("strings", STRINGS.values(), ids=STRINGS)
def test_the_same_shared_strings(strings: str) -> None:
    rows = ROWS["shared"]
    assert outcome(workbook(rows, strings)) == outcome(workbook(rows, strings, comment=READ_IN_FULL))


@pytest.mark.parametrize("change", WHOLE.values(), ids=WHOLE)
def test_the_same_however_the_worksheet_is_written(change: Callable[[str], str | bytes]) -> None:
    rows = ROWS["formats"] + ROWS["rows left out"].replace(' r="4"', "")
    assert outcome(workbook(rows, change=change)) == outcome(workbook(rows, change=change, comment=READ_IN_FULL))


@pytest.mark.parametrize(
    "write",
    [
        by_openpyxl,
        by_xlsxwriter,
        by_pyexcelerate,
        lambda rows: by_hand(rows, prefix=""),
        lambda rows: render(rows[0], rows[1:], "xlsx"),
    ],
    ids=["openpyxl", "xlsxwriter", "pyexcelerate", "hand", "CRM"],
)
def test_the_quick_one_reads_what_programs_write(
    write: Callable[[Any], bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("the other reader was needed")

    monkeypatch.setattr(workbook_rows, "parse", refuse)
    monkeypatch.setattr(workbook_strings, "parse", refuse)
    rows = [["key", "amount", "note"], ["0012345", 12, "a & <b>"], ["x", 7, "two\nlines"], ["y", None, " z "]]
    with zipfile.ZipFile(io.BytesIO(write(rows))) as archive:
        assert list(first_worksheet(archive)) == rows

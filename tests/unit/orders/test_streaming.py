"""A report's memory: counts of pages asked for, bytes unpacked and bytes allocated, never seconds."""

from __future__ import annotations

import gc
import io
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

import pytest
import xlsxwriter

from include.orders_sync.adapters.http_report_client import HttpReportClient
from include.orders_sync.adapters.workbook_errors import WorkbookError
from include.orders_sync.adapters.workbooks import first_worksheet
from include.orders_sync.ports import ReportPage
from local_stack.crm.rendering import render
from tests.unit.orders.scripted_crm import Answer, Script, make, page

PAGE = 2_000
"""Rows; what a request leaves to the garbage collector is little beside them."""
DATES: dict[str, Any] = {"store_code": "S1", "from_date": date(2026, 3, 1), "to_date": date(2026, 3, 2)}


def pages(client: HttpReportClient) -> Iterator[ReportPage]:
    return client.pages("gst", **DATES)


def peak_of(work: Callable[[], object]) -> int:
    """Bytes that were allocated at most at one moment."""
    work()  # what is imported and kept the first time
    gc.collect()
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


class TestPages:
    def test_are_handed_on_before_the_next_one_is_asked_for(self, client: HttpReportClient, script: Script) -> None:
        script.reports = [page(number, 5, 5, f"row {number}") for number in range(1, 6)]
        token = 1
        for taken, got in enumerate(pages(client), 1):
            assert got == ReportPage(taken, ["key"], [[f"row {taken}"]])
            assert len(script.asked) == token + taken
        assert len(script.asked) == token + 5

    def test_are_void_when_the_report_begins_again(self, client: HttpReportClient, script: Script) -> None:
        whole = [page(1, 2, 2, "a"), page(2, 2, 2, "b")]
        script.reports = [whole[0], page(2, 2, 3, "x"), *whole]
        found = [(got.first_number, got.rows) for got in pages(client)]
        assert found == [(1, [["a"]]), (1, [["a"]]), (2, [["b"]])]

    def test_the_last_one_comes_only_when_all_are_proven_whole(self, client: HttpReportClient, script: Script) -> None:
        script.reports = 3 * [page(1, 2, 3, "a"), page(2, 2, 3, "b")]
        found = []
        with pytest.raises(Exception, match="the pages have 2 rows together"):
            found.extend(got.rows for got in pages(client))
        assert found == 3 * [[["a"]]]

    def test_whoever_takes_no_more_ends_the_reading(self, client: HttpReportClient, script: Script) -> None:
        script.reports = [page(number, 9, 9, f"row {number}") for number in range(1, 10)]
        taking = pages(client)
        assert isinstance(taking, Iterator)
        next(taking)
        taking.close()  # type: ignore[attr-defined]
        assert not list(taking)
        assert len(script.asked) == 2  # a token and a page

    def test_memory_does_not_grow_with_the_rows(self, url: str, script: Script) -> None:
        def answers(count: int) -> list[Answer]:
            found = []
            for number in range(1, count + 1):
                rows = [[f"order {number} {row}", 7, f"text {row}"] for row in range(PAGE)]
                says = {"X-Report": "gst", "X-Page": str(number), "X-Pages": str(count), "X-Snapshot": "s1"}
                body = render(["key", "amount", "note"], rows, "xlsx")
                found.append((200, {**says, "X-Total-Rows": str(PAGE * count)}, body))
            return found

        def pull(count: int) -> Callable[[], None]:
            prepared = answers(count)

            def work() -> None:
                script.reports = list(prepared)
                with make(url, report_format="xlsx") as client:
                    assert sum(len(got.rows) for got in pages(client)) == PAGE * count

            return work

        small, large = peak_of(pull(3)), peak_of(pull(15))
        assert large < 1.25 * small, (small, large)


class _Counting(io.BytesIO):
    """Counts the packed bytes that were read."""

    read_bytes = 0

    def read(self, size: int | None = -1) -> bytes:
        found = super().read(size)
        self.read_bytes += len(found)
        return found


def workbook(rows: int) -> bytes:
    """Texts in their cells, for a workbook's shared strings are whole in memory."""
    out = io.BytesIO()
    book = xlsxwriter.Workbook(out, {"constant_memory": True})
    sheet = book.add_worksheet()
    for row in range(rows):
        sheet.write_row(row, 0, [f"order {row * 7919}", row, row * 1.25])
    book.close()
    return out.getvalue()


class TestWorksheet:
    @pytest.mark.parametrize("head", ["<sheetData>", "<!-- read in full --><sheetData>"])
    def test_rows_come_before_the_rest_is_unpacked(self, head: str) -> None:
        packed = _Counting(changed(workbook(60_000), "<sheetData>", head))
        with zipfile.ZipFile(packed) as archive:
            size = archive.getinfo("xl/worksheets/sheet1.xml").compress_size
            before = packed.read_bytes
            rows = first_worksheet(archive)
            assert next(rows) == ["order 0", 0, 0]
            assert packed.read_bytes - before < size / 4

    @pytest.mark.parametrize("head", ["<sheetData>", "<!-- read in full --><sheetData>"])
    def test_memory_does_not_grow_with_the_rows(self, head: str) -> None:
        def read(rows: int) -> Callable[[], None]:
            body = changed(workbook(rows), "<sheetData>", head)

            def work() -> None:
                with zipfile.ZipFile(io.BytesIO(body)) as archive:
                    assert sum(1 for _ in first_worksheet(archive)) == rows

            return work

        small, large = peak_of(read(6_000)), peak_of(read(60_000))
        assert large < 1.25 * small + 200_000, (small, large)

    def test_what_is_damaged_later_still_raises(self) -> None:
        body = changed(workbook(60_000), "</sheetData>", "</sheetdata>")
        with zipfile.ZipFile(io.BytesIO(body)) as archive, pytest.raises(WorkbookError, match="is damaged"):
            list(first_worksheet(archive))


def changed(body: bytes, old: str, new: str) -> bytes:
    """A workbook whose worksheet has another text in one place."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(body)) as before, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as after:
        for name in before.namelist():
            content = before.read(name)
            after.writestr(name, content.replace(old.encode(), new.encode()) if "sheet1.xml" in name else content)
    return out.getvalue()

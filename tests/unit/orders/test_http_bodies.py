"""Answers without rows, and answers that are packed: all of a report, or another try."""

from __future__ import annotations

import gzip
from typing import Any

import pytest

from include.orders_sync.adapters.http_report_client import HttpReportClient
from include.orders_sync.adapters.report_formats import PageContent
from include.orders_sync.core.reports import BadReportError
from include.pipeline_framework.errors import IncompleteExtractError, InvalidInputError
from tests.unit.orders.scripted_crm import Answer, Script, fetch, make, page


class TestNoRows:
    """What CRMs answer for a store without a sale on these dates, each proven by the headers of the contract."""

    @pytest.mark.parametrize("body", [b"", b"\xef\xbb\xbf", b" \r\n", b"[]", b"{}", b"null", b'{"rows": []}'])
    def test_an_empty_body_is_no_rows_where_the_headers_prove_it(
        self, body: bytes, client: HttpReportClient, script: Script
    ) -> None:
        for pages in (0, 1):
            script.reports = [(200, page(1, pages, 0)[1], body)]
            assert fetch(client) == PageContent([], [])

    def test_no_content_is_no_rows_where_the_headers_prove_it(self, client: HttpReportClient, script: Script) -> None:
        script.reports = [(204, page(1, 0, 0)[1], b"")]
        assert fetch(client) == PageContent([], [])
        script.reports = [(204, {"X-Report": "gst", "X-Total-Rows": "0"}, b"")]
        assert fetch(client) == PageContent([], [])

    @pytest.mark.parametrize("report_format", ["json", "csv", "xlsx"])
    def test_in_every_format(self, report_format: Any, url: str, script: Script) -> None:
        script.reports = [(200, page(1, 1, 0)[1], b"")]
        with make(url, report_format=report_format) as client:
            assert fetch(client) == PageContent([], [])

    @pytest.mark.parametrize(
        "answer",
        [
            (200, {}, b""),
            (204, {}, b""),
            (204, {"X-Report": "gst"}, b""),
            (204, {"X-Report": "orders", "X-Total-Rows": "0"}, b""),
            (204, {"X-Report": "gst", "X-Total-Rows": "3"}, b""),
            (200, page(1, 1, 3)[1], b""),
            (200, page(1, 1, 0)[1], b"<html>Back soon</html>"),
        ],
    )
    def test_without_the_proof_it_is_none(self, answer: Answer, client: HttpReportClient, script: Script) -> None:
        script.reports = [answer]
        with pytest.raises((BadReportError, IncompleteExtractError)):
            fetch(client)
        assert len(script.asked) == 4


class TestPacked:
    """Bodies packed as servers and proxies do it: all of it, or another try."""

    BODY = page(1, 1, 3, "a", "b", "c")[2]
    HEADERS = page(1, 1, 3)[1] | {"Content-Encoding": "gzip"}

    @pytest.mark.parametrize("cut", [1, 20, 29])
    @pytest.mark.parametrize("end", [b"", b"\0" * 700])
    def test_every_member_is_read(self, cut: int, end: bytes, client: HttpReportClient, script: Script) -> None:
        parts = [self.BODY[:cut], self.BODY[cut : cut + 5], b"", self.BODY[cut + 5 :]]
        script.reports = [(200, self.HEADERS, b"".join(map(gzip.compress, parts)) + end)]
        assert fetch(client).rows == [["a"], ["b"], ["c"]]
        assert len(script.asked) == 2

    @pytest.mark.parametrize(
        ("body", "headers"),
        [
            (gzip.compress(BODY, mtime=0)[:-1], {}),  # without all of its checksum
            (gzip.compress(BODY, mtime=0)[:-12], {}),
            (gzip.compress(BODY[:9], mtime=0) + gzip.compress(BODY[9:], mtime=0)[:-9], {}),
            (gzip.compress(BODY, mtime=0) + b"<html>", {}),
            (gzip.compress(BODY, mtime=0), {"Content-Encoding": "br"}),
            (gzip.compress(gzip.compress(BODY, mtime=0), mtime=0), {"Content-Encoding": "gzip, gzip"}),
            (gzip.compress(BODY, mtime=0), {"Content-Encoding": "deflate"}),
        ],
        ids=["no checksum", "cut", "second member cut", "more behind it", "brotli", "packed twice", "deflate"],
    )
    def test_half_an_answer_is_asked_for_again(
        self, body: bytes, headers: dict[str, str], client: HttpReportClient, script: Script
    ) -> None:
        script.reports = [(200, self.HEADERS | headers, body), (200, self.HEADERS, gzip.compress(self.BODY, mtime=0))]
        assert len(fetch(client).rows) == 3
        script.reports = [(200, self.HEADERS | headers, body)]
        with pytest.raises(IncompleteExtractError, match="can't be unpacked"):
            fetch(client)

    def test_only_what_is_read_is_asked_for(self, client: HttpReportClient, script: Script) -> None:
        script.reports = [page(1, 1, 1, "a")]
        fetch(client)
        assert [headers["Accept-Encoding"] for headers in script.headers] == ["gzip", "gzip"]

    def test_a_packed_refusal_is_told_too(self, client: HttpReportClient, script: Script) -> None:
        script.reports = [(422, {"Content-Encoding": "gzip"}, gzip.compress(b'{"message": "no store S1"}', mtime=0))]
        with pytest.raises(InvalidInputError, match="no store S1"):
            fetch(client)
        script.reports = [(422, {"Content-Encoding": "br"}, b"???")]
        with pytest.raises(InvalidInputError, match="status 422"):
            fetch(client)

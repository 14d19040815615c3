"""Reports as tests compare them: all pages together."""

from __future__ import annotations

from typing import Any

from include.orders_sync.adapters.report_formats import PageContent
from include.orders_sync.ports import ReportClient, ReportPage


def whole_report(client: ReportClient, report: str, **of: Any) -> PageContent:
    """The columns, and the rows of all pages that are not void."""
    pages: list[ReportPage] = []
    for page in client.pages(report, **of):
        pages = [page] if page.first_number == 1 else [*pages, page]
        assert page.first_number == 1 + sum(len(earlier.rows) for earlier in pages[:-1])
    return PageContent(pages[0].columns, [row for page in pages for row in page.rows])

"""What a request for a report is answered, with the faults that change its content."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from local_stack.crm.faults import Fault
from local_stack.crm.rendering import CONTENT_TYPES, FORMATS, render
from local_stack.crm.reports import REPORTS, Row
from local_stack.crm.service import LARGEST_PAGE, Crm, RefusedError, ReportPage, ReportRequest

_DEFAULT_PAGE_SIZE = 1_000


@dataclass(frozen=True, slots=True)
class Answered:
    """A whole answer; `rows` counts those of a page of a report."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    rows: int | None = None

    @property
    def middle(self) -> int:
        """Where faults cut the body."""
        return len(self.body) // 2


def json_answer(status: int, content: Any, headers: Mapping[str, str] | None = None) -> Answered:
    """A JSON document."""
    return Answered(status, {"Content-Type": CONTENT_TYPES["json"], **(headers or {})}, json.dumps(content).encode())


def answer_report(crm: Crm, system: str, name: str, query: Mapping[str, str], fault: Fault | None) -> Answered:
    """One page.

    Raises:
        RefusedError: No such report, store, date, page or snapshot.
    """
    kind = fault.kind if fault else ""
    request, report_format = _checked(system, name, query)
    if kind == "lost_snapshot":
        raise RefusedError(409, "no such snapshot; begin again with page 1")
    page = crm.page(request)
    columns, rows, says = list(request.report.columns), page.rows, page.page
    if kind == "duplicate_page":
        rows = crm.page(_other(request, page, page.page - 1)).rows
    elif kind == "wrong_page":
        says = page.page % page.pages + 1 if page.pages > 1 else 2
        rows = crm.page(_other(request, page, says)).rows if page.pages > 1 else rows
    elif kind in ("missing_column", "bad_cell", "wrong_store"):
        columns, rows = _wrong(kind, columns, rows)
    headers = {
        "Content-Type": CONTENT_TYPES[report_format],
        "X-Report": name,
        "X-Page": str(says),
        "X-Pages": str(page.pages),
        "X-Total-Rows": str(page.total_rows),
        "X-Snapshot": page.snapshot,
    }
    return Answered(200, headers, render(columns, rows, report_format), len(rows))


def _checked(system: str, name: str, query: Mapping[str, str]) -> tuple[ReportRequest, str]:
    report = REPORTS.get(name)
    if report is None or report.system != system:
        raise RefusedError(404, "no such report")
    report_format = query.get("format", report.default_format)
    try:
        from_date, to_date = (date.fromisoformat(query[end]) for end in ("from_date", "to_date"))
        page, page_size = int(query.get("page", "1")), int(query.get("page_size", str(_DEFAULT_PAGE_SIZE)))
        store_code = query["store_code"]
    except (KeyError, ValueError) as error:
        raise RefusedError(400, "give store_code, from_date, to_date (YYYY-MM-DD), page and page_size") from error
    if report_format not in FORMATS or from_date > to_date or page < 1 or not 1 <= page_size <= LARGEST_PAGE:
        raise RefusedError(422, f"from_date <= to_date, page from 1, page_size up to {LARGEST_PAGE}, format {FORMATS}")
    return ReportRequest(report, store_code, from_date, to_date, page, page_size, query.get("snapshot")), report_format


def _other(request: ReportRequest, page: ReportPage, number: int) -> ReportRequest:
    return ReportRequest(
        request.report, request.store_code, request.from_date, request.to_date, number, request.page_size, page.snapshot
    )


def _wrong(kind: str, columns: list[str], rows: list[Row]) -> tuple[list[str], list[Row]]:
    """A report that no client can use; in its middle row where it's about one."""
    amount = next(index for index, name in enumerate(columns) if name.endswith("amount"))
    if kind == "missing_column":
        return columns[:amount] + columns[amount + 1 :], [row[:amount] + row[amount + 1 :] for row in rows]
    index, value = (amount, "n/a") if kind == "bad_cell" else (0, "ZZZ9999")
    middle = len(rows) // 2
    changed = [(*row[:index], value, *row[index + 1 :]) if number == middle else row for number, row in enumerate(rows)]
    return columns, changed

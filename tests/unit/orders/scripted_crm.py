"""A CRM over real HTTP that gives prepared answers, and a client of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date
from typing import Any, Literal

from include.orders_sync.adapters.http_report_client import HttpReportClient
from include.orders_sync.adapters.report_formats import PageContent
from include.orders_sync.config import HttpSettings, ReportSettings
from tests.orders_reports import whole_report

TOKEN = "t0ken-hunter2"
Answer = tuple[int, dict[str, str], bytes]


def page(number: int, pages: int, total: int, *rows: str, **headers: str) -> Answer:
    """One page of the report `gst` with one column."""
    content = json.dumps({"columns": ["key"], "rows": [[row] for row in rows]}).encode()
    says = {"X-Report": "gst", "X-Page": str(number), "X-Pages": str(pages), "X-Total-Rows": str(total)}
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    return 200, {name: value for name, value in {**says, **changed}.items() if value}, content


def renamed(answer: Answer) -> Answer:
    """The same with another name of its column."""
    status, headers, body = answer
    return status, headers, body.replace(b'"key"', b'"kay"')


def token(**values: Any) -> Answer:
    return 200, {}, json.dumps({"access_token": TOKEN, "token_type": "Bearer", "expires_in": 600, **values}).encode()


class Script:
    """Gives its answers in order, the last one again and again; remembers what it was asked."""

    def __init__(self) -> None:
        self.tokens: list[Answer] = [token()]
        self.reports: list[Answer] = []
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []

    def next(self, method: str, path: str, headers: dict[str, str]) -> Answer:
        self.asked.append(path)
        self.headers.append(headers)
        answers = self.tokens if method == "POST" else self.reports
        return answers.pop(0) if len(answers) > 1 else answers[0]


def make(
    url: str, clock: Callable[[], float] = lambda: 0.0, report_format: Literal["json", "csv", "xlsx"] = "json"
) -> HttpReportClient:
    return HttpReportClient(
        base_url=url,
        client_id="id",
        client_secret="s3cret-hunter2",
        reports={"gst": ReportSettings(path="/reports/gst", format=report_format)},
        http=HttpSettings(page_size=2, timeout_seconds=5, max_tries=3),
        sleep=lambda _seconds: None,
        clock=clock,
    )


def fetch(client: HttpReportClient) -> PageContent:
    return whole_report(client, "gst", store_code="S1", from_date=date(2026, 3, 1), to_date=date(2026, 3, 2))

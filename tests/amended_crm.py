"""A CRM over real HTTP whose rows a test may change: dates them back, moves a store to another zone.

The simulator of the local stack has one zone, and its rows are a function of the seed; here they are a list. It speaks
the same contract: token, pages, snapshot headers.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zoneinfo import ZoneInfo

from include.orders_sync.adapters.http_report_client import HttpReportClient
from include.orders_sync.config import HttpSettings, ReportSettings
from include.orders_sync.core.pipelines import TD, UC
from include.orders_sync.core.reports import REPORTS

_REPORTS = {schema.name: schema for schemas in REPORTS.values() for schema in schemas}


@dataclass
class AmendedCrm:
    """Rows by report and key, each with its store and instant; a store's reports have its own zone's days.

    Attributes:
        rows: By report: key → (store, instant).
        zones: By store.
        asked: Report, store and dates of every request.
    """

    url: str
    rows: dict[str, dict[str, tuple[str, datetime]]] = field(default_factory=lambda: {name: {} for name in _REPORTS})
    zones: dict[str, str] = field(default_factory=dict)
    asked: list[tuple[str, str, str, str]] = field(default_factory=list)

    def put(self, report: str, key: str, store: str, at: str) -> None:
        """Add a row, or date the one that is there differently."""
        self.rows[report][key] = (store, datetime.fromisoformat(at))

    def client(self, pipeline: str) -> HttpReportClient:
        """A client of this CRM."""
        reports = {schema.name: ReportSettings(path=schema.name, format="json") for schema in REPORTS[pipeline]}
        http = HttpSettings(max_tries=2, longest_wait_seconds=0.01)
        return HttpReportClient(base_url=self.url, client_id="i", client_secret="s", reports=reports, http=http)

    def clients(self) -> dict[str, HttpReportClient]:
        """Of both pipelines."""
        return {pipeline: self.client(pipeline) for pipeline in (TD, UC)}

    def report(self, name: str, store: str, first: str, last: str) -> list[dict[str, Any]]:
        """The rows of the store's own days."""
        zone = ZoneInfo(self.zones.get(store, "Asia/Kolkata"))
        days = date.fromisoformat(first), date.fromisoformat(last)
        found = [
            (key, at)
            for key, (of, at) in sorted(self.rows[name].items())
            if of == store and days[0] <= at.astimezone(zone).date() <= days[1]
        ]
        return [_row(name, key, at.astimezone(zone).isoformat()) for key, at in found]


def _row(name: str, key: str, at: str) -> dict[str, Any]:
    schema = _REPORTS[name]
    plain = {"text": "x", "integer": 1, "decimal": "10.00", "instant": at}
    cells = {column.name: None if column.is_optional else plain[column.kind] for column in schema.columns}
    return {**cells, schema.key: key, schema.event_at: at}


@contextmanager
def amended_crm() -> Iterator[AmendedCrm]:
    """Serves until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self._answer({"access_token": "t", "expires_in": 600}, {})

        def do_GET(self) -> None:
            path = urlsplit(self.path)
            asked = {name: values[0] for name, values in parse_qs(path.query).items()}
            name, store, first, last = path.path.strip("/"), asked["store_code"], asked["from_date"], asked["to_date"]
            crm.asked.append((name, store, first, last))
            rows = crm.report(name, store, first, last)
            columns = [column.name for column in _REPORTS[name].columns]
            says = {"X-Report": name, "X-Page": "1", "X-Pages": "1", "X-Total-Rows": str(len(rows)), "X-Snapshot": "s"}
            self._answer({"columns": columns, "rows": [[row[c] for c in columns] for row in rows]}, says)

        def _answer(self, content: Any, headers: dict[str, str]) -> None:
            body = json.dumps(content).encode()
            self.send_response(200)
            for header, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(header, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    crm = AmendedCrm(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield crm
    finally:
        server.shutdown()
        server.server_close()
        thread.join()

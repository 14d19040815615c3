"""One way to fetch and read a report of the simulated CRM, in a process of its own; prints its figures as JSON.

It runs against the checkout that PYTHONPATH names, so it uses only what all builds have.
"""

from __future__ import annotations

import http.client
import io
import json
import os
import sys
import time
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlparse

GIVEN: dict[str, Any] = json.loads(os.environ["BENCH_GIVEN"])
OF: dict[str, Any] = {
    "store_code": GIVEN["store_code"],
    "from_date": date.fromisoformat(GIVEN["from_date"]),
    "to_date": date.fromisoformat(GIVEN["to_date"]),
}
ZONE = "Asia/Kolkata"
PAGE = 1_000


def bodies() -> Iterator[bytes]:
    """Yield every page as it came, one request after the other."""
    place = urlparse(GIVEN["base_url"])
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=600)
    token = {"grant_type": "client_credentials", "client_id": GIVEN["client_id"], "client_secret": GIVEN["secret"]}
    connection.request("POST", f"{place.path}/oauth/token", json.dumps(token), {"Content-Type": "application/json"})
    allowed = {"Authorization": f"Bearer {json.loads(connection.getresponse().read())['access_token']}"}
    asked: dict[str, Any] = {name: str(value) for name, value in OF.items()} | {"page_size": PAGE, "page": 0}
    pages = 1
    while asked["page"] < pages:
        asked["page"] += 1
        connection.request("GET", f"{place.path}/reports/orders?{urlencode(asked)}", headers=allowed)
        answer = connection.getresponse()
        pages, asked["snapshot"] = int(answer.headers["X-Pages"]), answer.headers["X-Snapshot"]
        yield answer.read()


def fetch() -> int:
    """Throw every page's bytes away."""
    for _ in bodies():
        pass
    return int(GIVEN["rows"])


def product(into: str = "") -> int:
    """Fetch, read and check a report as a task does; with a place also write it into its table."""
    from include.orders_sync.adapters.http_report_client import HttpReportClient
    from include.orders_sync.config import HttpSettings, ReportSettings
    from include.orders_sync.core.reports import REPORTS, check_report

    schema = REPORTS["td_orders_sync"][0]
    settings = {"orders": ReportSettings(path="reports/orders", format="xlsx")}
    access = {"base_url": GIVEN["base_url"], "client_id": GIVEN["client_id"], "client_secret": GIVEN["secret"]}
    write = _writer(schema) if into else _counted
    began()
    client = HttpReportClient(**access, reports=settings, http=HttpSettings(page_size=PAGE, timeout_seconds=600))
    if not hasattr(client, "pages"):  # a build that reads the whole report
        report: Any = client.fetch("orders", **OF)  # type: ignore[attr-defined]
        return write(check_report(schema, report.columns, report.rows, **OF, timezone=ZONE))
    from include.orders_sync.ports import TypedPage

    def typed() -> Iterator[Any]:
        for page in client.pages("orders", **OF):
            number = page.first_number
            rows = check_report(schema, page.columns, page.rows, **OF, timezone=ZONE, first_number=number)
            yield TypedPage(number, rows)

    return write(typed())


def _counted(rows: Any) -> int:
    return sum(len(getattr(each, "rows", (each,))) for each in rows)


def _writer(schema: Any) -> Any:
    import psycopg

    from include.orders_sync.adapters.postgres_orders import PostgresOrders
    from include.orders_sync.core.pipelines import Store

    url, pipeline, run_id = GIVEN["orders_url"], "td_orders_sync", f"bench-{time.time_ns()}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"TRUNCATE {schema.table}")
    orders = PostgresOrders(lambda: psycopg.connect(url), run_id)
    orders.start_run(run_id, pipeline, "bench", OF["to_date"])
    store = Store(OF["store_code"], OF["from_date"], "ALL", "CC01")
    log_id = orders.start_window(pipeline, store, OF["from_date"], OF["to_date"], run_id=run_id, run_env="bench")
    return lambda rows: orders.save_report(schema, rows, log_id=log_id, run_id=run_id, **OF).inserted


def calamine() -> int:
    """Read pages with python-calamine, whose numbers are floats."""
    from python_calamine import CalamineWorkbook

    return _rows_of(lambda body: CalamineWorkbook.from_filelike(io.BytesIO(body)).get_sheet_by_index(0).to_python())


def openpyxl() -> int:
    """Read pages with openpyxl as it reads the fewest bytes, whose numbers are floats."""
    from openpyxl import load_workbook

    def rows(body: bytes) -> list[Any]:
        return list(load_workbook(io.BytesIO(body), read_only=True).worksheets[0].iter_rows(values_only=True))

    return _rows_of(rows)


def _rows_of(read: Any) -> int:
    return sum(len(read(body)) - 1 for body in bodies())


WAYS: dict[str, Any] = {"fetch": fetch, "product": product, "calamine": calamine, "openpyxl": openpyxl}
_times: list[float] = []


def began() -> None:
    """What ran until now was preparation."""
    _times[:] = [time.perf_counter(), time.process_time()]


def main() -> None:
    """Run the way that the arguments name."""
    began()
    rows = WAYS[sys.argv[1]](*sys.argv[2:])
    wall, cpu = time.perf_counter() - _times[0], time.process_time() - _times[1]
    status = Path("/proc/self/status").read_text()  # unlike ru_maxrss without the memory of the process that forked
    memory = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / 1024
    print(json.dumps({"rows": rows, "client CPU-s": cpu, "wall s": wall, "RSS MB": memory}))


if __name__ == "__main__":
    main()

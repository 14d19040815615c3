"""A small server that answers like Elasticsearch, and wrongly on demand: the faults a real cluster has once a year.

It holds documents in memory and knows the requests that source and `doctor` send: `_settings`, `_privileges`,
`_cat/health`, `_refresh`, `_field_caps`, opening and closing a point in time, a count (`size: 0`), a page. A fault is a
function from the right answer to the wrong one, per kind of request; `RESET`, `CUT` and `HANG` break the connection
instead.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

RESET, CUT, HANG = "reset", "cut", "hang"
SHARDS = {"total": 2, "successful": 2, "skipped": 0, "failed": 0}

Answer = dict[str, Any]
Reply = tuple[int, Any] | tuple[int, Any, dict[str, str]]
Fault = Callable[[Answer, int], Reply | str]
"""From the right answer and the number of the request of its kind (from 1) to status, body and perhaps headers; or to
RESET, CUT, HANG."""


@dataclass
class FakeElasticsearch:
    """`documents`: (id, epoch milliseconds, JSON text); `faults` by kind of request, see `answer`."""

    documents: list[tuple[str, int, str]] = field(default_factory=list)
    faults: dict[str, Fault] = field(default_factory=dict)
    types: dict[str, Any] = field(default_factory=lambda: {"date": {"type": "date"}})
    settings: Answer = field(
        default_factory=lambda: {
            "settings": {"index.uuid": "u-1", "index.number_of_shards": "2"},
            "defaults": {"index.refresh_interval": "1s", "index.hidden": "false"},
        }
    )
    privileges: Answer = field(default_factory=lambda: {"cluster": [], "indices": []})
    views: set[str] = field(default_factory=set)
    requests: list[tuple[str, Answer]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    now: Callable[[], float] = time.time
    url: str = ""
    port: int = 0

    def answer(self, method: str, path: str, body: Answer) -> tuple[str, Answer]:
        """Kind of the request and its right answer."""
        action = path.rpartition("/")[2]
        if "/_settings/" in path:
            return "settings", {"events": self.settings}
        if action == "_privileges":
            return "privileges", self.privileges
        if path == "/_cat/health":
            return "clock", [{"epoch": str(int(self.now()))}]
        if action == "_refresh":
            return "refresh", {"_shards": SHARDS}
        if action == "_field_caps":
            return "caps", {"indices": ["events"], "fields": {"@timestamp": self.types}}
        if action == "_pit" and method == "POST":
            self.views.add(view := f"view-{len(self.requests)}")
            return "open", {"id": view, "_shards": SHARDS}
        if action == "_pit":
            self.views.discard(body["id"])
            return "close", {"succeeded": True, "num_freed": 2}
        return ("page" if body["size"] else "count"), self._search(body)

    def _search(self, body: Answer) -> Answer:
        matching = [found for found in enumerate(self.documents) if _matches(found[1][1], body["query"])]
        answer: Answer = {"took": 1, "timed_out": False, "_shards": dict(SHARDS), "hits": {"max_score": None}}
        if "pit" in body:
            answer["pit_id"] = body["pit"]["id"]
        if not body["size"]:
            answer["hits"] |= {"total": {"value": len(matching), "relation": "eq"}, "hits": []}
            answer["aggregations"] = _aggregate([found[1][1] for found in matching], body.get("aggs", {}))
            return answer
        part = body.get("slice", {"id": 0, "max": 1})
        after = body.get("search_after", [-1])[0]
        mine = [found for found in matching if found[0] % part["max"] == part["id"] and found[0] > after]
        answer["hits"]["hits"] = [
            {"_index": "events", "_id": key, "_score": None, "_source": _Verbatim(text), "sort": [position, at]}
            for position, (key, at, text) in mine[: body["size"]]
        ]
        return answer


class _Verbatim(str):
    """JSON text that is put into the answer as it stands."""


def render(value: Any) -> bytes:
    """JSON, with documents verbatim."""
    if isinstance(value, str) and not isinstance(value, _Verbatim):
        return json.dumps(value).encode()
    if isinstance(value, _Verbatim):
        return value.encode()
    if isinstance(value, dict):
        return b"{" + b",".join(render(key) + b":" + render(item) for key, item in value.items()) + b"}"
    if isinstance(value, list | tuple):
        return b"[" + b",".join(map(render, value)) + b"]"
    return json.dumps(value).encode()


def _matches(at: int, query: Answer) -> bool:
    if "range" not in query:
        return False
    (bounds,) = query["range"].values()
    start, end = (datetime.fromisoformat(bounds[name]).timestamp() * 1000 for name in ("gte", "lt"))
    return start <= at < end


def _aggregate(times: list[int], aggregations: Answer) -> Answer:
    found: Answer = {}
    if "values" in aggregations:
        found["values"] = {"value": len(times)}
    if "indices" in aggregations:
        buckets = [{"key": "events", "doc_count": len(times), "rows": {"value": len(times)}}] if times else []
        found["indices"] = {"sum_other_doc_count": 0, "buckets": buckets}
    if "buckets" in aggregations:
        filters = aggregations["buckets"]["filters"]["filters"]
        counts = {name: sum(_matches(at, query) for at in times) for name, query in filters.items()}
        found["buckets"] = {
            "buckets": {name: {"doc_count": rows, "rows": {"value": rows}} for name, rows in counts.items()}
        }
    return found


@contextmanager
def serve(fake: FakeElasticsearch) -> Iterator[FakeElasticsearch]:
    """Serve on a free loopback port until the context is left."""
    counters: dict[str, int] = {}
    lock, stopping = threading.Lock(), threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize, disable_nagle_algorithm = 65_536, True

        def _reply(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"{}")
            with lock:
                kind, right = fake.answer(self.command, urlsplit(self.path).path, body)
                fake.requests.append((kind, body | {"path": self.path}))
                fake.headers.append({name.lower(): value for name, value in self.headers.items()})
                number = counters[kind] = counters.get(kind, 0) + 1
            reply = fake.faults[kind](right, number) if kind in fake.faults else (200, right)
            if reply == HANG:
                stopping.wait(5)
                reply = RESET
            if reply == RESET:
                self.close_connection = True
                self.connection.shutdown(2)
                return
            status, content, *headers = (200, right) if reply == CUT else reply
            payload = content if isinstance(content, bytes) else render(content)
            self.send_response(status)
            self.send_header("X-Elastic-Product", "Elasticsearch")
            self.send_header("Content-Type", "application/vnd.elasticsearch+json;compatible-with=8")
            self.send_header("Content-Length", str(len(payload)))
            for name, value in (headers[0] if headers else {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(payload[: len(payload) // 2] if reply == CUT else payload)
            self.close_connection = reply == CUT

        do_GET = do_POST = do_DELETE = _reply

        def log_message(self, *_: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    fake.port = server.server_port
    fake.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield fake
    finally:
        stopping.set()
        server.shutdown()
        server.server_close()
        thread.join(5)

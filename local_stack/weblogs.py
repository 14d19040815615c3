"""Web logs of a made-up shop, for a first pipeline of one's own: nested objects, lists, and an arrival that lags."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from local_stack.seed import SETTINGS, client_of, index_all

INDEX = "weblogs"
COUNT = 5_000
MAPPINGS = {
    "properties": {
        "@timestamp": {"type": "date"},
        "event": {"properties": {"ingested": {"type": "date"}}},
        "http": {
            "properties": {
                "method": {"type": "keyword"},
                "status": {"type": "short"},
                "bytes": {"type": "long"},
            }
        },
        "url": {"properties": {"path": {"type": "keyword"}}},
        "client": {"properties": {"ip": {"type": "ip"}, "country": {"type": "keyword"}}},
        "labels": {"type": "keyword"},
    }
}
_PATHS = ("/", "/cart", "/checkout", "/products/17", "/products/42", "/search")


def weblogs(until: datetime, count: int = COUNT) -> Iterator[tuple[str, dict[str, Any]]]:
    """Return ids and documents of the three days before an aware instant, in order; the same for the same instant."""
    chance = random.Random(7)  # noqa: S311 - nothing secret
    step = timedelta(days=3) / count
    for number in range(count):
        at = until - timedelta(days=3) + number * step
        document = {
            "@timestamp": at.isoformat(timespec="milliseconds"),
            "event": {"ingested": (at + timedelta(seconds=chance.randint(1, 240))).isoformat(timespec="milliseconds")},
            "http": {
                "method": chance.choice(("GET", "GET", "GET", "POST")),
                "status": chance.choice((200, 200, 200, 304, 404, 500)),
                "bytes": chance.randint(200, 90_000),
            },
            "url": {"path": chance.choice(_PATHS)},
            "client": {
                "ip": f"203.0.113.{chance.randint(1, 254)}",
                "country": chance.choice(("DE", "FR", "PL", "US")),
            },
            "labels": chance.sample(("beta", "mobile", "returning"), chance.randint(0, 2)),
        }
        yield f"log-{number:05}", document


def index(url: str, until: datetime) -> int:
    """Write the web logs by their ids, over those of an earlier call; return how many documents the index holds.

    Raises:
        LocalStackError: Elasticsearch does not answer.
        SeedError: It refused a document.
    """
    with client_of(url, "Read its log, and try again.") as client:
        if not client.indices.exists(index=INDEX):
            client.indices.create(index=INDEX, settings=SETTINGS, mappings=MAPPINGS)
        index_all(url, INDEX, weblogs(until), lambda _done: None)
        client.indices.refresh(index=INDEX)
        return int(client.count(index=INDEX)["count"])

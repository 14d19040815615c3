"""An index of web logs of a shape that no sample of this project has: nested, listed, mistyped, oddly named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from elasticsearch import Elasticsearch, helpers

DAY = datetime(2013, 3, 9, tzinfo=UTC)
MAPPINGS = {
    "properties": {
        "when": {"type": "date"},
        "event": {"properties": {"ingested": {"type": "date", "format": "epoch_second"}, "never": {"type": "long"}}},
        "http": {"properties": {"status": {"type": "keyword"}, "bytes": {"type": "long", "ignore_malformed": True}}},
        "status": {"type": "long"},
        "text_when": {"type": "text"},
        "lines": {"type": "nested", "properties": {"sku": {"type": "keyword"}, "at": {"type": "date"}}},
    }
}


def document(number: int) -> dict[str, Any]:
    """A web log of a shape that no sample of this project has."""
    at = DAY + timedelta(days=number % 3, seconds=number * 97 % 86_400)
    return {
        "when": at.isoformat(),
        "event": {"ingested": int(at.timestamp()) + number % 400},
        "http": {"status": 200 + number % 5, "bytes": "n/a" if number % 50 == 7 else number},
        "http.method": "GET",
        "status": str(number),
        "Status": "ok",
        "select": True,
        "User-Agent": 'say "so", {x}: #',
        "größe": number / 4,
        "tags": ["a", "b"],
        "lines": [{"sku": "x", "at": at.isoformat()}],
        "deep": {"er": {"time_hour": f"2013-03-09T{number % 24:02}:00"}},
        "postcode": f"0{number:04}",
        "text_when": at.isoformat(),
    }


def index(client: Elasticsearch, name: str, count: int = 600) -> None:
    client.indices.create(
        index=name, mappings=MAPPINGS, settings={"number_of_replicas": 0}, aliases={f"{name}_alias": {}}
    )
    documents = ({"_index": name, "_id": f"d{number}", "_source": document(number)} for number in range(count))
    helpers.bulk(client, documents, refresh=True)

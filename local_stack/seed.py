"""Indexes the sample flights into Elasticsearch, completely or not at all successfully: the end is counted."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import elasticsearch
import msgspec

from local_stack import flights
from local_stack.errors import LocalStackError, SeedError
from local_stack.flights import ALL_DAYS, ALL_FLIGHTS, MAPPINGS, Days

INDEX = "flights"
SETTINGS = {"number_of_shards": 1, "number_of_replicas": 0}
_BATCH = 5_000
_SENDERS = 2
_encode = msgspec.json.Encoder().encode

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Seeded:
    """The flights that the index now holds for the asked days, and how many were sent for it (0: they were there)."""

    count: int
    indexed: int


@contextmanager
def client_of(url: str, remedy: str) -> Iterator[elasticsearch.Elasticsearch]:
    """Yield a client whose errors are this package's; `remedy` is for what Elasticsearch refuses."""
    client = elasticsearch.Elasticsearch(url, request_timeout=600)
    try:
        yield client
    except elasticsearch.ApiError as error:
        raise SeedError(f"Elasticsearch refused ({error}).", remedy) from error
    except elasticsearch.TransportError as error:
        raise LocalStackError(
            f"Elasticsearch does not answer at {url} ({error}).", "Start it with `python -m local_stack up`."
        ) from error
    finally:
        client.close()


def seed(
    url: str,
    *,
    days: Days = ALL_DAYS,
    force: bool = False,
    index: str = INDEX,
    progress: Progress = lambda _d, _t: None,
) -> Seeded:
    """Make the index hold every flight of `days`; does nothing when their count is already right.

    Documents are written by id, so seeding again replaces them, and other days stay. Only `force` deletes the index.

    Args:
        url: Elasticsearch.
        days: local days in New York.
        force: delete the index first.
        index: the index to write.
        progress: called with (indexed, expected).

    Raises:
        SeedError: a document was refused, or the index holds another number of flights in the end.
    """
    with client_of(url, "Read its log; `python -m local_stack seed --force` starts afresh.") as client:
        exists = bool(client.indices.exists(index=index))
        if force and exists:
            client.indices.delete(index=index)
            exists = False
        rows = [] if days == ALL_DAYS else list(flights.read(days))
        expected = ALL_FLIGHTS if days == ALL_DAYS else len(rows)
        if exists and _count(client, index, days) == expected:
            return Seeded(expected, 0)
        if not exists:
            client.indices.create(index=index, settings=SETTINGS, mappings=MAPPINGS)
        client.indices.put_settings(index=index, settings={"refresh_interval": "-1"})
        try:
            sent = index_all(url, index, rows or flights.read(days), lambda done: progress(done, expected))
        finally:
            client.indices.put_settings(index=index, settings={"refresh_interval": None})
        client.indices.flush(index=index)  # else a node that is killed replays everything when it starts: 10 s
        client.indices.refresh(index=index)
        if (count := _count(client, index, days)) != expected:
            raise SeedError(
                f"The index {index} holds {count} flights from {days.start} to {days.end} (exclusive), not {expected}.",
                "Documents of your own may be among them: `python -m local_stack seed --force` starts afresh.",
            )
        return Seeded(count, sent)


def _count(client: elasticsearch.Elasticsearch, index: str, days: Days) -> int:
    """How many documents lie in `days`, counted by every shard."""
    bounds = {"gte": days.start_at.isoformat(), "lt": days.end_at.isoformat()}
    answer = client.count(index=index, query={"range": {"@timestamp": bounds}})
    if answer["_shards"]["failed"]:
        raise SeedError(
            f"{answer['_shards']['failed']} shard(s) of {index} failed, so the count {answer['count']} proves nothing.",
            "Look at `python -m local_stack status` and Elasticsearch's log, then seed again.",
        )
    return int(answer["count"])


def index_all(url: str, index: str, rows: Iterable[tuple[str, dict[str, Any]]], done: Callable[[int], None]) -> int:
    """Send all rows (id, document) in bulk requests from a few threads; returns how many were indexed.

    `done` is called with the number of those that are indexed so far.

    Raises:
        SeedError: Elasticsearch refused documents; the first error counts.
    """
    batches: queue.Queue[list[tuple[str, dict[str, Any]]] | None] = queue.Queue(maxsize=2 * _SENDERS)
    errors: list[BaseException] = []
    total, lock = 0, threading.Lock()

    def send() -> None:
        nonlocal total
        with elasticsearch.Elasticsearch(url, request_timeout=600) as client:
            while (batch := batches.get()) is not None:
                if errors:
                    continue  # the reader must not block on a full queue
                try:
                    _send(client, index, batch)
                except Exception as error:  # noqa: BLE001 - raised again in the calling thread
                    errors.append(error)
                    continue
                with lock:
                    total += len(batch)
                    done(total)

    threads = [threading.Thread(target=send, daemon=True) for _ in range(_SENDERS)]
    for thread in threads:
        thread.start()
    iterator = iter(rows)
    while not errors and (batch := list(islice(iterator, _BATCH))):
        batches.put(batch)
    for _ in threads:
        batches.put(None)
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    return total


def _send(client: elasticsearch.Elasticsearch, index: str, batch: list[tuple[str, dict[str, Any]]]) -> None:
    lines = [b'{"index":{"_id":%b}}\n%b\n' % (_encode(name), _encode(document)) for name, document in batch]
    answer = client.perform_request(
        "POST",
        f"/{index}/_bulk",
        params={"filter_path": "errors,items.*.error"},
        headers={"content-type": "application/x-ndjson", "accept": "application/json"},
        body=b"".join(lines),
    ).body
    if answer["errors"]:
        raise SeedError(
            f"Elasticsearch refused documents of a bulk request: {str(answer.get('items'))[:500]}",
            "An index with other mappings may be there: `python -m local_stack seed --force` deletes it first.",
        )

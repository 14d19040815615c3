"""A window of Elasticsearch into a stage: `python -m benchmarks.extract [--full] [--base REVISION]`.

In one run, one after the other, over the same index of the local stack's Elasticsearch:

* floor: the same view, slices, page size and sort; bytes are read and thrown away;
* product: source and stage as a task uses them, into S3 and into a local directory, with every check;
* before: the same from the checkout to compare with;
* peers: elasticsearch-py with a point in time, orjson and gzip, and its `helpers.scan` with json and gzip.

Each runs in a process of its own, so that processor time and memory are its own.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from benchmarks.command import main
from benchmarks.comparison import Comparison, Measured, Role
from benchmarks.peers import peer_python
from local_stack import stack

REPO = Path(__file__).resolve().parents[1]
INDEX = "bench_extract"
_PEERS = ("pit", "scan", "script-postgres", "script-into-postgres")
DAY = datetime(2026, 1, 1, tzinfo=UTC)
WAYS: tuple[tuple[str, Role, str], ...] = (
    ("bytes read and thrown away", "floor", "drain"),
    ("product into S3", "product", "product s3"),
    ("product into a directory", "product", "product local"),
    ("build before, into S3", "before", "product s3"),
    ("build before, into a directory", "before", "product local"),
    ("elasticsearch-py: point in time, orjson, gzip", "peer", "pit"),
    ("elasticsearch-py: helpers.scan, json, gzip", "peer", "scan"),
)


def measure(*, is_short: bool, base: Path | None) -> list[Comparison]:
    """Fill an index, and measure every way."""
    documents, rounds = (200_000, 1) if is_short else (1_000_000, 3)
    bounds = {"BENCH_FIRST": DAY.isoformat(), "BENCH_LAST": (DAY + timedelta(days=1)).isoformat()}
    with stack.temporary(servers=("elasticsearch", "s3")) as found_there:
        environment = {**os.environ, **found_there, **bounds, "BENCH_NAME": INDEX}
        environment["BENCH_URL"] = environment["ELASTICSEARCH_URL"]
        mean = fill(environment["BENCH_URL"], documents)
        rows = all_ways(WAYS, base, environment, documents, rounds)
    per = f"a million documents of {mean} bytes, 2 slices"
    notes = [f"{documents:,} documents; the median of {rounds} runs by processor time; figures are per million."]
    return [Comparison("Extract and stage", per, "python -m benchmarks.extract", rows, "client CPU-s", notes)]


def all_ways(
    ways: Sequence[tuple[str, Role, str]], base: Path | None, environment: dict[str, str], documents: int, rounds: int
) -> list[Measured]:
    """Measure every way several times and keep the run with the median processor time."""
    rows = []
    for what, role, way in ways:
        if role == "before" and base is None:
            continue
        checkout = base if role == "before" and base else REPO
        found = [run(way, checkout, environment, documents) for _ in range(rounds)]
        median = sorted(found, key=lambda figures: figures["client CPU-s"])[len(found) // 2]
        rows.append(Measured(what, role, median))
    return rows


def run(way: str, checkout: Path, environment: Mapping[str, str], documents: int) -> dict[str, float]:
    """Run one way with a build's modules; return its figures, those of time per million documents."""
    script = REPO / "benchmarks" / "ways.py"
    paths = {"PYTHONPATH": str(checkout)}
    python = peer_python() if way.split()[0] in _PEERS else sys.executable
    done = subprocess.run(
        [python, script, *way.split()], env={**environment, **paths}, cwd=checkout, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"{way}: {done.stderr[-2_000:]}")
    figures = json.loads(done.stdout.strip().splitlines()[-1])
    if figures.pop("rows") != documents:
        raise RuntimeError(f"{way} has moved another number of rows than there are")
    times = {name: value * 1e6 / documents for name, value in figures.items() if name.endswith((" s", "-s"))}
    return {**figures, **times}


def fill(url: str, count: int) -> int:
    """Index documents over one day; return their mean size in bytes."""
    from elasticsearch import Elasticsearch
    from elasticsearch.helpers import parallel_bulk

    client = Elasticsearch(url, request_timeout=300)
    chance = random.Random(42)  # noqa: S311 - nothing secret
    sample = [len(json.dumps(event(chance, 0, 1), separators=(",", ":")).encode()) for _ in range(1_000)]
    keyword = {"type": "keyword"}
    fields: dict[str, Any] = {"@timestamp": {"type": "date"}, "message": {"type": "text"}}
    fields |= dict.fromkeys(("event_id", "user_id", "session_id", "event_type", "country", "tags"), keyword)
    settings = {"number_of_shards": 2, "number_of_replicas": 0, "refresh_interval": "-1"}
    client.indices.create(index=INDEX, settings=settings, mappings={"properties": fields})
    actions = (
        {"_index": INDEX, "_id": f"{chance.getrandbits(96):024x}", "_source": event(chance, number, count)}
        for number in range(count)
    )
    for _ in parallel_bulk(client, actions, thread_count=2, chunk_size=5_000):
        pass
    client.indices.put_settings(index=INDEX, settings={"refresh_interval": "1s"})
    client.indices.refresh(index=INDEX)
    return round(sum(sample) / len(sample))


def event(chance: random.Random, number: int, count: int) -> dict[str, Any]:
    """One document: values that compress as those of a web shop do."""
    at = DAY + timedelta(milliseconds=number * 86_400_000 // count)
    words = [
        "the",
        "quick",
        "brown",
        "fox",
        "jumps",
        "over",
        "payment",
        "gateway",
        "timeout",
        "retry",
        "order",
        "shipped",
        "cart",
        "naïve",
        "café",
        "北京",
    ]
    return {
        "@timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "event_id": f"{chance.getrandbits(128):032x}",
        "user_id": f"u{chance.randrange(2_000_000):08d}",
        "session_id": f"{chance.getrandbits(64):016x}",
        "event_type": chance.choice(["page_view", "click", "purchase", "login", "logout", "search"]),
        "country": chance.choice(["US", "DE", "FR", "GB", "IN", "BR", "JP"]),
        "device": {"os": chance.choice(["iOS", "Android", "Windows"]), "model": f"M{chance.randrange(500):04d}"},
        "amount": round(chance.random() * 500, 2),
        "latency_ms": round(chance.expovariate(1 / 120), 3),
        "score": chance.random(),
        "quantity": chance.randrange(1, 20),
        "tags": chance.sample(["a", "b", "promo", "vip", "new", "beta"], 2),
        "message": " ".join(chance.choices(words, k=chance.randrange(10, 18)))
        + (' "so"\n' if number % 50 == 0 else ""),
    }


if __name__ == "__main__":
    main(measure, __doc__ or "")

"""The second sample pipeline, `include/pipelines/replay.yaml`, switched on; its index grows as far as a test says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import elasticsearch

from include.pipeline_framework.config.loader import PIPELINES_DIRECTORY, load_pipeline
from include.pipeline_framework.core.time.days import first_instant
from include.wiring import connections
from local_stack.replay import INDEX, PIPELINE, departures

TABLE = "FLIGHTS_REPLAY"
_CONFIG = load_pipeline(PIPELINE)
START = first_instant(_CONFIG.start_date, _CONFIG.timezone)


def switch_on(directory: Path) -> None:
    """The product's own file, and `enabled: true`: what a person changes to try it."""
    text = (PIPELINES_DIRECTORY / f"{PIPELINE}.yaml").read_text(encoding="utf-8")
    assert text.count("\nenabled: false\n") == 1
    (directory / f"{PIPELINE}.yaml").write_text(text.replace("\nenabled: false\n", "\nenabled: true\n"), "utf-8")


@contextmanager
def no_traces(elasticsearch_url: str) -> Iterator[None]:
    """Neither index nor target table, before and after."""
    _forget(elasticsearch_url)
    try:
        yield
    finally:
        _forget(elasticsearch_url)


def left_until(end: datetime) -> Counter[str]:
    """Ids of the flights that have left since the pipeline's start."""
    return Counter(name for name, _ in departures(START, end))


def ids_at_target() -> Counter[str]:
    """Ids in the target table."""
    with connections.client("target_snowflake")() as connection, connection.cursor() as cursor:
        return Counter(row[0] for row in cursor.execute(f'SELECT "_ID" FROM "{TABLE}"').fetchall())


def _forget(elasticsearch_url: str) -> None:
    with elasticsearch.Elasticsearch(elasticsearch_url, request_timeout=600) as client:
        client.indices.delete(index=INDEX, ignore_unavailable=True)
    with connections.client("target_snowflake")() as connection, connection.cursor() as cursor:
        for table in (TABLE, f"{TABLE}_RECEIPTS"):
            cursor.execute(f"DROP TABLE IF EXISTS {table}")

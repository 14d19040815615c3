"""Give a consumer of a pipeline's windows those that triggered it, with what the ledger says about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.time.timestamps import convert_to_pendulum
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.ports.ledger import LedgerReads


@dataclass(frozen=True, order=True, slots=True)
class Announcement:
    """One asset event: the pipeline's DAG and the partition key that it announced."""

    dag_id: str
    partition_key: str


def window_of_key(partition_key: str) -> TimeWindow:
    """Return the window of a partition key, as pipelines announce it.

    >>> str(window_of_key("2013-03-09T05:00:00Z/2013-03-09T06:00:00Z"))
    '2013-03-09T05:00:00Z/2013-03-09T06:00:00Z'

    Raises:
        InvalidInputError: The key is no window.
    """
    start, slash, end = partition_key.partition("/")
    if not slash:
        raise InvalidInputError(
            f"{partition_key!r} is no window", remedy="Only a pipeline's own events name their window: <start>/<end>."
        )
    return TimeWindow(convert_to_pendulum(start), convert_to_pendulum(end))


def announced_windows(
    announcements: Iterable[Announcement], configs: Mapping[str, PipelineConfig], store: LedgerReads
) -> list[dict[str, Any]]:
    """Return every announced window once, in order, with its row as it is now.

    Returns:
        `source_object`, `start`, `end`, `local`, `status`, `rows` (at the target). `status` is None when the window has
        no live row of exactly these bounds any more: it was cut again, and its successor is announced as well.
    """
    by_dag = {config.dag_id: config for config in configs.values()}
    found = []
    for announcement in sorted(set(announcements)):
        config = by_dag.get(announcement.dag_id)
        if config is None:
            raise InvalidInputError(
                f"{announcement.dag_id} is no pipeline's DAG", where=announcement.partition_key,
                meaning="Its event names no window of this ledger", remedy=f"Known are {sorted(by_dag)}.",
            )  # fmt: skip
        window = window_of_key(announcement.partition_key)
        rows = store.find(source_object=config.source_object, within=[window])
        row = next((r for r in rows if (r.query_window_start_at, r.query_window_end_at) == _bounds(window)), None)
        start, _, end = str(window).partition("/")
        found.append(
            {
                "source_object": config.source_object,
                "start": start,
                "end": end,
                "local": window.local_label(config.timezone),
                "status": row.pipeline_final_status if row else None,
                "rows": row.target_count if row else None,
            }
        )
    return found


def _bounds(window: TimeWindow) -> tuple[Any, Any]:
    return window.start, window.end

"""The two pipelines, the reports that each one pulls, and the stores that have them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from include.orders_sync.core.dates import problem_of_zone
from include.pipeline_framework.errors import InvalidInputError

TD, UC, ALL = "td_orders_sync", "uc_orders_sync", "ALL"
PROFILER = "orders_sync_run_profiler"

_PIPELINES_OF_GROUP: dict[str, tuple[str, ...]] = {"TD": (TD,), "UC": (UC,), "ALL": (TD, UC)}

LONGEST_CODE = 8
"""Characters of `store_code` and `cost_center` in `orders_sync_log` (requirement 5, A)."""


class SyncStatus(StrEnum):
    """`orders_sync_log.status` and `pipeline_run_summaries.overall_status`."""

    RUNNING = "running"
    SUCCESS = "success"
    PARTIAL = "partial"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Store:
    """One row of `store_master`.

    Attributes:
        store_code: Its code in the CRMs.
        start_date: Its first day of business, in its time zone; nothing earlier is ever pulled.
        sync_group: TD, UC or ALL (both), in any case: the store's pipelines.
        cost_center: Copied into the log.
        timezone: IANA name of the zone in whose days its CRM reports; None: `pipeline_timezone`.
    """

    store_code: str
    start_date: date
    sync_group: str = "ALL"
    cost_center: str | None = None
    timezone: str | None = None


def pipelines_of(sync_group: str | None, *, where: str = "sync_group") -> tuple[str, ...]:
    """Return the pipelines of a sync group, in the order in which the pipelines of a store take turns.

    >>> pipelines_of("all")
    ('td_orders_sync', 'uc_orders_sync')

    Raises:
        InvalidInputError: It is none of TD, UC and ALL.
    """
    try:
        return _PIPELINES_OF_GROUP[(sync_group or "").strip().upper()]
    except KeyError:
        raise InvalidInputError(
            f"the sync group is {sync_group!r}",
            where=where,
            meaning="It says which pipelines a store has",
            remedy="Use TD, UC or ALL (both).",
        ) from None


def is_concerned(store: Store, pipelines: Sequence[str]) -> bool:
    """Return whether a store belongs to a run of these pipelines; one with a wrong sync group belongs to every run."""
    try:
        return bool(set(pipelines_of(store.sync_group)) & set(pipelines))
    except InvalidInputError:
        return True


def problem_of_store(store: Store) -> str | None:
    """Return why a row of `store_master` can't be synced, or None."""
    for name, value in (("store_code", store.store_code), ("cost_center", store.cost_center or "-")):
        if not value.strip() or len(value) > LONGEST_CODE:
            return f"its {name} {value!r} does not have 1 to {LONGEST_CODE} characters"
    try:
        pipelines_of(store.sync_group)
    except InvalidInputError as error:
        return error.what
    if store.timezone is not None and (problem := problem_of_zone(store.timezone)):
        return f"its store_timezone {store.timezone!r} is {problem}"
    return None

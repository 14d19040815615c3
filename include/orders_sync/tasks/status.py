"""The status of every store, for people; it is read from the log, and nothing is changed."""

from __future__ import annotations

from dataclasses import dataclass

from include.orders_sync.core.dates import today_in
from include.orders_sync.core.pipelines import TD, UC, pipelines_of
from include.orders_sync.core.status import StoreStatus, store_status
from include.orders_sync.ports import OrdersDatabase
from include.orders_sync.tasks.runs import problems_of, unknown_store


@dataclass(frozen=True, slots=True)
class SyncReport:
    """All stores and their pipelines.

    Attributes:
        statuses: By store and pipeline.
        problems: Stores that can't be synced, and why.
    """

    statuses: tuple[StoreStatus, ...]
    problems: dict[str, str]

    @property
    def is_complete(self) -> bool:
        """Return whether every store has every date until yesterday, and no newest window failed."""
        return not self.problems and all(status.is_complete for status in self.statuses)


def sync_report(database: OrdersDatabase, *, timezone: str, store_code: str | None = None) -> SyncReport:
    """Return the status of every active store with a start date, or of one; the number of statements is bounded.

    Args:
        database: Any session; its clock says which day today is.
        timezone: `pipeline_timezone`.
        store_code: Only this one.

    Raises:
        InvalidInputError: There is no such store.
    """
    stores = database.stores(store_code)
    if store_code is not None and not stores:
        raise unknown_store(store_code)
    problems = problems_of(stores, (TD, UC))
    stores = [store for store in stores if store.store_code not in problems]
    now = database.now()
    todays = {store.store_code: today_in(store.timezone or timezone, now) for store in stores}
    coverage, newest = database.coverage(todays, timezone), database.last_windows(list(todays))
    statuses = []
    for store in stores:
        for pipeline in pipelines_of(store.sync_group):
            key = (pipeline, store.store_code)
            rows, today = coverage.get(key, []), todays[store.store_code]
            statuses.append(store_status(store, pipeline, rows, today, newest.get(key)))
    return SyncReport(tuple(statuses), problems)

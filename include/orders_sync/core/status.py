"""The status of a store: the dates that a success covers, and how its newest window ended."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from include.orders_sync.core.pipelines import Store, SyncStatus
from include.orders_sync.core.windows import LogRow, uncovered


@dataclass(frozen=True, slots=True)
class LastWindow:
    """The newest log row of a store and pipeline; both dates inclusive."""

    row: LogRow
    run_id: str
    error_message: str | None


@dataclass(frozen=True, slots=True)
class StoreStatus:
    """The status of one store and pipeline; dates are local in `pipeline_timezone`.

    Attributes:
        store_code: The store.
        pipeline: `td_orders_sync` or `uc_orders_sync`.
        start_date: Its first day of business.
        covered_to: The last date that a success covers; None when there is none.
        missing_days: Dates from `start_date` to yesterday that no success covers; today is never over.
        missing_from: The first of them.
        last: The newest window, None when none was ever tried.
    """

    store_code: str
    pipeline: str
    start_date: date
    covered_to: date | None
    missing_days: int
    missing_from: date | None
    last: LastWindow | None

    @property
    def is_complete(self) -> bool:
        """Return whether no date is missing and the newest window went well."""
        return not self.missing_days and (self.last is None or self.last.row.status == SyncStatus.SUCCESS)


def store_status(
    store: Store, pipeline: str, log_rows: Iterable[LogRow], today: date, last: LastWindow | None
) -> StoreStatus:
    """Return the status of a store and pipeline, from the same rows that `plan_store_windows` decides from.

    >>> log = [LogRow(date(2026, 1, 1), date(2026, 1, 6), "success")]
    >>> found = store_status(Store("S001", date(2026, 1, 1)), "td_orders_sync", log, date(2026, 1, 9), None)
    >>> (found.covered_to.day, found.missing_days, found.missing_from.day)
    (6, 2, 7)
    """
    successes = [row for row in log_rows if row.status == SyncStatus.SUCCESS]
    spans = [(row.from_date.toordinal(), row.to_date.toordinal()) for row in successes]
    yesterday = today - timedelta(days=1)
    missing = list(uncovered(store.start_date.toordinal(), yesterday.toordinal(), spans))
    return StoreStatus(
        store_code=store.store_code,
        pipeline=pipeline,
        start_date=store.start_date,
        covered_to=max((row.to_date for row in successes), default=None),
        missing_days=sum(end - start + 1 for start, end in missing),
        missing_from=date.fromordinal(missing[0][0]) if missing else None,
        last=last,
    )

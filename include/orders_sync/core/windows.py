"""Decides which date windows to pull for one store and pipeline, from its log alone (requirement 5, D 1 to 3 and 6)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum

from include.orders_sync.core.pipelines import Store, SyncStatus, pipelines_of
from include.pipeline_framework.errors import InvalidInputError


class WindowReason(StrEnum):
    """The reason for pulling a window."""

    BACKFILL = "backfill"
    OVERLAP = "overlap"
    TODAY = "today"
    GAP = "gap"
    FORCED = "forced"


@dataclass(frozen=True, slots=True)
class LogRow:
    """The part of a row of `orders_sync_log` that the decision needs; both dates inclusive.

    Attributes:
        from_date: First local date.
        to_date: Last one.
        status: As in the log.
        pulled_on: Local date when its pull began: what was not over by then is still to come. None: all was over.
            `from_date`: none of it counts as pulled when it was over (other rows say which days do).
    """

    from_date: date
    to_date: date
    status: str
    pulled_on: date | None = None

    @property
    def last_whole_day(self) -> date:
        """Return the last date that was over when it was pulled; a date before `from_date` if there is none."""
        if self.pulled_on is None:
            return self.to_date
        return min(self.to_date, self.pulled_on - timedelta(days=1))


@dataclass(frozen=True, slots=True, order=True)
class OrdersWindow:
    """Local dates, both inclusive, and the reason for pulling them."""

    from_date: date
    to_date: date
    reason: WindowReason


def plan_store_windows(
    store: Store,
    pipeline: str,
    log_rows: Iterable[LogRow],
    today: date,
    window_days: int,
    overlap_days: int,
    force: bool = False,
) -> list[OrdersWindow]:
    """Return the windows to pull, in this order: from the last success until today, then today, then older gaps.

    A past day that was pulled only before it was over is also a gap. Gaps come last so that a gap that keeps failing
    never delays today. No window ends after `today`, starts before the store's `start_date`, or is longer than
    `window_days`; a pipeline that the store doesn't have gets none.

    Args:
        store: Of `store_master`.
        pipeline: `td_orders_sync` or `uc_orders_sync`.
        log_rows: The log of exactly this store and pipeline, in any order; only rows with status `success` matter.
        today: In `pipeline_timezone`.
        window_days: The most days of a window, 1 or more.
        overlap_days: Number of last successful days that are pulled again, 0 or more.
        force: Pull everything from `start_date`, whatever the log says.

    Raises:
        InvalidInputError: `window_days` or `overlap_days` is too small.

    >>> store = Store("S001", date(2026, 1, 1))
    >>> log = [LogRow(date(2026, 1, 1), date(2026, 1, 6), "success")]
    >>> [(w.from_date.day, w.to_date.day, str(w.reason))
    ...  for w in plan_store_windows(store, "td_orders_sync", log, date(2026, 1, 8), 90, 1)]
    [(6, 8, 'overlap')]
    """
    check_options(window_days=window_days, overlap_days=overlap_days)
    if store.start_date > today or pipeline not in pipelines_of(store.sync_group):
        return []
    rows = [row for row in log_rows if row.status == SyncStatus.SUCCESS]
    successes = {(row.from_date.toordinal(), row.to_date.toordinal()) for row in rows}
    start, end = store.start_date.toordinal(), today.toordinal()
    last_success = max((to_date for _, to_date in successes), default=None)
    overlap_from = None if last_success is None else max(start, last_success - (overlap_days - 1))
    next_from = start if force or overlap_from is None else overlap_from

    planned: list[tuple[int, int, WindowReason]] = []
    for first, last in _chunks(next_from, end, window_days):
        if force:
            planned.append((first, last, WindowReason.FORCED))
        elif overlap_from is not None and last_success is not None and overlap_from <= last and first <= last_success:
            planned.append((first, last, WindowReason.OVERLAP))
        elif (first, last) not in successes:
            planned.append((first, last, WindowReason.BACKFILL))
    includes_today = any(first <= end <= last for first, last, _ in planned)
    if not includes_today and (force or (end, end) not in successes):
        planned.append((end, end, WindowReason.TODAY))
    if last_success is not None:
        whole = {(row.from_date.toordinal(), row.last_whole_day.toordinal()) for row in rows}
        covered = {pair for pair in whole if pair[0] <= pair[1]} | {(first, last) for first, last, _ in planned}
        for first, last in uncovered(start, min(last_success, end - 1), covered):
            planned += [(*chunk, WindowReason.GAP) for chunk in _chunks(first, last, window_days)]
    return [OrdersWindow(date.fromordinal(first), date.fromordinal(last), reason) for first, last, reason in planned]


def days_to_search(first: date, last: date, store: Store, today: date, moved_days: int) -> list[tuple[date, date]]:
    """Return where rows may be that a report of `first` to `last` no longer has: days before and after it, inclusive.

    A row that is missing was deleted in the CRM, or got another date; if that date was covered, no run would pull it
    again.

    >>> store = Store("S001", date(2026, 1, 1))
    >>> found = days_to_search(date(2026, 3, 1), date(2026, 3, 8), store, date(2026, 3, 9), 90)
    >>> [(str(start), str(end)) for start, end in found]
    [('2026-01-01', '2026-02-28'), ('2026-03-09', '2026-03-09')]
    """
    around, one = timedelta(days=moved_days), timedelta(days=1)
    before = (max(store.start_date, first - around), first - one)
    after = (last + one, min(today, last + around))
    return [(start, end) for start, end in (before, after) if start <= end]


def check_options(
    *, window_days: int, overlap_days: int, max_workers: int = 1, workers_limit: int | None = None
) -> None:
    """Raise InvalidInputError for numbers that make no sense."""
    for name, value, least in (
        ("window_days", window_days, 1),
        ("overlap_days", overlap_days, 0),
        ("max_workers", max_workers, 1),
    ):
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise InvalidInputError(
                f"{name} is {value!r}", where=name, remedy=f"Give a whole number of at least {least}."
            )
    if workers_limit is not None and max_workers > workers_limit:
        raise InvalidInputError(
            f"max_workers is {max_workers}",
            where="max_workers",
            remedy=f"Give at most {workers_limit}, or raise workers_limit in include/orders_sync/config.yaml.",
        )


def _chunks(first: int, last: int, days: int) -> Iterator[tuple[int, int]]:
    for start in range(first, last + 1, days):
        yield start, min(start + days - 1, last)


def uncovered(first: int, last: int, covered: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Return the uncovered days as ordinals: maximal runs of days in `first..last` that no pair (inclusive) covers."""
    next_day = first
    for start, end in sorted(covered):
        if start > last:
            break
        if start > next_day:
            yield next_day, start - 1
        next_day = max(next_day, end + 1)
    if next_day <= last:
        yield next_day, last

"""A run of the orders sync: its id, its options, its locks, and the summary at its end."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import date, datetime
from typing import Any

from include.orders_sync.core.dates import today_in
from include.orders_sync.core.pipelines import PROFILER, TD, UC, Store, SyncStatus, pipelines_of
from include.orders_sync.core.windows import LogRow, OrdersWindow, WindowReason, plan_store_windows
from include.pipeline_framework.errors import InvalidInputError

MAX_INSTANCES = 1_024
"""Airflow's `core.max_map_length`: above this number, an instance gets several stores."""

_DIGEST_CHARACTERS = 12


def run_id_of(pipeline_name: str, key: str, began_at: datetime) -> str:
    """Return the same id for the same key; it fits the column, but Airflow's own run ids have up to 250 characters.

    Args:
        pipeline_name: `orders_sync_run_profiler`, `td_orders_sync` or `uc_orders_sync`.
        key: Identifies the run: Airflow's dag_id and run_id; at the command line a unique text.
        began_at: Shown in the id; for an Airflow run the instant that stays the same when it is cleared.

    >>> from datetime import UTC
    >>> run_id_of("uc_orders_sync", "manual__x", datetime(2026, 1, 6, 13, 30, tzinfo=UTC))
    'uc_orders_sync-20260106T133000Z-a3b1ac94ad7a'
    """
    digest = hashlib.sha256(f"{pipeline_name} {key}".encode()).hexdigest()[:_DIGEST_CHARACTERS]
    return f"{pipeline_name}-{began_at:%Y%m%dT%H%M%SZ}-{digest}"


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of one run: plain values, so that they travel between tasks as JSON.

    Attributes:
        run_id: Of the summary row and every log row.
        pipeline_name: `orders_sync_run_profiler` decides itself; `td_orders_sync`, `uc_orders_sync` pull one window.
        run_env: Copied into every row, at most 32 characters.
        today: The run's day in `pipeline_timezone`; no window ends later.
        sync_group: TD, UC or ALL.
        store_code: Only this store.
        window_days: The most days of a window.
        overlap_days: Number of last successful days that are pulled again.
        max_workers: Stores synced at once.
        force: Pull everything from each store's start date.
        from_date: First date of the one window.
        to_date: Last date of the one window, inclusive.
        orders_only: Pull TD without sales.
        sales_only: Pull TD without orders.
        began_at: The instant whose date is `today`; stores in other zones may have another date then.
        moved_days: See `core.windows.days_to_search`.
    """

    run_id: str
    pipeline_name: str
    run_env: str
    today: date
    sync_group: str = "ALL"
    store_code: str | None = None
    window_days: int = 90
    overlap_days: int = 1
    max_workers: int = 3
    force: bool = False
    from_date: date | None = None
    to_date: date | None = None
    orders_only: bool = False
    sales_only: bool = False
    began_at: datetime | None = None
    moved_days: int = 0

    @property
    def decides(self) -> bool:
        """Return True if the log decides; otherwise the dates were given."""
        return self.pipeline_name == PROFILER

    @property
    def pipelines(self) -> tuple[str, ...]:
        """Return the pipelines of the run, in the order in which the pipelines of one store take turns."""
        return pipelines_of(self.sync_group) if self.decides else (self.pipeline_name,)

    @property
    def left_out(self) -> str | None:
        """Return why a window of this run can't be a success, even if all its reports are pulled."""
        if self.orders_only:
            return "only orders were pulled (orders_only), so these dates are not covered"
        if self.sales_only:
            return "only sales were pulled (sales_only), so these dates are not covered"
        return None

    def today_of(self, store: Store) -> date:
        """Return the store's own date at the time when the run began."""
        if store.timezone is None or self.began_at is None:
            return self.today
        return today_in(store.timezone, self.began_at)

    def given_windows(self, store: Store) -> list[OrdersWindow]:
        """Return the one window of a run with given dates, until the store's own today; none if it is in the future."""
        if self.from_date is None or self.to_date is None:
            raise InvalidInputError(f"a run of {self.pipeline_name} needs both dates", where=self.run_id)
        last = min(self.to_date, self.today_of(store))
        return [OrdersWindow(self.from_date, last, WindowReason.FORCED)] if self.from_date <= last else []

    def to_json(self) -> dict[str, Any]:
        """Return plain values, with dates as text."""
        return {name: value.isoformat() if isinstance(value, date) else value for name, value in asdict(self).items()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> RunOptions:
        """Return the options of `to_json`'s result."""
        dates: dict[str, Any] = {
            name: date.fromisoformat(values[name]) for name in ("today", "from_date", "to_date") if values.get(name)
        }
        if values.get("began_at"):
            dates["began_at"] = datetime.fromisoformat(values["began_at"])
        return cls(**{**values, **dates})


def windows_of(store: Store, pipeline: str, options: RunOptions, log_rows: Iterable[LogRow]) -> list[OrdersWindow]:
    """Return the windows that a run pulls for a store and pipeline; the shown plan and the pull use this alike.

    Args:
        store: A store without a problem.
        pipeline: One of the run's pipelines.
        options: The run.
        log_rows: As the database returns them; ignored if the dates were given.
    """
    if pipeline not in pipelines_of(store.sync_group):
        return []
    if not options.decides:
        return options.given_windows(store)
    return plan_store_windows(
        store, pipeline, log_rows, options.today_of(store), options.window_days, options.overlap_days, options.force
    )


def check_run_env(run_env: str) -> str:
    """Return the environment's name, if the columns can hold it.

    Raises:
        InvalidInputError: It is empty or too long.
    """
    if not re.fullmatch(r"[^\s\0](?:[^\0]{0,30}[^\s\0])?", run_env):
        raise InvalidInputError(
            f"env is {run_env!r}", where="env", remedy="Give 1 to 32 characters, such as prod, without blanks around."
        )
    return run_env


def check_only(pipeline: str, *, orders_only: bool, sales_only: bool) -> None:
    """Raise InvalidInputError if both flags are set, or one of them for UC, which has neither."""
    if pipeline == UC and (orders_only or sales_only):
        raise InvalidInputError(
            f"{UC} knows neither orders_only nor sales_only",
            where="orders_only, sales_only",
            meaning="Its only report is GST",
            remedy=f"Leave them out, or use {TD}.",
        )
    if orders_only and sales_only:
        raise InvalidInputError(
            "orders_only and sales_only at once leave nothing to pull",
            where="orders_only, sales_only",
            remedy="Give one of them, or none for both reports.",
        )


def store_lock(store_code: str) -> str:
    """Return the name of a store's lock, which is the same for every pipeline and run."""
    return f"orders_sync store {store_code}"


def slot_lock(run_id: str, slot: int) -> str:
    """Return the name of one of a run's `max_workers` slots."""
    return f"orders_sync slot {slot} of {run_id}"


def instances(store_codes: Sequence[str], most: int = MAX_INSTANCES) -> list[dict[str, Any]]:
    """Return the stores in at most as many groups as Airflow maps: one store each if they fit.

    >>> instances(["S1", "S2", "S3"], most=2)
    [{'name': 'S1…S2 (2)', 'stores': ['S1', 'S2']}, {'name': 'S3', 'stores': ['S3']}]
    """
    size = max(1, math.ceil(len(store_codes) / most))
    groups = [list(store_codes[start : start + size]) for start in range(0, len(store_codes), size)]
    return [
        {"name": group[0] if len(group) == 1 else f"{group[0]}…{group[-1]} ({len(group)})", "stores": group}
        for group in groups
    ]


@dataclass(slots=True)
class StoreReport:
    """The outcome of one store in a run.

    Attributes:
        store_code: The store.
        planned: Windows by pipeline.
        tried: Started windows, by pipeline.
        errors: The first message of each pipeline that stopped.
        skipped: Why nothing was tried: the session that holds the store.
        died: Why its worker could not continue; `finish_run` marks the rows that it left.
    """

    store_code: str
    planned: dict[str, int] = field(default_factory=dict)
    tried: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    skipped: str | None = None
    died: str | None = None


def reports_of(start: str, pushed: Iterable[Mapping[str, Any] | None]) -> list[StoreReport]:
    """Return the reports of one start of a run, from the values that its mapped instances stored.

    An instance that did not start since the run was cleared, or no longer exists, still has the value of its earlier
    start.

    Args:
        start: Identifies the start.
        pushed: Per instance `{"start": …, "reports": [StoreReport as a dictionary, …]}`; None: it stored nothing.
    """
    current = [each["reports"] for each in pushed if each and each["start"] == start]
    return [StoreReport(**report) for reports in current for report in reports]


@dataclass(frozen=True, slots=True)
class RunResult:
    """`overall_status` and `summary_text` of a run."""

    status: SyncStatus
    text: str


def run_result(
    options: RunOptions,
    counts: Iterable[tuple[str, str, str, int]],
    reports: Sequence[StoreReport],
    *,
    problems: Mapping[str, str] | None = None,
) -> RunResult:
    """Return how a run ended (requirement 5, E): failed if a window failed, partial if one is or a store was left out.

    Args:
        options: The run.
        counts: Pipeline, store, status, windows from the log, which decides; a running row is of a dead process.
        reports: Of every store with windows.
        problems: Stores of `store_master` that can't be synced, and why.
    """
    problems = problems or {}
    windows: dict[str, dict[str, int]] = {pipeline: {} for pipeline in options.pipelines}
    stores: dict[str, dict[str, set[str]]] = {pipeline: {} for pipeline in options.pipelines}
    for pipeline, store, status, count in counts:
        shown = SyncStatus.FAILED.value if status == SyncStatus.RUNNING else status
        windows.setdefault(pipeline, {})[shown] = windows.get(pipeline, {}).get(shown, 0) + count
        stores.setdefault(pipeline, {}).setdefault(store, set()).add(shown)
    skipped = [report for report in reports if report.skipped]
    statuses = {status for found in windows.values() for status in found}
    dead = [report for report in reports if report.died]
    if SyncStatus.FAILED in statuses or dead:
        overall = SyncStatus.FAILED
    elif SyncStatus.PARTIAL in statuses or skipped or problems:
        overall = SyncStatus.PARTIAL
    else:
        overall = SyncStatus.SUCCESS
    lines = [_line(pipeline, windows[pipeline], stores[pipeline], reports, skipped) for pipeline in windows]
    lines += [f"{report.store_code} skipped: {report.skipped}" for report in skipped]
    lines += [f"{code} left out: {reason}" for code, reason in sorted(problems.items())]
    lines += [f"{report.store_code} failed: {report.died}" for report in dead]
    lines += [
        f"{report.store_code} {pipeline}: {message}"
        for report in reports
        for pipeline, message in report.errors.items()
    ]
    return RunResult(overall, "\n".join(lines))


def _line(
    pipeline: str,
    windows: Mapping[str, int],
    stores: Mapping[str, set[str]],
    reports: Sequence[StoreReport],
    skipped: Sequence[StoreReport],
) -> str:
    done = sum(statuses == {SyncStatus.SUCCESS} for statuses in stores.values())
    not_tried = sum(
        report.planned.get(pipeline, 0) - report.tried.get(pipeline, 0) for report in reports if not report.skipped
    )
    locked = sum(pipeline in report.planned for report in skipped)
    parts = [f"{windows.get(status, 0)} {status.value}" for status in (
        SyncStatus.SUCCESS, SyncStatus.PARTIAL, SyncStatus.FAILED
    )]  # fmt: skip
    text = f"{pipeline}: {done} of {len(stores)} stores done; windows: {', '.join(parts)}"
    if not_tried:
        text += f", {not_tried} not tried after a failure"
    return f"{text}; {locked} stores skipped because locked"

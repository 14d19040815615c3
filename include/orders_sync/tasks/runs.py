"""A run from its summary row to its end: the windows are decided once, for all stores; the log says how it ended."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from include.orders_sync.config import OrdersConfig
from include.orders_sync.core.dates import parse_range, problem_of_zone, today_in
from include.orders_sync.core.pipelines import PROFILER, Store, is_concerned, pipelines_of, problem_of_store
from include.orders_sync.core.runs import (
    RunOptions,
    RunResult,
    StoreReport,
    check_only,
    check_run_env,
    run_result,
    store_lock,
    windows_of,
)
from include.orders_sync.core.windows import OrdersWindow, check_options
from include.orders_sync.ports import OrdersDatabase
from include.pipeline_framework.core.time import zone_rules
from include.pipeline_framework.core.time.server_rules import told
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError

_log = logging.getLogger(__name__)

_NEAR_PAST, _NEAR, _FAR = timedelta(days=8), timedelta(days=2), timedelta(days=366)


@dataclass(frozen=True, slots=True)
class StorePlan:
    """The windows of one store and pipeline, in order, at least one."""

    store_code: str
    pipeline: str
    windows: tuple[OrdersWindow, ...]


@dataclass(frozen=True, slots=True)
class RunPlan:
    """The work of a run.

    Attributes:
        plans: Only stores and pipelines that have windows, by store.
        problems: Stores that can't be synced, and why.
    """

    plans: tuple[StorePlan, ...]
    problems: dict[str, str]

    @property
    def store_codes(self) -> list[str]:
        """Return the stores with windows, in order, each once."""
        return list(dict.fromkeys(plan.store_code for plan in self.plans))


def parse_options(
    pipeline_name: str, given: Mapping[str, Any], config: OrdersConfig, *, run_id: str, now: datetime
) -> RunOptions:
    """Return a run's options from its conf, params or flags over the defaults; `now` gives today in its time zone.

    Args:
        pipeline_name: `orders_sync_run_profiler`, `td_orders_sync` or `uc_orders_sync`.
        given: Names as requirement 5 has them, with underscores; None and "" mean the default.
        config: `include/orders_sync/config.yaml`.
        run_id: See `core.runs.run_id_of`.
        now: An aware instant.

    Raises:
        InvalidInputError: A value makes no sense; nothing was written.
    """
    values = {name: value for name, value in given.items() if value is not None and value != ""}
    today = today_in(config.pipeline_timezone, now)
    run_env = check_run_env(str(values.get("env", config.run_env)))
    store_code = str(values["store_code"]) if "store_code" in values else None
    if pipeline_name == PROFILER:
        sync_group = str(values.get("sync_group", "ALL")).strip().upper()
        pipelines_of(sync_group)
        numbers = {
            name: values.get(name, getattr(config, name)) for name in ("window_days", "overlap_days", "max_workers")
        }
        check_options(**numbers, workers_limit=config.workers_limit)
        return RunOptions(
            run_id, pipeline_name, run_env, today, sync_group=sync_group, store_code=store_code,
            force=bool(values.get("force", False)), began_at=now, moved_days=config.moved_days, **numbers,
        )  # fmt: skip
    orders_only, sales_only = bool(values.get("orders_only")), bool(values.get("sales_only"))
    check_only(pipeline_name, orders_only=orders_only, sales_only=sales_only)
    from_date, to_date = parse_range(
        values.get("from_date"), values.get("to_date"), today=today, default_days=config.default_days
    )
    return RunOptions(
        run_id, pipeline_name, run_env, today, store_code=store_code, max_workers=config.max_workers,
        from_date=from_date, to_date=to_date, orders_only=orders_only, sales_only=sales_only,
        began_at=now, moved_days=config.moved_days,
    )  # fmt: skip


def start_run(options: RunOptions, config: OrdersConfig, database: OrdersDatabase) -> None:
    """Write the run's summary row; before that, mark runs that ended without reporting as failed.

    Raises:
        ConfigurationError: The database's server presently has other time zone rules than this process.
    """
    if dead := database.fail_dead_runs(config.run_timeout_hours):
        _log.warning("%d runs had died without a word; they are marked as failed", dead)
    _compare_zone_rules(options, config, database)
    database.keep_zone(config.pipeline_timezone)
    database.start_run(options.run_id, options.pipeline_name, options.run_env, options.today)


def _compare_zone_rules(options: RunOptions, config: OrdersConfig, database: OrdersDatabase) -> None:
    """Refuse time zone rules of the server that presently differ from ours, and report later differences.

    The server computes which days were over when they were pulled: with other rules it may take a day as whole that was
    not.
    """
    own = {store.timezone for store in database.stores(options.store_code) if store.timezone}
    zones = {config.pipeline_timezone, *(zone for zone in own if problem_of_zone(zone) is None)}
    now = options.began_at or database.now()
    differing = database.zone_differences(zones, now - _NEAR_PAST, now + _FAR)
    if not differing:
        return
    what = (
        f"the orders database's server has other time zone rules than this process, which has {zone_rules.version()}: "
        f"{told(differing)}"
    )
    remedy = "Update the zone files of the server (its operating system's tzdata), then restart Postgres."
    if any(days[0] <= today_in(zone, now) + _NEAR for zone, days in differing.items()):
        raise ConfigurationError(
            what,
            where="orders_postgres",
            meaning="A day could count as over before it is, and its last orders be missed; nothing was pulled",
            remedy=remedy,
        )
    _log.warning("%s. From the first of these days on runs are refused. %s", what, remedy)


def plan_run(options: RunOptions, database: OrdersDatabase, *, timezone: str) -> RunPlan:
    """Decide for every store and pipeline; the number of statements doesn't grow with them.

    A pull at the same moment makes the same decisions, store by store (`sync_stores.decide`).

    Args:
        options: The run.
        database: Any session; nothing is written.
        timezone: `pipeline_timezone`.

    Raises:
        InvalidInputError: The one requested store can't be synced, or has none of the pipelines.
    """
    found = database.stores(options.store_code)
    problems = problems_of(found, options.pipelines)
    stores = [store for store in found if store.store_code not in problems]
    if options.store_code is not None:
        _require_the_store(options, stores, problems)
    todays = {store.store_code: options.today_of(store) for store in stores}
    coverage = database.coverage(todays, timezone) if options.decides else {}
    plans = []
    for store in stores:
        for pipeline in options.pipelines:
            windows = windows_of(store, pipeline, options, coverage.get((pipeline, store.store_code), []))
            if windows:
                plans.append(StorePlan(store.store_code, pipeline, tuple(windows)))
    return RunPlan(tuple(plans), problems)


def finish_run(
    options: RunOptions,
    reports: Sequence[StoreReport],
    database: OrdersDatabase,
    *,
    planned: Sequence[str],
    problems: Mapping[str, str],
) -> RunResult:
    """Write how the run ended; first, mark the rows that its dead workers left running.

    Args:
        options: The run.
        reports: Of its stores.
        database: Any session.
        planned: Stores that should have a report.
        problems: As in `RunPlan`.
    """
    for code in database.running_stores(options.run_id):
        if database.try_lock(store_lock(code)):
            for line in database.fail_dead_rows(code, options.run_id):
                _log.warning("%s", line)
            database.unlock(store_lock(code))
    reported = {report.store_code for report in reports}
    silent = [StoreReport(code, died="its worker ended without a word") for code in planned if code not in reported]
    clean = [report.store_code for report in reports if not (report.errors or report.skipped or report.died)]
    counts = database.run_counts(options.run_id, clean)
    result = run_result(options, counts, [*reports, *silent], problems=problems)
    database.finish_run(options.run_id, result.status, result.text)
    return result


def problems_of(stores: Sequence[Store], pipelines: Sequence[str]) -> dict[str, str]:
    """Return the stores of any of these pipelines whose row in `store_master` can't be synced, and why."""
    found = {}
    times = Counter(store.store_code for store in stores)
    for store in stores:
        problem = problem_of_store(store)
        if times[store.store_code] > 1:
            problem = f"it stands in store_master {times[store.store_code]} times"
        if problem and is_concerned(store, pipelines):
            found[store.store_code] = problem
    return found


def unknown_store(store_code: str) -> InvalidInputError:
    """Return the message for a requested store that does not exist."""
    return InvalidInputError(
        "there is no such active store with a start date",
        where=f"store_code {store_code!r}",
        meaning="Codes match exactly, upper and lower case too",
        remedy="Look at store_code, is_active and start_date in store_master.",
    )


def plan_table(plan: RunPlan) -> list[str]:
    """Return the plan as lines of a table, for logs and terminals: one line per window."""
    lines = [f"{'store_code':<10} {'pipeline':<14} {'from_date':<10} {'to_date':<10} {'days':>4}  reason"]
    for each in plan.plans:
        for window in each.windows:
            days = (window.to_date - window.from_date).days + 1
            dates = f"{window.from_date} {window.to_date} {days:>4}"
            lines.append(f"{each.store_code:<10} {each.pipeline:<14} {dates}  {window.reason}")
    lines.append(f"{len(lines) - 1} windows of {len(plan.store_codes)} stores")
    return lines + [f"{code} left out: {problem}" for code, problem in sorted(plan.problems.items())]


def _require_the_store(options: RunOptions, stores: Sequence[Store], problems: Mapping[str, str]) -> None:
    code = options.store_code
    where = f"store_code {code!r}"
    if problems:
        raise InvalidInputError(
            f"store {code} can't be synced: {problems[str(code)]}",
            where=where,
            remedy="Correct its row in store_master.",
        )
    if not stores:
        raise unknown_store(str(code))
    if not set(pipelines_of(stores[0].sync_group)) & set(options.pipelines):
        raise InvalidInputError(
            f"store {code} has sync group {stores[0].sync_group}, which has none of {', '.join(options.pipelines)}",
            where=where,
            remedy="Ask for its own sync group, or correct store_master.",
        )

"""Pulls one window of one store and pipeline: its log row, its reports, its end (requirement 5, C)."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import date
from typing import Any

from include.orders_sync.core.pipelines import UC, Store, SyncStatus
from include.orders_sync.core.reports import REPORTS, ReportSchema, check_report
from include.orders_sync.core.runs import RunOptions
from include.orders_sync.core.windows import days_to_search
from include.orders_sync.ports import OrdersDatabase, ReportClient, TypedPage
from include.pipeline_framework.errors import PipelineError

_log = logging.getLogger(__name__)


def pull_window(
    store: Store,
    pipeline: str,
    from_date: date,
    to_date: date,
    options: RunOptions,
    database: OrdersDatabase,
    client: ReportClient,
    *,
    timezone: str,
) -> tuple[SyncStatus, str | None]:
    """Pull every report of a window; a failure is written into its log row and returned, not raised.

    Args:
        store: The store whose lock `database` holds.
        pipeline: `td_orders_sync` or `uc_orders_sync`.
        from_date: First local date.
        to_date: Last one, inclusive.
        options: The run.
        database: The session that holds the lock.
        client: Of the pipeline's CRM.
        timezone: `pipeline_timezone`; the store's own zone has priority.

    Returns:
        The status of the log row, and its error message.

    Raises:
        ServiceUnavailableError: The database is lost; the row stays running, and the next run marks it as failed.
    """
    zone = store.timezone or timezone
    search = days_to_search(from_date, to_date, store, options.today_of(store), options.moved_days)
    log_id = database.start_window(pipeline, store, from_date, to_date, run_id=options.run_id, run_env=options.run_env)
    wanted = [schema for schema in REPORTS[pipeline] if _is_wanted(schema, options)]
    pulled: list[str] = []
    message: str | None
    try:
        for schema in wanted:
            saved = database.save_report(
                schema,
                _typed_pages(client, schema, store.store_code, from_date, to_date, zone),
                log_id=log_id,
                run_id=options.run_id,
                store_code=store.store_code,
                from_date=from_date,
                to_date=to_date,
                search=search,
            )
            pulled.append(schema.name)
            _log.info(
                "%s %s %s to %s: %s %d rows, %d new, %d changed, %d vanished",
                pipeline, store.store_code, from_date, to_date, schema.name, saved.rows,
                saved.inserted, saved.updated, saved.vanished,
            )  # fmt: skip
            if saved.vanished and search:
                days = " and ".join(f"{start} to {end}" for start, end in search)
                _log.info("the next run of the profiler looks for the vanished rows in %s", days)
    except Exception as error:  # noqa: BLE001 - requirement 5, C: on an exception, status and error_message are set
        message = _message(error)
        status = SyncStatus.PARTIAL if pulled and pipeline != UC else SyncStatus.FAILED
    else:
        message = options.left_out
        status = SyncStatus.PARTIAL if message else SyncStatus.SUCCESS
    database.end_window(log_id, status, message)
    if message:
        _log.warning("%s %s %s to %s: %s: %s", pipeline, store.store_code, from_date, to_date, status.value, message)
    return status, message


def _typed_pages(
    client: ReportClient, schema: ReportSchema, store_code: str, from_date: date, to_date: date, timezone: str
) -> Iterator[TypedPage]:
    """Yield the pages of a report as soon as the client has them, their cells checked."""
    of: dict[str, Any] = {"store_code": store_code, "from_date": from_date, "to_date": to_date}
    for page in client.pages(schema.name, **of):
        number = page.first_number
        rows = check_report(schema, page.columns, page.rows, **of, timezone=timezone, first_number=number)
        yield TypedPage(number, rows)


def _is_wanted(schema: ReportSchema, options: RunOptions) -> bool:
    if options.orders_only:
        return schema.pulled_at == "orders_pulled_at"
    if options.sales_only:
        return schema.pulled_at == "sales_pulled_at"
    return True


def _message(error: Exception) -> str:
    if isinstance(error, PipelineError):
        return str(error)
    _log.error("unexpected", exc_info=error)
    return f"{type(error).__name__}: {error}"

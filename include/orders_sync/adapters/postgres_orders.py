"""The orders sync's database: runs, stores, log and the report tables, on the one connection that holds the locks.

A lock is a session lock of exactly the connection that writes: a session that loses the connection loses the lock and
can no longer write. A pooler that gives the session's server away between transactions would break that: it is refused
when the first lock is taken or the first report is written. Reading works through it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import date, datetime
from typing import Any

from include.orders_sync.core.pipelines import PROFILER, TD, UC, Store, SyncStatus
from include.orders_sync.core.reports import ReportSchema, two_contents
from include.orders_sync.core.status import LastWindow
from include.orders_sync.core.windows import LogRow
from include.orders_sync.ports import SavedReport, StoreLog, TypedPage
from include.pipeline_framework.errors import (
    ConfigurationError,
    PipelineError,
    ServiceBusyError,
    ServiceUnavailableError,
    TerminalError,
)
from include.postgres_server import zones
from include.postgres_server.errors import Trouble, said, state_of, trouble_of
from include.postgres_server.pooler import require_own_session
from include.sql.text import SqlFragment, fill, quoted, sql_text

LONGEST_MESSAGE = 4_000
"""Characters of an error message that the log keeps."""

_LONGEST_SESSION_NAME = 63  # bytes; Postgres cuts application_name


class PostgresOrders:
    """One session; see `OrdersDatabase`.

    Args:
        connect: Returns a new psycopg 3 connection.
        session_name: The run's id, which people see who look at the locks.
    """

    def __init__(self, connect: Callable[[], Any], session_name: str) -> None:
        self._connect = connect
        with _translated("connect"):
            self._connection = connect()
            self._connection.autocommit = True
        self._backend_pid: int = self._run("set_up_session", name=session_name[:_LONGEST_SESSION_NAME])[0][-1]
        self._is_own_session = False
        self._pipeline_ids: dict[str, int] | None = None

    def close(self) -> None:
        """Close the connection, and with it release every lock; never raises."""
        with suppress(Exception):
            self._connection.close()

    def now(self) -> datetime:
        """Return the database's clock."""
        found: datetime = self._run("now")[0][0]
        return found

    # runs -----------------------------------------------------------------------------------------------------------

    def start_run(self, run_id: str, pipeline_name: str, run_env: str, report_date: date) -> None:
        """Write the summary row as running; if the same run starts again, its row starts again."""
        self._run("start_run", run_id=run_id, pipeline_name=pipeline_name, run_env=run_env, report_date=report_date)

    def finish_run(self, run_id: str, status: SyncStatus, summary_text: str) -> None:
        """Write how the run ended."""
        self._run("finish_run", run_id=run_id, overall_status=status.value, summary_text=summary_text)

    def fail_dead_runs(self, hours: float) -> int:
        """Mark older running summary rows as failed; return their number."""
        return self._change("fail_dead_runs", pipeline_names=[PROFILER, TD, UC], hours=hours)

    def run_counts(self, run_id: str, clean_stores: Sequence[str]) -> list[tuple[str, str, str, int]]:
        """Return pipeline, store, status and windows of what the run did since it started; see `OrdersDatabase`."""
        return [tuple(row) for row in self._run("run_counts", run_id=run_id, clean_stores=list(clean_stores))]

    def running_stores(self, run_id: str) -> list[str]:
        """Return the stores for which the run has running rows."""
        return [code for (code,) in self._run("running_stores", run_id=run_id)]

    # deciding -------------------------------------------------------------------------------------------------------

    def stores(self, store_code: str | None = None) -> list[Store]:
        """Return active stores with a start date, by code, one or all; their sync group is not checked."""
        found = self._run("stores", store_code=store_code)
        return [Store(code, start, group or "", center, zone or None) for code, start, group, center, zone in found]

    def keep_zone(self, timezone: str) -> None:
        """Store the zone of all dates; the coverage is kept for it."""
        self._run("keep_zone", timezone=timezone)

    def zone_differences(self, timezones: Iterable[str], first: datetime, last: datetime) -> dict[str, list[date]]:
        """Return by zone the days between two instants on which the server's time zone rules differ from ours."""

        def execute(text: str, parameters: Mapping[str, Any]) -> list[Any]:
            with _translated("local_times"):
                return list(self._connection.execute(text, parameters).fetchall())

        return zones.compare(execute, timezones, first, last)

    def coverage(self, todays: Mapping[str, date], timezone: str) -> dict[tuple[str, str], list[LogRow]]:
        """Return the coverage by pipeline and store, in one statement; see `OrdersDatabase`."""
        codes = {number: code for code, number in self.pipeline_ids().items()}
        rows = self._run(
            "coverage",
            pipeline_ids=list(codes),
            store_codes=list(todays),
            todays=list(todays.values()),
            timezone=timezone,
        )
        found: dict[tuple[str, str], list[LogRow]] = {}
        for pipeline_id, store_code, first_days, last_days, first_whole, last_whole, has_today in rows:
            pulled = list(zip(first_days or (), last_days or (), strict=True))
            if has_today:
                pulled.append((todays[store_code], todays[store_code]))
            whole = zip(first_whole or (), last_whole or (), strict=True)
            found[codes[pipeline_id], store_code] = _log_rows(pulled, whole)
        return found

    def last_windows(self, store_codes: Sequence[str]) -> dict[tuple[str, str], LastWindow]:
        """Return the newest row of the log by pipeline and store."""
        rows = self._run("last_windows", codes=[TD, UC], store_codes=list(store_codes))
        return {
            (code, store_code): LastWindow(LogRow(first, last, status), run_id, message)
            for code, store_code, first, last, status, run_id, message in rows
        }

    def store_log(self, pipeline: str, store_code: str, run_id: str, timezone: str) -> StoreLog:
        """Return the log of one store and pipeline, for deciding under its lock."""
        of = {"pipeline_id": self.pipeline_ids()[pipeline], "store_code": store_code, "run_id": run_id}
        rows = self._run("log_rows", **of)
        others = [(first, last) for first, last, is_own in rows if not is_own]
        whole = self._run("whole_days", **of, timezone=timezone)
        return StoreLog(_log_rows(others, whole), {(first, last) for first, last, is_own in rows if is_own})

    def pipeline_ids(self) -> dict[str, int]:
        """Return `pipelines.id` by code.

        Raises:
            ConfigurationError: A row is missing.
        """
        if self._pipeline_ids is None:
            found = dict(self._run("pipeline_ids", codes=[TD, UC]))
            if missing := sorted({TD, UC} - set(found)):
                raise ConfigurationError(
                    f"the table pipelines has no row with code {', '.join(missing)}",
                    where="orders database",
                    meaning="Every row of orders_sync_log needs its id",
                    remedy="Run `python -m include.cli orders migrate`, which inserts it.",
                )
            self._pipeline_ids = found
        return self._pipeline_ids

    # locks ----------------------------------------------------------------------------------------------------------

    def try_lock(self, name: str) -> bool:
        """Take a lock for this session; return False when another session holds it.

        Raises:
            ConfigurationError: Through this pooler no session would own the lock.
        """
        self._require_own_session()
        return bool(self._run("try_lock", name=name)[0][0])

    def unlock(self, name: str) -> None:
        """Release a lock."""
        self._run("unlock", name=name)

    def holder(self, name: str) -> str | None:
        """Return name and process of the session that holds a lock; None when it was released meanwhile."""
        found = self._run("holder", name=name)
        return f"{found[0][0] or 'a session without a name'} (process {found[0][1]})" if found else None

    # windows --------------------------------------------------------------------------------------------------------

    def fail_dead_rows(self, store_code: str, found_by: str) -> list[str]:
        """Mark running rows of a store whose lock this session holds as failed; return one line for each."""
        rows = self._run("fail_dead_rows", store_code=store_code, found_by=found_by)
        return [f"{store_code} {first} to {last}: run {run_id} had died" for run_id, first, last in rows]

    def start_window(
        self, pipeline: str, store: Store, from_date: date, to_date: date, *, run_id: str, run_env: str
    ) -> int:
        """Write the running row of the window; return its id."""
        found = self._run(
            "start_window",
            pipeline_id=self.pipeline_ids()[pipeline],
            run_id=run_id,
            run_env=run_env,
            cost_center=store.cost_center,
            store_code=store.store_code,
            from_date=from_date,
            to_date=to_date,
        )
        return int(found[0][0])

    def end_window(self, log_id: int, status: SyncStatus, error_message: str | None) -> None:
        """Write how a window ended."""
        message = error_message and error_message.replace("\0", "")[:LONGEST_MESSAGE]
        self._run("end_window", id=log_id, status=status.value, error_message=message)
        if status == SyncStatus.SUCCESS:
            self._run("close_reopened", id=log_id)

    def save_report(
        self,
        schema: ReportSchema,
        pages: Iterable[TypedPage],
        *,
        log_id: int,
        run_id: str,
        store_code: str,
        from_date: date,
        to_date: date,
        search: Sequence[tuple[date, date]] = (),
    ) -> SavedReport:
        """Upsert one report of one window, flag vanished rows, and log it; see `OrdersDatabase`."""
        self._require_own_session()
        fragments = _fragments(schema)
        window = {"store_code": store_code, "from_date": from_date, "to_date": to_date, "run_id": run_id}
        with _translated(f"write report {schema.name} of store {store_code}"), _discreet(schema):
            self._execute("create_pulled", fragments)
            # outside a transaction: none stays open while the CRM is waited for
            count = self._land(pages, fragments)
            with self._connection.transaction():
                if other := self._execute("remove_repeated", fragments).fetchone():
                    raise two_contents(schema, *other, store_code=store_code, from_date=from_date, to_date=to_date)
                inserted, changed = self._execute("upsert_report", fragments, window).fetchone()
                vanished = int(self._execute("flag_vanished", fragments, window).rowcount)
                self._execute("report_pulled", fragments, {"id": log_id})
                if vanished and search:
                    first_days, last_days = map(list, zip(*search, strict=True))
                    reason = f"{vanished} rows vanished from {schema.name} of {from_date} to {to_date}"
                    days = {"first_days": first_days, "last_days": last_days}
                    self._execute("reopen_days", {}, {"id": log_id, "reason": reason, **days})
                self._execute("empty_pulled", fragments)
        return SavedReport(rows=count, inserted=inserted, updated=changed - inserted, vanished=vanished)

    def _land(self, pages: Iterable[TypedPage], fragments: Mapping[str, SqlFragment]) -> int:
        """Copy the report into its landing table, page by page; return the number of its rows."""
        self._execute("empty_pulled", fragments)
        count = 0
        for page in pages:
            if page.first_number == 1 and count:
                self._execute("empty_pulled", fragments)
            with self._connection.cursor().copy(fill(sql_text("orders/copy_pulled"), fragments)) as copy:
                for number, row in enumerate(page.rows, page.first_number):
                    copy.write_row((number, *row))
            count = page.first_number - 1 + len(page.rows)
        return count

    def _require_own_session(self) -> None:
        if not self._is_own_session:
            with _translated("look for a pooler"):
                require_own_session(self._connection, self._backend_pid, self._connect, "orders_postgres (ORDERS_URL)")
            self._is_own_session = True

    def _run(self, name: str, /, **parameters: Any) -> list[Any]:
        with _translated(name):
            cursor = self._execute(name, {}, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def _change(self, name: str, /, **parameters: Any) -> int:
        with _translated(name):
            return int(self._execute(name, {}, parameters).rowcount)

    def _execute(
        self, name: str, fragments: Mapping[str, SqlFragment], parameters: Mapping[str, Any] | None = None
    ) -> Any:
        return self._connection.execute(fill(sql_text(f"orders/{name}"), fragments), parameters or {})


def _log_rows(pulled: Iterable[tuple[date, date]], whole: Iterable[Sequence[date]]) -> list[LogRow]:
    """Return the successes, and beside them the days that were over when they were pulled."""
    success = SyncStatus.SUCCESS.value
    rows = [LogRow(first, last, success, pulled_on=first) for first, last in pulled]
    return rows + [LogRow(first, last, success) for first, last in whole]


def _fragments(schema: ReportSchema) -> dict[str, SqlFragment]:
    """Return the identifiers of one report's statements: they are constants of the code, but quoted anyway."""
    names = [quoted(name) for name in schema.table_columns]
    others = [name for name in names if name != quoted(schema.key)]

    def joined(pattern: str, columns: Sequence[str]) -> SqlFragment:
        return SqlFragment(", ".join(pattern.format(name) for name in columns))

    return {
        "table": quoted(schema.table),
        "pulled": quoted(f"pulled_{schema.table}"),
        "fields": joined("{}", names),
        "key": quoted(schema.key),
        "date_column": quoted(schema.date_column),
        "pulled_at": quoted(schema.pulled_at),
        "assignments": joined("{0} = excluded.{0}", others),
        "old": joined("t.{}", others),
        "new": joined("excluded.{}", others),
        "pulled_cells": joined("p.{}", others),
        "first_cells": joined("f.{}", others),
    }


@contextmanager
def _discreet(schema: ReportSchema) -> Iterator[None]:
    """Name only the place of a refused row: the database's message quotes the row, which holds a customer's data."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        if trouble_of(error) not in (Trouble.BAD_VALUE, Trouble.BROKEN_RULE, Trouble.REFUSED):
            raise
        place = f", column {error.diag.column_name}" if error.diag.column_name else ""
        raise ConfigurationError(
            f"the table {schema.table} refuses a row of the report ({type(error).__name__}, {error.sqlstate}{place})",
            where=f"table {schema.table}",
            meaning="Nothing of this report was written",
            remedy="Compare the table's columns and constraints with docs/orders-sync.md and the CRM's report.",
        ) from None


@contextmanager
def _translated(doing: str) -> Iterator[None]:
    """Translate the client's errors into the framework's."""
    import psycopg

    try:
        yield
    except psycopg.Error as error:
        raise _translation(error, doing) from error


def _translation(error: Exception, doing: str) -> PipelineError:
    trouble = trouble_of(error)
    if trouble.is_passing:
        what = "takes no writes" if trouble is Trouble.READ_ONLY else "does not answer, or not now"
        kind = ServiceBusyError if trouble is Trouble.BUSY else ServiceUnavailableError
        return kind(
            f"the orders database {what}: {said(error)}",
            where=doing,
            meaning="What was not committed is not there; locks of this session are free",
            remedy="Look at the database and at the connection orders_postgres (ORDERS_URL); tasks are tried again.",
        )
    if trouble is Trouble.NOT_THERE:
        return ConfigurationError(
            f"the orders database lacks a table: {said(error)}",
            where=doing,
            remedy="Run `python -m include.cli orders migrate`.",
        )
    if trouble is Trouble.NOT_ALLOWED:
        return ConfigurationError(
            f"the orders database refuses the login: {said(error)}",
            where=doing,
            remedy="Correct the login of the connection orders_postgres (ORDERS_URL), or grant it what it needs.",
        )
    # the server's own line quotes a refused value, which may be a customer's data
    return TerminalError(
        f"the orders database refuses a statement: {type(error).__name__}, sqlstate {state_of(error)}",
        where=doing,
        meaning="Nothing was written by it; trying again gives the same answer",
        remedy="Run `python -m include.cli orders migrate`, and compare the table with docs/orders-sync.md.",
    )

"""The outside systems that the orders sync needs: the reports of a CRM, and a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from include.orders_sync.core.pipelines import Store, SyncStatus
from include.orders_sync.core.reports import ReportSchema
from include.orders_sync.core.status import LastWindow
from include.orders_sync.core.windows import LogRow


@dataclass(frozen=True, slots=True)
class ReportPage:
    """A part of a report as the CRM gave it: complete, but not checked.

    Attributes:
        first_number: The number in the report of its first row; the report's first row is 1.
        columns: Names of the columns, as the report has them; the same on every page.
        rows: One list of cells per row, in the order of `columns`: text, or numbers and None where the format has them.
    """

    first_number: int
    columns: list[str]
    rows: list[list[Any]]


@dataclass(frozen=True, slots=True)
class TypedPage:
    """A checked part of a report.

    Attributes:
        first_number: As in `ReportPage`.
        rows: As `ReportSchema.table_columns`.
    """

    first_number: int
    rows: list[tuple[Any, ...]]


class ReportClient(Protocol):
    """Reports of one CRM."""

    def pages(self, report: str, *, store_code: str, from_date: date, to_date: date) -> Iterator[ReportPage]:
        """Yield a store's report for local dates, both inclusive, page by page; at least one page, which may be empty.

        Pages are yielded before the report is known to be whole. A page whose `first_number` is 1 begins the report:
        where another one does so, the pages before it are void. The iterator comes to its end only when the pages are
        the whole report: never fewer rows than the CRM announces, and never the rows of a page twice. Until then
        nothing of it may be taken for the report.

        Args:
            report: Name of the report, such as `orders`; its path and format are configured.
            store_code: Of `store_master`.
            from_date: Inclusive.
            to_date: Inclusive.

        Raises:
            TransientError: The CRM stayed unreachable, busy or inconsistent through every try.
            BadReportError: The report can't be read in its configured format.
            ConfigurationError: The CRM refuses the credentials, or doesn't know the report.
            InvalidInputError: The CRM refuses the request (for example, it doesn't know the store).
        """


ReportClients = Mapping[str, ReportClient]
"""Report clients by pipeline code."""


@dataclass(frozen=True, slots=True)
class StoreLog:
    """The part of the log of one store and pipeline that a decision needs.

    Attributes:
        rows: What other runs, and earlier starts of this run, have pulled.
        own: First and last dates of the successes of this start of this run.
    """

    rows: list[LogRow]
    own: set[tuple[date, date]]


@dataclass(frozen=True, slots=True)
class SavedReport:
    """The number of a report's rows, and of those of its table that it changed: none, when it is pulled again."""

    rows: int
    inserted: int
    updated: int
    vanished: int


class OrdersDatabase(Protocol):
    """One session with the orders database: its locks are lost exactly when the connection that writes is lost.

    Every method raises ServiceUnavailableError when the database does not answer.
    """

    def close(self) -> None:
        """Close the connection, and with it release every lock."""

    def now(self) -> datetime:
        """Return the database's clock, an aware instant."""

    def start_run(self, run_id: str, pipeline_name: str, run_env: str, report_date: date) -> None:
        """Write the summary row as running; if the same run starts again, its row starts again."""

    def finish_run(self, run_id: str, status: SyncStatus, summary_text: str) -> None:
        """Write how the run ended."""

    def fail_dead_runs(self, hours: float) -> int:
        """Mark running summary rows that began earlier as failed; return their number."""

    def run_counts(self, run_id: str, clean_stores: Sequence[str]) -> list[tuple[str, str, str, int]]:
        """Return pipeline, store, status and windows of what the run did since it started.

        In `clean_stores`, whose last report has no error, a failure whose dates another run has pulled since doesn't
        count.
        """

    def running_stores(self, run_id: str) -> list[str]:
        """Return the stores for which the run has running rows."""

    def stores(self, store_code: str | None = None) -> list[Store]:
        """Return active stores with a start date, by code, one or all; their sync group is not checked."""

    def keep_zone(self, timezone: str) -> None:
        """Store the zone of all dates; the coverage is kept for it."""

    def zone_differences(self, timezones: Iterable[str], first: datetime, last: datetime) -> dict[str, list[date]]:
        """Return by zone the days between two instants on which the server's time zone rules are not ours."""

    def coverage(self, todays: Mapping[str, date], timezone: str) -> dict[tuple[str, str], list[LogRow]]:
        """Return by pipeline and store the rows that lead to the same decision as `store_log` at the same moment.

        Args:
            todays: Stores and their own dates.
            timezone: `pipeline_timezone`.
        """

    def last_windows(self, store_codes: Sequence[str]) -> dict[tuple[str, str], LastWindow]:
        """Return the newest row of the log by pipeline and store."""

    def store_log(self, pipeline: str, store_code: str, run_id: str, timezone: str) -> StoreLog:
        """Return the log of one store and pipeline, for deciding under its lock."""

    def try_lock(self, name: str) -> bool:
        """Take a lock for this session; return False when another session holds it."""

    def unlock(self, name: str) -> None:
        """Release a lock."""

    def holder(self, name: str) -> str | None:
        """Return the holder of a lock, None if no session holds it."""

    def fail_dead_rows(self, store_code: str, found_by: str) -> list[str]:
        """Mark running rows of a store whose lock this session holds as failed; return one line for each."""

    def start_window(
        self, pipeline: str, store: Store, from_date: date, to_date: date, *, run_id: str, run_env: str
    ) -> int:
        """Write the window's running row, or the same row again when the run repeats it; return its id."""

    def end_window(self, log_id: int, status: SyncStatus, error_message: str | None) -> None:
        """Write how a window ended; reopened days that are covered again are closed."""

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
        """Upsert one report of one window, flag vanished rows, and log it: all or nothing, after its last page.

        A row that occurs twice, the same in every cell, counts once.

        Args:
            schema: The report and its table.
            pages: In their order; one that begins the report again makes those before it void. What they raise is
                raised, and nothing is written.
            log_id: The window's row.
            run_id: Of the run that changes the rows.
            store_code: Of every row.
            from_date: First local date of the window.
            to_date: Last one, inclusive.
            search: Days that are reopened when rows vanished; see `core.windows.days_to_search`.

        Raises:
            BadReportError: One business key has two contents.
        """


OpenDatabase = Callable[[str], OrdersDatabase]
"""Opens a new session under a name (the run's id)."""

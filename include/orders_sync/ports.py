"""What the orders sync needs of the outside: the reports of a CRM, and a database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Protocol

from include.orders_sync.core.pipelines import Store, SyncStatus
from include.orders_sync.core.reports import ReportSchema
from include.orders_sync.core.status import LastWindow
from include.orders_sync.core.windows import LogRow


@dataclass(frozen=True, slots=True)
class RawReport:
    """One report as the CRM gave it: complete, but not looked at.

    Attributes:
        columns: Names of the columns, as the report has them.
        rows: One list of cells per row, in the order of `columns`: text, or numbers and None where the format has them.
    """

    columns: list[str]
    rows: list[list[Any]]


class ReportClient(Protocol):
    """Reports of one CRM."""

    def fetch(self, report: str, *, store_code: str, from_date: date, to_date: date) -> RawReport:
        """Every row of a store's report for local dates, both inclusive.

        Complete or an error: never fewer rows than the CRM says there are, never a row of a page that was given twice.

        Args:
            report: Name of the report, such as `orders`; its path and format are configured.
            store_code: Of `store_master`.
            from_date: Inclusive.
            to_date: Inclusive.

        Raises:
            TransientError: The CRM stayed unreachable, busy or inconsistent through every try.
            BadReportError: It can't be read as what it says it is.
            ConfigurationError: The CRM refuses the credentials, or doesn't know the report.
            InvalidInputError: The CRM refuses the request (a store that it doesn't know).
        """


ReportClients = Mapping[str, ReportClient]
"""By pipeline code."""


@dataclass(frozen=True, slots=True)
class StoreLog:
    """What a decision needs of the log of one store and pipeline.

    Attributes:
        rows: What others have pulled, and earlier starts of this run.
        own: First and last dates of the successes of this start of this run.
    """

    rows: list[LogRow]
    own: set[tuple[date, date]]


@dataclass(frozen=True, slots=True)
class SavedReport:
    """How many rows of a table one report changed; a report pulled again changes none."""

    inserted: int
    updated: int
    vanished: int


class OrdersDatabase(Protocol):
    """One session with the orders database: its locks are lost with the very connection that writes.

    Every method raises ServiceUnavailableError when the database does not answer.
    """

    def close(self) -> None:
        """Give up the connection, and with it every lock."""

    def now(self) -> datetime:
        """The database's clock, an aware instant."""

    def start_run(self, run_id: str, pipeline_name: str, run_env: str, report_date: date) -> None:
        """Write the summary row, running; the same run again starts again."""

    def finish_run(self, run_id: str, status: SyncStatus, summary_text: str) -> None:
        """Write how the run ended."""

    def fail_dead_runs(self, hours: float) -> int:
        """Mark running summary rows that began longer ago as failed; how many."""

    def run_counts(self, run_id: str, clean_stores: Sequence[str]) -> list[tuple[str, str, str, int]]:
        """Pipeline, store, status, windows: what the run did since it started.

        In `clean_stores`, whose last report has no error, a failure that another run has mended since doesn't count.
        """

    def running_stores(self, run_id: str) -> list[str]:
        """Stores of which the run has running rows."""

    def stores(self, store_code: str | None = None) -> list[Store]:
        """Active stores with a start date, by code; one or all. Their sync group is not checked."""

    def keep_zone(self, timezone: str) -> None:
        """Say in which zone the dates are; coverage is kept for it."""

    def zone_differences(self, timezones: Iterable[str], first: datetime, last: datetime) -> dict[str, list[date]]:
        """By zone: days between two instants on which the server has other time zone rules than we; often none."""

    def coverage(self, todays: Mapping[str, date], timezone: str) -> dict[tuple[str, str], list[LogRow]]:
        """By pipeline and store: rows that lead to the same decision as `store_log` at the same moment.

        Args:
            todays: Stores and their own dates.
            timezone: `pipeline_timezone`.
        """

    def last_windows(self, store_codes: Sequence[str]) -> dict[tuple[str, str], LastWindow]:
        """By pipeline and store: the newest row of the log."""

    def store_log(self, pipeline: str, store_code: str, run_id: str, timezone: str) -> StoreLog:
        """The log of one store and pipeline, for deciding under its lock."""

    def try_lock(self, name: str) -> bool:
        """Take a lock for this session; False when another one has it."""

    def unlock(self, name: str) -> None:
        """Give a lock back."""

    def holder(self, name: str) -> str | None:
        """Who has a lock, None when nobody has."""

    def fail_dead_rows(self, store_code: str, found_by: str) -> list[str]:
        """Mark running rows of a store whose lock this session holds as failed; one line for each."""

    def start_window(
        self, pipeline: str, store: Store, from_date: date, to_date: date, *, run_id: str, run_env: str
    ) -> int:
        """Write the window's running row, or the same row again when the run repeats it; returns its id."""

    def end_window(self, log_id: int, status: SyncStatus, error_message: str | None) -> None:
        """Write how a window ended; reopened days that are covered again are closed."""

    def save_report(
        self,
        schema: ReportSchema,
        rows: Iterable[tuple[Any, ...]],
        *,
        log_id: int,
        run_id: str,
        store_code: str,
        from_date: date,
        to_date: date,
        search: Sequence[tuple[date, date]] = (),
    ) -> SavedReport:
        """Upsert one report of one window, flag what vanished, and say so in the log: all or nothing.

        Args:
            schema: The report and its table.
            rows: As `schema.table_columns`, each business key once.
            log_id: The window's row.
            run_id: Of the run that changes the rows.
            store_code: Of every row.
            from_date: First local date of the window.
            to_date: Last one, inclusive.
            search: Days that are reopened when rows vanished; see `core.windows.days_to_search`.
        """


OpenDatabase = Callable[[str], OrdersDatabase]
"""A session's name (the run's id) to a new session."""

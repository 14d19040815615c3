"""`orders …`: the orders sync.

Exit status of a run: 0 success, 2 partial, 1 failed or could not begin. Of `status`: 0 if every store is complete, 2 if
one is not, 1 if it can't be determined.
"""

from __future__ import annotations

import logging
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from functools import wraps
from typing import Annotated, Any, ParamSpec

import typer

from include.cli.output import Format, FormatOption, print_json, print_table
from include.orders_sync.core.pipelines import PROFILER, TD, UC, SyncStatus
from include.orders_sync.core.runs import RunOptions, run_id_of
from include.orders_sync.core.status import StoreStatus
from include.orders_sync.core.windows import OrdersWindow
from include.pipeline_framework.errors import PipelineError
from include.wiring.run_context import person

_STATUS_COLUMNS = (
    "store_code", "pipeline", "start_date", "covered_to", "missing_days", "missing_from", "last_window", "last_status",
    "error_message",
)  # fmt: skip
_LONGEST_SHOWN = 100
EXIT_STATUS = {SyncStatus.SUCCESS: 0, SyncStatus.PARTIAL: 2, SyncStatus.FAILED: 1}
Given = ParamSpec("Given")


class Group(StrEnum):
    """The pipelines of a profiler's run; the names are the requirement's."""

    TD = "TD"
    UC = "UC"
    ALL = "ALL"


EnvOption = Annotated[str | None, typer.Option(help="run_env of the rows; default: the configured one.")]
StoreOption = Annotated[str | None, typer.Option(metavar="CODE", help="Only this store, exactly as in store_master.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only show the windows.")]
DryFormatOption = Annotated[Format, typer.Option("--format", help="With --dry-run: a table, or JSON for programs.")]
FromOption = Annotated[
    str | None, typer.Option(metavar="YYYY-MM-DD", help="Default: the configured number of days ago.")
]
ToOption = Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Inclusive; default: today.")]

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    help="The orders sync. A run ends with 0 (success), 2 (partial) or 1 (failed).",
)


def _or_failed(command: Callable[Given, int]) -> Callable[Given, int]:
    """Let errors end with the status of a failure: elsewhere they end with 2, which means partial here."""

    @wraps(command)
    def run(*arguments: Given.args, **options: Given.kwargs) -> int:
        try:
            return command(*arguments, **options)
        except PipelineError as error:
            print(f"error: {error}", file=sys.stderr)
            return EXIT_STATUS[SyncStatus.FAILED]

    return run


@app.command()
def migrate() -> None:
    """Create the orders sync's tables, or bring them up to date."""
    from include.wiring import orders_assembly

    print(f"orders sync at version {orders_assembly.migrate(orders_assembly.config())}")


@app.command()
@_or_failed
def status(
    store_code: StoreOption = None,
    show_all: Annotated[bool, typer.Option("--all", help="Complete stores, too.")] = False,
    form: FormatOption = Format.TABLE,
) -> int:
    """Show stores that lack days or failed last; exit status 2 when there are any."""
    from include.orders_sync.tasks.status import sync_report
    from include.wiring import orders_assembly

    config = orders_assembly.config()
    database = orders_assembly.open_database(config)("orders status")
    try:
        report = sync_report(database, timezone=config.pipeline_timezone, store_code=store_code)
    finally:
        database.close()
    shown = [each for each in report.statuses if show_all or not each.is_complete]
    if form is Format.JSON:
        print_json({"stores": [asdict(each) for each in shown], "problems": report.problems})
    else:
        if shown:
            print_table(_STATUS_COLUMNS, [_status_line(each) for each in shown])
        for code, problem in sorted(report.problems.items()):
            print(f"{code} left out: {problem}")
        complete = sum(each.is_complete for each in report.statuses)
        print(f"{complete} of {len(report.statuses)} pairs of store and pipeline are complete until yesterday")
    return 0 if report.is_complete else EXIT_STATUS[SyncStatus.PARTIAL]


def _status_line(status: StoreStatus) -> dict[str, Any]:
    line = {name: getattr(status, name) for name in _STATUS_COLUMNS if hasattr(status, name)}
    if (last := status.last) is not None:
        line["last_window"] = f"{last.row.from_date} to {last.row.to_date}"
        line["last_status"] = last.row.status
        line["error_message"] = (last.error_message or "").partition("\n")[0][:_LONGEST_SHOWN]
    return line


@app.command(epilog="Example: orders profiler --sync-group TD --store-code BLR0001 --dry-run")
@_or_failed
def profiler(
    sync_group: Annotated[
        Group | None, typer.Option(case_sensitive=False, help="Which pipelines; default ALL.")
    ] = None,
    window_days: Annotated[int | None, typer.Option(metavar="N", help="Days of a window at most.")] = None,
    overlap_days: Annotated[
        int | None, typer.Option(metavar="K", help="Last successful days that are pulled again.")
    ] = None,
    max_workers: Annotated[int | None, typer.Option(metavar="M", help="Stores at once.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Everything from each store's start date.")] = False,
    env: EnvOption = None,
    store_code: StoreOption = None,
    dry_run: DryRunOption = False,
    form: DryFormatOption = Format.TABLE,
) -> int:
    """Decide from the log which dates of every store to pull, and pull them."""
    given = {
        "sync_group": sync_group and sync_group.value,
        "window_days": window_days,
        "overlap_days": overlap_days,
        "max_workers": max_workers,
        "force": force,
    }
    return _run(PROFILER, {**given, "env": env, "store_code": store_code}, shows=form if dry_run else None)


@app.command()
@_or_failed
def td(
    from_date: FromOption = None,
    to_date: ToOption = None,
    orders_only: Annotated[
        bool, typer.Option("--orders-only", help="Without sales; ends partial, covers nothing.")
    ] = False,
    sales_only: Annotated[
        bool, typer.Option("--sales-only", help="Without orders; ends partial, covers nothing.")
    ] = False,
    env: EnvOption = None,
    store_code: StoreOption = None,
    dry_run: DryRunOption = False,
    form: DryFormatOption = Format.TABLE,
) -> int:
    """Pull orders and sales of given dates."""
    given = {"from_date": from_date, "to_date": to_date, "orders_only": orders_only, "sales_only": sales_only}
    return _run(TD, {**given, "env": env, "store_code": store_code}, shows=form if dry_run else None)


@app.command()
@_or_failed
def uc(
    from_date: FromOption = None,
    to_date: ToOption = None,
    env: EnvOption = None,
    store_code: StoreOption = None,
    dry_run: DryRunOption = False,
    form: DryFormatOption = Format.TABLE,
) -> int:
    """Pull GST of given dates."""
    given = {"from_date": from_date, "to_date": to_date, "env": env, "store_code": store_code}
    return _run(UC, given, shows=form if dry_run else None)


def _run(pipeline_name: str, given: dict[str, Any], *, shows: Format | None) -> int:
    from include.orders_sync.tasks import run_here, runs
    from include.wiring import orders_assembly

    config = orders_assembly.config()
    open_database = orders_assembly.open_database(config)
    began_at = _now(open_database)
    run_id = run_id_of(pipeline_name, f"{person(pipeline_name).dag_run_id} {uuid.uuid4()}", began_at)
    options = runs.parse_options(pipeline_name, given, config, run_id=run_id, now=began_at)
    if shows:
        return _show_plan(options, open_database, config.pipeline_timezone, shows)
    clients = orders_assembly.clients(config, options.pipelines)
    with _quiet(), _Progress(options) as progress:
        result = run_here.run_here(
            options, config, open_database, clients, planned=progress.planned, tick=progress.tick
        )
    print(f"run {options.run_id}: {result.status.value}")
    print(result.text)
    return EXIT_STATUS[result.status]


@contextmanager
def _quiet() -> Iterator[None]:
    """Log only errors meanwhile: the bar and the summary show the rest."""
    logger = logging.getLogger("include")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _now(open_database: Callable[[str], Any]) -> datetime:
    database = open_database("orders command line")
    try:
        now: datetime = database.now()
        return now.astimezone(UTC)
    finally:
        database.close()


def _show_plan(options: RunOptions, open_database: Callable[[str], Any], timezone: str, form: Format) -> int:
    from include.orders_sync.tasks import runs

    database = open_database(options.run_id)
    try:
        plan = runs.plan_run(options, database, timezone=timezone)
    finally:
        database.close()
    if form is Format.JSON:
        windows = [
            {"store_code": each.store_code, "pipeline": each.pipeline, **asdict(window)}
            for each in plan.plans
            for window in each.windows
        ]
        print_json({"windows": windows, "problems": plan.problems})
        return 0
    print("\n".join(runs.plan_table(plan)))
    print("nothing was pulled (dry run)")
    return 0


class _Progress:
    """A bar on a terminal, a line per window elsewhere."""

    def __init__(self, options: RunOptions) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task(options.pipeline_name, total=None)
        self._lock = threading.Lock()
        self._total = self._done = 0

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def planned(self, plan: Any) -> None:
        self._total = sum(len(each.windows) for each in plan.plans)
        self._console.print(f"{self._total} windows of {len(plan.store_codes)} stores")
        self._bar.update(self._task, total=self._total)

    def tick(self, store_code: str, pipeline: str, window: OrdersWindow, status: SyncStatus) -> None:
        with self._lock:
            self._done += 1
            self._bar.update(self._task, completed=self._done)
            if status != SyncStatus.SUCCESS or not self._console.is_terminal:
                line = (
                    f"{self._done}/{self._total} {store_code} {pipeline} {window.from_date} to {window.to_date} "
                    f"({window.reason.value}): {status.value}"
                )
                self._console.print(line, markup=False)

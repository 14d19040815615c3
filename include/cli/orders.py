"""Commands of the command line about the orders sync: `orders profiler|td|uc|status|migrate`.

Exit status of a run: 0 success, 2 partial, 1 failed; 1, too, when it could not begin. Of `status`: 0 when every store
is complete, 2 when one is not, 1 when it can't tell.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, NoReturn

from include.cli.output import plain, print_table
from include.orders_sync.core.pipelines import PROFILER, SYNC_GROUPS, TD, UC, SyncStatus
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


class _Parser(argparse.ArgumentParser):
    """A wrong flag is a run that failed: 2 would say that it is partial."""

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:
            self.error(f"unrecognized arguments: {' '.join(unknown)}")
        return found, unknown

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(EXIT_STATUS[SyncStatus.FAILED], f"{self.prog}: error: {message}\n")


def add_commands(commands: Any) -> None:
    """Put `orders …` among all commands."""
    group = commands.add_parser("orders", help="the orders sync").add_subparsers(
        required=True, metavar="COMMAND", parser_class=_Parser
    )
    migrate = group.add_parser("migrate", help="create the orders sync's tables, or bring them up to date")
    migrate.set_defaults(command=_migrate)

    status = group.add_parser("status", help="stores that lack days or failed last; exit 2 when there are any")
    status.add_argument("--store-code", metavar="CODE", help="only this store, exactly as in store_master")
    status.add_argument("--all", action="store_true", help="complete stores, too")
    status.add_argument("--format", choices=("table", "json"), default="table")
    status.set_defaults(command=_or_failed(_status))

    profiler = group.add_parser(
        "profiler", help="decide from the log which dates of every store to pull, and pull them"
    )
    profiler.add_argument("--sync-group", type=str.upper, choices=SYNC_GROUPS, help="which pipelines; default ALL")
    profiler.add_argument("--window-days", type=int, metavar="N", help="days of a window at most")
    profiler.add_argument("--overlap-days", type=int, metavar="K", help="last successful days that are pulled again")
    profiler.add_argument("--max-workers", type=int, metavar="M", help="stores at once")
    profiler.add_argument("--force", action="store_true", help="everything from each store's start date")
    profiler.set_defaults(pipeline_name=PROFILER)
    td = group.add_parser("td", help="pull orders and sales of given dates")
    td.add_argument("--orders-only", action="store_true", help="without sales; ends partial, covers nothing")
    td.add_argument("--sales-only", action="store_true", help="without orders; ends partial, covers nothing")
    td.set_defaults(pipeline_name=TD)
    uc = group.add_parser("uc", help="pull GST of given dates")
    uc.set_defaults(pipeline_name=UC)
    for command in (td, uc):
        command.add_argument("--from-date", metavar="YYYY-MM-DD", help="default: the configured number of days ago")
        command.add_argument("--to-date", metavar="YYYY-MM-DD", help="inclusive; default: today")
    for command in (profiler, td, uc):
        command.add_argument("--env", help="run_env of the rows; default: the configured one")
        command.add_argument("--store-code", metavar="CODE", help="only this store, exactly as in store_master")
        command.add_argument("--dry-run", action="store_true", help="only show the windows")
        command.set_defaults(command=_or_failed(_run))


def _or_failed(command: Callable[[argparse.Namespace], int]) -> Callable[[argparse.Namespace], int]:
    """Errors end with the status of a failure: elsewhere they end with 2, which says partial here."""

    def run(arguments: argparse.Namespace) -> int:
        try:
            return command(arguments)
        except PipelineError as error:
            print(f"error: {error}", file=sys.stderr)
            return EXIT_STATUS[SyncStatus.FAILED]

    return run


def _migrate(_options: argparse.Namespace) -> int:
    from include.wiring import orders_assembly

    print(f"orders sync at version {orders_assembly.migrate(orders_assembly.config())}")
    return 0


def _status(arguments: argparse.Namespace) -> int:
    from include.orders_sync.tasks.status import sync_report
    from include.wiring import orders_assembly

    config = orders_assembly.config()
    database = orders_assembly.open_database(config)("orders status")
    try:
        report = sync_report(database, timezone=config.pipeline_timezone, store_code=arguments.store_code)
    finally:
        database.close()
    shown = [each for each in report.statuses if arguments.all or not each.is_complete]
    if arguments.format == "json":
        print(json.dumps({"stores": [asdict(each) for each in shown], "problems": report.problems}, default=plain))
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


def _run(arguments: argparse.Namespace) -> int:
    from include.orders_sync.tasks import run_here, runs
    from include.wiring import orders_assembly

    config = orders_assembly.config()
    open_database = orders_assembly.open_database(config)
    began_at = _now(open_database)
    key = f"{person(arguments.pipeline_name).dag_run_id} {uuid.uuid4()}"
    options = runs.parse_options(
        arguments.pipeline_name,
        vars(arguments),
        config,
        run_id=run_id_of(arguments.pipeline_name, key, began_at),
        now=began_at,
    )
    if arguments.dry_run:
        return _show_plan(options, open_database, config.pipeline_timezone)
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
    """Only errors are logged meanwhile: the bar and the summary say the rest."""
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


def _show_plan(options: RunOptions, open_database: Callable[[str], Any], timezone: str) -> int:
    from include.orders_sync.tasks import runs

    database = open_database(options.run_id)
    try:
        plan = runs.plan_run(options, database, timezone=timezone)
    finally:
        database.close()
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

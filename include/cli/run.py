"""`run`: load a day or a range of a pipeline now, and follow it to its end."""

from __future__ import annotations

import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.cli.output import Format, FormatOption, elapsed, print_json
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import FINISHED, Status
from include.pipeline_framework.core.records.run_requests import RunRequest, parse_date, parse_request
from include.pipeline_framework.core.watching.run_progress import RunProgress
from include.pipeline_framework.errors import InvalidInputError, PipelineError
from include.pipeline_framework.tasks import run_range
from include.pipeline_framework.tasks.run_range import RunReport
from include.wiring import assembly, connections, run_context
from include.wiring.workspace import Workspace

if TYPE_CHECKING:
    from collections.abc import Sequence

    from include.pipeline_framework.core.time.windows import TimeWindow
    from include.pipeline_framework.ports.airflow_runs import AirflowRuns
    from include.pipeline_framework.tasks.pipeline import Pipeline

_MOST_NAMED = 10
_FOUND_WITHIN_SECONDS = 660.0
"""Twice Airflow's own `refresh_interval` of a DAG bundle, and a minute for parsing."""
_OPEN = (Status.PENDING, Status.IN_PROGRESS, Status.FAILED)

app = typer.Typer(add_completion=False)


@app.command(
    epilog="Examples: run flights --day 2013-03-10 --watch · run main --from 2013-03-01 --to 2013-03-31 --local"
)
def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A pipeline, by id, source or DAG.")],
    day: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="A local day of the pipeline.")] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="First local day, or an instant with its offset.")
    ] = None,
    last: Annotated[
        str | None,
        typer.Option("--to", metavar="YYYY-MM-DD", help="Last local day, inclusive, or an instant, exclusive."),
    ] = None,
    replace: Annotated[bool, typer.Option("--replace", help="Load finished windows again; needs --reason.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why they are loaded again; kept in the ledger.")] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Follow every window to its end, and compare both ends.")
    ] = False,
    unpause: Annotated[bool, typer.Option("--unpause", help="Unpause the DAG where it is paused.")] = False,
    local: Annotated[bool, typer.Option("--local", help="Do it in this process, without Airflow.")] = False,
    form: FormatOption = Format.TABLE,
) -> int:
    """Plan what is missing of a range, and load what is due of it. Exit status 1 when a window has failed, or the
    run has left one. Without --watch it only starts the run.
    """
    conf = _conf(day, first, last, replace=replace, reason=reason)
    with Workspace(actor=run_context.person("run")) as workspace:
        config = workspace.of_source(name)
        request = parse_request(conf, config.horizon, config.source_object)
        for hint in request.hints:
            print(f"note: {hint}", file=sys.stderr)
        with _Progress(config) as progress:
            if local:
                report = _local(config, request, progress)
            else:
                report = _in_airflow(workspace, config, conf, request, progress, is_watched=watch, may_unpause=unpause)
        if not local and not watch:
            _tell_started(config, report, form)
            return 0
        return _tell_ended(workspace, config, request, report, progress.seconds, form)


def _conf(day: str | None, first: str | None, last: str | None, *, replace: bool, reason: str | None) -> dict[str, Any]:
    if bool(day) == bool(first or last) or bool(first) != bool(last):
        raise InvalidInputError(
            "run needs --day, or --from and --to", remedy="Give the one day, or the first and the last."
        )
    span = (
        {"target_date": parse_date(day, "--day", "run").isoformat()} if day else {"from": first, "to": _end(str(last))}
    )
    return {**span, **({"replace": True} if replace else {}), **({"reason": reason} if reason else {})}


def _end(last: str) -> str:
    """Return the exclusive end: the day after a last day; an instant is one already."""
    if "T" in last or " " in last.strip():
        return last
    return (parse_date(last, "--to", "run") + timedelta(days=1)).isoformat()


def _local(config: PipelineConfig, request: RunRequest, progress: _Progress) -> RunReport:
    pipeline = assembly.pipeline(config.pipeline_id)
    try:
        return run_range.run_locally(pipeline, run_context.local_run("run"), request, tell=progress.show)
    finally:
        pipeline.store.close()


def _in_airflow(
    workspace: Workspace,
    config: PipelineConfig,
    conf: dict[str, Any],
    request: RunRequest,
    progress: _Progress,
    *,
    is_watched: bool,
    may_unpause: bool,
) -> RunReport:
    airflow = connections.airflow_runs()
    _require_unpaused(airflow, config.dag_id, progress, may_unpause=may_unpause)
    user = workspace.actor.dag_run_id
    addresses = list[str]()

    def started(address: str) -> None:
        addresses.append(address)
        progress.say(f"started {address}")

    try:
        return run_range.run_in_airflow(
            config,
            workspace.store,
            airflow,
            conf,
            request,
            note=f"{user}: run {config.pipeline_id}",
            started=started,
            tell=progress.show if is_watched else None,
        )
    except (KeyboardInterrupt, PipelineError) as stopped:
        if addresses:
            progress.say(f"no longer followed; the run goes on: {addresses[-1]}")
        if isinstance(stopped, KeyboardInterrupt):
            raise typer.Exit(130) from None
        raise


def _require_unpaused(airflow: AirflowRuns, dag_id: str, progress: _Progress, *, may_unpause: bool) -> None:
    is_paused = _found(airflow, dag_id, progress)
    if not is_paused:
        return
    if not may_unpause and sys.stdin.isatty() and sys.stderr.isatty():
        may_unpause = typer.confirm(f"{dag_id} is paused: a run would wait. Unpause it?", default=True, err=True)
    if not may_unpause:
        raise InvalidInputError(
            f"{dag_id} is paused: a run would wait until somebody unpauses it",
            where="airflow_api",
            meaning="Nothing was started",
            remedy="Give --unpause, which starts its schedule, too; or --local.",
        )
    airflow.unpause(dag_id)


def _found(airflow: AirflowRuns, dag_id: str, progress: _Progress) -> bool:
    """Return whether the DAG is paused; wait for the DAG of a new file until Airflow has looked for new ones twice."""
    began, is_told = time.monotonic(), False
    while (is_paused := airflow.is_paused(dag_id)) is None:
        errors = {file: line for file, line in airflow.import_errors().items() if Path(file).stem == dag_id}
        if errors or time.monotonic() - began > _FOUND_WITHIN_SECONDS:
            raise InvalidInputError(
                f"Airflow does not know the DAG {dag_id}",
                where="airflow_api",
                meaning="; ".join(f"{file} has an import error: {line}" for file, line in errors.items())
                or "Its file has no import error; Airflow has not found it",
                remedy="Look at the file in Airflow's DAG folder; `doctor` looks at the rest. Or load it without "
                "Airflow: --local.",
            )
        if not is_told:
            progress.say(f"Airflow does not know {dag_id} yet: waiting for its next look into the DAG folder")
            is_told = True
        time.sleep(1)
    return is_paused


def _tell_started(config: PipelineConfig, report: RunReport, form: Format) -> None:
    if form is Format.JSON:
        print_json({"pipeline_id": config.pipeline_id, "dag_id": config.dag_id, "dag_run_ids": report.run_ids})
    else:
        print(f"{config.dag_id} {report.run_ids[-1]}; `status {config.pipeline_id}` tells how far it is")


def _tell_ended(
    workspace: Workspace, config: PipelineConfig, request: RunRequest, report: RunReport, seconds: float, form: Format
) -> int:
    progress, ranges = report.progress, request.ranges or ()
    pipeline = assembly.pipeline(config.pipeline_id)
    try:
        both = _both_ends(pipeline, ranges)
        rows = workspace.store.find(source_object=config.source_object, within=ranges, statuses=_OPEN)
    finally:
        pipeline.store.close()
    left = Counter(str(row.pipeline_final_status) for row in rows)
    if form is Format.JSON:
        print_json(
            {
                "pipeline_id": config.pipeline_id,
                "dag_run_ids": report.run_ids,
                "states": report.states,
                "windows": dict(progress.counts),
                "rows": progress.loaded_rows,
                "left": dict(left),
                "source_rows": both and both[0],
                "target_rows": both and both[1],
                "seconds": round(seconds, 1),
                "note": report.note,
                "unfinished": [_plain(row) for row in progress.unfinished],
            }
        )
    else:
        print(f"{config.source_object}: {progress.sentence()}; {seconds:.0f} s")
        if report.note:
            print(report.note)
        for row in progress.unfinished[:_MOST_NAMED]:
            print(f"  {_window(row)} {row.pipeline_final_status}: {row.last_error or 'no error'}")
        if len(progress.unfinished) > _MOST_NAMED:
            print(f"  and {len(progress.unfinished) - _MOST_NAMED} more: `status {config.pipeline_id} --missing`")
        if "failed" in report.states and not progress.unfinished:
            print("the run itself has failed: its tasks in Airflow say why")
        if left:
            told = ", ".join(f"{number:,} {status}" for status, number in left.items())
            print(f"not finished in the range: {told}; `status {config.pipeline_id} --missing` says why")
        if both:
            _tell_both_ends(*both, is_all=not left)
    return int(not report.is_done or "FAILED" in left)


def _both_ends(pipeline: Pipeline, ranges: Sequence[TimeWindow]) -> tuple[int, int] | None:
    """Return the rows at both ends; None where one of them can't be asked, which is told: the result stands without."""
    try:
        return run_range.count_both_ends(pipeline, ranges)
    except PipelineError as error:
        print(f"could not count both ends: {error}", file=sys.stderr)
        return None


def _tell_both_ends(source: int, target: int, *, is_all: bool) -> None:
    told = f"rows in the range now: source {source:,}, target {target:,}"
    if source == target:
        print(f"{told}: equal")
    elif is_all:
        print(f"{told}: the source has changed since the windows were loaded; `audit_windows` finds which")
    else:
        print(f"{told}: not every window of the range is loaded")


def _plain(row: LedgerRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "window": str(row.window),
        "pipeline_final_status": str(row.pipeline_final_status),
        "last_error": row.last_error,
    }


def _window(row: LedgerRow) -> str:
    return row.window.local_label(row.timezone)


class _Progress:
    """A line per window that has ended, and on a terminal a bar with what runs and the time to go."""

    def __init__(self, config: PipelineConfig) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        columns = (BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("{task.description}"))
        self._bar = Progress(*columns, console=self._console, disable=not self._console.is_terminal)
        self._task = self._bar.add_task("waiting for the claim", total=None)
        self._name = config.source_object
        self._told: dict[int, str] = {}
        self._began, self._claimed_at = time.monotonic(), 0.0

    @property
    def seconds(self) -> float:
        """Return the seconds since the beginning."""
        return time.monotonic() - self._began

    def __enter__(self) -> _Progress:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, markup=False)

    def show(self, progress: RunProgress) -> None:
        """Print the windows that ended since the last call."""
        self._claimed_at = self._claimed_at or (time.monotonic() if progress.total else 0.0)
        for row in progress.ended:
            status = str(row.pipeline_final_status)
            if self._told.get(row.id) != status:
                self._told[row.id] = status
                is_done = status in FINISHED
                about = f"{row.target_count or 0:,} rows" if is_done else row.last_error or "to be tried again"
                self.say(f"{len(self._told)}/{progress.total} {_window(row)} {status}: {about}")
        to_go = progress.seconds_to_go(time.monotonic() - self._claimed_at) if progress.total else None
        told = f"{self._name} {len(progress.running)} in progress"
        if to_go and progress.running:
            told += f", about {elapsed(to_go)} to go"
        self._bar.update(self._task, total=progress.total or None, completed=len(progress.ended), description=told)

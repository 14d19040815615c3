"""`status`: how complete pipelines are, day by day."""

from __future__ import annotations

import calendar
import sys
from collections.abc import Sequence
from datetime import date, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.cli.output import Format, FormatOption, elapsed, print_json, print_table
from include.pipeline_framework.config.names import pipeline_named
from include.pipeline_framework.core.records.run_requests import parse_date
from include.pipeline_framework.core.watching.completeness import (
    Completeness,
    DayCompleteness,
    DayState,
    by_month,
    sentence,
)
from include.pipeline_framework.core.why.facts import show
from include.pipeline_framework.tasks.completeness import completeness, unfinished_windows
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

if TYPE_CHECKING:
    from rich.text import Text

_CELLS = {
    DayState.COMPLETE: ("■", "#", "green"),
    DayState.FAILED: ("✗", "x", "bold red"),
    DayState.MISSING: ("□", "o", "bold magenta"),
    DayState.WAITING: ("▒", "w", "yellow"),
    DayState.RUNNING: ("▶", "r", "blue"),
    DayState.NOT_DUE: ("·", ".", "dim"),
    DayState.NOT_ASKED: ("-", "-", "dim"),
}
"""How a day is drawn: its sign, its sign where the terminal has only ASCII, and its colour."""

_BAD = (DayState.FAILED, DayState.MISSING)
_UNFINISHED = ("state", "window", "id", "reason")
_MAX_NAMED = 5

app = typer.Typer(add_completion=False)


@app.command(epilog="Examples: status · status flights --from 2013-03-01 --to 2013-03-31 · status main --missing")
def status(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[NAME …]", help="Pipelines, by id, source or DAG; default: all.")
    ] = None,
    first: Annotated[
        str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="First local day; default: 31 days up to --to.")
    ] = None,
    last: Annotated[
        str | None, typer.Option("--to", metavar="YYYY-MM-DD", help="Last local day, inclusive; default: today.")
    ] = None,
    missing: Annotated[
        bool, typer.Option("--missing", help="List the windows that are missing, failed or late, each with its reason.")
    ] = False,
    limit: Annotated[int, typer.Option(min=1, metavar="WINDOWS", help="With --missing: at most this many.")] = 50,
    form: FormatOption = Format.TABLE,
) -> int:
    """Show how complete every day is; exit status 1 when a window has failed or is missing."""
    with Workspace(actor=person("status")) as workspace:
        configs = workspace.loaded.configs
        broken = list(workspace.loaded.errors)
        wanted = [pipeline_named(name, configs, broken) for name in names] if names else list(configs.values())
        found = completeness(
            wanted,
            workspace.store,
            now=(now := workspace.store.now()),
            first=_day(first, "--from"),
            last=_day(last, "--to"),
        )
        reports = _reports(workspace, found, limit if missing else 0)
    if form is Format.JSON:
        ids = {config.source_object: config.pipeline_id for config in wanted}
        print_json([{"pipeline_id": ids[report["source_object"]], **report} for report in reports])
    else:
        _show(found, reports, now, is_each=bool(names))
    for error in [] if names else workspace.loaded.errors.values():
        print(f"error: {error}", file=sys.stderr)
    return 2 if workspace.loaded.errors and not names else int(not all(pipeline.is_whole for pipeline in found))


def _day(text: str | None, option: str) -> date | None:
    return parse_date(text, option, "status") if text else None


def _reports(workspace: Workspace, found: Sequence[Completeness], limit: int) -> list[dict[str, Any]]:
    """Return the pipelines as plain values, with their open campaigns; with a limit, so many windows and reasons."""
    only = found[0].scope.source_object if len(found) == 1 else None
    campaigns = [one for one in workspace.campaigns(source_object=only) if one["state"] not in ("DONE", "CANCELLED")]
    reports = []
    for pipeline in found:
        source_object = pipeline.scope.source_object
        report = pipeline.as_dict() | {"campaigns": [c for c in campaigns if c["source_object"] == source_object]}
        if limit:
            windows = unfinished_windows(pipeline, workspace.store, limit)
            report["unfinished"] = [
                {**window, "reason": _reason(workspace.why(source_object, window["start"]))} for window in windows
            ]
        reports.append(report)
    return reports


def _reason(why: dict[str, Any]) -> str:
    return " ".join([*why["sentences"], f"Next: {why['next']}"])


def _show(found: Sequence[Completeness], reports: Sequence[dict[str, Any]], now: datetime, *, is_each: bool) -> None:
    from rich.console import Console

    console = Console(highlight=False, soft_wrap=True)
    has_signs = (console.encoding or "").lower().startswith("utf")
    width = max((len(pipeline.scope.source_object) for pipeline in found), default=0)
    for pipeline, report in zip(found, reports, strict=True):
        name, lag = pipeline.scope.source_object, _lag(pipeline, now)
        if is_each:
            console.print(
                f"[bold]{name}[/]  {pipeline.scope.horizon.timezone}, windows of {pipeline.scope.granularity}"
            )
            for (year, month), days in by_month(pipeline.days).items():
                line = _cells(_of_month(year, month, days), has_signs=has_signs)
                console.print(
                    f"  {calendar.month_abbr[month]} {year}  ", line, f"  {sentence(days)}{_named(days)}", sep=""
                )
        else:
            console.print(
                f"{name:<{width}}  ", _cells(pipeline.days, has_signs=has_signs), f"  {sentence(pipeline.days)}", sep=""
            )
        if not pipeline.days:
            console.print("  no day to look at: the pipeline is disabled, or these days lie outside of its dates")
        if lag:
            console.print(f"  behind since {lag}", style="yellow")
        for campaign in report["campaigns"]:
            console.print(f"  {_campaign(campaign)}")
        if unfinished := report.get("unfinished"):
            print_table(_UNFINISHED, unfinished)
    signs = " ".join(
        f"[{style}]{sign if has_signs else plain}[/] {state.value}" for state, (sign, plain, style) in _CELLS.items()
    )
    console.print(signs)


def _of_month(year: int, month: int, days: Sequence[DayCompleteness]) -> list[DayCompleteness | None]:
    """Return every day of the month, None for those that were not looked at, so that months stand below each other."""
    by_day = {day.day.day: day for day in days}
    return [by_day.get(number) for number in range(1, calendar.monthrange(year, month)[1] + 1)] + [None] * (
        31 - calendar.monthrange(year, month)[1]
    )


def _cells(days: Sequence[DayCompleteness | None], *, has_signs: bool) -> Text:
    from rich.text import Text

    line = Text()
    for day in days:
        if day is None:
            line.append(" ")
            continue
        sign, plain, style = _CELLS[day.state]
        line.append(sign if has_signs else plain, style=style)
    return line


def _named(days: Sequence[DayCompleteness]) -> str:
    bad = [day for day in days if day.state in _BAD]
    more = f" and {len(bad) - _MAX_NAMED} more" if len(bad) > _MAX_NAMED else ""
    return ": " + ", ".join(f"{day.day.day} {day.state}" for day in bad[:_MAX_NAMED]) + more if bad else ""


def _lag(pipeline: Completeness, now: datetime) -> str:
    since = pipeline.behind_since
    if since is None:
        return ""
    return f"{show(since, pipeline.scope.horizon.timezone)} ({elapsed((now - since).total_seconds())})"


def _campaign(campaign: dict[str, Any]) -> str:
    eta = f", about {elapsed(campaign['eta_seconds'])} to go" if campaign["eta_seconds"] is not None else ""
    return (
        f"campaign {campaign['campaign_id']} ({campaign['mode']}) {campaign['state']}: {campaign['percent']} %, "
        f"{campaign['remaining']} windows left{eta}"
    )

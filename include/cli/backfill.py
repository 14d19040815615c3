"""`backfill …`: campaigns with their progress, and how to steer them."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from include.cli.output import Format, FormatOption, elapsed, print_json, print_table
from include.pipeline_framework.core.lifecycle.campaigns import CampaignState
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

_COLUMNS = (
    "campaign_id", "source_object", "mode", "state", "percent", "done", "running", "failed", "remaining", "eta",
    "priority", "concurrency", "window_order", "reason",
)  # fmt: skip

Id = Annotated[int, typer.Argument(metavar="ID", help="The campaign's number.")]

app = typer.Typer(
    add_completion=False, no_args_is_help=True, help="Backfill campaigns; the DAG backfill_windows starts them."
)


@app.command("list")
def list_campaigns(
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this pipeline, by id, source or DAG.")
    ] = None,
    form: FormatOption = Format.TABLE,
) -> None:
    """Show every campaign with its progress, newest first."""
    with Workspace(actor=person("backfill list")) as workspace:
        _show(workspace.campaigns(source_object=workspace.source_named(source) if source else None), form)


@app.command()
def status(campaign_id: Id, form: FormatOption = Format.TABLE) -> None:
    """Show one campaign's progress."""
    with Workspace(actor=person("backfill status")) as workspace:
        _show(workspace.campaigns(campaign_id), form)


@app.command()
def pause(campaign_id: Id, form: FormatOption = Format.TABLE) -> None:
    """Stop claims until it is resumed; windows in progress go on."""
    _change(campaign_id, "pause", CampaignState.PAUSED, form)


@app.command()
def resume(campaign_id: Id, form: FormatOption = Format.TABLE) -> None:
    """Let its windows be claimed again."""
    _change(campaign_id, "resume", CampaignState.RUNNING, form)


@app.command()
def cancel(campaign_id: Id, form: FormatOption = Format.TABLE) -> None:
    """End it for good; windows that were planned without it are given back."""
    _change(campaign_id, "cancel", CampaignState.CANCELLED, form)


def _change(campaign_id: int, name: str, state: CampaignState, form: Format) -> None:
    with Workspace(actor=person(f"backfill {name}")) as workspace:
        report = workspace.change_campaign(campaign_id, state)
    _show([report], form)
    if report["given_back"] and form is Format.TABLE:
        print(f"{report['given_back']} waiting windows were given back to the ordinary runs")


def _show(campaigns: list[dict[str, Any]], form: Format) -> None:
    if form is Format.JSON:
        print_json(campaigns)
    elif campaigns:
        print_table(_COLUMNS, [{**campaign, "eta": _eta(campaign["eta_seconds"])} for campaign in campaigns])
    else:
        print("no campaigns")


def _eta(seconds: int | None) -> str:
    return "" if seconds is None else elapsed(seconds)

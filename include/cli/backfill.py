"""Commands of the command line about backfill campaigns: `backfill list|status|pause|resume|cancel`."""

from __future__ import annotations

import argparse
import json
from functools import partial
from typing import Any

from include.cli.output import plain, print_table
from include.pipeline_framework.core.lifecycle.campaigns import CampaignState
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

_COLUMNS = (
    "campaign_id", "source_object", "mode", "state", "percent", "done", "running", "failed", "remaining", "eta",
    "priority", "concurrency", "window_order", "reason",
)  # fmt: skip

Commands = Any
"""argparse's subparsers, whose class has no public name."""


def add_commands(commands: Commands) -> None:
    """Put `backfill …` among all commands."""
    group = commands.add_parser("backfill", help="backfill campaigns").add_subparsers(required=True)
    listing = group.add_parser("list", help="every campaign with its progress, newest first")
    listing.add_argument("--source", metavar="SOURCE_OBJECT")
    listing.set_defaults(command=_list)
    status = group.add_parser("status", help="one campaign's progress")
    status.set_defaults(command=_list, source=None)
    for command in (listing, status):
        command.add_argument("--format", choices=("table", "json"), default="table")
    changes = {
        "pause": (CampaignState.PAUSED, "its windows are not claimed until it is resumed; those in progress go on"),
        "resume": (CampaignState.RUNNING, "its windows are claimed again"),
        "cancel": (CampaignState.CANCELLED, "for good; windows that were planned without it are given back"),
    }
    for name, (state, text) in changes.items():
        change = group.add_parser(name, help=text)
        change.add_argument("id", type=int)
        change.set_defaults(command=partial(_change, name=name, state=state))
    status.add_argument("id", type=int)


def _list(options: argparse.Namespace) -> int:
    with Workspace(actor=person("backfill list")) as workspace:
        found = workspace.campaigns(getattr(options, "id", None), options.source)
    _show(found, options.format)
    return 0


def _change(options: argparse.Namespace, *, name: str, state: CampaignState) -> int:
    with Workspace(actor=person(f"backfill {name}")) as workspace:
        report = workspace.change_campaign(options.id, state)
    _show([report], "table")
    if report["given_back"]:
        print(f"{report['given_back']} waiting windows were given back to the ordinary runs")
    return 0


def _show(campaigns: list[dict[str, Any]], form: str) -> None:
    if form == "json":
        print(json.dumps(campaigns, default=plain, indent=2))
    elif campaigns:
        print_table(_COLUMNS, [{**campaign, "eta": _eta(campaign["eta_seconds"])} for campaign in campaigns])
    else:
        print("no campaigns")


def _eta(seconds: int | None) -> str:
    """Hours and minutes, as `2h05m`."""
    if seconds is None:
        return ""
    minutes = max(1, round(seconds / 60)) if seconds else 0
    return f"{minutes // 60}h{minutes % 60:02}m" if minutes >= 60 else f"{minutes}m"

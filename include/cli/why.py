"""Command of the command line that explains a window: `why <source_object> <instant>`."""

from __future__ import annotations

import argparse
import json
from datetime import datetime
from typing import Any

from include.pipeline_framework.core.why.facts import show
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

Commands = Any
"""argparse's subparsers, whose class has no public name."""


def add_commands(commands: Commands) -> None:
    """Put `why` among all commands."""
    parser = commands.add_parser("why", help="why a window is in its state, or not there, and what happens next")
    parser.add_argument("source_object")
    parser.add_argument(
        "instant", help="2013-03-09T05:30 (local time of the pipeline), 2013-03-09, or with an offset: …T10:30Z"
    )
    parser.add_argument("--format", choices=("text", "json"), default="text")
    parser.set_defaults(command=_why)


def _why(options: argparse.Namespace) -> int:
    with Workspace(actor=person("why")) as workspace:
        found = workspace.why(options.source_object, options.instant)
    print(json.dumps(found, indent=2, ensure_ascii=False) if options.format == "json" else "\n".join(lines(found)))
    return 0


def lines(found: dict[str, Any]) -> list[str]:
    """An explanation as a short block for people."""

    def shown(text: str | None) -> str:
        return show(datetime.fromisoformat(text), found["timezone"]) if text else ""

    where = f"{found['local']} {found['timezone']}" if found["local"] else shown(found["instant"])
    row = f" (row {found['id']})" if found["id"] is not None else ""
    block = [f"{found['source_object']}  {where}{row}: {found['state']}"]
    if found["window"]:
        block.append(f"  UTC    {found['window']['start']} → {found['window']['end']}")
    if found["assumed"]:
        block.append(f"  asked  {found['assumed']}: {shown(found['instant'])}")
    for number, sentence in enumerate(found["sentences"]):
        block.append(f"  {'' if number else 'why':<5}  {sentence}")
    if found["numbers"]:
        block.append("  data   " + ", ".join(f"{name} {value}" for name, value in found["numbers"].items()))
    block.append(f"  next   {found['next']}")
    if found["next_at"]:
        block.append(f"  when   {shown(found['next_at'])}")
    return block

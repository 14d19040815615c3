"""Command of the command line about late data: `late report`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from include.cli.output import plain, print_table
from include.pipeline_framework.core.watching.late_data import distribution
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.tasks.audit_windows import KNOWN_DAYS
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

_COLUMNS = ("later_than_hours", "rows_certainly", "rows_at_most", "percent_at_most")

Commands = Any
"""argparse's subparsers, whose class has no public name."""


def add_commands(commands: Commands) -> None:
    """Put `late …` among all commands."""
    group = commands.add_parser("late", help="late data").add_subparsers(required=True)
    report = group.add_parser("report", help="how late rows of a source come, and the x_time_back that follows from it")
    report.add_argument("--source", metavar="SOURCE_OBJECT", required=True)
    report.add_argument("--days", type=int, default=KNOWN_DAYS, help="by the revisits of so many days (%(default)s)")
    report.add_argument("--format", choices=("table", "json"), default="table")
    report.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> int:
    if not 1 <= options.days <= 36_500:
        raise InvalidInputError(f"--days {options.days} is not possible", remedy="Give a number from 1 to 36500.")
    with Workspace(actor=person("late report")) as workspace:
        found, advice = workspace.advise(options.source, options.days)
    steps = distribution(found)
    if options.format == "json":
        figures = {"rows": found.rows, "days": found.days, "late_rows": found.late_rows, "seen_hours": found.seen_hours}
        answer = {**figures, "distribution": steps, "recommended_hours": advice.hours, "text": advice.text}
        print(json.dumps(answer, default=plain, indent=2))
        return 0
    if steps:
        print_table(_COLUMNS, steps)
    print(advice.text)
    return 0

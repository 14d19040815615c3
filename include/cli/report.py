"""Command of the command line with which another system reports its windows: `ledger report`."""

from __future__ import annotations

import argparse
import json
from typing import Any

from include.pipeline_framework.tasks.report_external import Reported
from include.wiring import assembly
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

Commands = Any
"""argparse's subparsers, whose class has no public name."""


def add_commands(ledger: Commands) -> None:
    """Put `report` among the commands of the ledger."""
    report = ledger.add_parser(
        "report", help="say how a window of a pipeline with moved_by: external ended; exit 1 when its audit fails"
    )
    report.add_argument("--pipeline", required=True, metavar="ID")
    for name, text in (("start", "first instant"), ("end", "exclusive end")):
        report.add_argument(
            f"--{name}",
            required=True,
            metavar="INSTANT",
            help=f"{text}: 2013-03-09T05:30Z, or local time of the pipeline",
        )
    report.add_argument("--source-count", type=int, metavar="ROWS", help="rows at the source; with --target-count")
    report.add_argument("--target-count", type=int, metavar="ROWS", help="rows at the target; neither: not audited")
    report.add_argument("--failed", metavar="REASON", help="it could not be moved; a new report may follow")
    report.add_argument("--job-id", metavar="TEXT", help="of the job that moved it; kept in job_id")
    report.add_argument("--replace", metavar="REASON", help="report a finished window anew: its row is replaced")
    report.add_argument("--format", choices=("text", "json"), default="text")
    report.set_defaults(command=_report)


def _report(options: argparse.Namespace) -> int:
    with Workspace(actor=person("ledger report")) as workspace:
        found = workspace.report_external(
            assembly.parsed_config(options.pipeline),
            (options.start, options.end),
            counts=(options.source_count, options.target_count),
            failed=options.failed,
            job_id=options.job_id,
            replace=options.replace,
        )
    print(json.dumps(found.as_dict(), indent=2, ensure_ascii=False) if options.format == "json" else _line(found))
    return 0 if found.is_finished or options.failed else 1


def _line(found: Reported) -> str:
    """What came of it, in one line."""
    row, before = found.as_dict(), "" if found.is_new else "; reported before, nothing was written"
    text = f"{row['source_object']} {row['start']}/{row['end']} (row {row['id']}): {row['pipeline_final_status']}"
    if not found.is_finished:
        return f"{text} after {row['retry_attempt']} attempts: {row['last_error'].splitlines()[-1]}{before}"
    if row["source_count"] is None:
        return f"{text}, not audited{before}"
    return f"{text}, audited: {row['source_count']} rows at the source, {row['target_count']} at the target{before}"

"""Commands of the command line about state tables: `state analyse` and `ledger adopt`."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from include.cli.output import print_table
from include.pipeline_framework.core.continuity.findings import coverage
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.tasks.adopt_ledger import StateReport
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

_FINDING_COLUMNS = ("kind", "source_object", "day", "start", "end", "rows", "decision", "reason")
_SOURCE_COLUMNS = (
    "source_object", "days_looked_at", "days_covered", "days_on_request", "windows", "windows_completed",
    "dominant_granularity", "first_window_start_at",
)  # fmt: skip
_COUNTS = ("rows", "new_rows", "kept", "run_again", "invalidated", "planned")
_MOST_LINES = 200
_MOST_ROWS = 5

Commands = Any
"""argparse's subparsers, whose class has no public name."""


def add_commands(commands: Commands, ledger: Commands) -> None:
    """Put them beside the others: `state …` among all commands, `adopt` among those of the ledger."""
    adopt = ledger.add_parser("adopt", help="move the rows of an older state table into the ledger, resolved")
    adopt.add_argument("--table", required=True, metavar="SCHEMA.TABLE", help="in the ledger's own database")
    adopt.add_argument(
        "--mapping", type=Path, metavar="FILE.yaml", help="which of its columns is which of the ledger's"
    )
    adopt.add_argument("--apply", action="store_true", help="do it; without it, only show what would be done")
    adopt.set_defaults(command=_adopt)

    state = commands.add_parser("state", help="continuity of the ledger").add_subparsers(required=True)
    analyse = state.add_parser("analyse", help="gaps, overlaps, duplicates, drift; exit 1 when there are any")
    analyse.add_argument(
        "--source", metavar="SOURCE_OBJECT", nargs="+", action="extend", help="only these; default: all there are"
    )
    analyse.add_argument("--table", metavar="SCHEMA.TABLE", help="an older state table instead of the ledger")
    analyse.add_argument("--mapping", type=Path, metavar="FILE.yaml", help="its columns; see docs/operations.md")
    analyse.set_defaults(command=_analyse)
    for command in (adopt, analyse):
        command.add_argument("--format", choices=("table", "json"), default="table")


def _analyse(options: argparse.Namespace) -> int:
    if options.mapping and not options.table:
        raise InvalidInputError("--mapping without --table", remedy="Name the table that it maps.")
    workspace = Workspace(actor=person("state analyse"))
    report = workspace.analyse(options.source, options.table, options.mapping)
    _print(report, options.format, _analysed)
    errors = [] if options.source or options.table else list(workspace.loaded.errors.values())
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    return 2 if errors else 1 if report.findings else 0


def _adopt(options: argparse.Namespace) -> int:
    report = Workspace(actor=person("ledger adopt")).adopt(options.table, options.mapping, apply=options.apply)
    _print(report, options.format, _adopted)
    return 0


def _print(report: StateReport, form: str, last_line: Callable[[StateReport], str]) -> None:
    if form == "json":
        print(json.dumps(report.as_dict(), indent=2))
        return
    print_table(_SOURCE_COLUMNS, [analysis.as_dict() for analysis in report.analyses])
    if report.findings:
        print()
        print_table(("kind", "decision", "findings"), _counts(report))
        print()
        print_table(_FINDING_COLUMNS, [_shown(finding.as_dict()) for finding in report.findings[:_MOST_LINES]])
    if len(report.findings) > _MOST_LINES:
        print(f"… and {len(report.findings) - _MOST_LINES} more; --format json has all")
    print()
    for note in report.notes:
        print(f"note: {note}")
    print(last_line(report))


def _counts(report: StateReport) -> list[dict[str, Any]]:
    counts: dict[tuple[str, str], int] = {}
    for finding in report.findings:
        key = (finding.kind.value, finding.decision.value)
        counts[key] = counts.get(key, 0) + 1
    return [{"kind": kind, "decision": decision, "findings": n} for (kind, decision), n in sorted(counts.items())]


def _shown(finding: dict[str, Any]) -> dict[str, Any]:
    rows = finding["rows"]
    more = f" and {len(rows) - _MOST_ROWS} more" if len(rows) > _MOST_ROWS else ""
    return {**finding, "rows": " ".join(map(str, rows[:_MOST_ROWS])) + more}


def _analysed(report: StateReport) -> str:
    found = f"{len(report.findings)} findings" if report.findings else "no findings"
    return f"{found}: {coverage(report.analyses)}"


def _adopted(report: StateReport) -> str:
    numbers = report.adopted
    if not numbers["new_rows"]:
        return f"0 new rows: all {numbers['rows']} rows of {numbers['table']} were adopted before"
    text = (
        f"{numbers['new_rows']} new rows of {numbers['table']}: {numbers['kept']} kept, {numbers['run_again']} to run "
        f"again, {numbers['invalidated']} invalidated; {numbers['planned']} windows planned"
    )
    return text if numbers["applied"] else f"{text}. Nothing was changed, do it with --apply"

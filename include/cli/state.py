"""`state analyse`: the continuity of the ledger, or of an older state table."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from include.cli.output import Format, FormatOption, MoreSources, SourcesOption, all_sources
from include.cli.state_tables import print_report
from include.pipeline_framework.core.continuity.findings import coverage
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.tasks.adopt_ledger import StateReport
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Continuity of the ledger.")


@app.callback()
def state() -> None:
    """Find gaps, overlaps, duplicates and drift."""


@app.command()
def analyse(
    source: SourcesOption = None,
    more: MoreSources = None,
    table: Annotated[
        str | None, typer.Option(metavar="SCHEMA.TABLE", help="An older state table instead of the ledger.")
    ] = None,
    mapping: Annotated[
        Path | None, typer.Option(metavar="FILE.yaml", help="Its columns; see docs/operations.md.")
    ] = None,
    form: FormatOption = Format.TABLE,
) -> int:
    """Find gaps, overlaps, duplicates and drift; exit status 1 when there are any."""
    if mapping and not table:
        raise InvalidInputError("--mapping without --table", remedy="Name the table that it maps.")
    workspace = Workspace(actor=person("state analyse"))
    report = workspace.analyse(all_sources(source, more), table, mapping)
    print_report(report, form, _last_line)
    errors = [] if source or table else list(workspace.loaded.errors.values())
    for error in errors:
        print(f"error: {error}", file=sys.stderr)
    return 2 if errors else 1 if report.findings else 0


def _last_line(report: StateReport) -> str:
    found = f"{len(report.findings)} findings" if report.findings else "no findings"
    return f"{found}: {coverage(report.analyses)}"

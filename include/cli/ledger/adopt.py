"""`ledger adopt`: the rows of an older state table become rows of the ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from include.cli.output import ApplyOption, Format, FormatOption
from include.cli.state_tables import print_report
from include.pipeline_framework.tasks.adopt_ledger import StateReport
from include.wiring.run_context import person
from include.wiring.workspace import Workspace


def adopt(
    table: Annotated[str, typer.Option(metavar="SCHEMA.TABLE", help="In the ledger's own database.")],
    mapping: Annotated[
        Path | None, typer.Option(metavar="FILE.yaml", help="Which of its columns is which of the ledger's.")
    ] = None,
    apply: ApplyOption = False,
    form: FormatOption = Format.TABLE,
) -> None:
    """Move the rows of an older state table into the ledger, resolved."""
    report = Workspace(actor=person("ledger adopt")).adopt(table, mapping, apply=apply)
    print_report(report, form, _last_line)


def _last_line(report: StateReport) -> str:
    numbers = report.adopted
    if not numbers["new_rows"]:
        return f"0 new rows: all {numbers['rows']} rows of {numbers['table']} were adopted before"
    text = (
        f"{numbers['new_rows']} new rows of {numbers['table']}: {numbers['kept']} kept, {numbers['run_again']} to run "
        f"again, {numbers['invalidated']} invalidated; {numbers['planned']} windows planned"
    )
    return text if numbers["applied"] else f"{text}. Nothing was changed, do it with --apply"

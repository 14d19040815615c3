"""`ledger report`: another system says how a window ended."""

from __future__ import annotations

from typing import Annotated

import typer

from include.cli.output import TextFormat, TextFormatOption, print_json
from include.pipeline_framework.tasks.report_external import Reported
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

_INSTANT = "2013-03-09T05:30Z, or local time of the pipeline"


def report(
    pipeline: Annotated[str, typer.Option(metavar="NAME", help="One with moved_by: external, by id or source.")],
    start: Annotated[str, typer.Option(metavar="INSTANT", help=f"First instant: {_INSTANT}.")],
    end: Annotated[str, typer.Option(metavar="INSTANT", help=f"Exclusive end: {_INSTANT}.")],
    source_count: Annotated[
        int | None, typer.Option(metavar="ROWS", help="Rows at the source; with --target-count.")
    ] = None,
    target_count: Annotated[
        int | None, typer.Option(metavar="ROWS", help="Rows at the target; neither: not audited.")
    ] = None,
    failed: Annotated[
        str | None, typer.Option(metavar="REASON", help="It could not be moved; a new report may follow.")
    ] = None,
    job_id: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Of the job that moved it; kept in job_id.")
    ] = None,
    replace: Annotated[
        str | None, typer.Option(metavar="REASON", help="Report a finished window anew: its row is replaced.")
    ] = None,
    form: TextFormatOption = TextFormat.TEXT,
) -> int:
    """Say how a window that another system moves ended; exit status 1 when its audit fails."""
    with Workspace(actor=person("ledger report")) as workspace:
        found = workspace.report_external(
            workspace.of_source(pipeline),
            (start, end),
            counts=(source_count, target_count),
            failed=failed,
            job_id=job_id,
            replace=replace,
        )
    if form is TextFormat.JSON:
        print_json(found.as_dict())
    else:
        print(_line(found))
    return 0 if found.is_finished or failed else 1


def _line(found: Reported) -> str:
    """Return the outcome in one line."""
    row, before = found.as_dict(), "" if found.is_new else "; reported before, nothing was written"
    text = f"{row['source_object']} {row['start']}/{row['end']} (row {row['id']}): {row['pipeline_final_status']}"
    if not found.is_finished:
        return f"{text} after {row['retry_attempt']} attempts: {row['last_error'].splitlines()[-1]}{before}"
    if row["source_count"] is None:
        return f"{text}, not audited{before}"
    return f"{text}, audited: {row['source_count']} rows at the source, {row['target_count']} at the target{before}"

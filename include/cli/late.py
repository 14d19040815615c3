"""`late report`: how late rows come."""

from __future__ import annotations

from typing import Annotated

import typer

from include.cli.output import Format, FormatOption, print_json, print_table
from include.pipeline_framework.core.watching.late_data import distribution
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.tasks.audit_windows import KNOWN_DAYS
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

_COLUMNS = ("later_than_hours", "rows_certainly", "rows_at_most", "percent_at_most")

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Late data.")


@app.callback()
def late() -> None:
    """Tell how late rows come."""


@app.command()
def report(
    source: Annotated[str, typer.Option(metavar="NAME", help="Of this pipeline, by id, source or DAG.")],
    days: Annotated[int, typer.Option(help="By the revisits of this many days.")] = KNOWN_DAYS,
    form: FormatOption = Format.TABLE,
) -> None:
    """Tell how late rows of a source come, and which x_time_back follows from it."""
    if not 1 <= days <= 36_500:
        raise InvalidInputError(f"--days {days} is not possible", remedy="Give a number from 1 to 36500.")
    with Workspace(actor=person("late report")) as workspace:
        found, advice = workspace.advise(source, days)
    steps = distribution(found)
    if form is Format.JSON:
        figures = {"rows": found.rows, "days": found.days, "late_rows": found.late_rows, "seen_hours": found.seen_hours}
        print_json({**figures, "distribution": steps, "recommended_hours": advice.hours, "text": advice.text})
        return
    if steps:
        print_table(_COLUMNS, steps)
    print(advice.text)

"""`sql`: one query on the ledger, or on a pipeline's target."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from include.cli.output import Format, FormatOption, print_json, print_table
from include.wiring import queries
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

app = typer.Typer(add_completion=False)


@app.command(epilog='Example: sql --target flights "select count(*) from flights"')
def sql(
    statement: Annotated[str, typer.Argument(metavar="QUERY", help="One statement that reads; - reads it from stdin.")],
    target: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="On this pipeline's target (by id, source or DAG); else on the ledger."),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, metavar="ROWS", help="At most this many.")] = 1_000,
    form: FormatOption = Format.TABLE,
) -> None:
    """Query the ledger, or a pipeline's target, with the credentials that the pipelines use."""
    text = sys.stdin.read() if statement == "-" else statement
    if target is None:
        answer = queries.query_ledger(text, limit)
    else:
        with Workspace(actor=person("sql")) as workspace:
            config = workspace.of_source(target)
        answer = queries.query_target(config, text, limit)
    if form is Format.JSON:
        print_json(answer.as_dicts())
    elif answer.rows:
        print_table(answer.columns, answer.as_dicts())
    else:
        print("no rows")
    if answer.has_more:
        print(f"the first {limit} rows; there are more: --limit", file=sys.stderr)

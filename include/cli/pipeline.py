"""`pipeline new`: the command `new` under its older name."""

from __future__ import annotations

import typer

from include.cli.new import new

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Pipelines.")


@app.callback()
def pipeline() -> None:
    """Write a new pipeline's files."""


app.command(epilog="The same as the command new.")(new)

"""`pipeline new`: the files of a new pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from include.pipeline_framework.config import scaffold

REPO = Path(__file__).resolve().parents[2]

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Pipelines.")


@app.callback()
def pipeline() -> None:
    """Write a new pipeline's files."""


@app.command()
def new(
    pipeline_id: Annotated[str, typer.Argument(metavar="ID", help="Lower case letters, digits and _.")],
) -> None:
    """Write a new pipeline's YAML and DAG file; of a source in a list the DAG file."""
    for path in scaffold.new_pipeline(pipeline_id, REPO):
        print(f"wrote {path.relative_to(REPO)}")

"""`config …`: pipeline files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from include.implementation_modules.registry import options_model, registered_options
from include.pipeline_framework.config import describe as descriptions
from include.pipeline_framework.config import json_schema, loader, scaffold
from include.pipeline_framework.config.file_sources import pipeline_files
from include.pipeline_framework.core.time import zone_rules
from include.pipeline_framework.errors import InvalidInputError

REPO = Path(__file__).resolve().parents[2]

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Pipeline files.")


@app.command()
def validate(
    directory: Annotated[Path, typer.Option(help="Where the pipeline files are.")] = loader.PIPELINES_DIRECTORY,
) -> int:
    """Check every pipeline file; exit status 1 when one is wrong."""
    if not directory.is_dir():
        raise InvalidInputError(f"there is no directory {directory}", remedy="Name one with pipeline files.")
    problems = loader.validate_all(directory, options_model=options_model)
    for problem in problems:
        print(problem)
    mismatches = scaffold.pipeline_mismatches(REPO) if directory == loader.PIPELINES_DIRECTORY else []
    for mismatch in mismatches:
        print(mismatch)
    if problems or mismatches:
        return 1
    files = len(pipeline_files(directory))
    loaded = loader.load_all_pipelines(directory, options_model=options_model)
    print(f"{len(loaded.configs)} pipelines in {files} files are valid")
    print(f"time zone rules: {zone_rules.version()}, from the package tzdata")
    return 0


@app.command()
def schema() -> None:
    """Print the JSON schema of pipeline files, for editors."""
    print(json_schema.render_json_schema(registered_options()), end="")


@app.command()
def describe() -> None:
    """Print every key of a pipeline file, as Markdown."""
    print(descriptions.configuration_page(registered_options()), end="")

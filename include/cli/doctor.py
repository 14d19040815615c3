"""`doctor`: whether windows could move, before any of them is claimed."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Annotated

import typer

from include.cli.output import TextFormat, TextFormatOption, print_json
from include.pipeline_framework.config.names import pipeline_named
from include.pipeline_framework.core.watching.verdicts import CheckState, Verdict, is_wrong, summary
from include.wiring.doctor import Doctor
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

_COLOURS = {
    CheckState.OK: typer.colors.GREEN,
    CheckState.WARNING: typer.colors.YELLOW,
    CheckState.WRONG: typer.colors.RED,
    CheckState.UNKNOWN: typer.colors.MAGENTA,
}
_SHARED = "ledger and Airflow"

app = typer.Typer(add_completion=False)


@app.command(epilog="Examples: doctor · doctor main · doctor flights --format json")
def doctor(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[NAME …]", help="Pipelines, by id, source or DAG; default: enabled ones."),
    ] = None,
    form: TextFormatOption = TextFormat.TEXT,
) -> int:
    """Look whether windows could move; nothing is planned, claimed or created. Exit status 1 when something is wrong.

    The stage gets one tiny object, which is deleted again; a warning, or what could not be looked at, is not wrong.
    """
    with Workspace(actor=person("doctor")) as workspace:
        loaded = workspace.loaded
        wanted = [pipeline_named(name, loaded.configs, loaded.errors) for name in names or ()]
        enabled = [config for config in loaded.configs.values() if config.enabled]
        wanted = list({config.pipeline_id: config for config in wanted or enabled}.values())
        visit = Doctor(workspace)
        found: list[Verdict] = []
        for verdicts in (visit.shared(), *(visit.pipeline(config) for config in wanted)):
            found += verdicts
            if form is TextFormat.TEXT:
                _show(verdicts)
    if form is TextFormat.JSON:
        print_json([verdict.as_record() for verdict in found])
    else:
        print(summary(found))
    return int(is_wrong(found))


def _show(verdicts: Iterable[Verdict]) -> None:
    for pipeline_id, of_one in groupby(verdicts, key=lambda verdict: verdict.pipeline_id):
        shown = list(of_one)
        typer.echo(typer.style(pipeline_id or _SHARED, bold=True))
        for line in _lines(shown):
            typer.echo(line)
        sys.stdout.flush()


def _lines(verdicts: Sequence[Verdict]) -> Iterable[str]:
    roles, checks = (max(len(getattr(each, part)) for each in verdicts) for part in ("role", "check"))
    for verdict in verdicts:
        state = typer.style(f"{verdict.state.value:<14}", fg=_COLOURS[verdict.state])
        yield f"  {state}  {verdict.role:<{roles}}  {verdict.check:<{checks}}  {verdict.said}"
        if verdict.remedy:
            yield f"  {'':<14}  → {verdict.remedy}"

"""`why`: the state of a window in words."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from include.cli.output import TextFormat, TextFormatOption, print_json
from include.pipeline_framework.core.why.facts import show
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: why flights 2013-03-09T05:30")
def why(
    source_object: Annotated[str, typer.Argument(metavar="NAME", help="A pipeline, by id, source or DAG.")],
    instant: Annotated[
        str,
        typer.Argument(
            help="2013-03-09T05:30 (local time of the pipeline), 2013-03-09, or with an offset: 2013-03-09T10:30Z."
        ),
    ],
    form: TextFormatOption = TextFormat.TEXT,
) -> None:
    """Say why a window is in its state, or not there, and what happens next."""
    with Workspace(actor=person("why")) as workspace:
        found = workspace.why(source_object, instant)
    if form is TextFormat.JSON:
        print_json(found)
    else:
        print("\n".join(lines(found)))


def lines(found: dict[str, Any]) -> list[str]:
    """Return an explanation as a short block for people."""

    def shown(text: str | None) -> str:
        return show(datetime.fromisoformat(text), found["timezone"]) if text else ""

    where = f"{found['local']} {found['timezone']}" if found["local"] else shown(found["instant"])
    row = f" (row {found['id']})" if found["id"] is not None else ""
    block = [f"{found['source_object']}  {where}{row}: {found['state']}"]
    if found["window"]:
        block.append(f"  UTC    {found['window']['start']} → {found['window']['end']}")
    if found["assumed"]:
        block.append(f"  asked  {found['assumed']}: {shown(found['instant'])}")
    for number, sentence in enumerate(found["sentences"]):
        block.append(f"  {'' if number else 'why':<5}  {sentence}")
    if found["numbers"]:
        block.append("  data   " + ", ".join(f"{name} {value}" for name, value in found["numbers"].items()))
    block.append(f"  next   {found['next']}")
    if found["next_at"]:
        block.append(f"  when   {shown(found['next_at'])}")
    return block

"""`plan`: the windows of a day, for every source."""

from __future__ import annotations

from typing import Annotated

import typer

from include.cli.output import Format, FormatOption, print_json
from include.pipeline_framework.core.records.run_requests import parse_date
from include.pipeline_framework.tasks import plan_outcomes
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: plan --target-date 2013-11-03 --pipeline main --dry-run")
def plan(
    target_date: Annotated[
        str | None, typer.Option(metavar="YYYY-MM-DD", help="A local day; default: what the daily planner plans.")
    ] = None,
    pipeline: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this one, by id, source or DAG; may be repeated."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would be inserted.")] = False,
    allow_future: Annotated[bool, typer.Option("--allow-future", help="The day may lie after local tomorrow.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="A source's first plan may have more than 2,000 windows.")] = False,
    form: FormatOption = Format.TABLE,
) -> int:
    """Plan all windows of a day for every source. Planning again changes nothing."""
    with Workspace(actor=person("plan")) as workspace:
        planned = workspace.plan(
            parse_date(target_date, "--target-date", "plan") if target_date else None,
            pipeline,
            dry_run=dry_run,
            allow_future=allow_future,
            yes=yes,
        )
    if form is Format.JSON:
        print_json([report.as_dict() for report in planned.reports])
    else:
        print("\n".join(plan_outcomes.outcome_table(planned.reports, planned.loaded.errors)))
    plan_outcomes.require_planned(planned.reports, planned.broken)
    if target_date and not any(report.expected for report in planned.reports):
        return 1  # the notes say why nothing can be planned on that day
    plan_outcomes.require_pipelines(planned.loaded.configs, planned.broken)
    return 0

"""The command line, `python -m include.cli …`: wiring and printing; what a command does is a use case elsewhere.

Exit status: 0 done, 1 the answer is "no" (problems found), 2 an error.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from include.cli import backfill, late, logs, orders, report, state, why
from include.cli.output import plain, print_table
from include.implementation_modules.registry import options_model, registered_options
from include.pipeline_framework.config import describe, json_schema, loader, scaffold
from include.pipeline_framework.config.file_sources import pipeline_files
from include.pipeline_framework.core.records.row import Status
from include.pipeline_framework.core.records.run_requests import parse_date
from include.pipeline_framework.core.time import zone_rules
from include.pipeline_framework.errors import InvalidInputError, PipelineError
from include.pipeline_framework.tasks import plan_outcomes
from include.pipeline_framework.tasks.rebuild_ledger import RebuildReport
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

_ROW_COLUMNS: tuple[str, ...] = (
    "id", "source_object", "target_day", "query_window_start_at", "time_interval", "pipeline_final_status",
    "phase_completed", "source_count", "target_count", "dag_run_id",
)  # fmt: skip
_EVENT_COLUMNS: tuple[str, ...] = (
    "occurred_at", "event", "to_status", "to_phase", "fence", "dag_run_id", "task_id", "try_number", "reason",
)  # fmt: skip
_REBUILD_COLUMNS: tuple[str, ...] = ("source_object", "window", "rows", "fence", "origin", "outcome")
_DIFFERENCE_COLUMNS: tuple[str, ...] = ("kind", "source_object", "window", "ledger", "target", "remedy")

_WHO = """Which run has moved a window stands in `dag_id` and `dag_run_id`, each of its tries in the events. `job_id` is
the job of another system: written by its report of a window that it moves (`ledger report`), kept by `ledger adopt`,
else NULL."""

REPO = Path(__file__).resolve().parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; errors of the framework are printed without a traceback."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    with logs.logging_to_stderr(is_verbose=options.verbose):
        try:
            return command(options)
        except PipelineError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m include.cli", description="The pipelines' command line.")
    parser.add_argument("-v", "--verbose", action="store_true", help="log what is done, with keys, status and seconds")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    plan = commands.add_parser("plan", help="plan all windows of a day for every source")
    plan.add_argument("--target-date", metavar="YYYY-MM-DD", help="a local day; default: what the daily planner plans")
    plan.add_argument("--pipeline", action="append", help="only this pipeline; may be given several times")
    plan.add_argument("--dry-run", action="store_true", help="only show what would be inserted")
    plan.add_argument("--allow-future", action="store_true", help="the day may lie after local tomorrow")
    plan.add_argument("--yes", action="store_true", help="a source's first plan may have more than 2,000 windows")
    plan.set_defaults(command=_plan)

    ledger = commands.add_parser("ledger", help="the ledger's tables and rows").add_subparsers(required=True)
    migrate = ledger.add_parser("migrate", help="create the ledger's tables, or bring them up to date")
    migrate.set_defaults(command=_migrate)
    show = ledger.add_parser("show", help="list windows, or one window with its history")
    show.add_argument("id", nargs="?", type=int, help="one ledger row")
    show.add_argument("--source", metavar="SOURCE_OBJECT")
    show.add_argument(
        "--status",
        action="append",
        choices=[status.value for status in Status],
        help="pipeline_final_status; may be given several times",
    )
    show.add_argument("--limit", type=int, default=1_000, metavar="ROWS", help="0: all (default: %(default)s)")
    show.add_argument("--format", choices=("table", "json"), default="table")
    show.set_defaults(command=_show)

    rebuild = ledger.add_parser("rebuild", help="enter what targets and stages prove into a lost or old ledger")
    rebuild.add_argument("--apply", action="store_true", help="do it; without it, only show what would be done")
    rebuild.set_defaults(command=_rebuild)
    reconcile = ledger.add_parser("reconcile", help="compare ledger and targets; exit 1 when anything differs")
    reconcile.add_argument("--format", choices=("table", "json"), default="table")
    reconcile.set_defaults(command=_reconcile)
    failover = ledger.add_parser("adopt-failover", help="a promoted standby is the ledger from now on")
    failover.add_argument("--apply", action="store_true", help="do it; without it, only show what was found")
    failover.set_defaults(command=_adopt_failover)
    for command in (rebuild, reconcile):
        command.add_argument(
            "--source", metavar="SOURCE_OBJECT", nargs="+", action="extend", help="only these; default: all pipelines"
        )

    columns = ledger.add_parser("describe", help="print every column with its meaning, as Markdown")
    columns.set_defaults(command=_describe_ledger)
    report.add_commands(ledger)
    state.add_commands(commands, ledger)
    backfill.add_commands(commands)
    late.add_commands(commands)
    orders.add_commands(commands)
    why.add_commands(commands)

    config = commands.add_parser("config", help="pipeline files").add_subparsers(required=True)
    validate = config.add_parser("validate", help="check every pipeline file; exit 1 when one is wrong")
    validate.add_argument("--directory", type=Path, default=loader.PIPELINES_DIRECTORY)
    validate.set_defaults(command=_validate)
    schema = config.add_parser("schema", help="print the JSON schema of pipeline files, for editors")
    schema.set_defaults(command=_schema)

    keys = config.add_parser("describe", help="print every key of a pipeline file, as Markdown")
    keys.set_defaults(command=_describe_config)

    pipeline = commands.add_parser("pipeline", help="pipelines").add_subparsers(required=True)
    new = pipeline.add_parser(
        "new", help="write a new pipeline's YAML and DAG file; of a source in a list the DAG file"
    )
    new.add_argument("id", help="lower case letters, digits and _")
    new.set_defaults(command=_new)
    return parser


def _plan(options: argparse.Namespace) -> int:
    with Workspace(actor=person("plan")) as workspace:
        planned = workspace.plan(
            parse_date(options.target_date, "--target-date", "plan") if options.target_date else None,
            options.pipeline,
            dry_run=options.dry_run,
            allow_future=options.allow_future,
            yes=options.yes,
        )
    print("\n".join(plan_outcomes.outcome_table(planned.reports, planned.loaded.errors)))
    plan_outcomes.require_planned(planned.reports, planned.broken)
    if options.target_date and not any(each.expected for each in planned.reports):
        return 1  # the notes say why nothing can be planned on that day
    plan_outcomes.require_pipelines(planned.loaded.configs, planned.broken)
    return 0


def _migrate(_options: argparse.Namespace) -> int:
    from include.wiring import assembly

    print(f"ledger at version {assembly.migrate_ledger()}")
    return 0


def _show(options: argparse.Namespace) -> int:
    from include.wiring import assembly

    if options.id is not None and (options.source or options.status):
        raise InvalidInputError(
            "an id and --source or --status at once", remedy="Give the id for one window's history, or the filters."
        )
    store = assembly.lifecycle_store()
    if options.id is not None:
        rows, columns = store.events(options.id), _EVENT_COLUMNS
        if not rows:
            store.get(options.id)  # says that there is no such row
    else:
        # one more than is shown tells that there are more
        most = options.limit + 1 if options.limit > 0 else None
        rows = store.find(source_object=options.source, statuses=options.status, limit=most)
        columns = _ROW_COLUMNS
        if most and len(rows) == most:
            rows.pop()
            print(f"the first {options.limit} rows; there are more: --limit 0 shows all", file=sys.stderr)
    if options.format == "json":
        print(json.dumps(rows, default=plain, indent=2))
        return 0
    if not rows:
        print("no rows")
        return 0
    print_table(columns, rows)
    return 0


def _rebuild(options: argparse.Namespace) -> int:
    with Workspace(actor=person("ledger rebuild")) as workspace:

        def rebuild(source_object: str) -> None:
            found = workspace.rebuild(source_object, apply=options.apply)
            if found.lines:
                print_table(_REBUILD_COLUMNS, [asdict(line) for line in found.lines])
            print(_summary(found))

        if not _for_each_source(workspace, options.source, rebuild):
            return 2
        if options.apply:
            _record_identity(workspace, options.source)
    return 0


def _record_identity(workspace: Workspace, wanted: Sequence[str] | None) -> None:
    """A ledger that was rebuilt for every source may issue fences again; for some of them it may not yet."""
    store = workspace.store
    sources = {config.source_object for config in workspace.loaded.configs.values() if not config.is_external}
    if store.identity().is_recorded:
        return
    if wanted and (left := sorted(sources - set(wanted))):
        print(f"claims stay refused: this is not the recorded ledger, and {', '.join(left)} are not rebuilt yet")
        return
    store.record_identity(workspace.actor)
    print(f"recorded as the ledger: {store.identity().present}")


def _adopt_failover(options: argparse.Namespace) -> int:
    with Workspace(actor=person("ledger adopt-failover")) as workspace:
        seen = workspace.adopt_failover(apply=options.apply)
    by = f" ({seen.recorded_at:%Y-%m-%d %H:%M:%S %Z}, {seen.recorded_by})" if seen.recorded_at else ""
    print(f"recorded: {seen.recorded}{by}\npresent:  {seen.present}")
    if seen.is_recorded:
        print("nothing to adopt: this is the recorded ledger")
    elif options.apply:
        print("adopted: claims go on. Compare with the targets: python -m include.cli ledger reconcile")
    else:
        print("a failover. Nothing was changed, do it with --apply")
    return 0


def _summary(report: RebuildReport) -> str:
    does = "rebuilt" if report.applied else "would be rebuilt"
    others = len(report.lines) - report.rebuilt
    text = f"{report.source_object}: {report.rebuilt} {does}, {report.in_ledger} in the ledger already, {others} not; "
    if report.applied:
        return text + f"fences below {report.floor} are refused from now on"
    return text + "nothing was changed, do it with --apply"


def _reconcile(options: argparse.Namespace) -> int:
    found: list[dict[str, Any]] = []
    with Workspace(actor=person("ledger reconcile")) as workspace:

        def reconcile(source_object: str) -> None:
            differences = workspace.reconcile(source_object)
            found.extend(asdict(difference) | {"window": difference.window} for difference in differences)

        all_compared = _for_each_source(workspace, options.source, reconcile)
    if options.format == "json":
        print(json.dumps(found, default=plain, indent=2))
    elif found:
        print_table(_DIFFERENCE_COLUMNS, found)
    else:
        print("no differences")
    return (1 if found else 0) if all_compared else 2


def _for_each_source(workspace: Workspace, wanted: Sequence[str] | None, work: Callable[[str], None]) -> bool:
    """Do something for the source of every pipeline that this bundle moves, or for some; one that fails stops no other.

    Returns:
        Whether none has failed.
    """
    sources = {config.source_object: config for config in workspace.loaded.configs.values()}
    unknown = sorted(set(wanted or ()) - set(sources))
    if unknown:
        raise InvalidInputError(f"no valid pipeline has the source {unknown}", remedy=f"Choose from {sorted(sources)}.")
    errors: list[PipelineError] = [] if wanted else list(workspace.loaded.errors.values())
    for source_object in dict.fromkeys(wanted or sorted(sources)):
        if sources[source_object].is_external and not wanted:
            print(f"{source_object}: left out, another system moves its data", file=sys.stderr)
            continue
        try:
            work(source_object)
        except PipelineError as error:
            errors.append(error)
    for failed in errors:
        print(f"error: {failed}", file=sys.stderr)
    return not errors


def _describe_ledger(_options: argparse.Namespace) -> int:
    from include.implementation_modules.postgres_ledger.store import PostgresLifecycleStore
    from include.wiring import connections

    print(ledger_page(PostgresLifecycleStore(connections.ledger_connect()).describe()), end="")
    return 0


def ledger_page(columns: Sequence[dict[str, Any]]) -> str:
    """The ledger's tables as Markdown, from the comments in the database."""
    lines = ["# The ledger's tables", "", "<!-- Generated from the database's own comments: `make docs`. -->", "", _WHO]
    for table in dict.fromkeys(column["table_name"] for column in columns):
        rows = [column for column in columns if column["table_name"] == table]
        lines += [
            "",
            f"## {table}",
            "",
            rows[0]["table_comment"],
            "",
            "| column | type | meaning |",
            "| --- | --- | --- |",
        ]
        lines += [f"| `{row['column_name']}` | {row['column_type']} | {row['column_comment'] or ''} |" for row in rows]
    return "\n".join(lines) + "\n"


def _describe_config(_options: argparse.Namespace) -> int:
    print(describe.configuration_page(registered_options()), end="")
    return 0


def _validate(options: argparse.Namespace) -> int:
    if not options.directory.is_dir():
        raise InvalidInputError(f"there is no directory {options.directory}", remedy="Name one with pipeline files.")
    problems = loader.validate_all(options.directory, options_model=options_model)
    for problem in problems:
        print(problem)
    mismatches = scaffold.pipeline_mismatches(REPO) if options.directory == loader.PIPELINES_DIRECTORY else []
    for mismatch in mismatches:
        print(mismatch)
    if problems or mismatches:
        return 1
    files = len(pipeline_files(options.directory))
    loaded = loader.load_all_pipelines(options.directory, options_model=options_model)
    print(f"{len(loaded.configs)} pipelines in {files} files are valid")
    print(f"time zone rules: {zone_rules.version()}, from the package tzdata")
    return 0


def _schema(_options: argparse.Namespace) -> int:
    print(json_schema.render_json_schema(registered_options()), end="")
    return 0


def _new(options: argparse.Namespace) -> int:
    for path in scaffold.new_pipeline(options.id, REPO):
        print(f"wrote {path.relative_to(REPO)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

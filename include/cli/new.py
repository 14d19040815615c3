"""`new`: a pipeline for an index or a table of one's own; what is not said is asked for, with what was found."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include.cli.output import print_table
from include.pipeline_framework.config import scaffold
from include.pipeline_framework.config.pipeline_text import NewPipeline, pipeline_text, seen_of
from include.pipeline_framework.core.proposing.description import SourceDescription, SourceShape
from include.pipeline_framework.core.proposing.proposal import propose
from include.pipeline_framework.core.time.days import zone
from include.pipeline_framework.errors import InvalidInputError
from include.wiring import connections, inspection

if TYPE_CHECKING:
    from include.pipeline_framework.ports.inspection import SourceInspection

REPO = Path(__file__).resolve().parents[2]

_PROGRAM = "python -m include.cli"
_SHOWN = 20
_SOURCE, _ENDS = "Source", "Stage and target"
_TARGETS = ("snowflake", "postgres")

app = typer.Typer(add_completion=False)


@dataclass(frozen=True, slots=True)
class _Source:
    """A source that was found, and what looks at it."""

    type: str
    connection_id: str
    looks: SourceInspection
    shape: SourceShape


@app.command(epilog="Example: new weblogs --connection source_elasticsearch --index weblogs --time-field @timestamp")
def new(
    pipeline_id: Annotated[
        str | None, typer.Argument(metavar="ID", help="The pipeline's name: lower case letters, digits and _.")
    ] = None,
    connection: Annotated[
        str | None, typer.Option(help="Airflow connection of the source.", rich_help_panel=_SOURCE)
    ] = None,
    index: Annotated[
        str | None, typer.Option(help="Elasticsearch: index, alias or pattern.", rich_help_panel=_SOURCE)
    ] = None,
    table: Annotated[
        str | None, typer.Option(help="Postgres: table or view; schema.table outside public.", rich_help_panel=_SOURCE)
    ] = None,
    time_field: Annotated[
        str | None,
        typer.Option(
            "--time-field", "--time-column", help="Event time: a date, a timestamptz.", rich_help_panel=_SOURCE
        ),
    ] = None,
    id_column: Annotated[
        str | None,
        typer.Option("--id-column", "--id-field", help="Postgres: unique, never NULL.", rich_help_panel=_SOURCE),
    ] = None,
    timezone: Annotated[
        str | None, typer.Option(help="IANA name; days are local to it. Default: that of defaults.yaml.")
    ] = None,
    stage_connection: Annotated[
        str, typer.Option(help="Airflow connection of the object storage.", rich_help_panel=_ENDS)
    ] = "stage_s3",
    stage_bucket: Annotated[str, typer.Option(help="Its bucket.", rich_help_panel=_ENDS)] = "stage",
    target_connection: Annotated[
        str | None, typer.Option(help="Airflow connection; default: target_snowflake.", rich_help_panel=_ENDS)
    ] = None,
    target_database: Annotated[
        str | None, typer.Option(help="Snowflake; default: the connection's own.", rich_help_panel=_ENDS)
    ] = None,
    target_schema: Annotated[
        str | None, typer.Option(help="Default: the connection's own, or public.", rich_help_panel=_ENDS)
    ] = None,
    target_table: Annotated[
        str | None, typer.Option(help="Table to load; default: the id.", rich_help_panel=_ENDS)
    ] = None,
) -> int:
    """Look at an index or a table, and write a pipeline that loads it: a YAML and a DAG file.

    Values that are missing are asked for on a terminal. For a source in a file's list, only the DAG file is written.
    """
    try:
        name = _chosen("The pipeline's id", "ID", pipeline_id)
        if scaffold.listed_source(name, REPO):
            _say_written(scaffold.write_pipeline(name, REPO))
            return 0
        source = _found(connection, index, table)
        section, seen = _looked_at(source, time_field, id_column, timezone)
        target = _target(name, target_connection, target_table)
    except typer.Abort:
        print("nothing was written", file=sys.stderr)
        return 1
    target |= {"database": target_database} if target_database else {}
    target |= {"schema": target_schema} if target_schema else {}
    stage = {"type": "object_storage", "connection_id": stage_connection, "bucket": stage_bucket}
    now = datetime.fromtimestamp(time(), UTC)
    back = str(scaffold.defaults_of(REPO).get("x_time_back", "1h"))
    proposal = propose(seen, inspection.column_rules(), now=now, default_time_back=back)
    pipeline = NewPipeline(name, section, stage, target, seen, proposal, now)
    text = pipeline_text(pipeline)
    inspection.require_valid(name, text, REPO)
    written = scaffold.write_pipeline(name, REPO, text)
    _say_found(pipeline)
    _say_written(written)
    _say_next(pipeline)
    return 0


def _found(connection: str | None, index: str | None, table: str | None) -> _Source:
    if index and table:
        raise InvalidInputError("--index and --table are given", remedy="Give one: a pipeline has one source.")
    usual = None if table else "source_elasticsearch"
    connection_id = _chosen("The source's connection", "--connection", connection, usual=usual)
    source_type = inspection.source_type(connection_id)
    is_table = source_type == "postgres"
    if index if is_table else table:
        flag, right = ("--index", "--table") if is_table else ("--table", "--index")
        raise InvalidInputError(
            f"{flag} is given, but {connection_id!r} is a connection to {source_type}",
            remedy=f"Use {right}, or another --connection.",
        )
    looks = inspection.source_inspection(source_type, connection_id)
    flag = "--table" if is_table else "--index"
    given = table if is_table else index
    name = given or _chosen("The table" if is_table else "The index", flag, None, looks.names())
    return _Source(source_type, connection_id, looks, looks.shape(name))


def _looked_at(
    source: _Source, time_field: str | None, id_column: str | None, timezone: str | None
) -> tuple[dict[str, Any], SourceDescription]:
    """Return the section `source` of the file, and what was seen."""
    shape = source.shape
    zone_name = timezone or str(scaffold.defaults_of(REPO).get("timezone", "UTC"))
    zone(zone_name)
    chosen = _chosen("The event time", "--time-field", time_field or _only(shape.time_fields), shape.time_fields)
    section: dict[str, Any] = {"type": source.type, "connection_id": source.connection_id}
    if source.type == "postgres":
        own_id = _chosen(
            "The id, unique and never NULL", "--id-column", id_column or _only(shape.id_fields), shape.id_fields
        )
        if own_id not in {each.name for each in shape.fields}:
            raise InvalidInputError(f"there is no column {own_id!r}", remedy="Name one with --id-column.")
        schema, table = inspection.table_of(shape.name)
        section |= {"table_schema": schema, "table": table, "time_column": chosen, "id_column": own_id}
    elif id_column:
        raise InvalidInputError("--id-column is for Postgres", remedy="Leave it out: documents have an _id.")
    else:
        section |= {"index": shape.name, "time_field": chosen}
    return section, source.looks.describe(shape, chosen, zone_name)


def _target(name: str, connection: str | None, table: str | None) -> dict[str, Any]:
    asks = sys.stdin.isatty()
    usual = "target_snowflake"
    connection_id = connection or (
        _chosen("The target's connection", "--target-connection", None, usual=usual) if asks else usual
    )
    target_type = connections.connection_type(connection_id)
    if target_type not in _TARGETS:
        raise InvalidInputError(
            f"the connection {connection_id!r} has type {target_type!r}",
            remedy=f"Name one of type {' or '.join(_TARGETS)} with --target-connection.",
        )
    usual = name.upper() if target_type == "snowflake" else name
    chosen = table or (_chosen("The target's table", "--target-table", None, usual=usual) if asks else usual)
    return {"type": target_type, "connection_id": connection_id, "table": chosen}


def _chosen(what: str, flag: str, given: str | None, found: Sequence[str] = (), usual: str | None = None) -> str:
    """Return what was given, else what a person answers.

    Raises:
        InvalidInputError: Nothing was given, and nobody can be asked.
    """
    if given:
        return given
    listed = ", ".join(found[:_SHOWN]) + (f" and {len(found) - _SHOWN} more" if len(found) > _SHOWN else "")
    if not sys.stdin.isatty():
        raise InvalidInputError(
            f"{what[0].lower()}{what[1:]} is not given",
            meaning=f"Found: {listed}" if listed else "",
            remedy=f"Give {flag}; on a terminal, what is missing is asked for.",
        )
    if listed:
        print(f"found: {listed}")
    answer: str = typer.prompt(what, default=usual or (found[0] if found else None))
    return answer


def _only(found: Sequence[str]) -> str | None:
    return found[0] if len(found) == 1 else None


def _say_found(new: NewPipeline) -> None:
    proposal = new.proposal
    lines = [
        {"what": name, "found": words} for name, words in {"source": new.seen.shape.name, **seen_of(new.seen)}.items()
    ]
    lines += [
        {"what": "granularity", "found": f"{proposal.granularity.value}: {proposal.granularity.reason}"},
        {"what": "x_time_back", "found": f"{proposal.x_time_back.value}: {proposal.x_time_back.reason}"},
        {"what": "start_date", "found": f"{proposal.start_date}: {proposal.start_reason}"},
        {"what": "columns", "found": f"{len(proposal.columns)} typed, {len(proposal.left_out)} fields in doc only"},
    ]
    print_table(("what", "found"), lines)


def _say_written(paths: Sequence[Path]) -> None:
    for path in paths:
        print(f"wrote {path.relative_to(REPO)}")


def _say_next(new: NewPipeline) -> None:
    day, name = new.proposal.start_date.isoformat(), new.pipeline_id
    print("next:")
    print(f"  {_PROGRAM} preview {name} --day {day}")
    print(f"  {_PROGRAM} run {name} --day {day} --watch --unpause")
    print(f"  {_PROGRAM} status {name} --from {day} --to {day}")
    print("The second one waits until Airflow has found the new file; with --local it needs no Airflow.")

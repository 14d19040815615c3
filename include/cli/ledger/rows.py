"""`ledger migrate`, `ledger show` and `ledger describe`: the ledger's tables and their rows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import date
from typing import Annotated, Any

import typer

from include.cli.output import Format, FormatOption, print_json, print_table
from include.pipeline_framework.core.records.row import Status
from include.pipeline_framework.core.records.run_requests import parse_date
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.ports.ledger import LedgerReads
from include.wiring import assembly
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

_ROW_COLUMNS: tuple[str, ...] = (
    "id", "source_object", "target_day", "query_window_start_at", "time_interval", "pipeline_final_status",
    "phase_completed", "source_count", "target_count", "dag_run_id",
)  # fmt: skip
_EVENT_COLUMNS: tuple[str, ...] = (
    "occurred_at", "event", "to_status", "to_phase", "fence", "dag_run_id", "task_id", "try_number", "reason",
)  # fmt: skip
_WHO = """Which run has moved a window stands in `dag_id` and `dag_run_id`, each of its tries in the events. `job_id` is
the job of another system: written by its report of a window that it moves (`ledger report`), kept by `ledger adopt`,
else NULL."""


def migrate() -> None:
    """Create the ledger's tables, or bring them up to date."""
    print(f"ledger at version {assembly.migrate_ledger()}")


def _status(text: str) -> Status:
    """Return the status of a word in upper or lower case."""
    try:
        return Status(text.upper())
    except ValueError:
        raise typer.BadParameter(f"{text!r} is not one of {', '.join(repr(one.value) for one in Status)}") from None


def show(
    record_id: Annotated[int | None, typer.Argument(metavar="ID", help="One row, with its history.")] = None,
    source: Annotated[
        str | None, typer.Option(metavar="NAME", help="Only this pipeline, by id, source or DAG.")
    ] = None,
    status: Annotated[
        list[Status] | None,
        typer.Option(parser=_status, metavar="STATUS", help="A pipeline_final_status; may be given several times."),
    ] = None,
    day: Annotated[str | None, typer.Option(metavar="YYYY-MM-DD", help="Only windows of this local day.")] = None,
    first: Annotated[str | None, typer.Option("--from", metavar="YYYY-MM-DD", help="From this local day on.")] = None,
    last: Annotated[str | None, typer.Option("--to", metavar="YYYY-MM-DD", help="Up to this day, inclusive.")] = None,
    limit: Annotated[int, typer.Option(metavar="ROWS", help="At most this many; 0: all.")] = 1_000,
    form: FormatOption = Format.TABLE,
) -> None:
    """List windows, or one window with its history."""
    if record_id is not None and (source or status or day or first or last):
        raise InvalidInputError(
            "an id and a filter at once", remedy="Give the id for one window's history, or the filters."
        )
    if day and (first or last):
        raise InvalidInputError("--day beside --from or --to", remedy="Give the one day, or the first and the last.")
    days = (_day(day or first, "--day" if day else "--from"), _day(day or last, "--day" if day else "--to"))
    with Workspace(actor=person("ledger show")) as workspace:
        if record_id is not None:
            shown, columns = workspace.store.events(record_id), _EVENT_COLUMNS
            if not shown:
                workspace.store.get(record_id)  # an error if there is no such row
        else:
            source_object = workspace.source_named(source) if source else None
            shown, columns = _rows(workspace.store, limit, source_object=source_object, statuses=status, days=days)
    if form is Format.JSON:
        print_json(shown)
    elif shown:
        print_table(columns, shown)
    else:
        print("no rows")


def _day(text: str | None, option: str) -> date | None:
    return parse_date(text, option, "ledger show") if text else None


def _rows(store: LedgerReads, limit: int, **filters: Any) -> tuple[list[dict[str, Any]], tuple[str, ...]]:
    """Return the rows, and their columns; one row more than is shown proves that there are more."""
    most = limit + 1 if limit > 0 else None
    rows = store.find(limit=most, **filters)
    if most and len(rows) == most:
        rows.pop()
        print(f"the first {limit} rows; there are more: --limit 0 shows all", file=sys.stderr)
    return [row.as_record() for row in rows], _ROW_COLUMNS


def describe() -> None:
    """Print every column with its meaning, as Markdown."""
    print(ledger_page(assembly.describe_ledger()), end="")


def ledger_page(columns: Sequence[dict[str, Any]]) -> str:
    """Return the ledger's tables as Markdown, from the comments in the database."""
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

"""`ledger migrate`, `ledger show` and `ledger describe`: the ledger's tables and their rows."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from include.cli.output import Format, FormatOption, print_json, print_table
from include.pipeline_framework.core.records.row import Status
from include.pipeline_framework.errors import InvalidInputError
from include.wiring import assembly

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


def show(
    record_id: Annotated[int | None, typer.Argument(metavar="ID", help="One row, with its history.")] = None,
    source: Annotated[str | None, typer.Option(metavar="SOURCE_OBJECT", help="Only this source.")] = None,
    status: Annotated[
        list[Status] | None, typer.Option(help="A pipeline_final_status; may be given several times.")
    ] = None,
    limit: Annotated[int, typer.Option(metavar="ROWS", help="At most this many; 0: all.")] = 1_000,
    form: FormatOption = Format.TABLE,
) -> None:
    """List windows, or one window with its history."""
    if record_id is not None and (source or status):
        raise InvalidInputError(
            "an id and --source or --status at once", remedy="Give the id for one window's history, or the filters."
        )
    store = assembly.lifecycle_store()
    if record_id is not None:
        shown, columns = store.events(record_id), _EVENT_COLUMNS
        if not shown:
            store.get(record_id)  # an error if there is no such row
    else:
        # one row more than is shown proves that there are more
        most = limit + 1 if limit > 0 else None
        rows = store.find(source_object=source, statuses=status, limit=most)
        columns = _ROW_COLUMNS
        if most and len(rows) == most:
            rows.pop()
            print(f"the first {limit} rows; there are more: --limit 0 shows all", file=sys.stderr)
        shown = [row.as_record() for row in rows]
    if form is Format.JSON:
        print_json(shown)
    elif shown:
        print_table(columns, shown)
    else:
        print("no rows")


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

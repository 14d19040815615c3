"""`preview`: what a pipeline would do with a day."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import typer

from include.cli.output import Format, FormatOption, print_json, print_table
from include.pipeline_framework.core.records.run_requests import parse_date
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import iso_utc
from include.pipeline_framework.ports.source import Document
from include.pipeline_framework.tasks.preview import Preview
from include.wiring import previews
from include.wiring.run_context import person
from include.wiring.workspace import Workspace

_LONGEST_VALUE = 100

app = typer.Typer(add_completion=False)


@app.command(epilog="Example: preview flights --day 2013-03-10")
def preview(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A pipeline, by id, source or DAG.")],
    day: Annotated[str, typer.Option(metavar="YYYY-MM-DD", help="A local day of the pipeline.")],
    form: FormatOption = Format.TABLE,
) -> int:
    """Show a day's windows with their rows, what would be sent, the target's tables, and documents as they would be
    loaded; nothing is written. Exit status 1 when a document does not fit into its columns.
    """
    asked = parse_date(day, "--day", "preview")
    with Workspace(actor=person("preview")) as workspace:
        config = workspace.of_source(name)
    found = previews.preview(config.pipeline_id, LocalDay(asked, config.timezone))
    if form is Format.JSON:
        print_json(_plain(found))
    else:
        _show(found, config.timezone)
    return int(bool(found.refused))


def _plain(found: Preview) -> dict[str, Any]:
    return {
        "day": found.day.date.isoformat(),
        "rows": found.rows,
        "windows": [
            {"start": iso_utc(one.window.start), "end": iso_utc(one.window.end), "rows": one.rows, "status": one.status}
            for one in found.windows
        ],
        "shown_window": str(found.shown) if found.shown else None,
        "queries": found.queries,
        "definitions": found.definitions,
        "documents": [
            {
                "_id": document.id,
                "_event_at": document.event_at,
                **{name: f"refused: {value}" if isinstance(value, Exception) else value for name, value in row.items()},
                "doc": _text(document),
            }
            for document, row in found.documents
        ],
        "documents_looked_at": found.looked_at,
        "refused": _refused(found),
        "columns_without_a_value": found.empty,
    }


def _show(found: Preview, timezone: str) -> None:
    print(f"{found.day} {timezone}: {len(found.windows)} windows, {found.rows:,} rows at the source now\n")
    rows = [
        {"window": one.window.local_label(timezone), "rows": f"{one.rows:,}", "ledger": one.status or "not planned yet"}
        for one in found.windows
    ]
    print_table(("window", "rows", "ledger"), rows)
    where = f" for {found.shown.local_label(timezone)}" if found.shown else ""
    _show_texts(f"What is sent{where}", found.queries)
    _show_texts("The target's tables", found.definitions)
    if not found.shown:
        print("\nThe day has no row at the source, so there is no document to show.")
        return
    print(f"\nThe first {len(found.documents)} documents as they would be loaded")
    for document, values in found.documents:
        shown = {"_id": document.id, "_event_at": document.event_at, **values, "doc": _text(document)}
        print()
        print_table(("column", "value"), [{"column": name, "value": _value(value)} for name, value in shown.items()])
    print(f"\n{found.looked_at:,} documents were looked at, and {found.refused.total():,} of their values do not fit.")
    if found.empty:
        print(f"NULL in all of them, is the path right? {', '.join(found.empty)}")
    if found.refused:
        print_table(("column", "why", "documents"), _refused(found))


def _show_texts(title: str, texts: list[str]) -> None:
    if texts:
        print(f"\n{title}\n\n" + "\n\n".join(texts))


def _text(document: Document) -> str:
    return document.body.decode("utf-8", "replace")


def _refused(found: Preview) -> list[dict[str, Any]]:
    return [
        {"column": column, "why": why, "documents": number} for (column, why), number in found.refused.most_common()
    ]


def _value(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, Exception):
        return f"refused: {value}"
    text = iso_utc(value) if isinstance(value, datetime) else str(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[:_LONGEST_VALUE]}…"

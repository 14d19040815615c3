"""Prints the results of commands: tables that fit a terminal, plain values for JSON, and options that many share."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

import typer

from include.pipeline_framework.errors import InvalidInputError


class Format(StrEnum):
    """The form in which a command prints its findings."""

    TABLE = "table"
    JSON = "json"


class TextFormat(StrEnum):
    """The form in which a command prints an answer in words."""

    TEXT = "text"
    JSON = "json"


FormatOption = Annotated[Format, typer.Option("--format", help="A table for people, or JSON for programs.")]
SourcesOption = Annotated[
    list[str] | None,
    typer.Option("--source", metavar="NAME", help="Only this one, by id, source or DAG; may be repeated."),
]
MoreSources = Annotated[list[str] | None, typer.Argument(metavar="[NAME …]", hidden=True)]
"""Further sources after the one of `--source`."""

ApplyOption = Annotated[bool, typer.Option("--apply", help="Do it; without it, only show what would be done.")]

_TEXTS = frozenset({"reason", "remedy", "outcome", "error_message", "note", "found", "ledger", "target"})
"""Columns of whole sentences: on a terminal they are wrapped, all others stay on one line."""


TextFormatOption = Annotated[TextFormat, typer.Option("--format", help="Words for people, or JSON for programs.")]


def all_sources(source: list[str] | None, more: list[str] | None) -> list[str] | None:
    """Return the sources of `--source a --source b` and of `--source a b`; None: all sources.

    Raises:
        InvalidInputError: There are sources without the option.
    """
    if more and not source:
        raise InvalidInputError(f"{more[0]!r} stands alone", remedy=f"Write --source {' '.join(more)}.")
    return [*source, *(more or ())] if source else None


def print_table(columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows under their columns' names: fitted to a terminal, as wide as needed elsewhere."""
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    if sys.stdout.isatty():
        _print_fitted(columns, cells)
        return
    widths = [max(len(line[i]) for line in [list(columns), *cells]) for i in range(len(columns))]
    for line in [list(columns), *cells]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def print_json(found: Any) -> None:
    """Print a value as JSON, indented by two spaces."""
    print(json.dumps(found, default=plain, indent=2, ensure_ascii=False))


def elapsed(seconds: float) -> str:
    """Return days, hours and minutes, as `2h05m`.

    >>> elapsed(7_500), elapsed(30), elapsed(90_000)
    ('2h05m', '1m', '1d01h')
    """
    minutes = max(1, round(seconds / 60)) if seconds else 0
    if minutes >= 24 * 60:
        return f"{minutes // 1_440}d{minutes % 1_440 // 60:02}h"
    return f"{minutes // 60}h{minutes % 60:02}m" if minutes >= 60 else f"{minutes}m"


def plain(value: Any) -> str:
    """Return a value that JSON has no type for as a plain one."""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _print_fitted(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        is_text = column in _TEXTS
        table.add_column(column, no_wrap=not is_text, overflow="fold" if is_text else "ellipsis")
    for line in cells:
        table.add_row(*(Text(text) for text in line))
    Console().print(table)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
    return "" if value is None else str(value)

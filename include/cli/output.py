"""What the command line prints: tables for people, plain values for JSON, and who the person is."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any


def print_table(columns: Sequence[str], rows: Sequence[dict[str, Any]]) -> None:
    """Rows under their columns' names, in columns as wide as they need."""
    cells = [[_cell(row.get(column)) for column in columns] for row in rows]
    widths = [max(len(line[i]) for line in [list(columns), *cells]) for i in range(len(columns))]
    for line in [list(columns), *cells]:
        print("  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip())


def plain(value: Any) -> str:
    """What JSON has no type for."""
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _cell(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat(sep=" ", timespec="seconds").replace("+00:00", "Z")
    return "" if value is None else str(value)

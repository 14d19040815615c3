"""Tables of comparisons: each row with its figures and, for the figure that is compared, how many times the others'."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from benchmarks.comparison import Comparison, Measured, Role

REFERENCES: tuple[Role, ...] = ("floor", "before", "peer")
"""What a row is compared with; of several floors or peers, the one that needs least."""

UNKNOWN = "–"

_LEAST_WIDTH = 170
"""Characters; a file that the output goes to has 80 otherwise."""


def references(comparison: Comparison) -> dict[Role, Measured]:
    """Return the rows that the others are compared with, by their role."""
    found: dict[Role, Measured] = {}
    for role in REFERENCES:
        rows = [row for row in comparison.rows if row.role == role and row.figures.get(comparison.figure)]
        if rows:
            found[role] = min(rows, key=lambda row: row.figures[comparison.figure])
    return found


def header(comparison: Comparison) -> list[str]:
    """Return the heading of each column."""
    return ["what", *_figures(comparison), *(f"× {role}" for role in references(comparison))]


def lines(comparison: Comparison) -> Iterator[list[str]]:
    """Yield the cells of each row, in the order of the columns."""
    others = references(comparison).values()
    for row in comparison.rows:
        figures = [_number(row.figures.get(name)) for name in _figures(comparison)]
        ratios = [ratio_text(comparison.ratio(row, other)) for other in others]
        yield [f"{row.role}: {row.what}", *figures, *ratios]


def ratio_text(ratio: float | None) -> str:
    """Return a ratio with two digits after the point below ten, and none above."""
    if ratio is None:
        return UNKNOWN
    return f"{ratio:.2f}" if ratio < 10 else f"{ratio:,.0f}"


def show(comparisons: list[Comparison], console: Console | None = None) -> None:
    """Print the tables, as wide as their figures need: whoever has a narrow window sees lines broken by it."""
    console = console or Console(width=max(Console().width, _LEAST_WIDTH))
    for comparison in comparisons:
        table = Table(title=f"{comparison.name}, for {comparison.per}", caption="\n".join(comparison.notes))
        for number, name in enumerate(header(comparison)):
            table.add_column(name, justify="right" if number else "left", no_wrap=not number)
        for cells in lines(comparison):
            table.add_row(*cells)
        console.print(table)


def _figures(comparison: Comparison) -> list[str]:
    """Return the names of all figures, the compared one first."""
    return list(dict.fromkeys([comparison.figure, *(name for row in comparison.rows for name in row.figures)]))


def _number(value: float | None) -> str:
    """Return a figure with three digits that count."""
    if value is None:
        return UNKNOWN
    digits = 0 if abs(value) >= 100 or value == int(value) else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}"

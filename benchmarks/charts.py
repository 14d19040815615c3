"""One comparison as a bar chart in SVG, whose colours are legible on a light and on a dark page."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape

from benchmarks.comparison import Comparison, Measured, Role
from benchmarks.tables import ratio_text, references

COLOURS: Mapping[Role, str] = {
    "product": "#2f81f7",
    "before": "#8b949e",
    "floor": "#2da44e",
    "peer": "#bf8700",
    "tried": "#a371f7",
}
_TEXT = "#768390"
_WIDTH, _LABEL, _BAR, _LINE, _TOP = 860, 400, 300, 26, 34


def bar_chart(comparison: Comparison) -> str:
    """Return the chart of the compared figure: a bar for each row that has it, in the order of the rows.

    The scale is linear and begins at zero; a bar is at least two pixels long.
    """
    rows = [row for row in comparison.rows if row.figures.get(comparison.figure) is not None]
    longest = max((row.figures[comparison.figure] for row in rows), default=0) or 1
    bars = "".join(_bar(comparison, row, number, longest) for number, row in enumerate(rows))
    height = _TOP + _LINE * len(rows) + 8
    title = escape(f"{comparison.name}: {comparison.figure}, for {comparison.per}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'role="img" font-family="system-ui, sans-serif" font-size="13" fill="{_TEXT}">\n'
        f'<title>{title}</title>\n<text x="0" y="18" font-weight="600">{title}</text>\n{bars}</svg>\n'
    )


def _bar(comparison: Comparison, row: Measured, number: int, longest: float) -> str:
    value = row.figures[comparison.figure]
    y, length = _TOP + _LINE * number, max(2.0, _BAR * value / longest)
    floor = references(comparison).get("floor")
    ratio = comparison.ratio(row, floor) if floor else None
    beside = f"{value:,.3g}" if value < 1_000 else f"{value:,.0f}"
    beside += f" ({ratio_text(ratio)} × floor)" if ratio is not None and row is not floor else ""
    label = escape(f"{row.role}: {row.what}")
    return (
        f'<text x="{_LABEL - 8}" y="{y + 15}" text-anchor="end">{_shortened(label)}</text>'
        f'<rect x="{_LABEL}" y="{y + 2}" width="{length:.1f}" height="18" rx="2" fill="{COLOURS[row.role]}"/>'
        f'<text x="{_LABEL + length + 6:.1f}" y="{y + 15}">{escape(beside)}</text>\n'
    )


def _shortened(label: str) -> str:
    return label if len(label) <= 62 else f"{label[:60]} …"

"""Prints the findings in a state table, for `state analyse` and `ledger adopt`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from include.cli.output import Format, print_json, print_table
from include.pipeline_framework.tasks.adopt_ledger import StateReport

_FINDING_COLUMNS = ("kind", "source_object", "day", "start", "end", "rows", "decision", "reason")
_SOURCE_COLUMNS = (
    "source_object", "days_looked_at", "days_covered", "days_on_request", "windows", "windows_completed",
    "dominant_granularity", "first_window_start_at",
)  # fmt: skip
_MAX_LINES = 200
_MAX_ROWS = 5


def print_report(report: StateReport, form: Format, last_line: Callable[[StateReport], str]) -> None:
    """Print sources, findings, notes, and a last line with the result."""
    if form is Format.JSON:
        print_json(report.as_dict())
        return
    print_table(_SOURCE_COLUMNS, [analysis.as_dict() for analysis in report.analyses])
    if report.findings:
        print()
        print_table(("kind", "decision", "findings"), _counts(report))
        print()
        print_table(_FINDING_COLUMNS, [_shown(finding.as_dict()) for finding in report.findings[:_MAX_LINES]])
    if len(report.findings) > _MAX_LINES:
        print(f"… and {len(report.findings) - _MAX_LINES} more; --format json has all")
    print()
    for note in report.notes:
        print(f"note: {note}")
    print(last_line(report))


def _counts(report: StateReport) -> list[dict[str, Any]]:
    counts: dict[tuple[str, str], int] = {}
    for finding in report.findings:
        key = (finding.kind.value, finding.decision.value)
        counts[key] = counts.get(key, 0) + 1
    return [{"kind": kind, "decision": decision, "findings": n} for (kind, decision), n in sorted(counts.items())]


def _shown(finding: dict[str, Any]) -> dict[str, Any]:
    rows = finding["rows"]
    more = f" and {len(rows) - _MAX_ROWS} more" if len(rows) > _MAX_ROWS else ""
    return {**finding, "rows": " ".join(map(str, rows[:_MAX_ROWS])) + more}

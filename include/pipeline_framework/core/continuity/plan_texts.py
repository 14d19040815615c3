"""Show a plan of the state manager to people, as a table for a log and as Markdown for a decision.

Steps that delete data at the target come first, row by row. The rest is shown by source, kind and day; consecutive days
that differ in nothing else are one line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from include.pipeline_framework.core.continuity.remediation import Action, PlanItem
from include.pipeline_framework.core.continuity.state_plans import StatePlan, counts, extent
from include.pipeline_framework.core.time.days import local_day_of
from include.pipeline_framework.core.time.windows import TimeWindow

LINES = 50
"""The most lines of a table; it ends with the number of lines that are left out."""

_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>()#+!|~&])")
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One line: `windows` to plan and `rows` to invalidate; `when` in the source's local time."""

    source_object: str
    action: str
    when: str
    windows: int
    rows: int
    deletes_target_data: bool
    why: str


def plan_lines(items: Iterable[PlanItem], zones: Mapping[str, str]) -> list[PlanLine]:
    """Return what the items do, deletions at the target first.

    Args:
        zones: Time zone by source object; UTC for a source that has none.
        items: The plan's items, in any order.
    """
    groups: list[list[PlanItem]] = []
    for item in sorted(items, key=_place):
        if groups and _belong_together(groups[-1][-1], item, zones):
            groups[-1].append(item)
        else:
            groups.append([item])
    return [_line(group, zones) for group in groups]


def plan_table(items: Sequence[PlanItem], zones: Mapping[str, str]) -> list[str]:
    """Return the plan as lines of a table, for a log."""
    lines = plan_lines(items, zones)
    texts = [f"{'source_object':<24} {'what':<10} {'when':<41} {'windows':>7} {'rows':>5}  {'target data':<11}  why"]
    texts += [
        f"{line.source_object:<24} {line.action:<10} {line.when:<41} {line.windows:>7} {line.rows:>5}  "
        f"{'DELETED' if line.deletes_target_data else 'stays':<11}  {line.why}"
        for line in lines[:LINES]
    ]
    return [*texts, *_more(lines), _total(items)]


def plan_markdown(plan: StatePlan, zones: Mapping[str, str], reason: str | None) -> str:
    """Return the plan for the person who has to agree; only the layout is Markdown.

    Args:
        plan: The plan.
        zones: Time zone by source object.
        reason: Why somebody has to agree.
    """
    deletions, lines = plan.counts["deletions"], plan_lines(plan.items, zones)
    head = (
        f"**Data at the target will be deleted: that of {deletions} rows of the ledger.** It goes when their "
        "replacements are loaded."
        if deletions
        else "Nothing is deleted at the target."
    )
    table = [
        "| source | what | when | windows | rows | target data | why |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for line in lines[:LINES]:
        target = "**DELETED**" if line.deletes_target_data else "stays"
        cells = [escaped(text) for text in (line.source_object, line.action, line.when)]
        table.append(f"| {' | '.join(cells)} | {line.windows} | {line.rows} | {target} | {escaped(line.why)} |")
    parts = [
        head,
        f"Plan **{escaped(plan.plan_id)}**, made by {escaped(plan.created_by)}. {_total(plan.items)}",
        f"Why you are asked: {escaped(reason)}." if reason else "",
        "\n".join(table),
        *_more(lines),
        "**Approve**: exactly this is done; each step is checked again, and what has changed by then is left alone. "
        "**Reject**, or no answer in time: nothing is done, and the plan stays open.",
        f"sha256 {plan.hash}",
    ]
    return "\n\n".join(part for part in parts if part)


def escaped(text: str) -> str:
    r"""Return text that Markdown shows unchanged, also in a table.

    >>> print(escaped("gap_start | *"))
    gap\_start \| \*
    """
    return _MARKDOWN.sub(r"\\\1", " ".join(text.split()))


def _place(item: PlanItem) -> tuple[bool, str, str, str, TimeWindow]:
    return not item.deletes_target_data, item.source_object, item.action.value, _kind(item), extent(item)


def _belong_together(before: PlanItem, item: PlanItem, zones: Mapping[str, str]) -> bool:
    if before.deletes_target_data or item.deletes_target_data:
        return False
    if (before.source_object, before.action, _kind(before)) != (item.source_object, item.action, _kind(item)):
        return False
    return timedelta() <= _day(item, zones) - _day(before, zones) <= _DAY


def _line(group: Sequence[PlanItem], zones: Mapping[str, str]) -> PlanLine:
    first, last = group[0], group[-1]
    days = list(dict.fromkeys([_day(first, zones).isoformat(), _day(last, zones).isoformat()]))
    when, why = " … ".join(days), _kind(first)
    if first.action != Action.INSERT and len(group) == 1:
        when, why = extent(first).local_label(_zone(first, zones)), first.reason
    elif first.action != Action.INSERT:
        why = f"{why}; the first: {first.reason.partition(': ')[2]}"
    return PlanLine(
        first.source_object,
        first.action.value,
        when,
        sum(len(item.windows) for item in group),
        sum(len(item.rows) for item in group),
        first.deletes_target_data,
        why,
    )


def _kind(item: PlanItem) -> str:
    """Return the kind of the problem only: a gap's reason also names its day, and a row's continues with details."""
    return item.reason.partition(" on " if item.action == Action.INSERT else ": ")[0]


def _day(item: PlanItem, zones: Mapping[str, str]) -> date:
    return local_day_of(extent(item).start, _zone(item, zones)).date


def _zone(item: PlanItem, zones: Mapping[str, str]) -> str:
    return zones.get(item.source_object, "UTC")


def _more(lines: Sequence[PlanLine]) -> list[str]:
    rest = lines[LINES:]
    if not rest:
        return []
    windows, rows = sum(line.windows for line in rest), sum(line.rows for line in rest)
    return [f"… and {len(rest)} more lines with {windows} windows and {rows} rows"]


def _total(items: Iterable[PlanItem]) -> str:
    number = counts(items)
    return (
        f"In all {number['windows']} windows to plan and {number['rows']} rows to invalidate, {number['deletions']} of "
        "them with data that the target may hold."
    )

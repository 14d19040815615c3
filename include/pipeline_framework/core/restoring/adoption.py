"""Adopt an older state table: decide about its rows from what the state manager found among them.

An imported row is *kept*, *run again* (it is live, but PENDING: the target may also hold data of another row) or
*invalidated* (in the ledger, but not live). Time that no live row covers then is planned.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from include.pipeline_framework.core.continuity.findings import Finding, Kind, Verdict
from include.pipeline_framework.core.continuity.remediation import PlanItem
from include.pipeline_framework.core.continuity.state_facts import StateFacts, StateRow
from include.pipeline_framework.core.records.planning import PLAN_COLUMNS
from include.pipeline_framework.core.records.row import FINISHED
from include.pipeline_framework.core.time.windows import TimeWindow, merge

UNKNOWN_SYSTEM = "adopted"
"""Source and target name of rows for which table, mapping and pipeline file have none."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """An imported row and the first live row of the ledger that overlaps it.

    `has_loaded` is True when the target may hold data of the imported row.
    """

    id: int
    source_object: str
    day: date
    window: TimeWindow
    has_loaded: bool
    ledger_id: int
    ledger_window: TimeWindow
    ledger_status: str

    @property
    def reason(self) -> str:
        """Return the reason: the ledger's row stays, whatever its status; it isn't changed here."""
        reason = f"the ledger's row {self.ledger_id} is {self.ledger_status} there; rows of the ledger win"
        if self.has_loaded and self.ledger_status in FINISHED:
            reason += "; the target may hold rows of both: load its window again with replace"
        return reason

    @property
    def finding(self) -> Finding:
        """Return it as a finding, like a conflict among imported rows."""
        kind = Kind.DUPLICATE if self.window == self.ledger_window else Kind.OVERLAP
        return Finding(kind, self.source_object, self.day, self.window, (self.id,), Verdict.INVALIDATE, self.reason)


@dataclass(frozen=True, slots=True)
class PlannedWindow:
    """A window to plan; `replaces` is True when an invalidated row may have loaded data into it."""

    window: TimeWindow
    reason: str
    replaces: bool


@dataclass(frozen=True, slots=True)
class Resolved:
    """The decisions on one source's rows; rows not named are kept.

    Attributes:
        invalidated: The reason for each row to invalidate.
        loaded: Windows of invalidated rows that may have loaded data.
        windows: The windows to plan.
    """

    invalidated: Mapping[int, str]
    loaded: tuple[TimeWindow, ...]
    windows: tuple[PlannedWindow, ...]


def imported_only(facts: StateFacts) -> StateFacts:
    """Return the facts without the ledger's own rows, which are among the imported ones under negative ids.

    This import does not decide about the ledger's rows; they only cover time.
    """
    return replace(facts, crossing=tuple(row for row in facts.crossing if row.id >= 0))


def resolve(
    facts: StateFacts,
    findings: Iterable[Finding],
    items: Sequence[PlanItem],
    superseded: Iterable[Superseded] = (),
) -> Resolved:
    """Return the decisions from one source's review.

    >>> resolve(StateFacts(None), [], [])
    Resolved(invalidated={}, loaded=(), windows=())
    """
    rows: dict[int, StateRow] = {row.id: row for row in (*facts.contested, *facts.crossing)}
    gone = {f.rows[0]: f"{f.kind.value}: {f.reason}" for f in findings if f.decision == Verdict.INVALIDATE}
    loaded = [rows[row_id].window for row_id in gone if rows[row_id].may_have_loaded]
    loaded += [row.window for row in superseded if row.has_loaded]
    stretches = merge(loaded)
    reasons = {window: item.reason for item in items for window in item.windows}
    windows = (PlannedWindow(window, reasons[window], _touches(window, stretches)) for window in sorted(reasons))
    return Resolved(gone, tuple(loaded), tuple(windows))


def template_of(source_object: str, latest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the `default_record` of a source without a pipeline file, from its latest imported row.

    >>> template_of("orders", {"target_name": "warehouse"})["pipeline_id"]
    'orders'
    """
    known = {column: latest[column] for column in PLAN_COLUMNS if latest.get(column) is not None}
    return {
        "pipeline_id": source_object,
        "source_name": UNKNOWN_SYSTEM,
        "target_name": UNKNOWN_SYSTEM,
        **known,
        "source_object": source_object,
    }


def counted(findings: Sequence[Finding]) -> dict[str, dict[str, int]]:
    """Count the findings of each kind and of each decision."""
    kinds, decisions = Counter(f.kind.value for f in findings), Counter(f.decision.value for f in findings)
    return {"findings": dict(sorted(kinds.items())), "decisions": dict(sorted(decisions.items()))}


def _touches(window: TimeWindow, stretches: Sequence[TimeWindow]) -> bool:
    """True when a window overlaps one of some sorted windows that don't touch each other."""
    place = bisect_right(stretches, window.start, key=lambda stretch: stretch.end)
    return place < len(stretches) and stretches[place].overlaps(window)

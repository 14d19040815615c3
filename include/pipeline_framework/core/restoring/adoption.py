"""Adopting an older state table: what becomes of its rows, from what the state manager found among them.

An imported row is *kept*, *run again* (it is live, but PENDING: the target may hold rows of another one, too) or
*invalidated* (in the ledger, but not live). Time that nothing live covers then is planned.
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
"""Source and target name of rows whose table, mapping and pipeline file say nothing."""


@dataclass(frozen=True, slots=True)
class Superseded:
    """An imported row and the first live row of the ledger that stands in its time.

    `has_loaded`: the target may hold something of the imported row.
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
        """The ledger's row stays whatever its status; it isn't touched here."""
        reason = f"the ledger's row {self.ledger_id} is {self.ledger_status} there; rows of the ledger win"
        if self.has_loaded and self.ledger_status in FINISHED:
            reason += "; the target may hold rows of both: load its window again with replace"
        return reason

    @property
    def finding(self) -> Finding:
        """Told like a conflict among their own rows."""
        kind = Kind.DUPLICATE if self.window == self.ledger_window else Kind.OVERLAP
        return Finding(kind, self.source_object, self.day, self.window, (self.id,), Verdict.INVALIDATE, self.reason)


@dataclass(frozen=True, slots=True)
class PlannedWindow:
    """A window to plan; `replaces`: a row that goes may have loaded something into it."""

    window: TimeWindow
    reason: str
    replaces: bool


@dataclass(frozen=True, slots=True)
class Resolved:
    """What becomes of one source's rows; those not named are kept.

    Attributes:
        invalidated: Row → reason.
        loaded: Windows of rows that go, and may have loaded something.
        windows: To plan.
    """

    invalidated: Mapping[int, str]
    loaded: tuple[TimeWindow, ...]
    windows: tuple[PlannedWindow, ...]


def imported_only(facts: StateFacts) -> StateFacts:
    """The facts without the ledger's own rows, which stand among the imported ones under negative ids.

    What is wrong with those is not this import's to decide; they only cover time.
    """
    return replace(facts, crossing=tuple(row for row in facts.crossing if row.id >= 0))


def resolve(
    facts: StateFacts,
    findings: Iterable[Finding],
    items: Sequence[PlanItem],
    superseded: Iterable[Superseded] = (),
) -> Resolved:
    """Decisions from one source's review.

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
    """`default_record` of a source without a pipeline file, from its latest imported row.

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
    """How many of each kind and of each decision."""
    kinds, decisions = Counter(f.kind.value for f in findings), Counter(f.decision.value for f in findings)
    return {"findings": dict(sorted(kinds.items())), "decisions": dict(sorted(decisions.items()))}


def _touches(window: TimeWindow, stretches: Sequence[TimeWindow]) -> bool:
    """Whether a window overlaps one of some sorted windows that don't touch each other."""
    place = bisect_right(stretches, window.start, key=lambda stretch: stretch.end)
    return place < len(stretches) and stretches[place].overlaps(window)

"""Run the state manager: the four phases of requirement 4 over the ledger, as steps a task or a person asks for.

`review` looks and plans without writing. `repair` does at once the steps that can harm nothing. `apply_items` executes
a plan that somebody has seen; every item is checked again, and an item that has changed since is listed, not forced.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.continuity import findings as continuity
from include.pipeline_framework.core.continuity import remediation, settled_days
from include.pipeline_framework.core.continuity.findings import Analysis, Finding, Verdict
from include.pipeline_framework.core.continuity.remediation import Action, PlanItem, RowState
from include.pipeline_framework.core.continuity.settled_days import SettledMark
from include.pipeline_framework.core.continuity.state_facts import StateFacts, StateScope
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.planning import planned_row
from include.pipeline_framework.core.records.row import Actor, window_of
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import LedgerRefusedError, TerminalError
from include.pipeline_framework.ports.ledger import LedgerReads, LedgerWindows, Record
from include.pipeline_framework.tasks import zone_changes
from include.pipeline_framework.tasks.observing import log_execution
from include.pipeline_framework.tasks.placing import place, told
from include.pipeline_framework.tasks.zone_changes import HeldTime

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class StateReview:
    """The state of one source's rows, what is wrong, and what would be done about it.

    Attributes:
        analysis: The result of phase 1.
        findings: The results of phases 2 and 3.
        items: The plan of phase 4, with at most as many windows as were asked for.
        held: One text per day whose time zone rules changed; no repair touches these days, and they have no findings.
        settled_before: The first local day that the next look has to look at; None when no day was looked at.
    """

    analysis: Analysis
    findings: tuple[Finding, ...]
    items: tuple[PlanItem, ...]
    held: tuple[str, ...] = ()
    settled_before: date | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return `{findings, summary}` as JSON."""
        kinds = Counter(finding.kind.value for finding in self.findings)
        return {
            "findings": [finding.as_dict() for finding in self.findings],
            "summary": {**self.analysis.as_dict(), "findings": dict(sorted(kinds.items()))},
        }


@dataclass(frozen=True, slots=True)
class ItemOutcome:
    """The result of applying an item.

    Attributes:
        item: The item as planned.
        inserted: Windows that were planned.
        invalidated: Ids of the rows that were taken out.
        changed: The differences from the plan, for people; empty when all of it was done.
    """

    item: PlanItem
    inserted: tuple[TimeWindow, ...] = ()
    invalidated: tuple[int, ...] = ()
    changed: str = ""


def scope_of(config: PipelineConfig, now: datetime, *, counts_horizon: bool = True) -> StateScope:
    """Return a pipeline's part of the ledger, or of a table that need not have all days of its horizon."""
    horizon = config.horizon
    return StateScope(
        config.source_object,
        config.timezone,
        config.window_granularity,
        horizon,
        horizon.fill_missing_days,
        now,
        counts_horizon,
    )


def review(
    configs: Sequence[PipelineConfig],
    store: LedgerWindows,
    max_windows: int = remediation.MAX_WINDOWS,
    since: Mapping[str, date | None] | None = None,
) -> list[StateReview]:
    """Do all four phases for every source without writing; statements don't grow with the number of sources or days.

    A disabled pipeline's rows rest: they give no findings.

    Args:
        configs: The sources.
        store: The ledger.
        max_windows: The most windows that fill gaps of one source.
        since: The first day to look at, by source object, where earlier ones are known to be whole.
    """
    now = store.now()
    known = since or {}
    facts = store.state_facts(
        [replace(scope_of(config, now), since=known.get(config.source_object)) for config in configs]
    )
    held = zone_changes.held_time(configs, store, now)
    return [
        _without(held[name], review_facts(facts[name], store.rows_of_days, max_windows))
        for name in (config.source_object for config in configs)
    ]


def review_facts(facts: StateFacts, rows_of_days: Any, max_windows: int | None = None) -> StateReview:
    """Do the phases for one source's facts; `rows_of_days` is only asked when granularity has drifted."""
    analysis = continuity.analyse(facts)
    drifting = continuity.drifting_days(facts, analysis)
    rows = rows_of_days(facts.scope.source_object, drifting) if drifting else []
    findings = continuity.find(facts, analysis, rows)
    items = remediation.remediate(facts, analysis, findings, max_windows)
    settled = settled_days.settled_before(facts, findings)
    return StateReview(analysis, tuple(findings), tuple(items), settled_before=settled)


@log_execution("state repaired", source_object="config.source_object", dry_run="dry_run")
def repair(config: PipelineConfig, store: LedgerWindows, actor: Actor, *, dry_run: bool = False) -> dict[str, Any]:
    """Do at once what harms nothing: fill gaps, and take out rows that never loaded anything; report the rest.

    What it can't place is reported and skipped: no row, and no window of a row, stops the pipeline's other windows.
    Days that an earlier call has found whole are not looked at again, until rows are taken out of them.

    One call touches at most `state_manager_window_limit` windows: first rows that are wrong, then gaps of planned days,
    then missing days, each the newest first. The next call continues.

    Returns:
        `inserted`: windows planned (in a dry run, to be planned). `invalidated`: ids. `reported`: what waits for the
        state manager or a person, one text each. `note`: why nothing was looked at.
    """
    with store.source_lock(config.source_object) as is_locked:
        if not is_locked:
            return _repaired(note="another run is repairing this source right now")
        limit = config.state_manager_window_limit
        try:
            known = known_marks([config], store)[config.source_object]
            (found,) = review([config], store, limit, {config.source_object: known.since})
        except TerminalError as error:  # whatever a row says, the planned windows continue
            return _repaired(reported=[told(config, "what its rows leave open can't be told", error)])
        _log.info("state of %s", found.analysis.as_dict())
        for finding in found.findings:
            if finding.decision != Verdict.REPORT:
                _log.info("%s", finding.as_dict())
        harmless = [item for item in found.items if not item.deletes_target_data]
        safe = remediation.within(harmless, limit)
        reported = [
            *left_to_people(found),
            *(
                f"rows {[row.id for row in item.rows]}: {item.reason}; the target may hold their data: "
                "state_manager asks first"
                for item in found.items
                if item.deletes_target_data
            ),
            *left_by_limit(found, harmless, safe, limit),
        ]
        if dry_run:
            placed = place(config, [window for item in safe for window in item.windows])
            windows = [window_of(row) for row in placed.rows]
            return _repaired(windows, [row.id for item in safe for row in item.rows], [*reported, *placed.left])
        outcomes = [_apply_as_far_as_possible(config, store, actor, item) for item in safe]
        _settle(config, store, known, found.settled_before)
        return _repaired(
            [window for outcome in outcomes for window in outcome.inserted],
            [row_id for outcome in outcomes for row_id in outcome.invalidated],
            [*reported, *(f"{outcome.item.reason}: {outcome.changed}" for outcome in outcomes if outcome.changed)],
        )


@dataclass(frozen=True, slots=True)
class KnownMarks:
    """What the ledger knows about a source's older days.

    Attributes:
        marks: The marks that say so.
        terms: What the days are judged by now.
        since: The first day that has to be looked at; None: every day.
    """

    marks: Sequence[SettledMark]
    terms: str
    since: date | None


def known_marks(configs: Sequence[PipelineConfig], store: LedgerReads) -> dict[str, KnownMarks]:
    """Return by source object from which day on each source has to be looked at, with one statement for all."""
    marks = store.settled_days([config.source_object for config in configs])
    found = {}
    for config in configs:
        of_source, terms = marks[config.source_object], settled_days.terms_of(config.timezone, config.horizon)
        found[config.source_object] = KnownMarks(of_source, terms, settled_days.first_open_day(of_source, terms))
    return found


def _settle(config: PipelineConfig, store: LedgerWindows, known: KnownMarks, before: date | None) -> None:
    """Remember what was found whole, when that is more than the ledger knows, or other than its marks say."""
    if before is not None and (len(known.marks) != 1 or known.since is None or before > known.since):
        store.settle_days(config.source_object, known.terms, before, known.marks)


def apply_items(
    config: PipelineConfig, store: LedgerWindows, actor: Actor, items: Iterable[PlanItem]
) -> list[ItemOutcome]:
    """Execute a plan's items of one source, each in a transaction of its own, so that a second try continues.

    An item that has changed since it was planned is skipped where it changed, and the change is reported.
    """
    return [_apply(config, store, actor, item) for item in items]


def _apply_as_far_as_possible(
    config: PipelineConfig, store: LedgerWindows, actor: Actor, item: PlanItem
) -> ItemOutcome:
    """Do as `apply_items`, but report what can't be placed: new windows one by one, a replacement as a whole."""
    try:
        if item.action != Action.INSERT:
            return _apply(config, store, actor, item)
        placed = place(config, item.windows)
        outcome = _insert(store, actor, item, placed.rows)
    except TerminalError as error:
        return ItemOutcome(item, changed=told(config, "nothing of it is done", error))
    return replace(outcome, changed="; ".join(text for text in (outcome.changed, *placed.left) if text))


def _without(held: HeldTime, found: StateReview) -> StateReview:
    """Return the facts to judge: days that other time zone rules bound otherwise are planned whole, or elsewhere."""

    def is_free(windows: Iterable[TimeWindow]) -> bool:
        return not any(window.overlaps(span) for window in windows for span in held.spans)

    items = tuple(item for item in found.items if is_free([*item.windows, *(row.window for row in item.rows)]))
    findings = tuple(finding for finding in found.findings if is_free([finding.window]))
    return replace(found, findings=findings, items=items, held=held.texts)


def left_to_people(found: StateReview) -> list[str]:
    """Return what no plan does, one text each."""
    texts = [f"not looked at: {text}" for text in found.held]
    return texts + [f"{f.kind.value} on {f.day}: {f.reason}" for f in found.findings if f.decision == Verdict.REPORT]


def left_by_plan(found: StateReview) -> list[str]:
    """Return what a plan would fill and this one does not, because it is large enough; one text, or none."""
    left = remediation.unplanned(found.findings, found.items)
    why = f"one plan fills at most {remediation.MAX_WINDOWS} windows of a source: apply it, and the next one goes on"
    return [_unfilled(left, why)] if left else []


def left_by_limit(found: StateReview, harmless: Sequence[PlanItem], taken: Sequence[PlanItem], limit: int) -> list[str]:
    """Return what a repair would do and does not do now because of its limit."""
    ids = {row.id for item in taken for row in item.rows}
    why = f"one run repairs at most {limit} windows (state_manager_window_limit), the newest first"
    texts = [
        f"rows {[row.id for row in item.rows]}: {item.reason}; {why}"
        for item in harmless
        if any(row.id not in ids for row in item.rows)
    ]
    left = remediation.unplanned(found.findings, taken)
    if left:
        ways = "the next runs go on; all at once by a plan of state_manager, or with backfill_windows"
        texts.append(_unfilled(left, f"{why}; {ways}"))
    return texts


def _unfilled(left: Sequence[Finding], why: str) -> str:
    missing = sum(finding.kind == continuity.Kind.MISSING_DAY for finding in left)
    first, last = left[0].day, left[-1].day
    return (
        f"{missing} days without any row and {len(left) - missing} gaps of planned days, {first} to {last}, "
        f"are not planned: {why}"
    )


def _apply(config: PipelineConfig, store: LedgerWindows, actor: Actor, item: PlanItem) -> ItemOutcome:
    if item.action == Action.INSERT:
        return _insert(store, actor, item, [_planned_row(config, window) for window in item.windows])
    # a plan that deletes data at the target is applied only after a person has agreed
    approved = {"is_removal_approved_flag": item.deletes_target_data}
    rows = [{**_planned_row(config, window), **approved} for window in item.windows]
    try:
        changed = [what for row in item.rows if (what := _change_since(store.get(row.id), row))]
        if changed:
            return ItemOutcome(item, changed="; ".join(changed))
        inserted = store.replace([row.id for row in item.rows], rows, actor, item.reason)
    except LedgerRefusedError as error:
        return ItemOutcome(item, changed=str(error))
    return ItemOutcome(item, tuple(row.window for row in inserted), tuple(row.id for row in item.rows))


def _insert(store: LedgerWindows, actor: Actor, item: PlanItem, rows: Sequence[Record]) -> ItemOutcome:
    outcome = store.insert_planned(rows, actor, item.reason)
    refused = ", ".join(str(window_of(row)) for row in outcome.refused)
    return ItemOutcome(
        item,
        tuple(row.window for row in outcome.inserted),
        changed=f"live rows cover a part by now of {refused}" if refused else "",
    )


def _change_since(row: LedgerRow, planned: RowState) -> str:
    """Return how a row differs from what the plan saw; empty when it does not."""
    if row.is_invalidated_flag:
        return f"row {planned.id} is invalidated already"
    if (row.pipeline_final_status, row.fence) != (planned.status, planned.fence) or row.window != planned.window:
        return f"{row.where} was {planned.status} and is {row.pipeline_final_status} by now"
    return ""


def _repaired(
    inserted: Sequence[TimeWindow] = (), invalidated: Sequence[int] = (), reported: Sequence[str] = (), note: str = ""
) -> dict[str, Any]:
    return {
        "inserted": list(inserted),
        "invalidated": list(invalidated),
        "reported": list(reported),
        "note": note,
    }


def _planned_row(config: PipelineConfig, window: TimeWindow) -> Record:
    return planned_row(config.final_config(), window, deriving)

"""Make and store plans of the state manager without changing a row, and execute them exactly as stored.

A plan is applied once, source by source; each source's outcome is stored when it is done, so that after a crash the
rest is applied. An item that has changed since the plan was made is listed, not forced.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.continuity.findings import coverage
from include.pipeline_framework.core.continuity.remediation import PlanItem
from include.pipeline_framework.core.continuity.state_plans import (
    StatePlan,
    applied_plan,
    approval_reason,
    by_source,
    plan_hash,
)
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.days import local_day_of
from include.pipeline_framework.core.time.windows import TimeWindow, uncovered
from include.pipeline_framework.errors import LedgerRefusedError, TerminalError, TransientError
from include.pipeline_framework.ports.ledger import LifecycleStore
from include.pipeline_framework.tasks.observing import log_execution
from include.pipeline_framework.tasks.state_manager import (
    ItemOutcome,
    StateReview,
    apply_items,
    left_by_plan,
    left_to_people,
    review,
)

_log = logging.getLogger(__name__)

Configs = Mapping[str, PipelineConfig]
"""Every pipeline with a good file, by source object."""


@dataclass(frozen=True, slots=True)
class MadePlan:
    """The result of a dry run.

    Attributes:
        plan: The stored plan; None when there is nothing to do, or when nothing should be stored.
        items: Its steps, stored or not.
        needs_approval: Why a person has to agree before they are executed.
        left: The things that this plan does not do, one text each, by source object.
        coverage: How much is planned and done, by source object.
    """

    plan: StatePlan | None
    items: tuple[PlanItem, ...]
    needs_approval: str | None
    left: Mapping[str, list[str]]
    coverage: Mapping[str, str]


def make_plan(
    configs: Sequence[PipelineConfig], store: LifecycleStore, actor: Actor, *, is_stored: bool = True
) -> MadePlan:
    """Look at the sources and store a plan of what would be done; no row of the ledger changes.

    When the same plan is open already, that plan is returned, not a copy of it.
    """
    reviews = review(configs, store)
    items = tuple(item for found in reviews for item in found.items)
    reason = approval_reason(items, limits(configs))
    left = {found.analysis.source_object: [*left_to_people(found), *left_by_plan(found)] for found in reviews}
    covered = {found.analysis.source_object: coverage([found.analysis]) for found in reviews}
    plan = None
    if items and is_stored:
        written = [item.as_dict() for item in items]
        kept = store.keep_plan(
            {
                "created_by": name_of(actor),
                "sources": sorted(by_source(items)),
                "items": written,
                "findings": {found.analysis.source_object: _summary(found) for found in reviews},
                "hash": plan_hash(written),
                "needs_approval": reason,
            }
        )
        plan = StatePlan.of(kept)
    return MadePlan(plan, items, reason, {source: texts for source, texts in left.items() if texts}, covered)


def load_plan(plan_id: str, store: LifecycleStore) -> StatePlan:
    """Return a stored plan with its items as they were.

    Raises:
        InvalidInputError: There is no such plan.
        LedgerRefusedError: The items are not those that were stored.
    """
    return StatePlan.of(store.stored_plan(plan_id))


def approval_of(plan: StatePlan, configs: Iterable[PipelineConfig]) -> str | None:
    """Return why a person has to agree, by the present limits; None when nobody has to."""
    return approval_reason(plan.items, limits(configs))


def limits(configs: Iterable[PipelineConfig]) -> dict[str, int]:
    """Return `state_manager_window_limit` by source object."""
    return {config.source_object: config.state_manager_window_limit for config in configs}


@log_execution("state plan applied", plan_id="plan_id")
def apply_plan(
    plan_id: str,
    configs: Configs,
    store: LifecycleStore,
    actor: Actor,
    *,
    seen_hash: str | None = None,
    approved_by: str | None = None,
) -> StatePlan:
    """Execute exactly the stored items, each checked again; return the plan with its outcome.

    Args:
        plan_id: The plan.
        configs: Pipelines by source object; items of a source that has none are skipped.
        store: The ledger.
        actor: The one that applies; the events name it and the plan.
        seen_hash: Hash of the plan that was shown and approved.
        approved_by: The person who agreed.

    Raises:
        LedgerRefusedError: The plan was applied before, is not what was shown, or needs an approval that nobody gave.
        TransientError: Another run repairs one of the sources right now; the other ones are done.
        TerminalError: Some sources could not be done (a function of their own raised, say); the other ones are done.
    """
    plan = load_plan(plan_id, store)
    if plan.applied_at is not None:
        raise applied_plan({"plan_id": plan_id, "applied_by": plan.applied_by, "applied_at": plan.applied_at})
    if seen_hash is not None and seen_hash != plan.hash:
        raise LedgerRefusedError(
            f"plan {plan_id} is not the one that was shown",
            meaning="Nothing was done",
            remedy="Look at it again: run state_manager with its plan_id.",
        )
    reason = approval_of(plan, configs.values())
    if reason and not approved_by:
        raise LedgerRefusedError(
            f"plan {plan_id} needs somebody's approval: {reason}",
            meaning="Nothing was done",
            remedy="Trigger state_manager with the plan_id and apply: the run asks for it.",
        )
    signed: dict[str, Any] = {"applied_by": name_of(actor), "approved_by": approved_by if reason else None}
    locked, broken = list[str](), dict[str, Exception]()
    for source_object, items in by_source(plan.items).items():
        if source_object in plan.outcome:
            continue
        try:
            outcomes = _apply_source(configs.get(source_object), store, actor, plan_id, items)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001 - a pipeline's own function may raise anything
            broken[source_object] = error
            continue
        if outcomes is None:
            locked.append(source_object)
        else:
            store.note_plan_outcome(plan_id, {source_object: outcome_dict(outcomes)}, **signed, is_complete=False)
    _require_all(plan_id, locked, broken)
    return StatePlan.of(store.note_plan_outcome(plan_id, {}, **signed, is_complete=True))


def apply_to_source(
    config: PipelineConfig, store: LifecycleStore, actor: Actor, items: Sequence[PlanItem]
) -> dict[str, Any]:
    """Execute items of one source that are stored nowhere; return their results as `outcome_dict`.

    Raises:
        TransientError: Another run repairs the source right now.
    """
    outcomes = _apply_source(config, store, actor, "", items)
    if outcomes is None:
        raise _busy([config.source_object], "Nothing was done")
    return outcome_dict(outcomes)


def outcome_dict(outcomes: Sequence[ItemOutcome]) -> dict[str, Any]:
    """Return one source's results as JSON: `inserted` (pairs of instants), `invalidated` (ids), `changed` (texts)."""
    return {
        "items": len(outcomes),
        "inserted": [str(window).split("/") for outcome in outcomes for window in outcome.inserted],
        "invalidated": [row_id for outcome in outcomes for row_id in outcome.invalidated],
        "changed": [f"{outcome.item.reason}: {outcome.changed}" for outcome in outcomes if outcome.changed],
    }


def name_of(actor: Actor) -> str:
    """Return a run or a person as plans name them."""
    return f"{actor.dag_id}/{actor.dag_run_id}"


def _apply_source(
    config: PipelineConfig | None, store: LifecycleStore, actor: Actor, plan_id: str, items: Sequence[PlanItem]
) -> list[ItemOutcome] | None:
    """Return outcomes in the items' order; None when somebody else repairs this source."""
    if config is None:
        return [ItemOutcome(item, changed="no good pipeline file has this source_object any more") for item in items]
    with store.source_lock(config.source_object) as is_locked:
        if not is_locked:
            return None
        outcomes, now = [], store.now()
        for item in items:
            if refusal := _refusal(config, item, now):
                outcomes.append(ItemOutcome(item, changed=refusal))
                continue
            # so that events name their plan
            named = replace(item, reason=f"plan {plan_id}: {item.reason}") if plan_id else item
            outcomes += [replace(done, item=item) for done in apply_items(config, store, actor, [named])]
        return outcomes


def _refusal(config: PipelineConfig, item: PlanItem, now: datetime) -> str:
    """Return why the present pipeline has no place for an item; empty when it has."""
    tomorrow = local_day_of(now, config.timezone).next()
    replaced = [row.window for row in item.rows]
    for window in item.windows:
        if window.end > tomorrow.end and uncovered(window, replaced):
            return f"{window} lies after tomorrow, {tomorrow}: no plan fills that"
    for window in item.windows:
        if window.end > local_day_of(window.start, config.timezone).end:
            return f"{window} crosses a day of {config.timezone} by now"
    for window in (*item.windows, *(row.window for row in item.rows)):
        if reason := _outside(config, window):
            return f"{window} is outside the horizon by now: {reason}"
    return ""


def _outside(config: PipelineConfig, window: TimeWindow) -> str | None:
    return config.horizon.refusal(local_day_of(window.start, config.timezone))


def _require_all(plan_id: str, locked: Sequence[str], broken: Mapping[str, Exception]) -> None:
    if broken:
        raise TerminalError(
            f"{len(broken)} sources of plan {plan_id} could not be done: "
            + "; ".join(f"{name}: {type(error).__name__}: {error}" for name, error in broken.items()),
            meaning="All others are through; the plan stays open",
            remedy="Correct these pipelines' files or functions, then apply the plan again.",
        ) from next(iter(broken.values()))
    if locked:
        raise _busy(locked, f"The other sources of plan {plan_id} are through; the plan stays open")


def _busy(sources: Sequence[str], meaning: str) -> TransientError:
    return TransientError(
        f"another run repairs {', '.join(sources)} right now",
        meaning=meaning,
        remedy="Try it again in a moment; what is done already stays as it is.",
    )


def _summary(found: StateReview) -> dict[str, Any]:
    summary: dict[str, Any] = found.as_dict()["summary"]
    return {**summary, "left": [*left_to_people(found), *left_by_plan(found)]}

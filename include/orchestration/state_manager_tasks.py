"""Bodies of the tasks of `state_manager`: make a plan and show it, or execute a stored one after an approval."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from include.orchestration import task_runs
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.continuity.plan_texts import LINES, plan_markdown, plan_table
from include.pipeline_framework.core.continuity.state_plans import StatePlan, counts
from include.pipeline_framework.errors import InvalidInputError
from include.wiring.workspace import Workspace

_log = logging.getLogger(__name__)

APPROVE = "Approve"
"""The value of `ApprovalOperator.APPROVE`, without importing the operator."""


def check_conf() -> str:
    """Return the task that comes next: `make_plan`, or `load_plan` for a stored plan.

    Raises:
        InvalidInputError: The conf's parts contradict each other.
    """
    conf = task_runs.conf()
    plan_id, wrong = conf.get("plan_id"), ""
    if conf.get("apply") and not plan_id:
        wrong = "apply without a plan_id"
    elif plan_id and conf.get("pipelines"):
        wrong = "pipelines with a plan_id: a stored plan has its own sources"
    if wrong:
        raise InvalidInputError(
            wrong,
            where="conf of state_manager",
            meaning="Nothing was looked at or done",
            remedy='Run it without apply: it shows a plan and prints its id; then {"plan_id": "…", "apply": true}.',
        )
    return "load_plan" if plan_id else "make_plan"


def make_plan() -> dict[str, Any]:
    """Find what is wrong, store the repairs as a plan, and show it; a temporary test run only shows it."""
    workspace = Workspace()
    for error in workspace.loaded.errors.values():
        _log.warning("left out, its file is broken: %s", error)
    made = workspace.make_plan(task_runs.conf().get("pipelines"))
    for source_object, texts in made.left.items():
        for text in texts[:LINES]:
            _log.warning("not in the plan: %s: %s", source_object, text)
    for source_object, text in made.coverage.items():
        _log.info("%s: %s", source_object, text)
    if not made.items:
        sources = len(made.coverage)
        _log.info("nothing is wrong with what is planned of %d sources; how much that is stands above", sources)
    else:
        for line in plan_table(made.items, _zones(workspace.loaded.configs)):
            _log.info("%s", line)
    if made.plan:
        _log.info('plan %s; to execute it: {"plan_id": "%s", "apply": true}', made.plan.plan_id, made.plan.plan_id)
    return {
        "plan_id": made.plan.plan_id if made.plan else None,
        **counts(made.items),
        "needs_approval": made.needs_approval,
        "left": {source_object: len(texts) for source_object, texts in made.left.items()},
    }


def load_plan() -> dict[str, Any]:
    """Show the plan of the conf, and return what `approve` and `apply_plan` need of it."""
    workspace = Workspace()
    plan, zones = workspace.stored_plan(task_runs.conf()["plan_id"]), _zones(workspace.loaded.configs)
    reason = workspace.approval_of(plan)
    _log.info("plan %s, made by %s at %s", plan.plan_id, plan.created_by, plan.created_at)
    for line in plan_table(plan.items, zones):
        _log.info("%s", line)
    if reason:
        _log.info("needs a person's approval: %s", reason)
    if plan.applied_at is not None:
        _log.warning("applied already, by %s at %s: %s", plan.applied_by, plan.applied_at, plan.outcome)
    return {
        "plan_id": plan.plan_id,
        "hash": plan.hash,
        **plan.counts,
        "needs_approval": reason,
        "is_applied": plan.applied_at is not None,
        "subject": f"state_manager: {_question(plan)}",
        "body": plan_markdown(plan, zones, reason),
    }


def next_step(plan: Mapping[str, Any]) -> str | None:
    """Return `approve` if a person has to agree, `apply_plan` if not, None if the plan is only shown."""
    if not task_runs.conf().get("apply"):
        return None
    return "approve" if plan["needs_approval"] and not plan["is_applied"] else "apply_plan"


def apply_plan(plan: Mapping[str, Any], approval: Mapping[str, Any] | None) -> dict[str, Any]:
    """Execute exactly the plan that was shown; skipped if it was applied before.

    Args:
        plan: What `load_plan` returned.
        approval: What `approve` returned; None when it was skipped.
    """
    workspace = Workspace()
    before = workspace.stored_plan(plan["plan_id"])
    if before.applied_at is not None:
        task_runs.skip(f"plan {before.plan_id} was applied by {before.applied_by} at {before.applied_at}")
    if workspace.actor.is_temporary:
        task_runs.skip(f"a temporary test run applies nothing; it would apply plan {before.plan_id}")
    return _report(workspace.apply_plan(before.plan_id, seen_hash=plan["hash"], approved_by=_approver(approval)))


def _report(done: StatePlan) -> dict[str, Any]:
    changed = [f"{source_object}: {text}" for source_object, own in done.outcome.items() for text in own["changed"]]
    for source_object, own in done.outcome.items():
        _log.info(
            "%s: %d windows planned, rows invalidated: %s",
            source_object,
            len(own["inserted"]),
            own["invalidated"] or "none",
        )
    for text in changed:
        _log.warning("changed since the plan was made, left alone: %s", text)
    return {
        "plan_id": done.plan_id,
        "inserted": sum(len(own["inserted"]) for own in done.outcome.values()),
        "invalidated": sum(len(own["invalidated"]) for own in done.outcome.values()),
        "changed": len(changed),
        "approved_by": done.approved_by,
    }


def _approver(approval: Mapping[str, Any] | None) -> str | None:
    if not approval or approval["chosen_options"] != [APPROVE]:
        return None
    user = approval.get("responded_by_user") or {}
    return str(user.get("name") or user.get("id") or "a person")


def _question(plan: StatePlan) -> str:
    number = plan.counts
    if number["deletions"]:
        return f"may the target's data of {number['deletions']} rows be deleted? (plan {plan.plan_id})"
    return f"may {number['windows']} windows be planned and {number['rows']} invalidated? (plan {plan.plan_id})"


def _zones(configs: Mapping[str, PipelineConfig]) -> dict[str, str]:
    return {config.source_object: config.timezone for config in configs.values()}

"""The state manager's plans in the ledger's database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from psycopg.types.json import Jsonb

from include.pipeline_framework.core.continuity.state_plans import applied_plan, unknown_plan
from include.pipeline_framework.ports.ledger import Record

Run = Callable[[str, Mapping[str, Any] | None], list[Record]]
"""Runs a statement of `include/sql/ledger` by name with its parameters, and returns rows by column."""


class PostgresPlans:
    """The statements of `state_manager_plans`, on one open transaction.

    Args:
        run: Runs a statement in it.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def keep(self, plan: Mapping[str, Any]) -> Record:
        """See `LifecycleStore.keep_plan`."""
        self._run("lock_plans", None)
        stored = {**plan, "items": Jsonb(plan["items"]), "findings": Jsonb(plan["findings"])}
        return self._run("keep_plan", stored)[0]

    def get(self, plan_id: str) -> Record:
        """See `LifecycleStore.stored_plan`."""
        rows = self._run("get_plan", {"plan_id": plan_id})
        if not rows:
            raise unknown_plan(plan_id)
        return rows[0]

    def note(self, plan_id: str, outcome: Mapping[str, Any], **others: Any) -> Record:
        """See `LifecycleStore.note_plan_outcome`."""
        rows = self._run("note_plan_outcome", {"plan_id": plan_id, "outcome": Jsonb(dict(outcome)), **others})
        if not rows:
            raise applied_plan(self.get(plan_id))
        return rows[0]

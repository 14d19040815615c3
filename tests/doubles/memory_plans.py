"""The state manager's plans in a dictionary: the same rules as in Postgres."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from include.pipeline_framework.core.continuity.state_plans import applied_plan, unknown_plan
from include.pipeline_framework.ports.ledger import Record

_LATER = dict.fromkeys(("approved_by", "applied_at", "applied_by", "outcome"))


class MemoryPlans:
    """Plans by id; its owner locks."""

    def __init__(self) -> None:
        self._plans: dict[str, Record] = {}

    def keep(self, plan: Mapping[str, Any], now: datetime) -> Record:
        """See `LifecycleStore.keep_plan`."""
        for stored in self._plans.values():
            if stored["hash"] == plan["hash"] and stored["applied_at"] is None:
                return copy.deepcopy(stored)
        proposed = f"{now:%Y%m%d}-{plan['hash'][:8]}"
        taken = sum(plan_id.startswith(proposed) for plan_id in self._plans)
        plan_id = f"{proposed}-{taken + 1}" if taken else proposed
        self._plans[plan_id] = {"plan_id": plan_id, "created_at": now, **copy.deepcopy(dict(plan)), **_LATER}
        return self.get(plan_id)

    def get(self, plan_id: str) -> Record:
        """See `LifecycleStore.stored_plan`."""
        if plan_id not in self._plans:
            raise unknown_plan(plan_id)
        return copy.deepcopy(self._plans[plan_id])

    def note(
        self,
        plan_id: str,
        outcome: Mapping[str, Any],
        now: datetime,
        *,
        applied_by: str,
        approved_by: str | None,
        is_complete: bool,
    ) -> Record:
        """See `LifecycleStore.note_plan_outcome`."""
        stored = self.get(plan_id)
        if stored["applied_at"] is not None:
            raise applied_plan(stored)
        self._plans[plan_id] = {
            **stored,
            "outcome": {**(stored["outcome"] or {}), **copy.deepcopy(dict(outcome))},
            "applied_by": applied_by,
            "approved_by": approved_by or stored["approved_by"],
            "applied_at": now if is_complete else None,
        }
        return self.get(plan_id)

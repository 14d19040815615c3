"""Define a stored plan of the state manager: it is executed once, exactly as shown, and never when it was altered.

The hash covers the items, so an id means what a person has seen. Whether a person has to agree is judged per source.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from include.pipeline_framework.core.continuity.remediation import PlanItem, needs_approval
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import InvalidInputError, LedgerRefusedError

TABLE = "state_manager_plans"


@dataclass(frozen=True, slots=True)
class StatePlan:
    """A plan as it is stored.

    Attributes:
        plan_id: A short, readable id.
        created_at: When it was first made.
        created_by: Run or person that made it.
        items: Its steps, in order.
        hash: `plan_hash` of the items.
        outcome: The result of each source that is done; empty before the plan is applied.
        applied_at: When all of its sources were done; None: the plan is open.
        applied_by: Run or person that applied it.
        approved_by: The person who agreed; None where nobody had to.
    """

    plan_id: str
    created_at: datetime
    created_by: str
    items: tuple[PlanItem, ...]
    hash: str
    outcome: Mapping[str, Any]
    applied_at: datetime | None = None
    applied_by: str | None = None
    approved_by: str | None = None

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> StatePlan:
        """Make the plan from its row, keyed by column.

        Raises:
            LedgerRefusedError: The items are not those that were stored.
        """
        if plan_hash(record["items"]) != record["hash"]:
            raise LedgerRefusedError(
                f"the items of plan {record['plan_id']} don't have the hash under which they were stored",
                where=TABLE,
                meaning="Somebody has changed them since they were shown; nothing was done",
                remedy="Run state_manager without a conf for a new plan.",
            )
        return cls(
            record["plan_id"],
            record["created_at"],
            record["created_by"],
            tuple(PlanItem.from_dict(item) for item in record["items"]),
            record["hash"],
            record["outcome"] or {},
            record["applied_at"],
            record["applied_by"],
            record["approved_by"],
        )

    @property
    def counts(self) -> dict[str, int]:
        """Count `items`, `windows` (to plan), `rows` (to invalidate), `deletions` (rows with data at the target)."""
        return counts(self.items)


def counts(items: Iterable[PlanItem]) -> dict[str, int]:
    """Count items as `StatePlan.counts` does."""
    known = list(items)
    return {
        "items": len(known),
        "windows": sum(len(item.windows) for item in known),
        "rows": sum(len(item.rows) for item in known),
        "deletions": sum(len(item.rows) for item in known if item.deletes_target_data),
    }


def plan_hash(items: Sequence[Mapping[str, Any]]) -> str:
    """Return sha256 of the items (`PlanItem.as_dict`) as canonical JSON: spaces and order in a database don't matter.

    >>> plan_hash([{"a": 1, "b": [2]}]) == plan_hash([{"b": [2], "a": 1}])
    True
    """
    text = json.dumps(list(items), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def by_source(items: Iterable[PlanItem]) -> dict[str, list[PlanItem]]:
    """Return the items by source object, each in their order."""
    found: dict[str, list[PlanItem]] = {}
    for item in items:
        found.setdefault(item.source_object, []).append(item)
    return found


def approval_reason(items: Iterable[PlanItem], limits: Mapping[str, int]) -> str | None:
    """Return why a person has to agree, each source judged by its own limit; None when nobody has to.

    Args:
        items: Items of any sources; those of a source without a limit are not executed and need no approval.
        limits: `state_manager_window_limit` by source object.
    """
    reasons = [
        f"{source_object}: {reason}"
        for source_object, own in by_source(items).items()
        if source_object in limits and (reason := needs_approval(own, limits[source_object]))
    ]
    return "; ".join(reasons) or None


def extent(item: PlanItem) -> TimeWindow:
    """Return the time from the first to the last instant that an item touches."""
    windows = [*item.windows, *(row.window for row in item.rows)]
    return TimeWindow(min(window.start for window in windows), max(window.end for window in windows))


def unknown_plan(plan_id: str) -> InvalidInputError:
    """Return the error for a plan that nobody stored."""
    return InvalidInputError(
        f"there is no plan {plan_id!r}",
        where=TABLE,
        meaning="Nothing was done",
        remedy="Run state_manager without a conf: it prints the id of the plan that it stores.",
    )


def applied_plan(plan: Mapping[str, Any]) -> LedgerRefusedError:
    """Return the error for a plan that was applied already: a plan is applied only once."""
    return LedgerRefusedError(
        f"plan {plan['plan_id']} was applied by {plan['applied_by']} at {plan['applied_at']:%Y-%m-%d %H:%M:%S %Z}",
        where=TABLE,
        meaning="A plan is applied once; nothing was changed",
        remedy="Run state_manager without a conf for a plan of what is wrong now.",
    )

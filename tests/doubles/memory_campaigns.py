"""Backfill campaigns of the in-memory ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from include.pipeline_framework.core.lifecycle.campaigns import FROM_STATES, CampaignState, Order, require_campaign
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor, Status
from include.pipeline_framework.ports.ledger import Record


class MemoryCampaigns:
    """`backfill_campaigns` in a dictionary; the ledger's lock protects it."""

    def __init__(self) -> None:
        self._campaigns: dict[int, Record] = {}

    def create(self, campaign: Mapping[str, Any], actor: Actor, now: datetime) -> Record:
        """See `LifecycleStore.create_campaign`."""
        run = (actor.dag_id, actor.dag_run_id, campaign["source_object"])
        for row in self._campaigns.values():
            if (row["dag_id"], row["dag_run_id"], row["source_object"]) == run:
                return dict(row)
        number = len(self._campaigns) + 1
        owner = {"dag_id": actor.dag_id, "dag_run_id": actor.dag_run_id}
        unset = dict.fromkeys(("planned_at", "state_changed_at", "state_changed_by"))
        state = {"campaign_id": number, "state": CampaignState.RUNNING.value, "created_at": now}
        self._campaigns[number] = {**campaign, **owner, **unset, **state}
        return dict(self._campaigns[number])

    def find(self, campaign_id: int | None, source_object: str | None) -> list[Record]:
        """See `LifecycleStore.campaigns`."""
        return [
            dict(row)
            for number, row in sorted(self._campaigns.items(), reverse=True)
            if campaign_id in (None, number) and source_object in (None, row["source_object"])
        ]

    def change(
        self, campaign_id: int, actor: Actor, state: CampaignState | None, now: datetime, *, is_planned: bool
    ) -> Record:
        """See `LifecycleStore.change_campaign`."""
        row = self._campaigns.get(campaign_id)
        reachable = row is not None and row["state"] in (FROM_STATES[state] if state else tuple(CampaignState))
        require_campaign([row] if row and reachable else [], campaign_id, state)
        changed = self._campaigns[campaign_id]
        if state:
            changed |= {"state": state.value, "state_changed_at": now, "state_changed_by": str(actor)}
        if is_planned:
            changed["planned_at"] = now
        return dict(changed)

    @staticmethod
    def claimable(campaign: Record, due: Sequence[LedgerRow]) -> list[LedgerRow]:
        """Windows of a campaign that a claim may take, in its order."""
        if campaign["state"] != CampaignState.RUNNING:
            return []
        rows = [row for row in due if row.campaign_id == campaign["campaign_id"]]
        rows.sort(key=lambda row: row.query_window_start_at, reverse=campaign["window_order"] == Order.NEWEST_FIRST)
        rows.sort(key=lambda row: -row.priority)
        return (
            rows if campaign["concurrency"] is None else rows[: max(0, campaign["concurrency"] - campaign["running"])]
        )


def figures(rows: Sequence[LedgerRow]) -> dict[str, Any]:
    """Counts of a campaign's live windows."""
    statuses = Counter(row.pipeline_final_status for row in rows)
    done = [row.pipeline_end_time for row in rows if row.is_finished]
    return {
        "total": len(rows),
        "done": len(done),
        "running": statuses[Status.IN_PROGRESS],
        "failed": statuses[Status.FAILED],
        "remaining": statuses[Status.PENDING],
        "last_done_at": max(done, default=None),
    }

"""Backfill campaigns in the ledger's database, and the claim that shares its windows with theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from psycopg.types.json import Jsonb

from include.implementation_modules.postgres_ledger.values import ledger_rows
from include.pipeline_framework.core.lifecycle.campaigns import FROM_STATES, CampaignState, require_campaign
from include.pipeline_framework.core.lifecycle.claiming import Cap, ClaimRules, allot
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.ports.ledger import Record

Run = Callable[[str, Mapping[str, Any] | None], list[Record]]
"""Runs a statement of `include/sql/ledger` by name with its parameters, and returns rows by column."""


class PostgresCampaigns:
    """The statements of `backfill_campaigns`, on one open transaction.

    Args:
        run: Runs a statement in it.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def create(self, campaign: Mapping[str, Any], actor: Actor) -> Record:
        """See `LifecycleStore.create_campaign`."""
        values = {**campaign, "ranges": Jsonb(campaign["ranges"])}
        return self._run("create_campaign", {**values, "dag_id": actor.dag_id, "dag_run_id": actor.dag_run_id})[0]

    def find(self, campaign_id: int | None, source_object: str | None) -> list[Record]:
        """See `LifecycleStore.campaigns`."""
        return self._run("campaigns", {"campaign_id": campaign_id, "source_object": source_object})

    def change(self, campaign_id: int, actor: Actor, state: CampaignState | None, *, is_planned: bool) -> Record:
        """See `LifecycleStore.change_campaign`."""
        parameters = {
            "campaign_id": campaign_id,
            "state": state,
            "from_states": [str(value) for value in (FROM_STATES[state] if state else CampaignState)],
            "changed_by": str(actor),
            "is_planned": is_planned,
        }
        return dict(require_campaign(self._run("change_campaign", parameters), campaign_id, state))

    def free_slots(self, caps: Sequence[Cap]) -> dict[str, int]:
        """See `LifecycleStore.free_slots`."""
        used = {cap.name: self._run("windows_in_progress", cap.columns)[0]["windows"] for cap in caps}
        return {cap.name: max(0, cap.limit - used[cap.name]) for cap in caps}

    def claimable(self, parameters: Mapping[str, Any], rules: ClaimRules, *, is_locking: bool) -> list[LedgerRow]:
        """Return the rows that a claim takes, locked if `is_locking`.

        With limits or running campaigns, claims that concern the same ones take turns until their transactions end, so
        that their counts can't change meanwhile. Otherwise simultaneous claims skip each other's rows.
        """
        statement = "lock_claimable_rows" if is_locking else "claimable_rows"
        ordinary = {
            **parameters,
            "any_campaign": rules.any_campaign,
            "not_after": list(rules.not_after),
            "campaign_id": None,
        }
        ordinary["window_order"] = "oldest_planned_first"
        source = {"source_object": parameters["source_object"]}
        running = [] if rules.any_campaign else self._run("running_campaigns", source)
        if not rules.caps and not running:
            return ledger_rows(self._run(statement, ordinary))
        slots = parameters["limit"]
        if is_locking:
            for name in sorted({*(cap.name for cap in rules.caps), f"campaigns of {parameters['source_object']}"}):
                self._run("lock_claims", {"name": name})
            running = [] if rules.any_campaign else self._run("running_campaigns", source)
        slots = min([slots, *self.free_slots(rules.caps).values()])
        if slots <= 0:
            return []
        scheduled = ledger_rows(self._run(statement, {**ordinary, "limit": slots}))
        of_campaigns = []
        for campaign in running:
            most = (
                slots if campaign["concurrency"] is None else min(slots, campaign["concurrency"] - campaign["running"])
            )
            own = {"campaign_id": campaign["campaign_id"], "window_order": campaign["window_order"], "limit": most}
            of_campaigns.append(ledger_rows(self._run(statement, {**ordinary, **own})) if most > 0 else [])
        return allot(slots, rules.scheduled_share_percent, scheduled, of_campaigns)

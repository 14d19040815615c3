"""Backfill campaigns in the ledger's database, and the claim that shares its windows with theirs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
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

    def claimable(self, parameters: Mapping[str, Any], rules: ClaimRules) -> list[LedgerRow]:
        """Return the rows that a claim would take; nothing is locked."""
        running = self._running(parameters, rules)
        if not rules.caps and not running:
            return ledger_rows(self._run("claimable_rows", _ordinary(parameters, rules)))
        return self._shared(parameters, rules, running, lambda each: ledger_rows(self._run("claimable_rows", each)))

    def count_claimable(self, parameters: Mapping[str, Any], rules: ClaimRules) -> int:
        """Return how many rows a claim would take; no row is read by its columns or locked."""
        slots = min([parameters["limit"], *self.free_slots(rules.caps).values()])
        ordinary = _ordinary(parameters, rules)
        wanted = [ordinary | {"limit": slots}, *_of_campaigns(ordinary, self._running(parameters, rules), slots)]
        return min(slots, sum(self._run("count_claimable", each)[0]["windows"] for each in wanted if each["limit"] > 0))

    def lock_claimable(
        self, parameters: Mapping[str, Any], rules: ClaimRules, *, has_campaigns: bool
    ) -> list[tuple[LedgerRow, datetime]]:
        """Return the rows that a claim takes, locked, each with the database's clock.

        With limits or running campaigns, claims that concern the same ones take turns until their transactions end, so
        that their counts can't change meanwhile. Otherwise simultaneous claims skip each other's rows.

        Args:
            parameters: See `claim_parameters`.
            rules: The rules of the claim.
            has_campaigns: False: no campaign of the source is running, so none has to be looked for.
        """
        clock: dict[int, datetime] = {}

        def locked(each: Mapping[str, Any]) -> list[LedgerRow]:
            records = self._run("lock_claimable_rows", each)
            clock.update((record["id"], record["database_now"]) for record in records)
            return ledger_rows(records)

        running = self._running(parameters, rules) if has_campaigns else []
        if not rules.caps and not running:
            rows = locked(_ordinary(parameters, rules))
        else:
            for name in sorted({*(cap.name for cap in rules.caps), f"campaigns of {parameters['source_object']}"}):
                self._run("lock_claims", {"name": name})
            rows = self._shared(parameters, rules, self._running(parameters, rules), locked)
        return [(row, clock[row.id]) for row in rows]

    def _running(self, parameters: Mapping[str, Any], rules: ClaimRules) -> list[Record]:
        source = {"source_object": parameters["source_object"]}
        return [] if rules.any_campaign else self._run("running_campaigns", source)

    def _shared(
        self,
        parameters: Mapping[str, Any],
        rules: ClaimRules,
        running: Sequence[Record],
        read: Callable[[Mapping[str, Any]], list[LedgerRow]],
    ) -> list[LedgerRow]:
        slots = min([parameters["limit"], *self.free_slots(rules.caps).values()])
        if slots <= 0:
            return []
        ordinary = _ordinary(parameters, rules)
        scheduled = read(ordinary | {"limit": slots})
        of_campaigns = [read(each) if each["limit"] > 0 else [] for each in _of_campaigns(ordinary, running, slots)]
        return allot(slots, rules.scheduled_share_percent, scheduled, of_campaigns)


def _ordinary(parameters: Mapping[str, Any], rules: ClaimRules) -> dict[str, Any]:
    """Return the parameters for windows of no campaign, or of any."""
    return {
        **parameters,
        "any_campaign": rules.any_campaign,
        "not_after": list(rules.not_after),
        "campaign_id": None,
        "window_order": "oldest_planned_first",
    }


def _of_campaigns(ordinary: Mapping[str, Any], running: Sequence[Record], slots: int) -> list[dict[str, Any]]:
    """Return the parameters for the windows of each running campaign, up to its own concurrency."""
    return [
        {
            **ordinary,
            "campaign_id": campaign["campaign_id"],
            "window_order": campaign["window_order"],
            "limit": slots
            if campaign["concurrency"] is None
            else min(slots, campaign["concurrency"] - campaign["running"]),
        }
        for campaign in running
    ]

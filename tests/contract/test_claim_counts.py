"""A claim's number of statements does not grow with its windows; counting reads no rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from include.pipeline_framework.core.lifecycle.claiming import Cap, ClaimRules
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.ports.ledger import LifecycleStore
from tests.contract.ledger_rows import planned

LATER = datetime(2014, 1, 1, tzinfo=UTC)
PLANNER = Actor("daily_planner", "planner-run", "plan")
RULES = [
    ClaimRules(),
    ClaimRules(any_campaign=True),
    ClaimRules(not_after=("AUDIT",)),
    ClaimRules(caps=(Cap(3, source_object="flights"),)),
    ClaimRules(caps=(Cap(100, source_name="elasticsearch"),), scheduled_share_percent=100),
]


@pytest.mark.parametrize("rules", RULES)
@pytest.mark.parametrize("limit", [1, 5, 100])
def test_the_count_is_that_of_the_preview(store: LifecycleStore, rules: ClaimRules, limit: int) -> None:
    store.plan([planned(hour) for hour in range(8)], PLANNER)
    campaign = {
        "source_object": "flights", "pipeline_id": "main", "mode": "missing", "ranges": [], "granularity": None,
        "window_order": "newest_first", "concurrency": 2, "priority": 0, "reason": "why",
    }  # fmt: skip
    made = store.create_campaign(campaign, PLANNER)
    store.plan([planned(hour, campaign_id=made["campaign_id"]) for hour in range(8, 14)], PLANNER)
    options: dict[str, Any] = {"limit": limit, "ended_before": LATER, "rules": rules}
    assert store.count_claimable("flights", **options) == len(store.preview_claim("flights", **options))
    store.claim("flights", Actor("d", "r"), limit=2, ended_before=LATER)
    assert store.count_claimable("flights", **options) == len(store.preview_claim("flights", **options))

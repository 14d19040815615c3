"""How complete pipelines are, for notebooks and scripts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from include.framework import session
from include.pipeline_framework.ports.ledger import LifecycleStore
from include.pipeline_framework.tasks import completeness as use_case
from include.wiring.workspace import Workspace


def completeness(
    final_config: Mapping[str, Any],
    *,
    first_day: date | None = None,
    last_day: date | None = None,
    store: LifecycleStore | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Return how complete a pipeline's days are: what `status --format json` has, without campaigns.

    Args:
        final_config: The pipeline, from `load_final_config`.
        first_day: First local day; by default 31 days up to the last one are looked at.
        last_day: Last local day, inclusive; by default today, or the last one that somebody has asked for where days
            are planned only on request.
        store: The ledger.
        now: The time of the look, an aware instant; by default the ledger's clock.

    Returns:
        Plain values: `figures` (numbers of windows: `completed`, `skipped`, `running`, `failed`, `waiting`, `not_due`,
        `missing`), `days_by_state`, `behind_since`, and `days`, each with `day`, `state` and its own figures.
    """
    config = session.pipeline_config(final_config)
    with Workspace(store=store) as workspace:
        ledger = workspace.store
        (found,) = use_case.completeness([config], ledger, now=now or ledger.now(), first=first_day, last=last_day)
    return found.as_dict()

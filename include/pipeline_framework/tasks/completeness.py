"""How complete pipelines are: the days that are looked at, and their windows as the ledger has them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records.row import FINISHED
from include.pipeline_framework.core.records.validation import stable_until
from include.pipeline_framework.core.time.days import LocalDay, local_day_of
from include.pipeline_framework.core.time.windows import TimeWindow, iso_utc, uncovered
from include.pipeline_framework.core.watching.completeness import Completeness, CompletenessScope, DayState
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.ports.completeness import LedgerCompleteness
from include.pipeline_framework.ports.ledger import LedgerReads

DAYS = 31
"""How many days are looked at where nobody says from when on."""

MOST_DAYS = 3_660


def completeness(
    configs: Sequence[PipelineConfig],
    store: LedgerCompleteness,
    *,
    now: datetime,
    first: date | None = None,
    last: date | None = None,
) -> list[Completeness]:
    """Return the completeness of every pipeline, in order.

    Args:
        configs: The pipelines.
        store: The ledger.
        now: The time of the look, an aware instant.
        first: First local day; by default 31 days up to the last one are looked at.
        last: Last local day, inclusive; by default today, or the pipeline's last day where that is over. Where days are
            planned only on request, it is the last one that was.

    Raises:
        InvalidInputError: The days are in the wrong order, or are more than ten years.
    """
    if first and last and not timedelta() <= last - first < timedelta(days=MOST_DAYS):
        raise InvalidInputError(
            f"{first} to {last} can't be looked at",
            meaning="The first day comes first, and at most ten years are looked at at once",
            remedy="Give --from and --to in order.",
        )
    lasts = {config.source_object: last or _last_day(config, now) for config in configs}
    if last is None:
        on_request = {c.source_object: lasts[c.source_object] for c in configs if not c.fill_missing_days}
        lasts |= store.last_days(on_request) if on_request else {}
    return store.completeness([_scope(config, now, first, lasts[config.source_object]) for config in configs])


def unfinished_windows(found: Completeness, store: LedgerReads, limit: int) -> list[dict[str, Any]]:
    """Return the windows of these days that failed, are missing, or are due and wait or run; at most `limit`, in order.

    Each has `state` (a status, or `missing`), `window` (local times), `start` (an instant in UTC) and `id` (None if it
    is missing, where a window is all the time without rows that follows itself).
    """
    timezone, windows = found.scope.horizon.timezone, list[tuple[TimeWindow, str, int | None]]()
    for day in found.days_in(DayState.FAILED, DayState.MISSING, DayState.WAITING, DayState.RUNNING):
        if len(windows) >= limit:
            break
        span = LocalDay(day.day, timezone).window
        if span is None:
            continue
        rows = store.find(source_object=found.scope.source_object, within=[span])
        windows += [
            (row.window, str(row.pipeline_final_status).lower(), row.id)
            for row in rows
            if row.pipeline_final_status not in FINISHED and row.window.end <= found.scope.settled_at
        ]
        if day.figures.missing:
            live = store.live_windows(found.scope.source_object, span)
            windows += [(gap, DayState.MISSING.value, None) for gap in uncovered(span, live)]
    return [
        {"state": state, "window": window.local_label(timezone), "start": iso_utc(window.start), "id": row_id}
        for window, state, row_id in sorted(windows, key=lambda one: one[0].start)[:limit]
    ]


def _last_day(config: PipelineConfig, now: datetime) -> date:
    today, end = local_day_of(now, config.timezone).date, config.horizon.end_date
    return min(today, end - timedelta(days=1)) if end else today


def _scope(config: PipelineConfig, now: datetime, first: date | None, last: date) -> CompletenessScope:
    return CompletenessScope(
        source_object=config.source_object,
        horizon=config.horizon,
        granularity=config.window_granularity,
        settled_at=stable_until(now, config.x_time_back, config.timezone),
        first=first or last - timedelta(days=DAYS - 1),
        last=max(last, first) if first else last,
    )

"""Explain why a window is in its state: gather what the pure explanation needs from the ledger and the files."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.config.names import unknown_pipeline
from include.pipeline_framework.core.lifecycle.leases import RunState
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Status
from include.pipeline_framework.core.records.run_requests import MAX_WINDOWS, RunRequest
from include.pipeline_framework.core.records.validation import stable_until
from include.pipeline_framework.core.time.asked_instants import parse_instant
from include.pipeline_framework.core.time.days import local_day_of
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.core.why.explain import as_dict, explain
from include.pipeline_framework.core.why.facts import Facts, NextRun
from include.pipeline_framework.ports.ledger import LedgerReads
from include.pipeline_framework.tasks import cron_times
from include.pipeline_framework.tasks.store_and_validate import claim_options

DAILY_PLANNER_CRON = "30 0 * * *"
"""When dags/daily_planner.py runs, in UTC."""

_LONGEST_WINDOW = timedelta(days=1, hours=3)
"""The longest window: no window crosses a local day, and no day is longer."""


def why(
    source_object: str,
    instant: str,
    configs: Mapping[str, PipelineConfig],
    store: LedgerReads,
    *,
    run_state: Callable[[str, str], RunState] = lambda _dag_id, _run_id: RunState.UNKNOWN,
) -> dict[str, Any]:
    """Explain the window of a source that covers an instant, or why none does.

    Args:
        source_object: The ledger's key of a pipeline.
        instant: ISO 8601 with an offset, or a local time or date of the pipeline's zone.
        configs: Every pipeline whose file is good, by id.
        store: The ledger.
        run_state: Returns the state that Airflow reports for a run; unknown where it can't be asked.

    Returns:
        Plain values; see `core.why.as_dict`.

    Raises:
        InvalidInputError: The source is unknown, or the instant can't be read or is ambiguous.
    """
    config = next((found for found in configs.values() if found.source_object == source_object), None)
    planned_days = store.planned_days({source_object: None})[source_object]
    if config is None and not planned_days:
        raise unknown_pipeline(source_object, configs)
    timezone = config.timezone if config else _timezone_of_rows(store, source_object, max(planned_days))
    asked = parse_instant(instant, timezone)
    now = store.now()
    around = TimeWindow(asked.at - _LONGEST_WINDOW, asked.at + _LONGEST_WINDOW)
    rows = store.find(source_object=source_object, within=[around], include_invalidated=True)
    over = [row for row in rows if row.window.contains(asked.at)]
    live = next((row for row in over if row.is_live), None)
    day = local_day_of(asked.at, timezone).date
    facts = Facts(
        source_object,
        timezone,
        asked.at,
        invalidated=tuple(row for row in over if row.is_invalidated_flag),
        is_day_planned=day in planned_days,
        next_planning=_after(DAILY_PLANNER_CRON, "UTC"),
    )
    if config:
        facts = _with_settings(facts, config)
    if live and live.owner and live.pipeline_final_status == Status.IN_PROGRESS:
        facts = replace(facts, run_state=run_state(*live.owner))
    if live and config and not config.is_external and live.pipeline_final_status == Status.PENDING:
        facts = _with_queue(facts, live, config, store, now)
    # a row that was replaced explains more than the gap that it left
    row = live or (over[-1] if over and over[-1].replaced_by_id else None)
    if row is not live and row is not None:
        facts = replace(facts, invalidated=())
    events = store.events(row.id) if row else []
    return as_dict(explain(row, events, facts, now), row, facts, asked.assumed)


def _with_settings(facts: Facts, config: PipelineConfig) -> Facts:
    cron = config.cron_schedule if config.enabled and not config.is_external else None
    return replace(
        facts,
        pipeline_id=config.pipeline_id,
        horizon=config.horizon,
        x_time_back=config.x_time_back,
        max_retry_task=config.max_retry_task,
        stale_threshold=timedelta(hours=config.stale_threshold_hours),
        dagrun_timeout=config.dagrun_timeout_delta,
        next_run=facts.next_planning
        if config.is_external
        else _after(cron, config.timezone)
        if cron
        else facts.next_run,
        is_external=config.is_external,
    )


def _with_queue(facts: Facts, row: LedgerRow, config: PipelineConfig, store: LedgerReads, now: datetime) -> Facts:
    """Add what only a waiting window needs: its campaign, the limits, and how many windows are claimed before it."""
    rules = config.claim_rules()
    campaign = None
    if row.campaign_id is not None:
        campaign = next(iter(store.campaigns(campaign_id=row.campaign_id)), None)
    ahead = None
    if not config.horizon.refusal(facts.day):
        settled = stable_until(now, config.x_time_back, config.timezone)
        options = claim_options(config, settled, RunRequest(max_windows=MAX_WINDOWS))
        options["rules"] = replace(rules, caps=())
        queue = [other.id for other in store.preview_claim(config.source_object, **options)]
        ahead = queue.index(row.id) if row.id in queue else None
    full = tuple(name for name, free in store.free_slots(rules.caps).items() if not free)
    return replace(facts, campaign=campaign, full_caps=full, ahead=ahead)


def _after(cron: str, timezone: str) -> NextRun:
    return lambda after: cron_times.next_run(cron, timezone, after)


def _timezone_of_rows(store: LedgerReads, source_object: str, last_day: Any) -> str:
    at = datetime(last_day.year, last_day.month, last_day.day, tzinfo=UTC)
    around = TimeWindow(at - timedelta(days=2), at + timedelta(days=3))
    return str(store.find(source_object=source_object, within=[around])[-1].timezone)

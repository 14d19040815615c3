"""Claim the windows of this run and let only complete records pass (requirement 3)."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

from include.pipeline_framework.config.external import require_moved_here
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.lifecycle.batching import windows_per_task
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor, Phase, Status
from include.pipeline_framework.core.records.run_requests import MAX_WINDOWS, RunRequest
from include.pipeline_framework.core.records.validation import reasons_text, stable_until, validate_record
from include.pipeline_framework.core.time.days import is_zone
from include.pipeline_framework.core.time.windows import TimeWindow, iso_utc
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.ports.ledger import LedgerWindows
from include.pipeline_framework.tasks import zone_changes
from include.pipeline_framework.tasks.observing import log_execution

_log = logging.getLogger(__name__)
_MAX_SHOWN = 5
_NEARBY = timedelta(days=7)


@log_execution("windows claimed", source_object="config.source_object", run="actor.dag_run_id")
def store_and_validate(
    config: PipelineConfig,
    store: LedgerWindows,
    actor: Actor,
    request: RunRequest,
    *,
    prepare: Callable[[], None] | None = None,
    now: datetime | None = None,
) -> dict[str, Any]:
    """Claim this run's windows and check each record; a record that is not complete ends its attempt with the reasons.

    Complete records still pass; the run fails at its end for the one that it leaves unfinished.

    A temporary run of `airflow tasks test`, and a dry run, only show what they would claim.

    Args:
        config: The pipeline.
        store: The ledger.
        actor: The run that claims.
        request: The run's checked conf.
        prepare: Prepares the target, once for all windows that run in parallel afterwards (in Snowflake DDL would
            commit their transactions). It is called before the claim, so that a target that can't be used costs no
            window an attempt, and only if there is something to claim.
        now: Used for the settle time only; the ledger's clock when not given.

    Returns:
        `claimed`: one small record per window, in claim order; `would_claim`: the same for a preview; `note`: why
        nothing was claimed, or how many more windows wait; `windows_per_task`: how many of the claimed windows a task
        instance shall carry.

    Raises:
        InvalidInputError: Windows were claimed, and none of their records is complete.
        ConfigurationError: Another system moves the pipeline's data; or what `prepare` raises: nothing was claimed.
    """
    require_moved_here(config)
    settled = stable_until(now or store.now(), config.x_time_back, config.timezone)
    if not config.enabled:
        note = "the pipeline is disabled (enabled: false); its rows rest"
        return {"claimed": [], "would_claim": [], "windows_per_task": 1, "note": note}
    options = claim_options(config, settled, request)
    if request.dry_run or actor.is_temporary:
        rows = store.preview_claim(config.source_object, **options)
        return {
            "claimed": [],
            "would_claim": [small_record(row) for row in rows],
            "windows_per_task": _windows_per_task(config, store, rows),
            "note": "preview, nothing is claimed",
        }
    is_prepared = prepare is not None and _can_claim(config, store, actor, options)
    if prepare is not None and is_prepared:
        prepare()
    rows = store.claim(config.source_object, actor, **options)
    if prepare is not None and rows and not is_prepared:  # a window became due in between
        prepare()
    zone_changes.warn_of_claimed(config.source_object, rows)
    wrong = {row.id: told for row in rows if (told := _incomplete(config, store, actor, row, settled))}
    valid = [row for row in rows if row.id not in wrong]
    if wrong and not valid:
        raise InvalidInputError(
            "; ".join(list(wrong.values())[:_MAX_SHOWN]) + (" and more" if len(wrong) > _MAX_SHOWN else ""),
            where=config.source_object,
            meaning=f"None of the {len(wrong)} claimed windows can run; each has spent an attempt",
            remedy="Correct check_fields, metadata or derived in the pipeline's file; windows that were planned with "
            "wrong values are planned anew by a run with replace, once they are FAILED.",
        )
    return {
        "claimed": [small_record(r) for r in valid],
        "would_claim": [],
        "windows_per_task": _windows_per_task(config, store, valid),
        "note": why_nothing(config, store, actor, request) if not rows else _more(config, store, options, len(rows)),
    }


def _can_claim(config: PipelineConfig, store: LedgerWindows, actor: Actor, options: Mapping[str, Any]) -> bool:
    """Return whether a claim would find a window, or give the run one back that it has."""
    if store.count_claimable(config.source_object, **{**options, "limit": 1}):
        return True
    earlier = store.claimed_by(actor.dag_id, actor.dag_run_id)
    return any(transitions.may_claim_back(row, actor) for row in earlier)


def claim_options(config: PipelineConfig, settled: datetime, request: RunRequest) -> dict[str, Any]:
    """Return the arguments of a claim, or of a preview of one; windows that were asked for by range are claimed from
    any campaign.
    """
    horizon = config.horizon.clip(TimeWindow(datetime.min.replace(tzinfo=settled.tzinfo), settled))
    return {
        "limit": request.max_windows or config.max_windows_per_run,
        "ended_before": settled,
        "within": request.ranges if request.ranges is not None else ((horizon,) if horizon else ()),
        "rules": config.claim_rules(
            any_campaign=request.ranges is not None,
            not_after=request.until.and_later if request.until is not Phase.AUDIT else (),
        ),
    }


def small_record(row: LedgerRow) -> dict[str, Any]:
    """Return what XCom carries of a window: ids and times; authority (the fence) stays in the ledger.

    `local` names the mapped task in Airflow's grid.
    """
    window = row.window
    timezone = row.timezone if is_zone(row.timezone) else "UTC"  # an odd row is shown, then fails its check
    return {
        "id": row.id,
        "source_object": row.source_object,
        "target_day": row.target_day.isoformat(),
        "start": iso_utc(window.start),
        "end": iso_utc(window.end),
        "local": window.local_label(timezone),
        "time_interval": row.time_interval,
    }


def _windows_per_task(config: PipelineConfig, store: LedgerWindows, rows: Sequence[LedgerRow]) -> int:
    """Return what the pipeline's file says, or what suits these windows."""
    if config.windows_per_task != "auto":
        return config.windows_per_task
    if not rows:
        return 1
    first_day = min(row.target_day for row in rows)
    return windows_per_task(
        len(rows),
        at_once=config.max_active_windows,
        recent=store.recent_cost(config.source_object, first_day - _NEARBY, first_day + _NEARBY),
        expected_minutes=config.expected_phase_minutes,
    )


def _incomplete(config: PipelineConfig, store: LedgerWindows, actor: Actor, row: LedgerRow, settled: datetime) -> str:
    """Return why a claimed record may not pass (it lacks fields, and has now spent an attempt); empty when it may."""
    result = validate_record(
        row.as_record(), check_fields=config.check_fields, now=settled, x_time_back=None, timezone=config.timezone
    )
    if not result.reasons:  # the claim refuses future data; a window that a run gets back here was claimed by it before
        return ""
    reason = reasons_text(result.reasons)
    _log.error("%s: %s", row.where, reason)
    fence = store.take(row.id, actor, row.identity).fence
    store.change(
        row.id,
        lambda current, now: transitions.fail(current, fence, now, reason, max_retry_task=config.max_retry_task),
        actor,
    )
    return f"{row.where}: {reason}"


def _more(config: PipelineConfig, store: LedgerWindows, options: dict[str, Any], claimed: int) -> str:
    """Return a text about what a full claim leaves behind; empty when it left nothing."""
    unlimited = replace(options["rules"], caps=())
    waiting = store.count_claimable(config.source_object, **{**options, "limit": MAX_WINDOWS, "rules": unlimited})
    if not waiting:
        return ""
    count = f"{waiting} or more" if waiting == MAX_WINDOWS else str(waiting)
    return (
        f"{claimed} windows claimed, {count} more are due: a later run takes them; for more at once give max_windows "
        f"in the conf, or raise max_windows_per_run ({config.max_windows_per_run}) in the pipeline's file"
    )


def why_nothing(config: PipelineConfig, store: LedgerWindows, actor: Actor, request: RunRequest) -> str:
    """Return why a run found no window to claim."""
    earlier = store.claimed_by(actor.dag_id, actor.dag_run_id)
    if earlier:
        return (
            f"this run claimed {len(earlier)} windows before and all of them are finished or held by others; "
            'to load them again, trigger the pipeline with {"windows": …, "replace": true, "reason": "…"}'
        )
    full = [name for name, free in store.free_slots(config.claim_rules().caps).items() if not free]
    if full:
        return f"as many windows are in progress as max_windows_in_progress allows for {', '.join(full)}"
    if request.ranges is None:
        ago = f"at least {config.x_time_back} ago" if config.settle else "yet"
        return f"no pending window has ended {ago}"
    found = store.find(source_object=config.source_object, within=request.ranges)
    statuses: dict[str, int] = {}
    for row in found:
        status = row.pipeline_final_status
        statuses[status] = statuses.get(status, 0) + 1
    if request.until is not Phase.AUDIT and Status.PENDING in statuses:
        return f"no window in the asked ranges that has not got as far as {request.until} already: {statuses}"
    again = '; to load finished ones again, add "replace": true and a "reason"' if statuses else ""
    return f"no claimable window in the asked ranges: {statuses or 'none is planned there'}{again}"

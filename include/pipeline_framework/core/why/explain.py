"""Explain why a window is in its state, or does not exist, and what happens next and when.

The functions are pure: they take the row, its history and other facts, and return sentences for people and plain
values. Every combination of statuses and flags has an explanation, and every explanation names a next step.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from include.pipeline_framework.core.lifecycle.campaigns import CampaignState
from include.pipeline_framework.core.lifecycle.leases import RunState, stale_reason
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import FINISHED, Status
from include.pipeline_framework.core.records.validation import is_future_data
from include.pipeline_framework.core.time.windows import iso_utc
from include.pipeline_framework.core.why.external import explain_external
from include.pipeline_framework.core.why.facts import (
    Explanation,
    Facts,
    Obstacle,
    claimable_at,
    no_pipeline,
    numbers_of,
    outside,
)
from include.pipeline_framework.core.why.nothing_there import explain_invalidated, explain_nothing

ATTEMPT_ENDED = ("failed", "audit_failed", "taken_over")
"""Events that count as a spent attempt."""

_PHASES = (
    ("source_to_stage_ingestion_status", "source_to_stage_ingestion_start_time", "source_to_stage"),
    ("stage_to_target_ingestion_status", "stage_to_target_ingestion_start_time", "stage_to_target"),
    ("audit_process_status", "audit_start_time", "audit"),
)


def explain(row: LedgerRow | None, events: Sequence[Mapping[str, Any]], facts: Facts, now: datetime) -> Explanation:
    """Explain the row that covers the instant, or why there is none.

    Args:
        row: The live row, or an invalidated one that somebody asks about; None: no live row covers the instant.
        events: The row's history, oldest first.
        facts: The other facts that are known.
        now: The ledger's clock.
    """
    if row is None:
        return explain_nothing(facts, now)
    if row.is_invalidated_flag:
        return explain_invalidated(row, facts)
    status = row.pipeline_final_status
    if facts.is_external and status != Status.IN_PROGRESS:
        return _with_history(explain_external(row, facts, now), row, facts)
    explained = {
        Status.PENDING: _pending,
        Status.IN_PROGRESS: _in_progress,
        Status.COMPLETED: _finished,
        Status.SKIPPED: _finished,
        Status.FAILED: _failed,
    }[status](row, events, facts, now)
    return _with_history(explained, row, facts)


def as_dict(explanation: Explanation, row: LedgerRow | None, facts: Facts, assumed: str = "") -> dict[str, Any]:
    """Return an explanation as plain values: texts, numbers, None; instants as ISO 8601 in UTC."""

    def instant(value: datetime | None) -> str | None:
        return iso_utc(value) if value else None

    window = row.window if row else None
    holder = explanation.holder
    return {
        "source_object": facts.source_object,
        "instant": iso_utc(facts.instant),
        "timezone": facts.timezone,
        "assumed": assumed,
        "id": row.id if row else None,
        "window": {"start": iso_utc(window.start), "end": iso_utc(window.end)} if window else None,
        "local": window.local_label(facts.timezone) if window else None,
        "state": explanation.state,
        "sentences": list(explanation.sentences),
        "holder": {"dag_id": holder[0], "dag_run_id": holder[1]} if holder else None,
        "lease_ends_at": instant(explanation.lease_ends_at),
        "reason": explanation.reason,
        "numbers": {name: _plain(value) for name, value in explanation.numbers.items()},
        "next": explanation.next,
        "next_at": instant(explanation.next_at),
    }


def _plain(value: Any) -> Any:
    return value if value is None or isinstance(value, int | float | str) else str(value)


def _pending(row: LedgerRow, _events: Sequence[Mapping[str, Any]], facts: Facts, now: datetime) -> Explanation:
    obstacles = [
        obstacle
        for obstacle in (
            no_pipeline(facts),
            outside(facts),
            _campaign(row, facts),
            _not_settled(row, facts, now),
            _rests(row, facts, now),
            _full(facts),
        )
        if obstacle
    ]
    resumes = row.phase_completed
    about = (f"Its next attempt resumes behind {resumes}.",) if resumes else ()
    numbers = {**numbers_of(row), **({} if facts.ahead is None else {"windows_before_it": facts.ahead})}
    reason = row.last_error or ""
    if not obstacles:
        return Explanation(
            Status.PENDING.value,
            (f"It can be claimed now and waits in the queue with priority {row.priority}{_before(facts)}.", *about),
            f"a run of {facts.dag} claims it{_when_unpaused(facts, now)}",
            facts.next_run(now),
            reason,
            numbers=numbers,
        )
    sentences = tuple(obstacle.sentence for obstacle in obstacles)
    hard = [obstacle for obstacle in obstacles if obstacle.until is None]
    if hard:
        return Explanation(
            Status.PENDING.value, (*sentences, *about), hard[0].next, None, reason or sentences[0], numbers=numbers
        )
    last = max(obstacles, key=lambda obstacle: obstacle.until or now)
    return Explanation(
        Status.PENDING.value, (*sentences, *about), last.next, last.until, reason or last.sentence, numbers=numbers
    )


def _before(facts: Facts) -> str:
    if facts.ahead is None:
        return ""
    return f", {facts.ahead} windows are before it" if facts.ahead else ", it is the next one"


def _when_unpaused(facts: Facts, now: datetime) -> str:
    if facts.next_run(now):
        return " unless that DAG is paused"
    return "; it has no schedule: trigger one"


def _campaign(row: LedgerRow, facts: Facts) -> Obstacle | None:
    campaign, number = facts.campaign, row.campaign_id
    if number is None or campaign is None:
        return None
    if campaign["state"] == CampaignState.PAUSED:
        return Obstacle(
            f"It belongs to backfill campaign {number}, which is paused.",
            f"nothing until somebody resumes it: python -m include.cli backfill resume {number}",
        )
    if campaign["state"] == CampaignState.CANCELLED:
        return Obstacle(
            f"It belongs to backfill campaign {number}, which was cancelled: it rests.",
            f"nothing until another campaign, or a run of {facts.dag} whose conf names it, asks for it",
        )
    if campaign["concurrency"] is not None and campaign["running"] >= campaign["concurrency"]:
        return Obstacle(
            f"Its backfill campaign {number} lets {campaign['concurrency']} windows move at once, and as many do.",
            "it is claimed when one of them is finished",
        )
    return None


def _not_settled(row: LedgerRow, facts: Facts, now: datetime) -> Obstacle | None:
    end = row.query_window_end_at
    if not is_future_data(end, now, facts.x_time_back, facts.timezone):
        return None
    at = claimable_at(end, facts.x_time_back, facts.timezone)
    settles = f" and is left alone for x_time_back {facts.x_time_back}" if facts.x_time_back else ""
    return Obstacle(
        f"Its data is not settled yet: it ends at {facts.show(end)}{settles}.",
        f"it can be claimed at {facts.show(at)}, by a run of {facts.dag}",
        at,
    )


def _rests(row: LedgerRow, facts: Facts, now: datetime) -> Obstacle | None:
    until = row.not_before_at
    if until is None or until <= now:
        return None
    attempts = f"attempt {row.retry_attempt} of {facts.max_retry_task + 1}"
    return Obstacle(
        f"It rests after {attempts}: {_last_line(row.last_error) or 'no reason was kept'}.",
        f"it can be claimed again at {facts.show(until)}; clearing the failed task starts it at once",
        until,
    )


def _full(facts: Facts) -> Obstacle | None:
    if not facts.full_caps:
        return None
    return Obstacle(
        f"As many windows are in progress as max_windows_in_progress allows for {', '.join(facts.full_caps)}.",
        "it is claimed when one of them is finished",
    )


def _in_progress(row: LedgerRow, _events: Sequence[Mapping[str, Any]], facts: Facts, now: datetime) -> Explanation:
    holder = (str(row.dag_id), str(row.dag_run_id))
    name = f"run {holder[1]} of {holder[0]}"
    heartbeat, locked = row.heartbeat_at, row.pipeline_locked_at
    since = f" since {facts.show(locked)}" if locked else ""
    sentences = [f"It is held by {name}{since}."]
    doing = next(((start, what) for status, start, what in _PHASES if getattr(row, status) == Status.IN_PROGRESS), None)
    lease = heartbeat + facts.stale_threshold if heartbeat else None
    stale = stale_reason(
        row,
        facts.run_state,
        now,
        stale_threshold=facts.stale_threshold,
        dagrun_timeout=facts.dagrun_timeout,
    )
    if doing and getattr(row, doing[0]):
        sentences.append(f"It is in {doing[1]}, begun at {facts.show(getattr(row, doing[0]))}.")
    elif row.phase_completed:
        sentences.append(f"Its last completed phase is {row.phase_completed}.")
    if lease and heartbeat:
        age = int(max(0.0, (now - heartbeat).total_seconds()))
        sentences.append(
            f"Its task gave its last sign of life {age} s ago; the lease ends at {facts.show(lease)} unless renewed."
        )
    else:
        sentences.append(
            "No task is working on it: it waits in the queue of its run, without a lease; as long as that run lives, "
            "nobody takes it away."
        )
    if row.last_error:
        sentences.append(f"A try before failed: {_last_line(row.last_error)}.")
    if stale:
        next_step, next_at = (
            f"cleanup_stale_locks (every five minutes, unless its DAG is paused) releases it: {stale}",
            None,
        )
    elif lease:
        next_step = f"{name} finishes it; if it stays silent, cleanup_stale_locks releases it when the lease has ended"
        next_at = lease
    elif facts.run_state is RunState.UNKNOWN and locked:
        next_at = locked + facts.dagrun_timeout + facts.stale_threshold
        next_step = (
            f"a task of {name} takes it; when that run has ended, its own cleanup or cleanup_stale_locks releases it, "
            "at the latest when dagrun_timeout and the lease have passed since the claim"
        )
    else:
        next_step = f"a task of {name} takes it; when that run ends, its own cleanup or cleanup_stale_locks releases it"
        next_at = None
    reason = stale or row.last_error or ""
    return Explanation(
        Status.IN_PROGRESS.value, tuple(sentences), next_step, next_at, reason, holder, lease, numbers_of(row)
    )


def _finished(row: LedgerRow, _events: Sequence[Mapping[str, Any]], facts: Facts, _now: datetime) -> Explanation:
    status = row.pipeline_final_status
    what = {
        Status.COMPLETED: "It was loaded and audited",
        Status.SKIPPED: "It was loaded already, proven by the target's receipt: nothing was moved",
    }[status]
    at = f" at {facts.show(row.pipeline_end_time)}" if row.pipeline_end_time else ""
    holder = row.owner
    by = f" by run {holder[1]} of {holder[0]}, under fence {row.fence}" if holder else ", by no run of this ledger"
    sentences = [
        f"{what}{at}{by}.",
        f"Rows: {_rows(row.source_count)} at the source, {_rows(row.target_count)} at the target.",
    ]
    if row.quarantined_count:
        sentences.append(f"{row.quarantined_count} documents were quarantined beside the stage.")
    again = f"trigger {facts.dag} with {_replace_conf(row)}"
    if row.is_revisit_due_flag:
        sentences.append("The source changed after the extract: a revisit is due.")
        return Explanation(
            status.value, tuple(sentences), f"the next audit of closed windows looks at it again; at once: {again}",
            None, "late data", holder, None, numbers_of(row),
        )  # fmt: skip
    return Explanation(
        status.value,
        tuple(sentences),
        f"nothing: it is done; to load it again, {again}",
        None,
        "",
        holder,
        None,
        numbers_of(row),
    )


def _failed(row: LedgerRow, events: Sequence[Mapping[str, Any]], facts: Facts, _now: datetime) -> Explanation:
    last_reopened = max((n for n, event in enumerate(events) if event["from_status"] == Status.FAILED), default=-1)
    spent = [event for event in events[last_reopened + 1 :] if event["event"] in ATTEMPT_ENDED]
    at = f" at {facts.show(row.pipeline_end_time)}" if row.pipeline_end_time else ""
    sentences = [f"Its {row.retry_attempt} attempts are spent{at}; nothing tries it again by itself."]
    for number, event in enumerate(spent, 1):
        who = f"run {event['dag_run_id']} of {event['dag_id']}" + (f", {event['task_id']}" if event["task_id"] else "")
        when = f"{facts.show(event['occurred_at'])}, " if event["occurred_at"] else ""
        sentences.append(
            f"Attempt {number} ({when}{event['event']} by {who}): {event['reason'] or 'no reason was kept'}"
        )
    if not spent:
        sentences += [f"Reason: {line}" for line in (row.last_error or "none was kept").splitlines()]
    run = next((event for event in reversed(spent) if str(event["dag_id"]).startswith("data_pipeline_")), None)
    where = f" of run {run['dag_run_id']} of {run['dag_id']}" if run else ""
    resting = no_pipeline(facts) or outside(facts)
    if resting:
        sentences.append(resting.sentence)
    return Explanation(
        Status.FAILED.value,
        tuple(sentences),
        f"nothing until a person acts: remove the cause, then clear the failed task{where}, "
        f"or trigger {facts.dag} with {_replace_conf(row)}",
        None,
        row.last_error or "",
        (str(run["dag_id"]), str(run["dag_run_id"])) if run else None,
        None,
        numbers_of(row),
    )


def _with_history(explained: Explanation, row: LedgerRow, facts: Facts) -> Explanation:
    """Add what every live row's explanation says: what the row replaces, and whether its pipeline still exists."""
    more = []
    if row.is_replacement_run_flag:
        more.append("It is a replacement: its publish deletes what the rows that it replaces have loaded.")
    for old in facts.invalidated:
        deleted = "is deleted at the target" if old.target_deletion_done_flag else "is deleted by its replacement"
        more.append(f"Row {old.id} over this time was invalidated; what it had loaded {deleted}.")
    if row.campaign_id is not None and explained.state not in FINISHED:
        more.append(f"It belongs to backfill campaign {row.campaign_id}.")
    return replace(explained, sentences=(*explained.sentences, *more))


def _rows(count: Any) -> str:
    return "unknown" if count is None else f"{count}"


def _last_line(text: str | None) -> str:
    lines = (text or "").strip().splitlines()
    return lines[-1].rstrip(".") if lines else ""


def _replace_conf(row: LedgerRow) -> str:
    window = row.window
    return f'{{"windows": [["{iso_utc(window.start)}", "{iso_utc(window.end)}"]], "replace": true, "reason": "…"}}'

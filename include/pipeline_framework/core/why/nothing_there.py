"""Explain why no live row covers an instant, and when one will."""

from __future__ import annotations

from datetime import datetime, timedelta

from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.time.days import LocalDay, local_day_of
from include.pipeline_framework.core.why.facts import (
    DISABLED,
    GAP,
    INVALIDATED,
    NO_PIPELINE,
    NOT_PLANNED,
    OUTSIDE_HORIZON,
    Explanation,
    Facts,
    no_pipeline,
    numbers_of,
    outside,
)


def explain_invalidated(row: LedgerRow, facts: Facts) -> Explanation:
    """Explain an invalidated row: what replaces it."""
    by, deleted = row.replaced_by_id, row.target_deletion_done_flag
    window = row.window
    replaced = f"replaced by row {by}" if by else "not replaced by any row"
    sentences = (
        f"Row {row.id} ({window.local_label(facts.timezone)}) was invalidated: {replaced}.",
        "What it had loaded is deleted at the target." if deleted else "Its replacement deletes what it had loaded.",
    )
    next_step = f"look at the replacement: python -m include.cli ledger show {by}"
    if not by:
        next_step = f"a run of {facts.dag} plans the time that no live row covers, and loads it"
    return Explanation(INVALIDATED, sentences, next_step, None, "invalidated", None, None, numbers_of(row))


def explain_nothing(facts: Facts, now: datetime) -> Explanation:
    """Explain why no live row covers the instant."""
    day, shown = facts.day, facts.show(facts.instant)
    resting = no_pipeline(facts)
    if resting or facts.horizon is None:
        text = resting.sentence if resting else "No pipeline file has this source."
        return Explanation(NO_PIPELINE, (f"No live row covers {shown}.", text), "nothing; put the pipeline's file back")
    refusal = facts.horizon.refusal(day)
    if refusal:
        state = OUTSIDE_HORIZON if facts.horizon.enabled else DISABLED
        obstacle = outside(facts)
        next_step = obstacle.next if obstacle else "nothing"
        return Explanation(
            state, (f"No window covers {shown}: {day} is outside the pipeline's horizon: {refusal}.",), next_step,
            None, refusal,
        )  # fmt: skip
    before = tuple(
        f"Row {old.id} over this time was invalidated"
        + (f" and replaced by row {old.replaced_by_id}." if old.replaced_by_id else " and not replaced.")
        for old in facts.invalidated
    )
    if facts.is_day_planned and day.date > local_day_of(now, facts.timezone).date + timedelta(days=1):
        return Explanation(
            GAP,
            (f"No live row covers {shown}, although {day} is planned: it is a gap after tomorrow.", *before),
            f"nothing fills it before tomorrow is {day}; at once: {_asking(facts, day)} and allow_future",
            LocalDay(day.date - timedelta(days=1), facts.timezone).start,
            "gap",
        )
    if facts.is_day_planned and facts.is_external:
        return Explanation(
            GAP,
            (f"No live row covers {shown}, although {day} is planned: it is a gap.", *before),
            f"nothing until somebody fills it: a plan of state_manager, or at once: {_asking(facts, day)}",
            None,
            "gap",
        )
    if facts.is_day_planned:
        at = facts.next_run(now)
        return Explanation(
            GAP,
            (f"No live row covers {shown}, although {day} is planned: it is a gap.", *before),
            f"the next run of {facts.dag} plans it{_unless(at)}",
            at,
            "gap",
        )
    return _unplanned_day(facts, now, before)


def _unplanned_day(facts: Facts, now: datetime, before: tuple[str, ...]) -> Explanation:
    horizon, day, shown = facts.horizon, facts.day, facts.show(facts.instant)
    today = local_day_of(now, facts.timezone)
    assert horizon is not None  # noqa: S101 - the caller has looked
    asked = _asking(facts, day)
    first = f"No window covers {shown}: {day} is not planned yet."
    if day.date > today.date + timedelta(days=1):
        day_before = LocalDay(day.date - timedelta(days=1), facts.timezone).start
        planned = facts.next_planning(day_before)
        return Explanation(
            NOT_PLANNED,
            (f"No window covers {shown}: {day} lies in the future, and only today and tomorrow are planned.", *before),
            "daily_planner plans it on the day before",
            planned or day_before,
            "future",
        )
    if day.date >= today.date:
        runs = [
            at for at in (facts.next_planning(now), facts.next_run(now) if horizon.fill_missing_days else None) if at
        ]
        return Explanation(
            NOT_PLANNED, (first, "Today and tomorrow are planned by daily_planner.", *before),
            f"the next run of daily_planner plans it, unless that DAG is paused; at once: {asked}",
            min(runs, default=None), "not planned yet",
        )  # fmt: skip
    if not horizon.fill_missing_days:
        return Explanation(
            NOT_PLANNED,
            (first, "The pipeline has fill_missing_days: false: past days without any row wait for somebody.", *before),
            f"nothing until somebody asks: {asked}",
            None,
            "fill_missing_days: false",
        )
    at = facts.next_run(now)
    return Explanation(
        NOT_PLANNED,
        (
            first,
            "The pipeline has fill_missing_days: true: its runs plan missing days, the newest first, at most "
            "state_manager_window_limit windows each.",
            *before,
        ),
        f"a next run of {facts.dag} plans it{_unless(at)}; at once: {asked}",
        at,
        "missing day",
    )


def _asking(facts: Facts, day: LocalDay) -> str:
    command = f"python -m include.cli plan --pipeline {facts.pipeline_id} --target-date {day}"
    return f'trigger {facts.dag} with {{"target_date": "{day}"}}, or {command}'


def _unless(at: datetime | None) -> str:
    return " unless that DAG is paused" if at else "; it has no schedule: trigger one"

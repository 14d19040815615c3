"""Explain the state of a window that another system moves: no run claims it, its system reports it."""

from __future__ import annotations

from datetime import datetime

from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Status
from include.pipeline_framework.core.time.windows import iso_utc
from include.pipeline_framework.core.why.facts import Explanation, Facts, numbers_of, outside


def explain_external(row: LedgerRow, facts: Facts, now: datetime) -> Explanation:
    """Explain a live row that no report holds right now."""
    status = row.pipeline_final_status
    job = f" by job {row.job_id}" if row.job_id else ""
    at = f" at {facts.show(row.pipeline_end_time)}" if row.pipeline_end_time else ""
    if status == Status.COMPLETED:
        sentences = [
            f"Its system reported it as moved{job}, with counts that passed the audit{at}.",
            f"Rows: {row.source_count} at the source, {row.target_count} at the target.",
        ]
    elif status == Status.SKIPPED:
        sentences = [f"Its system reported it as done{job} without counts{at}: nobody has audited it."]
    else:
        return _unfinished(row, status, job, facts, now)
    again = f'nothing: it is done; to report it anew: {_command(row, facts)} --replace "…"'
    return Explanation(status.value, tuple(sentences), again, None, "", row.owner, None, numbers_of(row))


def _unfinished(row: LedgerRow, status: Status, job: str, facts: Facts, now: datetime) -> Explanation:
    resting = outside(facts)
    sentences = [resting.sentence] if resting else []
    next_at = None
    if status == Status.FAILED:
        sentences.append(f"Its system reported {row.retry_attempt} times that it failed{job}; its attempts are spent.")
    elif row.retry_attempt:
        sentences.append(f"Its system reported{job} that it failed (attempt {row.retry_attempt}).")
    else:
        sentences.append("Another system moves it (moved_by: external) and has not reported it; no run here claims it.")
    if row.query_window_end_at > now:
        next_at = row.query_window_end_at
        sentences.append(f"It has not ended: it ends at {facts.show(next_at)}.")
    reasons = (row.last_error or "").strip().splitlines()
    sentences += [f"Reason: {line}" for line in reasons]
    step = f"its system moves it and reports it: {_command(row, facts)} --source-count … --target-count …"
    reason = row.last_error or "not reported"
    return Explanation(status.value, tuple(sentences), step, next_at, reason, None, None, numbers_of(row))


def _command(row: LedgerRow, facts: Facts) -> str:
    start, end = iso_utc(row.query_window_start_at), iso_utc(row.query_window_end_at)
    return f"python -m include.cli ledger report --pipeline {facts.pipeline_id} --start {start} --end {end}"

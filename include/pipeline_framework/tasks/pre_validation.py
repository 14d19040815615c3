"""Pre-validate: find whether there is data to move, and whether the target proves that it has it (requirement 3)."""

from __future__ import annotations

from typing import Any

from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.records.planning import interval_string, planned_row
from include.pipeline_framework.core.records.row import Phase
from include.pipeline_framework.core.records.splitting import minutes_of, split
from include.pipeline_framework.tasks.move_window import move_until
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.window_attempt import WindowAttempt


def pre_validate(pipeline: Pipeline, attempt: WindowAttempt, *, completes_empty: bool = True) -> dict[str, Any]:
    """Look at both ends and decide: run, skip with proof, or complete an empty window right here.

    Equal counts alone prove nothing: only a live load receipt of exactly this window, with the source's count (in mode
    `fingerprint` its fingerprint), and a target that still holds it, ends SKIPPED. A replacement is never skipped.

    An empty window is left to the next tasks (`run`) without `completes_empty`: where the run was asked to stop before
    the audit, and in a batch, whose windows are published together.

    A window with more rows than `max_rows_per_window` is replaced by finer ones, which a later run claims.

    Returns:
        `decision` (`run`, `resume`, `skip`, `empty`, `split`) with the counts it is based on.
    """
    row = attempt.row
    if row.phase_completed is not None:
        return {"decision": "resume", "phase_completed": row.phase_completed}
    with pipeline.target.connected():
        return _decide(pipeline, attempt, completes_empty=completes_empty)


def _decide(pipeline: Pipeline, attempt: WindowAttempt, *, completes_empty: bool) -> dict[str, Any]:
    row = attempt.row
    source_count = pipeline.source.count(attempt.window)
    target = pipeline.target.fingerprint(row.source_object, attempt.window)
    numbers = {"source_count": source_count, "target_count": target.rows}
    if completes_empty and source_count == 0 and target.rows == 0:
        # An empty window needs its manifest, receipt and audit like any other, but no further tasks for them.
        move_until(pipeline, attempt, Phase.AUDIT)
        return {"decision": "empty", **numbers}
    if pieces := _finer_windows(pipeline, attempt, source_count):
        return {"decision": "split", "windows": pieces, **numbers}
    if row.is_replacement_run_flag or source_count != target.rows:  # without equal counts no receipt is proof
        return {"decision": "run", **numbers}
    receipt = pipeline.target.receipt(row.source_object, attempt.window)
    proven = (
        receipt is not None
        and receipt.kind == "load"
        and receipt.fingerprint == target
        and (
            pipeline.config.pre_validation_mode == "count"
            or pipeline.source.fingerprint(attempt.window) == receipt.fingerprint
        )
    )
    if proven:  # under this fence, so that no older start can touch the window once it is SKIPPED
        receipt = pipeline.target.confirm(row.source_object, attempt.window, fence=attempt.fence)
    if not proven or receipt is None:
        return {"decision": "run", **numbers}
    proof = {**numbers, "loaded_fingerprint": target.hash_sum, "receipt_fence": receipt.fence}
    attempt.change(transitions.skip, proof)
    attempt.log.info("skipped with proof", receipt_fence=receipt.fence, target=str(target))
    return {"decision": "skip", **numbers}


def _finer_windows(pipeline: Pipeline, attempt: WindowAttempt, source_count: int) -> int:
    """Replace a window that is too large by finer ones; return their number, or 0 when the window stays."""
    most = pipeline.config.max_rows_per_window
    if most is None or source_count <= most:
        return 0
    counts = pipeline.source.histogram(attempt.window, minutes_of(attempt.window))
    pieces = split(attempt.window, [bucket.rows for bucket in counts], most)
    if len(pieces) == 1:
        attempt.log.warning("too many rows, but too short to be cut", rows=source_count, max_rows_per_window=most)
        return 0
    final_config = pipeline.config.final_config() | {"granularity": interval_string(pieces[0])}
    names = ("priority", "campaign_id", "removable_count", "is_removal_approved_flag")
    kept = {name: getattr(attempt.row, name) for name in names}
    records = [{**planned_row(final_config, piece, deriving), **kept} for piece in pieces]
    attempt.replace_by(records, f"{source_count} rows, more than max_rows_per_window {most}: cut into {len(pieces)}")
    return len(pieces)

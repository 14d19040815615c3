"""Pre-validation: is there anything to move at all, and can the target prove that it has it already (requirement 3)."""

from __future__ import annotations

from typing import Any

from include.pipeline_framework.core import lifecycle
from include.pipeline_framework.core.lifecycle import Phase
from include.pipeline_framework.tasks.move_window import move_until
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.window_attempt import WindowAttempt


def pre_validate(pipeline: Pipeline, attempt: WindowAttempt) -> dict[str, Any]:
    """Look at both ends and decide: run, skip with proof, or complete an empty window right here.

    Equal counts alone prove nothing: only a live load receipt of exactly this window, with the source's count (in mode
    `fingerprint` its fingerprint), and a target that still holds it, ends SKIPPED. A replacement is never skipped.

    Returns:
        `decision` (`run`, `resume`, `skip`, `empty`) with the counts it rests on.
    """
    row = attempt.row
    if row["phase_completed"] is not None:
        return {"decision": "resume", "phase_completed": row["phase_completed"]}
    source_count = pipeline.source.count(attempt.window)
    target = pipeline.target.fingerprint(row["source_object"], attempt.window)
    numbers = {"source_count": source_count, "target_count": target.rows}
    if source_count == 0 and target.rows == 0:
        # An empty window needs its manifest, receipt and audit like any other; nothing is worth another task.
        move_until(pipeline, attempt, Phase.AUDIT)
        return {"decision": "empty", **numbers}
    if row["is_replacement_run_flag"]:
        return {"decision": "run", **numbers}
    receipt = pipeline.target.receipt(row["source_object"], attempt.window)
    proven = (
        receipt is not None
        and receipt.kind == "load"
        and receipt.fingerprint == target
        and receipt.fingerprint.rows == source_count
        and (
            pipeline.config.pre_validation_mode == "count"
            or pipeline.source.fingerprint(attempt.window) == receipt.fingerprint
        )
    )
    if proven:  # under this fence, so that nothing of an older start can touch the window once it is SKIPPED
        receipt = pipeline.target.confirm(row["source_object"], attempt.window, fence=attempt.fence)
    if not proven or receipt is None:
        return {"decision": "run", **numbers}
    proof = {**numbers, "loaded_fingerprint": target.hash_sum, "receipt_fence": receipt.fence}
    attempt.change(lifecycle.skip, proof)
    attempt.log.info("skipped with proof", receipt_fence=receipt.fence, target=str(target))
    return {"decision": "skip", **numbers}

"""Requirement functions that work on one window: counts, transfers, clean-ups, and the steps of a pipeline run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from include.framework import session
from include.pipeline_framework.core.records.row import Actor, Phase, Status
from include.pipeline_framework.tasks import single_window
from include.pipeline_framework.tasks.move_window import is_reopened, move_until
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.pre_validation import pre_validate
from include.pipeline_framework.tasks.window_attempt import WindowAttempt, run_on_window
from include.wiring import run_context

_log = logging.getLogger(__name__)
Config = Mapping[str, Any]
Result = TypeVar("Result")


def get_source_count(final_config: Config, record: Mapping[str, Any], *, pipeline: Pipeline | None = None) -> int:
    """Return the present number of rows at the source whose event time lies in the record's window."""
    return session.source(final_config, pipeline).count(single_window.window_of_record(record))


def get_target_count(final_config: Config, record: Mapping[str, Any], *, pipeline: Pipeline | None = None) -> int:
    """Return the present number of this pipeline's rows in the window at the target; a missing table is created."""
    target = session.target(final_config, pipeline)
    source_object = pipeline.config.source_object if pipeline else str(final_config["source_object"])
    target.prepare(source_object)
    return target.fingerprint(source_object, single_window.window_of_record(record)).rows


def transfer_source_to_stage(
    final_config: Config, record: Mapping[str, Any], *, pipeline: Pipeline | None = None, actor: Actor | None = None
) -> bool:
    """Run `source_to_stage` for callers that only need to know that it is done."""
    return bool(source_to_stage(final_config, record, pipeline=pipeline, actor=actor))


def transfer_stage_to_target(
    final_config: Config, record: Mapping[str, Any], *, pipeline: Pipeline | None = None, actor: Actor | None = None
) -> bool:
    """Run `stage_to_target` for callers that only need to know that it is done."""
    return bool(stage_to_target(final_config, record, pipeline=pipeline, actor=actor))


def clean_stage_location(
    final_config: Config, record: Mapping[str, Any], *, pipeline: Pipeline | None = None, actor: Actor | None = None
) -> bool:
    """Delete the files that the ledger names for the window, finished or not, while no other run holds it.

    The row stays unchanged: without its manifest the next attempt extracts again. Loaded data is not touched.

    Raises:
        WindowHeldError: Another run holds the window and may be loading from there.
    """
    who = actor or run_context.current_actor("clean_stage_location")
    with session.wired(final_config, pipeline) as wired:
        row = single_window.find_row(wired.store, wired.config.source_object, record)
        single_window.require_not_held(row, who)
        deleted = wired.stage.delete(row.stage_location) if row.stage_location else 0
        _log.info("%s: %d objects deleted from the stage", row.where, deleted)
    return True


def clean_target_location(
    final_config: Config, record: Mapping[str, Any], *, pipeline: Pipeline | None = None, actor: Actor | None = None
) -> bool:
    """Take the window and delete its rows at the target under the new fence; a loaded window starts over.

    Raises:
        LedgerRefusedError: The window is finished (load it again with a replacement), replaced, or another run's.
    """
    _on_window(final_config, record, single_window.delete_loaded, "clean_target_location", pipeline, actor)
    return True


def pre_validation(
    final_config: Config, record: Mapping[str, Any], *, pipeline: Pipeline | None = None, actor: Actor | None = None
) -> dict[str, Any]:
    """Take the window and decide by both counts and the target's receipt: `run`, `resume`, `skip`, `empty` or `split`.

    `split`: the window was too large and is replaced by finer windows.
    """
    with session.wired(final_config, pipeline) as wired:
        wired.target.prepare(wired.config.source_object)  # before the window is taken: a wrong target costs no attempt
        return _on_window(final_config, record, pre_validate, "pre_validation", wired, actor)


def source_to_stage(
    final_config: Config, record: Mapping[str, Any], *, pipeline: Pipeline | None = None, actor: Actor | None = None
) -> dict[str, Any]:
    """Take the window and extract it completely, or resume from its manifest; return the numbers.

    Raises:
        LedgerRefusedError: The window is finished (load it again with a replacement), replaced, or another run's.
        PipelineError: The extract failed; the attempt is counted and the window is PENDING again, or FAILED.
    """
    return _move(final_config, record, Phase.SOURCE_TO_STAGE, "source_to_stage", pipeline, actor)


def stage_to_target(
    final_config: Config, record: Mapping[str, Any], *, pipeline: Pipeline | None = None, actor: Actor | None = None
) -> dict[str, Any]:
    """Take the window and load it exactly once; first, extract what is not staged; errors as `source_to_stage`."""
    return _move(final_config, record, Phase.STAGE_TO_TARGET, "stage_to_target", pipeline, actor)


def audit(
    final_config: Config, record: Mapping[str, Any], *, pipeline: Pipeline | None = None, actor: Actor | None = None
) -> dict[str, Any]:
    """Take the window, do what is missing, and compare both ends: only this makes it COMPLETED.

    `reopened` means that the source changed beyond the tolerance, so that the window is PENDING again. A window that
    this run completed before stays unchanged.

    Raises:
        AuditFailedError: The ends disagree; the rows are deleted at the target and the window runs again, bounded.
        LedgerRefusedError: As `source_to_stage`.
    """
    who = actor or run_context.current_actor("audit")

    def work(wired: Pipeline, attempt: WindowAttempt) -> dict[str, Any]:
        return {**move_until(wired, attempt, Phase.AUDIT), "reopened": is_reopened(attempt)}

    with session.wired(final_config, pipeline) as wired:
        row = single_window.find_row(wired.store, wired.config.source_object, record)
        if row.is_completed_by(who):
            return {"pipeline_final_status": Status.COMPLETED.value, "reopened": False}
        return _on_window(final_config, record, work, "audit", wired, who)


def _move(
    final_config: Config,
    record: Mapping[str, Any],
    phase: Phase,
    call: str,
    pipeline: Pipeline | None,
    actor: Actor | None,
) -> dict[str, Any]:
    return _on_window(final_config, record, lambda w, attempt: move_until(w, attempt, phase), call, pipeline, actor)


def _on_window(
    final_config: Config,
    record: Mapping[str, Any],
    work: Callable[[Pipeline, WindowAttempt], Result],
    call: str,
    pipeline: Pipeline | None,
    actor: Actor | None,
) -> Result:
    who = actor or run_context.current_actor(call)
    with session.wired(final_config, pipeline) as wired:
        row = single_window.find_row(wired.store, wired.config.source_object, record)
        single_window.require_due(wired.config, wired.store, who, row)
        return run_on_window(
            wired.store,
            row.id,
            who,
            lambda attempt: work(wired, attempt),
            expected=row.identity,
            max_retry_task=wired.config.max_retry_task,
            is_last_try=run_context.is_last_try(),
        )

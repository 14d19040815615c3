"""Bodies of the tasks of `data_pipeline_<id>`: wire the pipeline, call one use case, map its outcome to Airflow."""

from __future__ import annotations

import logging
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from include.orchestration import batches, task_runs
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.records.row import Phase, Status
from include.pipeline_framework.core.records.run_requests import last_phase
from include.pipeline_framework.tasks import pre_validation
from include.pipeline_framework.tasks.move_window import is_reopened, move_until
from include.pipeline_framework.tasks.window_attempt import WindowAttempt
from include.wiring import assembly, run_context
from include.wiring.workspace import Workspace

_log = logging.getLogger(__name__)

Done = tuple[dict[str, Any], str | None]
"""The numbers of a window, and the window as text if it is complete now."""


def populate_pipeline_batches(pipeline_id: str) -> dict[str, Any]:
    """Plan what this run may claim; see `tasks.planning.populate_pipeline_batches`."""
    config = assembly.parsed_config(pipeline_id)
    report = Workspace().populate(config, task_runs.conf())
    _log.info("%s: %s", "would plan" if report["dry_run"] else "planned", report)
    for told in report.get("hints", ()):
        _log.warning("%s: %s", config.source_object, told)
    for told in report.get("reported", ()):
        _log.warning("left for a person or the state manager: %s", told)
    return {name: len(value) if isinstance(value, list) else value for name, value in report.items()}


def store_and_validate(pipeline_id: str) -> list[dict[str, Any]]:
    """Claim this run's windows; skipped if there is nothing to claim, or if the run only shows what it would claim."""
    config = assembly.parsed_config(pipeline_id)
    report = Workspace().claim(config, task_runs.conf())
    for number, record in enumerate(report["would_claim"], 1):
        _log.info("would claim %d: id %s %s", number, record["id"], record["local"])
    if not report["claimed"]:
        task_runs.skip(
            f"{report['note']} ({len(report['would_claim'])} windows shown)"
            if report["would_claim"]
            else report["note"]
        )
    if report["note"]:
        _log.warning("%s", report["note"])
    # DDL once, before windows run in parallel: in Snowflake it would commit their transactions
    assembly.target(config).prepare(config.source_object)
    if config.windows_per_task == 1:
        claimed: list[dict[str, Any]] = report["claimed"]
        return claimed
    return batches.batched(report["claimed"], report["windows_per_task"])


def pre_validate(pipeline_id: str, rec: dict[str, Any]) -> Any:
    """Decide whether the window has to move; skipped if the target can prove that it has it, or if it was cut."""
    pipeline, until = assembly.pipeline(pipeline_id), _until(pipeline_id)

    def work(attempt: WindowAttempt) -> dict[str, Any]:
        return {**pre_validation.pre_validate(pipeline, attempt, until=until), "window": str(attempt.window)}

    def one(record: dict[str, Any]) -> Done:
        try:
            result: dict[str, Any] = task_runs.on_window(pipeline, record, work)
        except AirflowSkipException:
            row = pipeline.store.get(record["id"])
            if record is rec or not row.is_completed_by(run_context.current_actor()):
                raise
            return {"decision": "completed"}, str(row.window)  # by a try before, which failed on another window
        if result["decision"] == "split":
            task_runs.skip(f"too many rows for one window: cut into finer ones, which a later run claims: {result}")
        if result["decision"] == "skip":
            task_runs.skip(f"already loaded, proven by the target's receipt: {result}")
        return result, result["window"] if result["decision"] == "empty" else None

    with pipeline.target.connected():
        return batches.each(rec, pipeline.store, one)


def source_to_stage(pipeline_id: str, rec: dict[str, Any]) -> Any:
    """Extract the window completely and write its manifest, or resume from the existing manifest."""
    return _move(pipeline_id, rec, Phase.SOURCE_TO_STAGE, before="pre_validation")


def stage_to_target(pipeline_id: str, rec: dict[str, Any]) -> Any:
    """Load the manifest exactly once."""
    return _move(pipeline_id, rec, Phase.STAGE_TO_TARGET, before="source_to_stage")


def audit(pipeline_id: str, rec: dict[str, Any]) -> Any:
    """Compare source, manifest, load and target; the target's asset gets an event when they agree.

    A window that this run completed already (the process died after writing, or the task was cleared) stays unchanged,
    and its event is emitted again.
    """
    _require_asked_for(Phase.AUDIT, _until(pipeline_id))
    pipeline = assembly.pipeline(pipeline_id)

    def work(attempt: WindowAttempt) -> dict[str, Any]:
        return {
            **move_until(pipeline, attempt, Phase.AUDIT),
            "reopened": is_reopened(attempt),
            "window": str(attempt.window),
        }

    def one(record: dict[str, Any]) -> Done:
        row = pipeline.store.get(record["id"])
        task_runs.identity_of(pipeline, record).require(row)
        if row.is_completed_by(run_context.current_actor()):
            _log.info("this run completed the window before; to load it again, trigger with replace")
            return {"pipeline_final_status": Status.COMPLETED.value}, str(row.window)
        result: dict[str, Any] = task_runs.on_window(pipeline, record, work)
        if result["reopened"]:
            task_runs.skip("the source moved beyond the tolerance since the extract: the window is PENDING again")
        return result, result["window"]

    with pipeline.target.connected():
        return batches.each(rec, pipeline.store, one, before="stage_to_target")


def finish_run(pipeline_id: str) -> dict[str, int]:
    """Release what this run still holds; fails the run for an unfinished window, and for any task that failed.

    Airflow takes the state of a run from its leaves, and this teardown is the only one: without the second check a run
    whose conf was refused would be green.
    """
    counts = Workspace().finish_run(assembly.parsed_config(pipeline_id), _until(pipeline_id))
    task_runs.require_no_failed_task()
    return counts


def _until(pipeline_id: str) -> Phase:
    """Return the last phase that the run's conf asks for."""
    return last_phase(task_runs.conf(), pipeline_id)


def _require_asked_for(phase: Phase, until: Phase) -> None:
    """Skip the task if its phase comes after the last one that the conf asks for; the window stays unchanged."""
    if phase is not until and phase in until.and_later:
        task_runs.skip(f"the run was asked to stop after {until}; a later run without `until` goes on from there")


def _move(pipeline_id: str, rec: dict[str, Any], phase: Phase, *, before: str) -> Any:
    until = _until(pipeline_id)
    _require_asked_for(phase, until)
    pipeline = assembly.pipeline(pipeline_id)

    def work(attempt: WindowAttempt) -> dict[str, Any]:
        result = move_until(pipeline, attempt, phase)
        if phase is until:
            attempt.change(transitions.stop_after, until)
        return result

    def one(record: dict[str, Any]) -> Done:
        return task_runs.on_window(pipeline, record, work), None

    return batches.each(rec, pipeline.store, one, before=before)

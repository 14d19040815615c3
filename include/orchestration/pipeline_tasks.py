"""Bodies of the tasks of `data_pipeline_<id>`: wire the pipeline, call one use case, map its outcome to Airflow."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from airflow.sdk.exceptions import AirflowSkipException

from include.orchestration import batches, task_runs
from include.orchestration.batches import Done
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.records.row import Phase, Status
from include.pipeline_framework.core.records.run_requests import last_phase
from include.pipeline_framework.errors import PipelineError
from include.pipeline_framework.tasks import pre_validation
from include.pipeline_framework.tasks.move_window import is_reopened, move_all_until
from include.pipeline_framework.tasks.pipeline import Pipeline
from include.pipeline_framework.tasks.window_attempt import WindowAttempt, each_alone
from include.wiring import assembly, run_context
from include.wiring.workspace import Workspace

_log = logging.getLogger(__name__)


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
    if config.windows_per_task == 1:
        claimed: list[dict[str, Any]] = report["claimed"]
        return claimed
    return batches.batched(report["claimed"], report["windows_per_task"])


def pre_validate(pipeline_id: str, rec: dict[str, Any]) -> Any:
    """Decide whether the window has to move; skipped if the target can prove that it has it, or if it was cut."""
    pipeline = assembly.pipeline(pipeline_id)
    is_alone = len(rec.get("windows", (rec,))) == 1
    completes_empty = is_alone and _until(pipeline_id) is Phase.AUDIT

    def work(attempt: WindowAttempt) -> dict[str, Any]:
        found = pre_validation.pre_validate(pipeline, attempt, completes_empty=completes_empty)
        return {**found, "window": str(attempt.window)}

    def decided(record: dict[str, Any], outcome: Any) -> Done | Exception:
        if isinstance(outcome, AirflowSkipException) and record is not rec:
            row = pipeline.store.get(record["id"])
            if row.is_completed_by(run_context.current_actor()):
                return {"decision": "completed"}, str(row.window)  # by a try before, which failed on another window
        if isinstance(outcome, Exception):
            return outcome
        if outcome["decision"] == "split":
            told = "too many rows for one window: cut into finer ones, which a later run claims"
            return AirflowSkipException(f"{told}: {outcome}")
        if outcome["decision"] == "skip":
            return AirflowSkipException(f"already loaded, proven by the target's receipt: {outcome}")
        return outcome, outcome["window"] if outcome["decision"] == "empty" else None

    def together(records: Sequence[dict[str, Any]]) -> list[Done | Exception]:
        outcomes = task_runs.on_windows(pipeline, records, each_alone(work))
        return [decided(record, outcome) for record, outcome in zip(records, outcomes, strict=True)]

    with pipeline.target.connected():
        return batches.each(rec, pipeline.store, together)


def source_to_stage(pipeline_id: str, rec: dict[str, Any]) -> Any:
    """Extract the window completely and write its manifest, or resume from the existing manifest."""
    until = _until(pipeline_id)
    _require_asked_for(Phase.SOURCE_TO_STAGE, until)
    pipeline = assembly.pipeline(pipeline_id)

    def one(record: dict[str, Any]) -> Done:
        (outcome,) = _moved(pipeline, [record], Phase.SOURCE_TO_STAGE, until)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return batches.each(rec, pipeline.store, batches.one_by_one(one), before="pre_validation")


def stage_to_target(pipeline_id: str, rec: dict[str, Any]) -> Any:
    """Load the manifest exactly once; the windows of a batch are published together."""
    until = _until(pipeline_id)
    _require_asked_for(Phase.STAGE_TO_TARGET, until)
    pipeline = assembly.pipeline(pipeline_id)

    def together(records: Sequence[dict[str, Any]]) -> list[Done | Exception]:
        return _moved(pipeline, records, Phase.STAGE_TO_TARGET, until)

    return batches.each(rec, pipeline.store, together, before="source_to_stage")


def audit(pipeline_id: str, rec: dict[str, Any]) -> Any:
    """Compare source, manifest, load and target; the target's asset gets an event when they agree.

    A window that this run completed already (the process died after writing, or the task was cleared) stays unchanged,
    and its event is emitted again.
    """
    _require_asked_for(Phase.AUDIT, _until(pipeline_id))
    pipeline = assembly.pipeline(pipeline_id)

    def done_before(record: dict[str, Any]) -> Done | Exception | None:
        try:
            row = pipeline.store.get(record["id"])
            task_runs.identity_of(pipeline, record).require(row)
        except PipelineError as error:
            return error
        if not row.is_completed_by(run_context.current_actor()):
            return None
        _log.info("this run completed the window before; to load it again, trigger with replace")
        return {"pipeline_final_status": Status.COMPLETED.value}, str(row.window)

    def work(attempts: Sequence[WindowAttempt]) -> list[dict[str, Any] | Exception]:
        outcomes = move_all_until(pipeline, attempts, Phase.AUDIT)
        return [
            outcome
            if isinstance(outcome, Exception)
            else {**outcome, "reopened": is_reopened(attempt), "window": str(attempt.window)}
            for attempt, outcome in zip(attempts, outcomes, strict=True)
        ]

    def audited(outcome: Any) -> Done | Exception:
        if isinstance(outcome, Exception):
            return outcome
        if outcome["reopened"]:
            told = "the source moved beyond the tolerance since the extract: the window is PENDING again"
            return AirflowSkipException(told)
        return outcome, outcome["window"]

    def together(records: Sequence[dict[str, Any]]) -> list[Done | Exception]:
        done = [done_before(record) for record in records]
        left = [record for record, outcome in zip(records, done, strict=True) if outcome is None]
        found = iter(task_runs.on_windows(pipeline, left, work))
        return [audited(next(found)) if outcome is None else outcome for outcome in done]

    with pipeline.target.connected():
        return batches.each(rec, pipeline.store, together, before="stage_to_target")


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


def _moved(pipeline: Pipeline, records: Sequence[dict[str, Any]], phase: Phase, until: Phase) -> list[Done | Exception]:
    """Bring windows up to a phase, and give them back if the run was asked to stop there."""

    def stopped(attempt: WindowAttempt, outcome: dict[str, Any] | Exception) -> dict[str, Any] | Exception:
        if isinstance(outcome, Exception) or phase is not until:
            return outcome
        try:
            attempt.change(transitions.stop_after, until)
        except PipelineError as error:
            return error
        return outcome

    def work(attempts: Sequence[WindowAttempt]) -> list[dict[str, Any] | Exception]:
        outcomes = move_all_until(pipeline, attempts, phase)
        return [stopped(attempt, outcome) for attempt, outcome in zip(attempts, outcomes, strict=True)]

    outcomes = task_runs.on_windows(pipeline, records, work)
    return [outcome if isinstance(outcome, Exception) else (outcome, None) for outcome in outcomes]

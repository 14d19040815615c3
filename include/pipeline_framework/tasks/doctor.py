"""Looks whether windows could move, before any of them is claimed: every system, the ledger, Airflow's own DAGs.

Each check goes on after another one failed, and nothing that goes wrong in a check ends the others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.time import zone_rules
from include.pipeline_framework.core.watching import production
from include.pipeline_framework.core.watching.production import Exposure
from include.pipeline_framework.core.watching.verdicts import CheckState, Findings, Verdict, is_wrong, summary
from include.pipeline_framework.errors import PipelineError, TerminalError
from include.pipeline_framework.ports.checking import AirflowState
from include.pipeline_framework.ports.ledger import LedgerReads
from include.pipeline_framework.tasks import zone_changes

_log = logging.getLogger(__name__)

ROLES = ("source", "stage", "target")
PLANNER = "daily_planner"
NEEDED_GUARDS = (PLANNER, "cleanup_stale_locks")
"""Without them no day is planned, and a window whose worker died stays held."""
OTHER_GUARDS = {
    "check_overdue_windows": "nobody is told of windows that are never loaded",
    "audit_windows": "data that comes late is not found",
    "state_manager": "gaps and overlaps of the plan are not repaired",
}
"""What is missed while they are paused, by id."""

CheckRole = Callable[[str, PipelineConfig], Sequence[Verdict]]
"""Checks the system of one role of a pipeline."""

Send = Callable[[str, str], None]
"""A function of a mail's subject and text that sends it or raises."""


def examine_files(errors: Mapping[str, PipelineError]) -> list[Verdict]:
    """Return a verdict for each pipeline file that is broken."""
    found: list[Verdict] = []
    for name, error in errors.items():
        broken = Findings("file")
        broken.refused("pipeline file", error)
        found += _of(name, broken.verdicts)
    return found


def examine_pipeline(
    config: PipelineConfig,
    check_role: CheckRole,
    exposures: Callable[[], Sequence[Exposure]],
    airflow: AirflowState | None,
) -> list[Verdict]:
    """Return what is found about the systems of a pipeline, its DAG, and what it lacks for production."""
    found: list[Verdict] = []
    if not config.is_external:
        for role in ROLES:
            found += guarded(role, lambda role=role: check_role(role, config))  # type: ignore[misc]
        if airflow is not None:
            found += guarded("Airflow", lambda: _pipeline_dag(config, airflow))
    found += guarded("production", lambda: _production(config, exposures))
    return _of(config.pipeline_id, found)


def examine_ledger(
    configs: Sequence[PipelineConfig],
    check_ledger: Callable[[], Sequence[Verdict]],
    open_store: Callable[[], LedgerReads],
) -> list[Verdict]:
    """Return what is found about the ledger, and about the time zone rules by which its days were planned."""
    found = guarded("ledger", check_ledger)
    if is_wrong(found):
        return found
    return [*found, *guarded("ledger", lambda: _zones(configs, open_store()))]


def examine_airflow(configs: Iterable[PipelineConfig], open_airflow: Callable[[], AirflowState]) -> list[Verdict]:
    """Return what Airflow says of its DAG files and of the guards."""
    found = Findings("Airflow")
    try:
        airflow = open_airflow()
        errors = airflow.import_errors()
    except PipelineError as error:
        found.unknown("DAGs", error.what, f"{error.remedy} docs/operations.md says what airflow_api is.")
        return found.verdicts
    for file, line in errors.items():
        found.wrong("import errors", f"{file}: {line}", "Mend the file; its DAGs are not there until then.")
    if not errors:
        found.ok("import errors", "every DAG file was parsed")
    has_alarms = any(config.enabled and config.overdue_after for config in configs)
    return [*found.verdicts, *guarded("Airflow", lambda: _guards(airflow, has_alarms=has_alarms))]


def require_well(verdicts: Sequence[Verdict], of: str, send: Send | None) -> str:
    """Return the numbers of the verdicts.

    Args:
        verdicts: What was found.
        of: What was looked at, for the message.
        send: Sends a mail; None: nobody is to be mailed.

    Raises:
        TerminalError: Something is wrong; the message has each of it with its remedy. It was mailed before.
    """
    wrong = [verdict for verdict in verdicts if verdict.state is CheckState.WRONG]
    if not wrong:
        return summary(verdicts)
    text = "\n".join(f"{one.role}, {one.check}: {one.said}. What to do: {one.remedy}" for one in wrong)
    if send is not None:
        send(f"[doctor] {of}: {len(wrong)} checks failed", text)
    raise TerminalError(
        text, where=of, meaning="Windows would fail, or stay where they are", remedy="Each line above says it."
    )


def guarded(role: str, work: Callable[[], Sequence[Verdict]]) -> list[Verdict]:
    """Return the verdicts of `work`; an error that it should have told, and did not, is a verdict without its text."""
    try:
        return list(work())
    except PipelineError as error:
        found = Findings(role)
        found.refused("connection", error)
        return found.verdicts
    except Exception as error:  # noqa: BLE001 - a library's own; its text may hold a secret
        _log.debug("the check of the %s failed", role, exc_info=True)
        found = Findings(role)
        found.wrong(
            "check",
            f"the check itself failed with {type(error).__name__}",
            "Run it again with --verbose, which logs the whole error, and report that.",
        )
        return found.verdicts


def _pipeline_dag(config: PipelineConfig, airflow: AirflowState) -> list[Verdict]:
    found = Findings("Airflow")
    is_paused = airflow.is_paused(config.dag_id)
    if is_paused is None:
        said = f"Airflow knows no DAG {config.dag_id}"
        found.wrong("DAG", said, f"Is dags/{config.dag_id}.py there, and without an import error?")
    elif is_paused and config.enabled:
        said = f"{config.dag_id} is paused: no window moves"
        found.wrong("DAG", said, f"airflow dags unpause {config.dag_id}; or `enabled: false` in the pipeline's file.")
    else:
        found.ok("DAG", f"{config.dag_id} is {'paused, as the pipeline is disabled' if is_paused else 'not paused'}")
    return found.verdicts


def _guards(airflow: AirflowState, *, has_alarms: bool) -> list[Verdict]:
    found = Findings("Airflow")
    for dag_id in (*NEEDED_GUARDS, *OTHER_GUARDS):
        is_paused, unpause = airflow.is_paused(dag_id), f"airflow dags unpause {dag_id}"
        if is_paused is None:
            found.wrong("guards", f"Airflow knows no DAG {dag_id}", f"Is dags/{dag_id}.py there, and without an error?")
        elif is_paused and dag_id in NEEDED_GUARDS:
            missed = "no day is planned" if dag_id == PLANNER else "a window whose worker died stays held"
            found.wrong("guards", f"{dag_id} is paused: {missed}", unpause)
        elif is_paused and (has_alarms or dag_id != "check_overdue_windows"):
            found.warning("guards", f"{dag_id} is paused: {OTHER_GUARDS[dag_id]}", unpause)
        elif airflow.last_state(dag_id) == "failed":
            found.wrong("guards", f"the last run of {dag_id} failed", f"Read the log of {dag_id}: it says what is due.")
        else:
            found.ok("guards", f"{dag_id} is {'paused, and no pipeline asks for it' if is_paused else 'not paused'}")
    return found.verdicts


def _zones(configs: Sequence[PipelineConfig], store: LedgerReads) -> list[Verdict]:
    found, own = Findings("ledger"), zone_rules.version()
    states = zone_changes.look_at_all(configs, store, store.now()) if configs else {}
    older = sorted(source_object for source_object, state in states.items() if not state.is_newest)
    if older:
        said = f"days of {', '.join(older)} were planned with newer time zone rules than this process has ({own})"
        found.wrong(
            "time zone rules",
            said,
            "Install the packages of constraints.txt, tzdata among them, wherever Airflow and its workers run.",
        )
    else:
        found.ok("time zone rules", f"version {own}; no day was planned with newer ones")
    return found.verdicts


def _production(config: PipelineConfig, exposures: Callable[[], Sequence[Exposure]]) -> list[Verdict]:
    found = Findings("production")
    production.judge(
        found,
        has_people=bool(config.email_list),
        has_alarm=config.overdue_after is not None,
        local_stage=config.stage.options.get("path"),
        exposures=exposures(),
    )
    return found.verdicts


def _of(pipeline_id: str, verdicts: Iterable[Verdict]) -> list[Verdict]:
    return [replace(verdict, pipeline_id=pipeline_id) for verdict in verdicts]

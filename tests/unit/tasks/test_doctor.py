"""What the doctor asks of Airflow, what is missing for production, and that nothing in a check ends the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from include.pipeline_framework.core.watching.production import Exposure
from include.pipeline_framework.core.watching.verdicts import CheckState, Findings, Verdict
from include.pipeline_framework.errors import ConfigurationError, ServiceUnavailableError, TerminalError
from include.pipeline_framework.tasks import doctor
from tests.unit.tasks.world import World, config

SECRET = "hunter2"


class PlayedAirflow:
    """Every guard is there, runs, and was well; what differs is given."""

    def __init__(
        self, paused: Sequence[str] = (), absent: Sequence[str] = (), failed: Sequence[str] = (), errors: int = 0
    ) -> None:
        self._paused, self._absent, self._failed, self._errors = paused, absent, failed, errors

    def import_errors(self) -> dict[str, str]:
        return {f"dags/file_{number}.py": "NameError: name 'x'" for number in range(self._errors)}

    def is_paused(self, dag_id: str) -> bool | None:
        return None if dag_id in self._absent else dag_id in self._paused

    def last_state(self, dag_id: str) -> str:
        return "failed" if dag_id in self._failed else "success"


def of_state(verdicts: Sequence[Verdict], state: CheckState) -> list[tuple[str, str]]:
    return [(verdict.said, verdict.remedy) for verdict in verdicts if verdict.state is state]


def airflow(played: PlayedAirflow, **changes: object) -> list[Verdict]:
    return doctor.examine_airflow([config(**changes)], lambda: played)


def pipeline(
    played: PlayedAirflow | None,
    check: Callable[..., Sequence[Verdict]] = lambda *_: (),
    exposures: Sequence[Exposure] = (),
    **changes: object,
) -> list[Verdict]:
    return doctor.examine_pipeline(config(**changes), check, lambda: exposures, played)


def test_guards_that_are_well() -> None:
    found = airflow(PlayedAirflow())
    assert {verdict.state for verdict in found} == {CheckState.OK}
    assert len(found) == 6


@pytest.mark.parametrize("dag_id", doctor.NEEDED_GUARDS)
def test_a_needed_guard_that_is_paused_or_not_there_is_wrong(dag_id: str) -> None:
    ((said, remedy),) = of_state(airflow(PlayedAirflow(paused=[dag_id])), CheckState.WRONG)
    assert said.startswith(f"{dag_id} is paused: ")
    assert remedy == f"airflow dags unpause {dag_id}"
    ((said, remedy),) = of_state(airflow(PlayedAirflow(absent=[dag_id])), CheckState.WRONG)
    assert (said, f"dags/{dag_id}.py" in remedy) == (f"Airflow knows no DAG {dag_id}", True)


@pytest.mark.parametrize("dag_id", doctor.OTHER_GUARDS)
def test_another_guard_that_is_paused_is_told_with_what_is_missed(dag_id: str) -> None:
    ((said, _),) = of_state(airflow(PlayedAirflow(paused=[dag_id]), overdue_after="1h"), CheckState.WARNING)
    assert said == f"{dag_id} is paused: {doctor.OTHER_GUARDS[dag_id]}"
    asked_for = of_state(airflow(PlayedAirflow(paused=[dag_id])), CheckState.WARNING)
    assert bool(asked_for) == (dag_id != "check_overdue_windows")


def test_a_guard_whose_last_run_failed_is_wrong() -> None:
    ((said, _),) = of_state(airflow(PlayedAirflow(failed=["state_manager"])), CheckState.WRONG)
    assert said == "the last run of state_manager failed"


def test_import_errors_are_wrong_by_file() -> None:
    found = of_state(airflow(PlayedAirflow(errors=2)), CheckState.WRONG)
    assert [said for said, _ in found] == [f"dags/file_{n}.py: NameError: name 'x'" for n in range(2)]


def test_an_airflow_that_can_not_be_asked_is_unknown_and_never_well() -> None:
    def refuse() -> PlayedAirflow:
        raise ServiceUnavailableError("Airflow's API server does not answer", remedy="Start it.")

    (found,) = doctor.examine_airflow([], refuse)
    assert found.state is CheckState.UNKNOWN
    assert "Start it. docs/operations.md" in found.remedy


def test_a_pipelines_dag() -> None:
    dag_id = "data_pipeline_main"
    ((said, remedy),) = of_state(pipeline(PlayedAirflow(paused=[dag_id])), CheckState.WRONG)
    assert said == "data_pipeline_main is paused: no window moves"
    assert remedy.startswith("airflow dags unpause data_pipeline_main")
    assert of_state(pipeline(PlayedAirflow(paused=[dag_id]), enabled=False), CheckState.WRONG) == []
    ((said, _),) = of_state(pipeline(PlayedAirflow(absent=[dag_id])), CheckState.WRONG)
    assert said == "Airflow knows no DAG data_pipeline_main"
    assert [verdict for verdict in pipeline(None) if verdict.role == "Airflow"] == []


def test_an_external_pipelines_systems_are_not_looked_at() -> None:
    found = pipeline(PlayedAirflow(), moved_by="external", source=None, stage=None, target=None)
    assert {verdict.role for verdict in found} == {"production"}


def test_a_check_that_fails_ends_no_other_and_tells_no_secret() -> None:
    asked = []

    def check(role: str, _config: object) -> Sequence[Verdict]:
        asked.append(role)
        if role == "source":
            raise KeyError(SECRET)
        if role == "stage":
            raise ConfigurationError("there is no Airflow connection 'stage_s3'", remedy="Create it.")
        found = Findings(role)
        found.ok("reachable", "it answers")
        return found.verdicts

    found = pipeline(None, check)
    assert asked == ["source", "stage", "target"]
    assert [verdict.state.value for verdict in found[:3]] == ["wrong", "wrong", "ok"]
    assert found[0].said == "the check itself failed with KeyError"
    assert found[1].remedy == "Create it."
    assert SECRET not in str(found)
    assert {verdict.pipeline_id for verdict in found} == {"main"}


def test_what_is_missing_for_production() -> None:
    exposed = [Exposure("a", is_here=True, is_guessable=False), Exposure("b", is_here=False, is_guessable=True)]
    found = pipeline(None, exposures=exposed, stage={"type": "object_storage", "path": "/tmp/stage"})
    assert [verdict.check for verdict in found] == ["people", "alarm", "stage", "servers", "passwords"]
    assert {verdict.state for verdict in found} == {CheckState.WARNING}
    well = pipeline(None, email_list=["a@example.com"], overdue_after="6h")
    assert [(verdict.check, verdict.state) for verdict in well] == [("production", CheckState.OK)]


def test_broken_files_are_wrong_under_their_names() -> None:
    (found,) = doctor.examine_files({"odd": ConfigurationError("no granularity", remedy="Give one.")})
    assert (found.pipeline_id, found.state, found.remedy) == ("odd", CheckState.WRONG, "Give one.")


def test_zone_rules_are_compared_only_in_a_ledger_that_is_well() -> None:
    def well() -> Sequence[Verdict]:
        found = Findings("ledger")
        found.ok("reachable", "it answers")
        return found.verdicts

    def ill() -> Sequence[Verdict]:
        found = Findings("ledger")
        found.wrong("reachable", "it does not answer", "Start it.")
        return found.verdicts

    world = World()
    assert [one.check for one in doctor.examine_ledger([world.config], well, lambda: world.store)] == [
        "reachable",
        "time zone rules",
    ]
    assert [one.check for one in doctor.examine_ledger([world.config], ill, lambda: world.store)] == ["reachable"]


def test_the_alarm_mails_what_is_wrong_and_fails() -> None:
    found = Findings("target")
    found.ok("reachable", "it answers")
    found.warning("columns", "narrow", "Widen it.")
    mailed: list[tuple[str, str]] = []
    assert doctor.require_well(found.verdicts, "main", lambda *mail: mailed.append(mail)) == "1 warning, 1 ok"
    assert mailed == []
    found.wrong("database", "ANALYTICS does not exist", "CREATE DATABASE ANALYTICS;")
    with pytest.raises(TerminalError, match="CREATE DATABASE ANALYTICS;"):
        doctor.require_well(found.verdicts, "main", lambda *mail: mailed.append(mail))
    ((subject, text),) = mailed
    assert subject == "[doctor] main: 1 checks failed"
    assert text == "target, database: ANALYTICS does not exist. What to do: CREATE DATABASE ANALYTICS;"
    with pytest.raises(TerminalError):
        doctor.require_well(found.verdicts, "main", None)

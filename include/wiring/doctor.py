"""Lets the doctor look through the pipelines' real connections, with the clients that their tasks get."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cached_property

from include.implementation_modules.registry import checked_options, known_check, options_model
from include.pipeline_framework.config.loader import resolve_variables
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.watching.production import Exposure
from include.pipeline_framework.core.watching.verdicts import Findings, Verdict
from include.pipeline_framework.errors import PipelineError
from include.pipeline_framework.ports.checking import AirflowState, Look
from include.pipeline_framework.tasks import doctor
from include.wiring import assembly, connections
from include.wiring.workspace import Workspace


class Doctor:
    """One visit: Airflow's API is asked with one login.

    Args:
        workspace: Pipelines and ledger.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def shared(self) -> list[Verdict]:
        """Return what is found about broken files, the ledger and Airflow, on which all pipelines stand."""
        configs = list(self._workspace.loaded.configs.values())
        found = doctor.examine_files(self._workspace.loaded.errors)
        found += doctor.examine_ledger(configs, _check_ledger, lambda: self._workspace.store)
        return found + doctor.examine_airflow(configs, connections.airflow_api)

    def pipeline(self, config: PipelineConfig) -> list[Verdict]:
        """Return what is found about one pipeline; where Airflow can't be asked, nothing of its DAG: `shared` says so.

        Without a value for a variable of its file, source, stage and target are not looked at.
        """
        try:
            resolved = resolve_variables(config, assembly.airflow_variable, options_model=options_model)
        except PipelineError as error:
            found = Findings("file")
            found.refused("variables", error)
            missing = doctor.examine_pipeline(config, lambda *_: (), lambda: (), self._airflow)
            return [*found.verdicts, *missing]
        return doctor.examine_pipeline(resolved, _check_role, lambda: _exposures(resolved), self._airflow)

    @cached_property
    def _airflow(self) -> AirflowState | None:
        try:
            airflow = connections.airflow_api()
            airflow.import_errors()
        except PipelineError:
            return None  # `shared` says why
        return airflow


def _clock() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def _check_ledger() -> Sequence[Verdict]:
    from include.implementation_modules.postgres_ledger.checking import check

    name = "LEDGER_URL" if os.environ.get("LEDGER_URL") else connections.LEDGER_CONNECTION_ID
    return check(connections.ledger_connect(), name, _clock)


def _check_role(role: str, config: PipelineConfig) -> Sequence[Verdict]:
    section = getattr(config, role)
    check = known_check(role, section.type)
    if check is None:
        found = Findings(role)
        said = f"the adapter {section.type} has no function `check`"
        found.unknown("system", said, "Give the adapter's class a static method check(client, options, look).")
        return found.verdicts
    look = Look(section.connection_id or "", config.settle, _clock)
    options = checked_options(role, section.type, section.options)
    return check(assembly.client(role, section), options, look)


def _exposures(config: PipelineConfig) -> list[Exposure]:
    sections = [] if config.is_external else [getattr(config, role) for role in doctor.ROLES]
    ids = dict.fromkeys(section.connection_id for section in sections if section.connection_id)
    return [connections.exposure(connection_id) for connection_id in ids]

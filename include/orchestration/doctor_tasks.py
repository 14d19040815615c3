"""Bodies of the tasks that look every day whether windows could move, and raise an alarm when they could not."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from airflow.sdk import get_current_context

from include.orchestration import task_runs
from include.orchestration.notifications import Mail
from include.pipeline_framework.core.watching.verdicts import Verdict
from include.pipeline_framework.tasks.doctor import require_well
from include.wiring import assembly
from include.wiring.doctor import Doctor
from include.wiring.workspace import Workspace

_log = logging.getLogger(__name__)
_BODY = '<pre>{{ doctor_text | e }}</pre><p><a href="{{ ti.log_url }}">Log</a></p>'
"""The text is passed as a value, so that nothing in it is read as a template or as HTML."""


def list_pipelines() -> list[str]:
    """Return the ids of all pipelines whose file is good and enabled."""
    task_runs.conf()  # the DAG has no params: any key is a mistake
    return sorted(name for name, config in Workspace().loaded.configs.items() if config.enabled)


def examine_shared() -> str:
    """Fail when a file, the ledger, or a DAG that guards it is not well."""
    return _told(Doctor(Workspace()).shared(), "the ledger and Airflow", [])


def examine_pipeline(pipeline_id: str) -> str:
    """Fail when a system of the pipeline is not well, and mail its people."""
    config = assembly.parsed_config(pipeline_id)
    return _told(Doctor(Workspace()).pipeline(config), pipeline_id, config.email_list)


def _told(verdicts: Sequence[Verdict], of: str, people: list[str]) -> str:
    for verdict in verdicts:
        _log.info("%s: %s: %s: %s%s", verdict.state, verdict.role, verdict.check, verdict.said, _remedy(verdict))

    def send(subject: str, text: str) -> None:
        context: dict[str, Any] = {**get_current_context(), "doctor_text": text, "doctor_subject": subject}
        Mail(people, "{{ doctor_subject }}", _BODY)(context)

    return require_well(verdicts, of, send if people else None)


def _remedy(verdict: Verdict) -> str:
    return f" → {verdict.remedy}" if verdict.remedy else ""

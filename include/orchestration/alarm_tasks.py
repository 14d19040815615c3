"""Bodies of the tasks that look for overdue windows and report them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from airflow.sdk import get_current_context

from include.orchestration import task_runs
from include.orchestration.notifications import Mail
from include.wiring.workspace import Workspace

_BODY = '<pre>{{ overdue | e }}</pre><p><a href="{{ ti.log_url }}">Log</a></p>'
"""The text is passed as a value, so that nothing in an error message is read as a template or as HTML."""


def find_overdue() -> list[dict[str, Any]]:
    """Return one report per pipeline that asks for alarms."""
    task_runs.conf()  # the DAG has no params: any key is a mistake
    return Workspace().find_overdue()


def report_overdue(report: Mapping[str, Any]) -> str:
    """Fail while the pipeline has something overdue, and mail what is new."""
    return Workspace().report_overdue(report, lambda to: partial(_send, to))


def _send(to: list[str], subject: str, text: str) -> None:
    context = {**get_current_context(), "overdue": text, "overdue_subject": subject}
    Mail(to, "{{ overdue_subject }}", _BODY)(context)

"""Find each pipeline's overdue windows, note what was reported, and raise the alarm, even without any DAG run."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.time.windows import iso_utc
from include.pipeline_framework.core.watching.overdue import Overdue, OverdueScope, alarm_lines, overdue_scope
from include.pipeline_framework.errors import TerminalError
from include.pipeline_framework.ports.overdue import OverdueAlarms

_log = logging.getLogger(__name__)

Send = Callable[[str, str], None]
"""A function of a mail's subject and text that sends it or raises."""


def find_overdue(configs: Mapping[str, PipelineConfig], alarms: OverdueAlarms) -> list[dict[str, Any]]:
    """Return a report per pipeline that asks for alarms, in order; it takes two statements for any number of pipelines.

    A disabled pipeline, and one whose horizon has not begun, has no report.

    Returns:
        `pipeline_id`, `checked_at`, `windows`, `days`, `untold` (windows and days that were not reported lately) and
        `text`, the alarm (empty when nothing is overdue).
    """
    now = alarms.now()
    scopes = {name: scope for name, config in sorted(configs.items()) if (scope := scope_of(config, now))}
    found = {overdue.source_object: overdue for overdue in alarms.find_overdue(list(scopes.values()))}
    return [
        _report(configs[name], found.get(scope.source_object, Overdue(scope.source_object)), now)
        for name, scope in scopes.items()
    ]


def report_overdue(config: PipelineConfig, report: Mapping[str, Any], alarms: OverdueAlarms, send: Send | None) -> str:
    """Alarm people about one pipeline: fail while anything is overdue, and mail what was not reported lately.

    A mail that could not be sent is tried again with the task. A mail is noted after it was sent, so that a crash in
    between sends it twice rather than never.

    Args:
        config: The pipeline.
        report: Its report from `find_overdue`.
        alarms: The ledger.
        send: Sends a mail to the pipeline's people; None: it names none.

    Raises:
        TerminalError: Something is overdue; the message has the table.
    """
    if not report["text"]:
        return f"nothing of {config.source_object} is overdue"
    _log.error("%s", report["text"])
    checked_at = datetime.fromisoformat(report["checked_at"])
    scope = scope_of(config, checked_at)
    if report["untold"] and send and scope:
        send(subject_of(config, report), report["text"])
        alarms.note_told(scope, checked_at)
    raise TerminalError(
        report["text"],
        where=config.source_object,
        meaning=f"Not finished {config.overdue_after} after it could have run"
        + ("" if send else "; nobody was mailed, email_list is empty"),
        remedy=f"Ask why (above); {_whose(config)} or daily_planner paused, or failing?",
    )


def subject_of(config: PipelineConfig, report: Mapping[str, Any]) -> str:
    """Return the subject of the mail."""
    parts = [
        f"{report[name]} {text}"
        for name, text in (("windows", "windows"), ("days", "days without windows"))
        if report[name]
    ]
    name = config.pipeline_id if config.is_external else config.dag_id
    return f"[overdue] {name} {config.source_object}: {', '.join(parts)}"


def _whose(config: PipelineConfig) -> str:
    if config.is_external:
        return "has its system moved it, and reported it (ledger report)? Is that system"
    return f"is {config.dag_id}"


def scope_of(config: PipelineConfig, now: datetime) -> OverdueScope | None:
    """Return the scope that defines what counts as overdue for a pipeline."""
    return overdue_scope(
        config.source_object,
        config.horizon,
        x_time_back=config.x_time_back,
        overdue_after=config.overdue_after,
        overdue_repeat=config.overdue_repeat,
        now=now,
    )


def _report(config: PipelineConfig, overdue: Overdue, now: datetime) -> dict[str, Any]:
    return {
        "pipeline_id": config.pipeline_id,
        "checked_at": iso_utc(now),
        "windows": overdue.windows,
        "days": len(overdue.days),
        "untold": overdue.untold + len(overdue.untold_days),
        "text": "\n".join(alarm_lines(overdue, config.timezone, is_external=config.is_external)),
    }

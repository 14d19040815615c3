"""Report a window that another system has moved: take it under a new fence, audit it, write one transition."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.config.external import require_moved_elsewhere
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.lifecycle import external_reports
from include.pipeline_framework.core.lifecycle.external_reports import ExternalReport
from include.pipeline_framework.core.proof.audits import LateDataTolerance
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.planning import planned_row
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.records.run_requests import LONGEST_REASON
from include.pipeline_framework.core.texts import is_storable, shown
from include.pipeline_framework.core.time.asked_instants import parse_instant
from include.pipeline_framework.core.time.days import local_day_of
from include.pipeline_framework.core.time.windows import TimeWindow, iso_utc
from include.pipeline_framework.errors import InvalidInputError, WindowFinishedError
from include.pipeline_framework.ports.ledger import LedgerWindows
from include.pipeline_framework.tasks.observing import log_execution

_log = logging.getLogger(__name__)
_AROUND = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Reported:
    """The result of a report.

    Attributes:
        row: The ledger's row as it is now.
        is_new: False when the row said the same before, and nothing was written.
    """

    row: LedgerRow
    is_new: bool

    @property
    def is_finished(self) -> bool:
        """True when the window is done: not after a failure, or when its audit failed."""
        return self.row.is_finished

    def as_dict(self) -> dict[str, Any]:
        """Return small JSON."""
        names = (
            *("id", "pipeline_id", "source_object", "pipeline_final_status", "audit_process_status"),
            *("audit_result_status", "source_count", "target_count", "count_difference", "retry_attempt"),
            *("last_error", "job_id", "fence"),
        )
        bounds = {"start": self.row.query_window_start_at, "end": self.row.query_window_end_at}
        return {
            **{name: getattr(self.row, name) for name in names},
            **{name: iso_utc(instant) for name, instant in bounds.items()},
            "is_new": self.is_new,
        }


def reported_window(config: PipelineConfig, start: datetime | str, end: datetime | str) -> TimeWindow:
    """Return the window between two aware instants, or texts with an offset or in the pipeline's local time.

    Raises:
        InvalidInputError: A value is no instant, or an ambiguous one, or the end is not after the start.
    """

    def instant(value: datetime | str) -> datetime:
        return parse_instant(value, config.timezone).at if isinstance(value, str) else value

    return TimeWindow(instant(start), instant(end))


@log_execution("external window reported", pipeline="config.pipeline_id", window="window")
def report_external_window(
    config: PipelineConfig,
    store: LedgerWindows,
    actor: Actor,
    window: TimeWindow,
    report: ExternalReport,
    *,
    replace_reason: str = "",
) -> Reported:
    """Write what another system reports of one of its windows; the same report again changes nothing.

    When a report dies in between, the row keeps its lease: the same reporter can continue at once, anybody else when
    cleanup has released the row.

    Args:
        config: A pipeline with `moved_by: external`.
        store: The ledger.
        actor: The one that reports.
        window: The window, with exactly the bounds of a planned one.
        report: How it ended.
        replace_reason: Why a finished window is reported again: its row is replaced, and keeps what it said.

    Raises:
        ConfigurationError: This bundle moves the pipeline's data itself.
        InvalidInputError: No live row has these bounds, the window has not ended yet, or a replacement lacks counts.
        WindowFinishedError: The finished window says something else.
        WindowHeldError: Somebody else holds the row.
    """
    require_moved_elsewhere(config)
    _require_reason(config, window, replace_reason)
    if actor.is_temporary:
        raise _refused(config, window, "a temporary test run reports nothing", "Trigger a run of the DAG.")
    row = _row_of(config, store, window)
    if external_reports.says_the_same(row, report):
        return Reported(row, False)
    _require_possible(config, store, row, window, report)
    if replace_reason and row.is_finished:
        record = planned_row(config.final_config(), window, deriving)
        (row,) = store.replace([row.id], [record], actor, replace_reason)
    try:
        fence = store.take(row.id, actor, row.identity).fence
    except WindowFinishedError as error:
        return _finished(config, store.get(row.id), report, error)
    replaced_ids = tuple(store.replaced_windows(row.id))
    tolerance = LateDataTolerance(config.late_data_tolerance.rows, config.late_data_tolerance.percent)
    row = store.change(
        row.id,
        lambda current, now: external_reports.decide(
            current, fence, now, report, tolerance, max_retry_task=config.max_retry_task, replaced_ids=replaced_ids
        ),
        actor,
    )
    _log.info("%s is %s by a report of %s", row.where, row.pipeline_final_status, actor)
    return Reported(row, True)


def _row_of(config: PipelineConfig, store: LedgerWindows, window: TimeWindow) -> LedgerRow:
    """Return the live row of exactly these bounds."""
    rows = store.find(source_object=config.source_object, within=[window])
    for row in rows:
        if (row.query_window_start_at, row.query_window_end_at) == (window.start, window.end):
            return row
    planned = store.live_windows(config.source_object, TimeWindow(window.start - _AROUND, window.start + _AROUND))
    near = external_reports.nearest(planned, window)
    if near:
        remedy = f"Report planned windows one by one: {', '.join(map(str, near))} are the nearest."
        raise _refused(config, window, "no planned window has exactly these bounds", remedy)
    day = local_day_of(window.start, config.timezone)
    remedy = f"Plan it: python -m include.cli plan --pipeline {config.pipeline_id} --target-date {day}."
    if refusal := config.horizon.refusal(day):
        remedy = f"{day} is outside the pipeline's horizon: {refusal}."
    raise _refused(config, window, "no window is planned there", remedy)


def _require_reason(config: PipelineConfig, window: TimeWindow, reason: Any) -> None:
    is_text = isinstance(reason, str) and is_storable(reason) and len(reason) <= LONGEST_REASON
    if not is_text or (reason and not reason.strip()):
        raise _refused(
            config, window, f"the reason {shown(reason)} can't be kept", f"Write at most {LONGEST_REASON} characters."
        )


def _require_possible(
    config: PipelineConfig,
    store: LedgerWindows,
    row: LedgerRow,
    window: TimeWindow,
    report: ExternalReport,
) -> None:
    now = store.now()
    if not report.failed and window.end > now:
        raise _refused(
            config,
            window,
            f"the window has not ended: it is {iso_utc(now)}",
            "Report it when all of its data is there.",
        )
    if row.is_replacement_run_flag and not report.failed and not report.has_counts:
        raise _refused(
            config,
            window,
            "a replacement is never reported without counts",
            "Give both counts: they show that what it replaces is gone.",
        )


def _finished(config: PipelineConfig, row: LedgerRow, report: ExternalReport, error: WindowFinishedError) -> Reported:
    """Accept a finished window that says the same, whoever was first; refuse anything else."""
    if external_reports.says_the_same(row, report):
        return Reported(row, False)
    counted = f"{row.source_count} rows at the source and {row.target_count} at the target"
    raise WindowFinishedError(
        f"the window is {row.pipeline_final_status} already, "
        + ("without counts" if row.source_count is None else f"with {counted}"),
        where=row.where,
        meaning="The report says something else, and a finished window is never rewritten in place",
        remedy=f"When the report is right, have the row replaced: python -m include.cli ledger report --pipeline "
        f'{config.pipeline_id} … --replace "why".',
    ) from error


def _refused(config: PipelineConfig, window: TimeWindow, what: str, remedy: str) -> InvalidInputError:
    return InvalidInputError(
        what, where=f"{config.source_object} {window}", meaning="Nothing was written", remedy=remedy
    )

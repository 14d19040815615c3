"""Plan days of many sources: a few statements for all of them, and rows that are made while they are sent."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import timedelta

from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.continuity.remediation import own_granularity
from include.pipeline_framework.core.records import planning
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow, tile_count
from include.pipeline_framework.errors import PipelineError, TransientError
from include.pipeline_framework.ports.ledger import LedgerWindows, Record
from include.pipeline_framework.tasks.plan_outcomes import PlanReport

_log = logging.getLogger(__name__)

MAX_TOGETHER = 20_000
"""Windows that one transaction plans, about: the rows of so many are in memory together."""

SourceDay = tuple[PipelineConfig, LocalDay]


def plan_days(asked: Sequence[SourceDay], store: LedgerWindows, actor: Actor, *, dry_run: bool) -> list[PlanReport]:
    """Insert the windows that the days lack; a second call inserts nothing.

    Days that are planned already are found by counting, and cost nothing else. A day that can't be planned is reported
    as failed; all others are planned. A dry run lists the windows that it would insert.

    Args:
        asked: The days, none twice.
        store: The ledger.
        actor: The run that plans.
        dry_run: True: nothing is inserted.

    Returns:
        One report for each day, in the same order.

    Raises:
        TransientError: The ledger did not answer.
    """
    days = iter(asked)
    reports: list[PlanReport] = []
    while together := list(_together(days)):
        part, grids = [one for one, _ in together], [grid for _, grid in together]
        reports += _plan_part(part, grids, store, actor, dry_run=dry_run)
    return reports


def failed_report(config: PipelineConfig, day: LocalDay, error: Exception, *, dry_run: bool) -> PlanReport:
    """Return a report that says why a day could not be planned; an error of outside code is logged with its trace."""
    is_known = isinstance(error, PipelineError)
    _log.error("%s %s could not be planned", config.source_object, day, exc_info=None if is_known else error)
    return PlanReport(config.source_object, str(day), dry_run=dry_run, failed=f"{type(error).__name__}: {error}")


def _together(days: Iterator[SourceDay]) -> Iterator[tuple[SourceDay, planning.GridDay]]:
    """Return the next days with their grids, as many as one transaction plans."""
    windows = 0
    while windows < MAX_TOGETHER and (found := next(days, None)):
        grid = _grid_of(*found)
        windows += grid.windows
        yield found, grid


def _grid_of(config: PipelineConfig, day: LocalDay) -> planning.GridDay:
    """Return the day's grid; it has no windows where the calendar skips the day."""
    whole, granularity = day.window, config.window_granularity
    if whole is None:
        nothing = TimeWindow(day.start, day.start + timedelta(microseconds=1))
        return planning.GridDay(config.source_object, day.date, nothing, nothing.duration, 0)
    step = whole.duration if granularity.days else timedelta(seconds=granularity.seconds)
    return planning.GridDay(config.source_object, day.date, whole, step, tile_count(whole, granularity))


def _plan_part(
    part: Sequence[SourceDay], grids: Sequence[planning.GridDay], store: LedgerWindows, actor: Actor, *, dry_run: bool
) -> list[PlanReport]:
    reports = [PlanReport(config.source_object, str(day), dry_run=dry_run) for config, day in part]
    whole = store.days_on_grid(grids)
    for number, (report, grid) in enumerate(zip(reports, grids, strict=True)):
        if number in whole:
            report.expected = report.existing = grid.windows
        if not grid.windows:
            report.note = f"the calendar of {part[number][1].timezone} skips this day"
    open_days = [number for number in range(len(part)) if number not in whole]
    if not open_days:
        return reports
    spans: dict[str, list[TimeWindow]] = {}
    for number in open_days:
        spans.setdefault(grids[number].source_object, []).append(grids[number].window)
    live = store.live_windows_of(spans)
    rows: dict[int, list[Record]] = {}
    for number in open_days:
        config, day = part[number]
        near = [window for window in live[config.source_object] if window.overlaps(grids[number].window)]
        try:
            rows[number] = _missing_rows(config, day, near, reports[number])
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001 - a pipeline's own function may raise anything
            reports[number] = failed_report(config, day, error, dry_run=dry_run)
    if not dry_run:
        _insert(part, rows, reports, store, actor)
    for report in reports:
        if report.inserted and not dry_run:
            _log.info("%s %s: %d windows planned", report.source_object, report.day, report.inserted)
    return reports


def _missing_rows(
    config: PipelineConfig, day: LocalDay, live: Sequence[TimeWindow], report: PlanReport
) -> list[Record]:
    """Return the rows that the day lacks, and write the figures into its report."""
    if day.window is None:
        return []
    own = own_granularity(day, live, config.window_granularity)
    plan = planning.plan_day(day, config.window_granularity, live, own)
    maker = planning.RowMaker(config.final_config(), deriving)
    rows = [maker.row(window) for window in plan.missing]
    report.expected, report.existing, report.conflicting = map(len, (plan.expected, plan.existing, plan.conflicting))
    report.inserted = len(rows)
    if report.dry_run:
        report.windows = [window.local_label(config.timezone) for window in plan.missing]
    if plan.conflicting:
        report.note = f"rows of another granularity cover part of the day; the rest is filled with {own}"
    return rows


def _insert(
    part: Sequence[SourceDay],
    rows: dict[int, list[Record]],
    reports: list[PlanReport],
    store: LedgerWindows,
    actor: Actor,
) -> None:
    """Insert the rows of all days at once; when the ledger refuses them, each day alone, so that only its own fails."""
    numbers = [number for number, own in rows.items() if own]
    groups = [numbers] if numbers else []
    while groups:
        group = groups.pop()
        try:
            refused = store.plan([row for number in group for row in rows[number]], actor)
        except TransientError:
            raise
        except Exception as error:  # noqa: BLE001 - a value that no ledger can hold, of whatever source
            if len(group) == 1:
                config, day = part[group[0]]
                reports[group[0]] = failed_report(config, day, error, dry_run=False)
            else:
                groups += [[number] for number in group]
            continue
        gone = {(row["source_object"], row["query_window_start_at"]) for row in refused}
        for number in group if gone else ():
            reports[number].inserted -= sum(
                (row["source_object"], row["query_window_start_at"]) in gone for row in rows[number]
            )

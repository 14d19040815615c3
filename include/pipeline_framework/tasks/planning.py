"""Plan windows: a day for every source (requirement 1), and the windows a pipeline run needs before it claims."""

from __future__ import annotations

import logging
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice, takewhile
from typing import Any

from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.config.names import pipeline_named
from include.pipeline_framework.core.continuity.remediation import own_granularity
from include.pipeline_framework.core.records import planning
from include.pipeline_framework.core.records.row import Actor, Status, window_of
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.time import inclusive_ends, zone_rules
from include.pipeline_framework.core.time.days import LocalDay, local_day_of
from include.pipeline_framework.core.time.windows import TimeWindow, uncovered
from include.pipeline_framework.errors import (
    ConfigurationError,
    IllegalTransitionError,
    InvalidInputError,
    TerminalError,
    TransientError,
)
from include.pipeline_framework.ports.ledger import LedgerWindows
from include.pipeline_framework.tasks import replacing, state_manager, zone_changes
from include.pipeline_framework.tasks.missing_days import MissingDays, missing_days
from include.pipeline_framework.tasks.observing import log_execution
from include.pipeline_framework.tasks.placing import place, told
from include.pipeline_framework.tasks.plan_outcomes import PlanReport, question_of_first_plan
from include.pipeline_framework.tasks.planning_days import failed_report, plan_days
from include.pipeline_framework.tasks.zone_changes import ZoneState

_log = logging.getLogger(__name__)


def plan_sources(
    configs: Iterable[PipelineConfig],
    store: LedgerWindows,
    actor: Actor,
    *,
    now: datetime,
    target_date: date | None = None,
    dry_run: bool = False,
    allow_future: bool = False,
    yes: bool = False,
) -> list[PlanReport]:
    """Plan one day (`target_date`) for every source, or without it the days that a scheduled run plans.

    A scheduled run first plans again the planned days from today on whose time zone rules changed (`zone_changes`).
    Then it plans each source's local today and tomorrow and, with `fill_missing_days`, days without any row since its
    `start_date`: as many whole days as `state_manager_window_limit` windows allow, the newest first; a note says how
    many are left. A day outside a source's horizon is skipped and reported with the reason. A day that can't be planned
    (a function of the source's own raised, or newer time zone rules give it other bounds) is reported as failed, in a
    dry run as well; all others are planned. A first plan of many windows fails too, unless `yes` was given.

    Raises:
        InvalidInputError: `target_date` is after some source's local tomorrow, and `allow_future` was not given;
            nothing was planned.
        TransientError: The ledger did not answer.
    """
    asked = list(configs)
    _log.info("time zone rules %s, from the package tzdata", zone_rules.version())
    if target_date and not allow_future:
        for config in asked:
            _require_not_future(config, LocalDay(target_date, config.timezone), now)
    zones = zone_changes.look_at_all(asked, store, now)
    missing = {} if target_date else missing_days(asked, store, now)
    plans = [
        _prepared(
            config,
            store,
            actor,
            zones[config.source_object],
            missing.get(config.source_object, MissingDays()),
            now=now,
            target_date=target_date,
            dry_run=dry_run,
            yes=yes,
        )
        for config in asked
    ]
    days = [(plan.config, day) for plan in plans for day in plan.days]
    planned = iter(plan_days(days, store, actor, dry_run=dry_run))
    return [report for plan in plans for report in (*plan.first, *(next(planned) for _ in plan.days), *plan.last)]


@dataclass(slots=True)
class _SourcePlan:
    """The days of a source that are planned together with those of all others; reports that come before and after."""

    config: PipelineConfig
    first: list[PlanReport] = field(default_factory=list)
    days: list[LocalDay] = field(default_factory=list)
    last: list[PlanReport] = field(default_factory=list)


def _prepared(
    config: PipelineConfig,
    store: LedgerWindows,
    actor: Actor,
    zones: ZoneState,
    missing: MissingDays,
    *,
    now: datetime,
    target_date: date | None,
    dry_run: bool,
    yes: bool,
) -> _SourcePlan:
    days = [LocalDay(target_date, config.timezone)] if target_date else _near_days(config, now)
    days = sorted([*days, *missing.days])
    if not yes and (question := question_of_first_plan(config, store, days)):
        note, failed = (question, "") if dry_run else ("", question)
        return _SourcePlan(
            config, [PlanReport(config.source_object, str(days[0]), dry_run=dry_run, note=note, failed=failed)]
        )
    plan = _SourcePlan(config)
    plan.first = [] if target_date else _plan_anew(config, store, actor, zones, now=now, dry_run=dry_run)
    for report in plan.first:
        if report.day in map(str, days):  # such a day has a line of its own below
            report.expected = report.existing = report.conflicting = 0
    for day in days:
        refusal, held = config.horizon.refusal(day), zones.held.get(day.date, "")
        if refusal or held:
            note, failed = (refusal, "") if refusal else ("", held)
            reports = plan.last if plan.days else plan.first
            reports.append(PlanReport(config.source_object, str(day), dry_run=dry_run, note=note, failed=failed))
        else:
            plan.days.append(day)
    if missing.note:
        plan.last.append(PlanReport(config.source_object, str(missing.first), dry_run=dry_run, note=missing.note))
    return plan


def _require_not_future(config: PipelineConfig, day: LocalDay, now: datetime) -> None:
    if day.window and not config.horizon.refusal(day):
        config.horizon.require_not_future(day.window, now, config.source_object)


def _plan_anew(
    config: PipelineConfig,
    store: LedgerWindows,
    actor: Actor,
    zones: ZoneState,
    *,
    now: datetime,
    dry_run: bool,
) -> list[PlanReport]:
    try:
        return zone_changes.replan_changed_days(config, store, actor, zones, now=now, dry_run=dry_run)
    except TransientError:
        raise
    except Exception as error:  # noqa: BLE001 - a pipeline's own function may raise anything
        return [failed_report(config, local_day_of(now, config.timezone), error, dry_run=dry_run)]


@log_execution("day planned", source_object="config.source_object", target_day="day", dry_run="dry_run")
def plan_day(
    config: PipelineConfig,
    day: LocalDay,
    store: LedgerWindows,
    actor: Actor,
    *,
    dry_run: bool = False,
    left: list[str] | None = None,
) -> PlanReport:
    """Insert the windows that a day lacks; a second call inserts nothing. For `left` see `insert_windows`."""
    report = PlanReport(config.source_object, str(day), dry_run=dry_run)
    if day.window is None:
        report.note = f"the calendar of {day.timezone} skips this day"
        return report
    live = store.live_windows(config.source_object, day.window)
    own = own_granularity(day, live, config.window_granularity)
    plan = planning.plan_day(day, config.window_granularity, live, own)
    report.expected, report.existing, report.conflicting = map(len, (plan.expected, plan.existing, plan.conflicting))
    inserted = insert_windows(config, plan.missing, store, actor, dry_run=dry_run, left=left)
    report.inserted, report.windows = len(inserted), [window.local_label(config.timezone) for window in inserted]
    if plan.conflicting:
        report.note = f"rows of another granularity cover part of the day; the rest is filled with {own}"
    return report


def insert_windows(
    config: PipelineConfig,
    windows: Sequence[TimeWindow],
    store: LedgerWindows,
    actor: Actor,
    *,
    dry_run: bool = False,
    left: list[str] | None = None,
) -> list[TimeWindow]:
    """Insert rows for windows that no live row covers; return those inserted (in a dry run, those that would be).

    A window that the pipeline's own functions refuse is an error, also in a dry run; with a list `left`, a text in it.
    """
    if left is None:
        maker = planning.RowMaker(config.final_config(), deriving)
        rows = [maker.row(window) for window in windows]
    else:
        placed = place(config, windows)
        rows, left[len(left) :] = placed.rows, placed.left
    if dry_run or not rows:
        return [window_of(row) for row in rows]
    inserted = store.insert_planned(rows, actor).inserted
    return [row.window for row in inserted]


@log_execution("windows planned for a run", source_object="config.source_object", dry_run="dry_run")
def populate_pipeline_batches(
    config: PipelineConfig, store: LedgerWindows, actor: Actor, request: RunRequest, *, dry_run: bool = False
) -> dict[str, Any]:
    """Make sure that the windows a run may claim exist: the first task of every pipeline run.

    With ranges, every missing window inside them is planned, and finished and FAILED ones are replaced when asked for;
    exact windows that cut live ones then replace those, whatever their status. Without ranges, days whose time zone
    rules changed are planned again, `fill_missing_days` plans today and tomorrow (without that setting only the planner
    plans new days), and the ledger's state is repaired as far as that harms nothing and is not too much at once
    (`state_manager.repair`).

    Returns:
        `inserted`, `replaced` (windows as local text), `finished` (how many windows of the ranges are done already) and
        `hints` (an end that looks inclusive); without ranges also `invalidated` (ids), `reported` (what only a person
        or the state manager may do, and what could not be placed) and `note`.

    Raises:
        InvalidInputError: A range reaches beyond local tomorrow without `allow_future`; an exact window cuts a live
            window, and replacing was not asked for, or would leave a part of that window without any.
        WindowHeldError: A window to replace is being moved.
        LedgerRefusedError: A day was planned with newer time zone rules, which give it other bounds.
    """
    dry_run = dry_run or request.dry_run or actor.is_temporary
    if request.ranges is None:
        return _populate_due(config, store, actor, dry_run=dry_run)
    request.require_not_future(config.horizon, store.now(), config.source_object)
    wanted = list(request.exact) if request.exact else _grid_inside(config, store, request.ranges)
    live, recut = _recut(config, store, actor, request, wanted, dry_run=dry_run)
    missing = [piece for window, rows in live.items() if window not in recut for piece in uncovered(window, rows)]
    inserted = insert_windows(config, missing, store, actor, dry_run=dry_run)
    rows = store.find(source_object=config.source_object, within=request.ranges)
    uncut = [row for row in rows if not any(row.window.overlaps(window) for window in recut)]
    finished = [row for row in uncut if row.is_finished]
    failed = [row for row in uncut if row.pipeline_final_status == Status.FAILED]
    replaced = (
        replacing.replace(config, [*finished, *failed], store, actor, request, dry_run=dry_run)
        if request.replace
        else []
    )
    return {
        "inserted": _labels(config, inserted),
        "replaced": [*_labels(config, recut), *replaced],
        "finished": 0 if request.replace else len(finished),
        "hints": list(request.hints),
        "dry_run": dry_run,
    }


def _populate_due(config: PipelineConfig, store: LedgerWindows, actor: Actor, *, dry_run: bool) -> dict[str, Any]:
    now = store.now()
    zones = zone_changes.look(config, store, now)
    anew = _plan_anew(config, store, actor, zones, now=now, dry_run=dry_run)
    planned = [label for report in anew for label in report.windows]
    left = [f"{report.day}: {report.failed or report.note}" for report in anew]
    if config.horizon.fill_missing_days:
        days = [day for day in _near_days(config, now) if not config.horizon.refusal(day)]
        if question := question_of_first_plan(config, store, days):
            # left to the planner: after a repair of a part of it, it would no longer be a first plan
            asked = {"reported": [f"daily_planner: {question}"], "note": "no row yet"}
            return {"inserted": [], "invalidated": [], **asked, "replaced": [], "finished": 0, "dry_run": dry_run}
        for day in (day for day in days if day.date not in zones.held):
            try:
                planned += plan_day(config, day, store, actor, dry_run=dry_run, left=left).windows
            except TerminalError as error:  # whatever a row says, the planned windows continue
                left.append(told(config, f"{day} is not planned", error))
    repaired = state_manager.repair(config, store, actor, dry_run=dry_run)
    return {
        **repaired,
        "inserted": [*planned, *_labels(config, repaired["inserted"])],
        "reported": [*left, *repaired["reported"]],
        "replaced": [],
        "finished": 0,
        "dry_run": dry_run,
    }


def select_pipelines(
    configs: dict[str, PipelineConfig], errors: dict[str, ConfigurationError], wanted: Sequence[str] | None
) -> list[PipelineConfig]:
    """Return all good pipelines, or the named ones, each once; a name is an id, a source object or a DAG's id.

    Raises:
        ConfigurationError: A named pipeline's file is broken.
        InvalidInputError: There is no such pipeline.
    """
    if not wanted:
        return [configs[name] for name in sorted(configs)]
    for name in wanted:
        if name in errors:
            raise errors[name]
    found = [configs.get(name) or pipeline_named(name, configs, errors) for name in wanted]
    return list({config.pipeline_id: config for config in found}.values())


def _near_days(config: PipelineConfig, now: datetime) -> list[LocalDay]:
    """Return local today and tomorrow."""
    today = local_day_of(now, config.timezone)
    return [today, today.next()]


def _recut(
    config: PipelineConfig,
    store: LedgerWindows,
    actor: Actor,
    request: RunRequest,
    wanted: Sequence[TimeWindow],
    *,
    dry_run: bool,
) -> tuple[dict[TimeWindow, list[TimeWindow]], list[TimeWindow]]:
    """Return the live windows of each wanted one, and the exact ones that have replaced windows which they cut.

    Windows that others replace between the reading and the replacing are read again.
    """
    for is_last in (False, False, True):
        live = _live(config, store, wanted)
        if request.exact:
            _require_whole_windows(config, live, request)
        if not (request.exact and request.replace):
            break
        try:
            return live, replacing.recut(config, live, store, actor, request.reason, dry_run=dry_run)
        except IllegalTransitionError as refused:
            if is_last:
                raise
            _log.warning("%s: the windows have changed meanwhile, looking again: %s", config.source_object, refused)
    return live, []


def _live(
    config: PipelineConfig, store: LedgerWindows, wanted: Sequence[TimeWindow]
) -> dict[TimeWindow, list[TimeWindow]]:
    """Return the live windows that each window overlaps, in order; one statement reads them all."""
    found = store.live_windows_of({config.source_object: wanted})[config.source_object] if wanted else []
    ends = [window.end for window in found]  # live windows never overlap: their ends are in order, too
    return {
        window: list(takewhile(window.overlaps, islice(found, bisect_right(ends, window.start), None)))
        for window in wanted
    }


def _require_whole_windows(
    config: PipelineConfig, live: dict[TimeWindow, list[TimeWindow]], request: RunRequest
) -> None:
    """Refuse to cut a live window unless the asked windows replace all of it."""
    for window, rows in live.items():
        for row in rows:
            rest = uncovered(row, live) if request.replace else []
            if rest or not (request.replace or (window.start <= row.start and row.end <= window.end)):
                told = inclusive_ends.hint(window)
                raise InvalidInputError(
                    f"the asked window {window} cuts the live window {row}",
                    where=config.source_object,
                    meaning="Nothing was planned, replaced or claimed" + (f"; {told}" if told else ""),
                    remedy=(
                        f"Ask for the rest of it, too: {', '.join(map(str, rest))}."
                        if rest
                        else 'Ask for that window as a whole, for a range that contains it, or add "replace": true.'
                    ),
                )


def _grid_inside(config: PipelineConfig, store: LedgerWindows, ranges: Sequence[TimeWindow]) -> list[TimeWindow]:
    """Return windows of each day's own grid that lie wholly inside one of the ranges and inside the horizon."""
    grid: list[TimeWindow] = []
    days = {part: config.horizon.days(part) for part in ranges}
    zone_changes.require_plannable(config, store, store.now(), (day for some in days.values() for day in some))
    live = _live(config, store, [day.window for inside in days.values() for day in inside if day.window])
    for part, inside in days.items():
        for day in inside:
            whole = day.window
            if whole is None:
                continue
            own = own_granularity(day, live[whole], config.window_granularity)
            grid += planning.pieces_inside(part, whole, own, config.window_granularity)
    return grid


def _labels(config: PipelineConfig, windows: Sequence[TimeWindow]) -> list[str]:
    return [window.local_label(config.timezone) for window in windows]

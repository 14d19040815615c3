"""Handle processes with different time zone rules, and days whose rules have changed since they were planned.

A row has the version that it was planned with. A process with older rules never plans again what newer rules have
planned: it skips the days that differ, says so, and plans the others. One with newer rules plans the changed days
again, from today on.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.continuity import zone_changes as changes
from include.pipeline_framework.core.continuity.zone_changes import DayStamp, PlannedRow, Replan, ReplanScope
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.planning import DayPlan, planned_row
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.time import zone_rules
from include.pipeline_framework.core.time.days import LocalDay, local_day_of
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.errors import LedgerRefusedError
from include.pipeline_framework.ports.ledger import LedgerReads, LedgerWindows, Record
from include.pipeline_framework.tasks.plan_outcomes import PlanReport

_log = logging.getLogger(__name__)

_NEAR_PAST = timedelta(days=9)
_BESIDE = timedelta(days=2)
_KEPT = ("priority", "campaign_id", "removable_count", "is_removal_approved_flag")
_REMEDY = "install the packages of constraints.txt, tzdata among them, wherever Airflow and its workers run"


@dataclass(frozen=True, slots=True)
class ZoneState:
    """The rules with which a source's days of the near past and the future were planned.

    Attributes:
        stamps: The stamps of other rules than this process has, by day and version.
        held: The days that this process must not plan, each with the reason.
    """

    stamps: Sequence[DayStamp]
    held: Mapping[date, str]

    @property
    def is_newest(self) -> bool:
        """True when no row was planned with newer rules than this process has."""
        return (changes.newest(self.stamps) or "") <= zone_rules.version()


@dataclass(frozen=True, slots=True)
class HeldTime:
    """Time of a source that no repair may touch.

    Attributes:
        texts: The reasons, one for each day.
        spans: The days, and all time that their rows reach.
    """

    texts: tuple[str, ...]
    spans: tuple[TimeWindow, ...]


def look(config: PipelineConfig, store: LedgerReads, now: datetime) -> ZoneState:
    """Read a source's stamps with one statement; differences from this process's rules are logged as warnings."""
    return look_at_all([config], store, now)[config.source_object]


def look_at_all(configs: Sequence[PipelineConfig], store: LedgerReads, now: datetime) -> dict[str, ZoneState]:
    """Do as `look` for several sources, with one statement for all; the result is by source object."""
    found = _stamps(configs, store, now)
    states = {}
    for config in configs:
        stamps = found[config.source_object]
        for text in _mismatches(config.source_object, stamps):
            _log.warning("%s", text)
        states[config.source_object] = ZoneState(stamps, _held(config, stamps))
    return states


def held_time(configs: Sequence[PipelineConfig], store: LedgerReads, now: datetime) -> dict[str, HeldTime]:
    """Return for each source object, with one statement for all, the time that no repair may touch.

    These are the days of `ZoneState.held`, and from today on those that will be planned again as a whole.
    """
    found = _stamps(configs, store, now)
    held = {}
    for config in configs:
        stamps, today = found[config.source_object], local_day_of(now, config.timezone).date
        waiting = {
            day: f"{day} waits until it is planned anew: {what}"
            for day, what in _changed(config, ZoneState(stamps, {})).items()
            if day >= today
        }
        held[config.source_object] = _held_time(config, stamps, {**_held(config, stamps), **waiting})
    return held


def _stamps(configs: Sequence[PipelineConfig], store: LedgerReads, now: datetime) -> dict[str, list[DayStamp]]:
    zones = {config.source_object: config.timezone for config in configs}
    return store.zone_stamps(zones, now - _NEAR_PAST, zone_rules.version())


def require_plannable(config: PipelineConfig, store: LedgerReads, now: datetime, days: Iterable[LocalDay]) -> None:
    """Refuse days that a person asks for and that this process would plan with rules that are too old.

    Raises:
        LedgerRefusedError: The message names the days.
    """
    held = look(config, store, now).held
    if wrong := [held[day.date] for day in days if day.date in held]:
        raise LedgerRefusedError(
            "; ".join(wrong[:3]) + (" and more" if len(wrong) > 3 else ""),
            where=config.source_object,
            meaning="Nothing was planned",
            remedy=f"{_REMEDY.capitalize()}, then try again; exact windows can be asked for at any time.",
        )


def warn_of_claimed(source_object: str, rows: Iterable[LedgerRow]) -> None:
    """Log which claimed rows were planned with other rules than this process has; it needs no statement."""
    stamps = [
        DayStamp(row.target_day, row.zone_rules, row.query_window_start_at, row.query_window_end_at, 1) for row in rows
    ]
    for text in _mismatches(source_object, stamps):
        _log.warning("%s", text)


def replan_changed_days(
    config: PipelineConfig, store: LedgerWindows, actor: Actor, state: ZoneState, *, now: datetime, dry_run: bool
) -> list[PlanReport]:
    """Replace PENDING windows of days whose bounds have changed, from today on; each stretch in one transaction.

    A process whose rules are not the newest does nothing, nor does any while another run repairs the source. Windows
    that are taken in the meantime stay, and are reported.
    """
    changed = _changed(config, state)
    if not changed:
        return []
    with store.source_lock(config.source_object) as is_locked:
        if not is_locked:
            note = "its time zone rules changed; another run repairs this source right now: the next run plans it anew"
            return [PlanReport(config.source_object, str(min(changed)), dry_run=dry_run, note=note)]
        return _replan(config, store, actor, changed, now=now, dry_run=dry_run)


def _replan(
    config: PipelineConfig,
    store: LedgerWindows,
    actor: Actor,
    changed: Mapping[date, str],
    *,
    now: datetime,
    dry_run: bool,
) -> list[PlanReport]:
    records = _records_around(config, store, changed)
    rows = [PlannedRow.of(record) for record in records.values()]
    today = local_day_of(now, config.timezone)
    scope = ReplanScope(
        config.timezone, config.window_granularity, zone_rules.version(), today.start, config.horizon.refusal
    )
    kept = changes.left_as_they_are(changed, rows, scope)
    reports = [
        PlanReport(config.source_object, str(day), dry_run=dry_run, note=f"{changed[day]}: {text}")
        for day, text in kept.items()
    ]
    for found in changes.replan(changed, rows, scope):
        new = [_row(config, window, found, records) for window in found.windows]
        refused = "" if dry_run else _replace(store, actor, found, new)
        reports += _reports(config, found, refused, dry_run=dry_run)
    for report in reports:
        _log.warning("%s %s: %s", report.source_object, report.day, report.note)
    return reports


def _records_around(config: PipelineConfig, store: LedgerReads, changed: Mapping[date, str]) -> dict[int, LedgerRow]:
    """Return live rows of these days and the days beside them, by id; a day may have moved by as much as a day."""
    first, last = (LocalDay(day, config.timezone) for day in (min(changed), max(changed)))
    around = TimeWindow(first.start - _BESIDE, last.end + _BESIDE)
    found = store.find(source_object=config.source_object, within=[around])
    return {row.id: row for row in found}


def _row(config: PipelineConfig, window: TimeWindow, found: Replan, records: Mapping[int, LedgerRow]) -> Record:
    """Return a row that is claimed like the one whose time it takes: by the same campaign, with the same priority."""
    row = planned_row(config.final_config(), window, deriving)
    before = next((records[old.id] for old in found.rows if old.window.overlaps(window)), None)
    return row if before is None else row | {name: getattr(before, name) for name in _KEPT}


def _replace(store: LedgerWindows, actor: Actor, found: Replan, new: Sequence[Record]) -> str:
    """Replace the rows; return why nothing was done, or an empty text when it was."""
    try:
        store.replace([row.id for row in found.rows], new, actor, found.reason, only_pending=True)
    except LedgerRefusedError as error:
        return f"not done, the next run tries it again: {error}"
    return ""


def _reports(config: PipelineConfig, found: Replan, refused: str, *, dry_run: bool) -> list[PlanReport]:
    """Return a report of each day that gets windows; the first says how many rows gave way."""
    days: dict[str, DayPlan | None] = {str(plan.day): plan for plan in found.plans}
    days = days or {str(found.rows[0].day): None}
    reports = []
    for number, (day, plan) in enumerate(days.items()):
        labels = [window.local_label(config.timezone) for window in plan.missing] if plan and not refused else []
        made_way = f"{len(found.rows)} PENDING windows {'would make' if dry_run else 'made'} way"
        note = refused or (made_way if number == 0 else "as above")
        report = PlanReport(config.source_object, day, dry_run=dry_run, note=f"{found.reason}: {note}", windows=labels)
        if plan:
            counts = map(len, (plan.expected, plan.existing, labels, plan.conflicting))
            report.expected, report.existing, report.inserted, report.conflicting = counts
        reports.append(report)
    return reports


def _held_time(config: PipelineConfig, stamps: Sequence[DayStamp], held: Mapping[date, str]) -> HeldTime:
    own = [whole for day in held if (whole := LocalDay(day, config.timezone).window)]
    rows = [TimeWindow(stamp.start, stamp.end) for stamp in stamps if stamp.day in held]
    return HeldTime(tuple(held.values()), (*own, *rows))


def _changed(config: PipelineConfig, state: ZoneState) -> dict[date, str]:
    """Return days whose rows show other bounds than the rules of this process, if those are the newest."""
    stale = [stamp for stamp in state.stamps if stamp.zone_rules != zone_rules.version()]
    return changes.changed_days(stale, config.timezone) if state.is_newest else {}


def _held(config: PipelineConfig, stamps: Sequence[DayStamp]) -> dict[date, str]:
    own, held = zone_rules.version(), changes.held_days(stamps, config.timezone, zone_rules.version())
    why = f"left to a process with the zone rules {changes.newest(stamps)}, this one has {own}"
    return {day: f"{day} is {why}, where {what}" for day, what in held.items()}


def _mismatches(source_object: str, stamps: Iterable[DayStamp]) -> list[str]:
    """Return one text for each version that is not this process's: what, where, and what to do."""
    own, found = zone_rules.version(), dict[str, list[DayStamp]]()
    for stamp in stamps:
        if stamp.zone_rules not in (None, own):
            found.setdefault(str(stamp.zone_rules), []).append(stamp)
    return [_mismatch(source_object, version, own, found[version]) for version in sorted(found)]


def _mismatch(source_object: str, version: str, own: str, stamps: Sequence[DayStamp]) -> str:
    first, last = min(stamp.day for stamp in stamps), max(stamp.day for stamp in stamps)
    what = (
        f"{source_object}: {sum(stamp.rows for stamp in stamps)} windows of {first} to {last} were planned with the "
        f"time zone rules {version}, this process has {own}"
    )
    if version > own:
        return f"{what}, older ones: it leaves the days that differ to others; {_REMEDY}"
    return (
        f"{what}, newer ones: daily_planner plans the days that differ anew, from today on. If such windows go on "
        f"being planned, some process is behind; {_REMEDY}"
    )

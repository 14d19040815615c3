"""Do the revisits: compare closed windows with their source again, and replace those that have changed.

The pipeline's own next run loads the replacements, and its audit shows that both ends are equal.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from include.pipeline_framework.config.derived import deriving
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.proof.empty_windows import neighbours_of, unexpectedly_empty
from include.pipeline_framework.core.proof.fingerprints import Fingerprint
from include.pipeline_framework.core.proof.vanishing import lost_parts
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.planning import planned_row
from include.pipeline_framework.core.records.row import FINISHED, Actor
from include.pipeline_framework.core.records.run_requests import RunRequest
from include.pipeline_framework.core.records.validation import stable_until
from include.pipeline_framework.core.time.days import LocalDay, local_day_of
from include.pipeline_framework.core.time.windows import TimeWindow, merge
from include.pipeline_framework.core.watching import late_data
from include.pipeline_framework.core.watching.late_data import (
    Arrivals,
    Change,
    Kind,
    Mode,
    Recommendation,
    loaded,
)
from include.pipeline_framework.core.watching.revisit_decisions import Decision, Yes, approval_needed, decide_changes
from include.pipeline_framework.errors import (
    LedgerRefusedError,
    PipelineError,
    ServiceUnavailableError,
    TerminalError,
    TransientError,
)
from include.pipeline_framework.ports.ledger import LifecycleStore
from include.pipeline_framework.tasks.audit_requests import AuditRequest
from include.pipeline_framework.tasks.observing import log_execution
from include.pipeline_framework.tasks.pipeline import Pipeline

_log = logging.getLogger(__name__)

GIVE_UP_AFTER = 3
"""Stop after this many consecutive days for which a system did not answer; asking for all would take hours."""

KNOWN_DAYS = 90
"""The number of days whose revisits a recommendation is based on."""


@dataclass(slots=True)
class AuditReport:
    """The findings and changes of one source's revisits.

    Attributes:
        days, windows: The numbers of days and windows that were compared.
        changed: Windows that differ, by kind.
        replaced: Windows that got a replacement, or would get one in a dry run.
        emptied: Windows whose source holds nothing any more: they wait for a person.
        held: All windows that wait for a person, including the emptied ones.
        held_rows: Loaded rows that are at risk in held windows.
        kept: Windows that keep their rows because a person said so.
        other_parts: Unchanged windows that were loaded from an index or table that no longer exists.
        unexpectedly_empty: Empty windows whose neighbours all have rows; see `core.empty_windows`.
        settled: Windows that were marked for a revisit and are equal now.
        unknown: Windows that the ledger has no counts of; they can't be compared.
        not_by_id: Windows with quarantined documents, of which mode `fingerprint` could compare only the counts.
        moved_on: Windows that were replaced by others in the meantime.
        note: Why nothing was compared, if so.
        recommendation: The recommendation about `x_time_back`.
    """

    source_object: str
    mode: str
    dry_run: bool
    days: int = 0
    windows: int = 0
    changed: Counter[str] = field(default_factory=Counter)
    replaced: int = 0
    emptied: int = 0
    held: int = 0
    held_rows: int = 0
    kept: int = 0
    other_parts: int = 0
    unexpectedly_empty: int = 0
    settled: int = 0
    unknown: int = 0
    not_by_id: int = 0
    moved_on: int = 0
    note: str = ""
    recommendation: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Return small JSON for XCom."""
        return {name: getattr(self, name) for name in self.__slots__} | {"changed": dict(sorted(self.changed.items()))}


@log_execution("audited again", pipeline="pipeline.config.pipeline_id")
def audit_windows(pipeline: Pipeline, actor: Actor, request: AuditRequest) -> AuditReport:
    """Compare closed windows with their source and replace those that have changed; safe to repeat.

    A revisit ends with source and target equal, so the tolerance of the audit does not apply: every window that differs
    is replaced. But a person decides about replacements that would delete loaded rows beyond `vanished_data_limit`, and
    about rows that the target has lost; see `core.revisit_decisions`.

    Raises:
        TransientError: Some days could not be compared now; all others were compared and their changes replaced.
        TerminalError: The same, for days that can't be compared later either.
        ApprovalNeededError: Windows wait for a person; everything else was done. It is not raised in a dry run.
    """
    config, store = pipeline.config, pipeline.store
    dry_run = request.run.dry_run or actor.is_temporary
    report = AuditReport(config.source_object, request.mode.value, dry_run)
    # a lock of its own beside that of repairs: they are short and frequent, and rows protect themselves
    with store.source_lock(f"{config.source_object} audit") as is_mine:
        if not is_mine:
            report.note = "another audit of this source is running; nothing was compared"
            return report
        now = store.now()
        parts = _parts(config, store, request.run, now)
        revisits = _Revisits(pipeline, actor, request, report, now)
        failed = revisits.carry_out(parts)
    report.recommendation = advise(config, store, now)[1].text
    if failed:
        raise _incomplete(config, failed, len(parts))
    if revisits.held and not dry_run:
        _log.info("%s", report.as_dict())
        raise approval_needed(revisits.held, config.pipeline_id, config.source_object, config.timezone)
    return report


def days_due(config: PipelineConfig, store: LifecycleStore, now: datetime) -> list[LocalDay]:
    """Return local days inside the horizon that `revisit_days` names and no run has revisited, and days with marked
    windows that have rested for `x_time_back`; oldest first.
    """
    today = local_day_of(now, config.timezone).date
    since = now - timedelta(days=max(config.revisit_days, default=0) + late_data.CATCH_UP_DAYS + 1)
    after: dict[date, int] = {}
    for revisit in store.revisits(config.source_object, since):
        after[revisit["target_day"]] = max(after.get(revisit["target_day"], 0), revisit["days_after"])
    settled = stable_until(now, config.x_time_back, config.timezone)
    marked = store.revisit_due(config.source_object, settled)
    days = {LocalDay(day, config.timezone) for day in late_data.due_days(today, config.revisit_days, after)}
    days |= {local_day_of(row.query_window_start_at, config.timezone) for row in marked}
    return sorted(day for day in days if day.window and not config.horizon.refusal(day))


def advise(
    config: PipelineConfig, store: LifecycleStore, now: datetime, *, known_days: int = KNOWN_DAYS
) -> tuple[Arrivals, Recommendation]:
    """Return how late rows of a source come, and the settle delay that follows, from recorded revisits alone."""
    found = late_data.arrivals(store.revisits(config.source_object, now - timedelta(days=known_days)))
    return found, late_data.recommend(found, config.x_time_back, config.settle, config.late_share_percent)


def _parts(config: PipelineConfig, store: LifecycleStore, run: RunRequest, now: datetime) -> list[TimeWindow]:
    """Return the days to look at, or the parts of them that a range covers."""
    if run.ranges is None:
        return [day.window for day in days_due(config, store, now) if day.window]
    return [
        TimeWindow(max(part.start, day.start), min(part.end, day.end))
        for part in run.ranges
        for day in config.horizon.days(part)
    ]


@dataclass(slots=True)
class _Revisits:
    pipeline: Pipeline
    actor: Actor
    request: AuditRequest
    report: AuditReport
    now: datetime
    compared_at: dict[date, datetime] = field(default_factory=dict)
    held: list[Decision] = field(default_factory=list)
    yes: Yes = field(init=False)
    parts: Mapping[str, str] | None = None

    def __post_init__(self) -> None:
        request = self.request
        self.yes = Yes(request.accept_vanished, request.replace_emptied, request.reload_target)

    def carry_out(self, parts: Sequence[TimeWindow]) -> dict[str, PipelineError]:
        """Compare day by day; return the days that could not be compared, with their errors."""
        failed: dict[str, PipelineError] = {}
        in_a_row = 0
        for revisit in self.pipeline.store.revisits(self.report.source_object, self.now - timedelta(days=KNOWN_DAYS)):
            self.compared_at[revisit["target_day"]] = revisit["revisited_at"]
        for part in parts:
            day = local_day_of(part.start, self.pipeline.config.timezone)
            rows = self._closed(part)
            if not rows:
                continue
            if in_a_row == GIVE_UP_AFTER:
                failed[str(day)] = ServiceUnavailableError("not asked for any more")
                continue
            try:
                changes, source_rows = self._compare(rows)
            except PipelineError as error:  # of source or target: the ledger is not asked in there
                failed[str(day)] = error
                in_a_row = in_a_row + 1 if isinstance(error, ServiceUnavailableError) else 0
                _log.warning("%s %s could not be compared: %s", self.report.source_object, day, error)
                continue
            in_a_row = 0
            self.report.days += 1
            self.report.windows += len(rows)
            self._settle(day if part == day.window else None, rows, changes, source_rows)
        return failed

    def _closed(self, part: TimeWindow) -> list[LedgerRow]:
        store, source_object = self.pipeline.store, self.report.source_object
        rows = store.find(source_object=source_object, within=[part], statuses=sorted(FINISHED))
        known = [row for row in rows if loaded(row).source_rows is not None]
        self.report.unknown += len(rows) - len(known)
        return list(known)

    def _compare(self, rows: Sequence[LedgerRow]) -> tuple[list[Change], dict[int, int]]:
        """Ask one histogram for all windows of a day, then, if wanted, the ids of those whose count is the same."""
        source, windows = self.pipeline.source, [row.window for row in rows]
        counts = source.histogram(TimeWindow(windows[0].start, windows[-1].end), windows)
        if self.parts is None:
            self.parts = source.parts()
        source_rows = {row.id: count.rows for row, count in zip(rows, counts, strict=True)}
        ids: dict[int, Fingerprint] = {}
        if self.request.mode is Mode.FINGERPRINT:
            same = [row for row in rows if source_rows[row.id] == loaded(row).source_rows]
            by_id = [row for row in same if loaded(row).source_fingerprint is not None]
            self.report.not_by_id += len(same) - len(by_id)
            ids = {row.id: source.fingerprint(row.window) for row in by_id}
        changed = {change.row.id for change in late_data.find_changed(rows, source_rows, ids)}
        target: dict[int, Fingerprint] = {}
        if self.request.check_target:
            for part in late_data.stretches([row for row in rows if row.id not in changed]):
                target |= self._target(part)
        source_rows |= {record_id: fingerprint.rows for record_id, fingerprint in ids.items()}
        return late_data.find_changed(rows, source_rows, ids, target), source_rows

    def _target(self, rows: Sequence[LedgerRow]) -> dict[int, Fingerprint]:
        """Return the fingerprints of the target's windows that differ from the ledger's.

        A stretch without a gap takes one statement; when its sum differs, each half takes one. In mode `fingerprint`
        every window takes one: a sum can't show that two rows have changed places.
        """
        known = [loaded(row).fingerprint for row in rows]
        sums = [fingerprint for fingerprint in known if fingerprint is not None]
        is_one = len(rows) == 1 or (self.request.mode is Mode.COUNT and len(sums) == len(rows))
        if is_one:
            whole = TimeWindow(rows[0].window.start, rows[-1].window.end)
            there = self.pipeline.target.fingerprint(self.report.source_object, whole)
            if len(rows) == 1:
                return {rows[0].id: there}
            if there == sum(sums, Fingerprint()):
                return {}
        middle = len(rows) // 2
        return self._target(rows[:middle]) | self._target(rows[middle:])

    def _settle(
        self, day: LocalDay | None, rows: Sequence[LedgerRow], changes: list[Change], source_rows: dict[int, int]
    ) -> None:
        """Mark, record (a whole day) and replace, in this order: wherever the process ends, a later run finds the
        marked windows again, and the figures are recorded once.
        """
        config, report = self.pipeline.config, self.report
        rows_loaded = sum(loaded(row).source_rows or 0 for row in rows)
        decisions = decide_changes(changes, rows_loaded, config.removable, self.parts or {}, self.yes)
        kept = [one for one in decisions if one.held and self._is_kept(one.change)]
        held = [one for one in decisions if one.held and one not in kept]
        todo = [one for one in decisions if not one.held]
        report.changed.update(change.kind.value for change in changes)
        report.emptied += sum(one.change.has_emptied for one in held)
        report.held += len(held)
        report.held_rows += sum(one.rows for one in held)
        self.held += held
        for one in decisions:
            label = one.change.row.window.local_label(config.timezone)
            does = "would be replaced" if report.dry_run else "replaced"
            if one.held:
                does = "kept as it is loaded" if one in kept else f"left to a person ({one.held})"
            log = _log.warning if one in held else _log.info
            log("%s %s: %s: %s", report.source_object, label, does, one.change.text)
        self._tell_what_is_odd(rows, changes, source_rows)
        if report.dry_run:
            report.replaced += len(todo)
            return
        differing = {change.row.id for change in changes}
        equal = [row for row in rows if row.is_revisit_due_flag and row.id not in differing]
        report.settled += sum(self._mark(row, None) for row in equal)
        report.kept += sum(self._mark(one.change.row, one.change, is_kept=True) for one in kept)
        for one in held:
            if not one.change.row.is_revisit_due_flag:  # the next run asks again, without another event
                self._mark(one.change.row, one.change, why=f"waits for a person: {one.held}")
        todo = [one for one in todo if self._mark(one.change.row, one.change)]
        if day is not None:
            self._record(day, rows, changes, source_rows)
        final_config = config.final_config() if todo else {}
        for one in todo:
            self._replace(one, final_config)

    def _is_kept(self, change: Change) -> bool:
        return self.request.keep_vanished and change.kind is not Kind.TARGET_DIFFERS

    def _tell_what_is_odd(
        self, rows: Sequence[LedgerRow], changes: Sequence[Change], source_rows: dict[int, int]
    ) -> None:
        """Report what needs no repair and may still mean that the source shows less than it holds."""
        report, timezone = self.report, self.pipeline.config.timezone
        changed = {change.row.id for change in changes}
        for row in rows:
            if row.id not in changed and (lost := lost_parts(row.source_parts, self.parts or {})):
                report.other_parts += 1
                label = row.window.local_label(timezone)
                _log.info("%s %s: unchanged, but loaded from %s", report.source_object, label, ", ".join(lost))
        empty = [row.window for row in rows if not loaded(row).source_rows and not source_rows[row.id]]
        if not empty:
            return
        around = [other for window in empty for other in neighbours_of(window, timezone)]
        known = self.pipeline.store.find(
            source_object=report.source_object, within=merge(around), statuses=sorted(FINISHED)
        )
        rows_of = {row.window: count for row in known if (count := loaded(row).source_rows) is not None}
        for found in unexpectedly_empty(empty, rows_of, timezone):
            report.unexpectedly_empty += 1
            _log.warning("%s %s", report.source_object, found.text(timezone))

    def _mark(self, row: LedgerRow, change: Change | None, *, is_kept: bool = False, why: str = "") -> bool:
        why = why or (f"kept: {self.request.reason}" if is_kept else "")
        try:
            self.pipeline.store.change(
                row.id, lambda r, now: late_data.revisited(r, now, change, is_kept=is_kept, why=why), self.actor
            )
        except LedgerRefusedError as error:
            self._note_moved_on(error)
            return False
        return True

    def _record(
        self, day: LocalDay, rows: Sequence[LedgerRow], changes: Sequence[Change], source_rows: dict[int, int]
    ) -> None:
        late = late_data.lags(changes, self.now, self.compared_at.get(day.date))
        gone = [change.was - change.now for change in changes if change.kind is Kind.VANISHED_DATA]
        revisit = {
            "source_object": self.report.source_object,
            "target_day": day.date,
            "days_after": (local_day_of(self.now, day.timezone).date - day.date).days,
            "mode": self.request.mode.value,
            "windows": len(rows),
            "changed": len(changes),
            "rows_before": sum(loaded(row).source_rows or 0 for row in rows),
            "rows_now": sum(source_rows.values()),
            "late_rows": sum(count for _, _, count in late),
            "gone_rows": sum(gone),
            "lags": late,
        }
        self.pipeline.store.note_revisit(revisit, self.actor)

    def _replace(self, decision: Decision, final_config: Mapping[str, Any]) -> None:
        change = decision.change
        row = planned_row(final_config, change.row.window, deriving) | dict(decision.columns)
        reason = "; ".join(text for text in (f"revisited: {change.text}", self.request.reason) if text)
        try:
            self.pipeline.store.replace([change.row.id], [row], self.actor, reason)
        except LedgerRefusedError as error:
            self._note_moved_on(error)
        else:
            self.report.replaced += 1

    def _note_moved_on(self, error: LedgerRefusedError) -> None:
        _log.warning("left alone, somebody has changed it meanwhile: %s", error)
        self.report.moved_on += 1


def _incomplete(config: PipelineConfig, failed: Mapping[str, PipelineError], days: int) -> PipelineError:
    kind = TransientError if any(isinstance(error, TransientError) for error in failed.values()) else TerminalError
    first = next(iter(failed.values()))
    return kind(
        f"{len(failed)} of {days} days could not be compared: {', '.join(failed)}; the first: {first}",
        where=config.source_object,
        meaning="All other days were compared, and what had changed there was replaced",
        remedy="Nothing if it passes: Airflow retries, and the next scheduled run makes up for it. Else: that error's.",
    )

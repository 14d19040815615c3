"""The ledger in memory: the same rules in a dictionary, for tests and for trying a pipeline without Postgres."""

from __future__ import annotations

import copy
import dataclasses
import itertools
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, date, datetime, timedelta
from functools import partial
from statistics import median_low
from typing import Any

from include.pipeline_framework.core.continuity.settled_days import SettledMark
from include.pipeline_framework.core.continuity.state_facts import StateFacts, StateScope
from include.pipeline_framework.core.continuity.zone_changes import DayStamp
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.lifecycle.batching import WindowCost
from include.pipeline_framework.core.lifecycle.campaigns import CampaignState
from include.pipeline_framework.core.lifecycle.claiming import NO_RULES, Cap, ClaimRules, allot
from include.pipeline_framework.core.lifecycle.transitions import Decision, Transition
from include.pipeline_framework.core.records.ledger_row import LedgerRow, RowIdentity
from include.pipeline_framework.core.records.planning import GridDay
from include.pipeline_framework.core.records.row import FINISHED, Actor, Status
from include.pipeline_framework.core.restoring.ledger_identity import LedgerIdentity, SeenIdentity
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow, merge
from include.pipeline_framework.core.watching.completeness import (
    Completeness,
    CompletenessScope,
    StatusCount,
    completeness,
)
from include.pipeline_framework.errors import FenceLostError, InvalidInputError, PipelineError
from include.pipeline_framework.ports.ledger import PlanInsert, Record, RestoredRow
from tests.doubles import table_rules
from tests.doubles.facts_of_rows import gather, stamps_of
from tests.doubles.memory_campaigns import MemoryCampaigns, figures
from tests.doubles.memory_plans import MemoryPlans
from tests.doubles.memory_revisits import MemoryRevisits


class MemoryLifecycleStore:
    """`LifecycleStore` in a dictionary; one lock makes every method one transaction.

    Args:
        clock: Its clock; UTC wall clock when not given.
    """

    def __init__(self, clock: Callable[[], datetime] | None = None) -> None:
        self._clock = clock or (lambda: datetime.now(UTC))  # noqa: TID251 - the double's own "database clock"
        self._rows: dict[int, LedgerRow] = {}
        self._events: list[Record] = []
        self._fence = self._last_id = 0
        self._lock = threading.RLock()
        self._held_names: dict[str, int] = {}
        self._holders = itertools.count(1)
        self._settled: dict[str, list[SettledMark]] = {}
        self._seen: set[int] = set()
        self._campaigns = MemoryCampaigns()
        self._plans = MemoryPlans()
        self._revisits = MemoryRevisits()
        self._defaults = table_rules.column_defaults()

    def close(self) -> None:
        """Nothing is open."""

    def now(self) -> datetime:
        """See `LifecycleStore.now`."""
        return self._clock()

    def insert_planned(self, records: Sequence[Mapping[str, Any]], actor: Actor, reason: str = "") -> PlanInsert:
        """See `LifecycleStore.insert_planned`."""
        planned = Transition("planned", reason=reason)
        new = [{name: value for name, value in record.items() if name != "id"} for record in records]
        return self._insert([(record, planned) for record in new], actor)

    def plan(self, records: Sequence[Mapping[str, Any]], actor: Actor, reason: str = "") -> list[Record]:
        """See `LifecycleStore.plan`."""
        with self._all_or_nothing():
            return self.insert_planned(records, actor, reason).refused

    def days_on_grid(self, days: Sequence[GridDay]) -> set[int]:
        """See `LifecycleStore.days_on_grid`."""
        return {number for number, day in enumerate(days) if self._is_on_grid(day)}

    def _is_on_grid(self, day: GridDay) -> bool:
        rows = [row for row in self._rows.values() if _is_live(row, day.source_object) and row.target_day == day.day]
        grid = {(at := day.window.start + n * day.step): min(at + day.step, day.window.end) for n in range(day.windows)}
        return sum(grid.get(row.query_window_start_at) == row.query_window_end_at for row in rows) == day.windows

    def live_windows_of(self, spans: Mapping[str, Sequence[TimeWindow]]) -> dict[str, list[TimeWindow]]:
        """See `LifecycleStore.live_windows_of`."""
        return {
            name: sorted({window for span in of_source for window in self.live_windows(name, span)})
            for name, of_source in spans.items()
        }

    def live_windows(self, source_object: str, within: TimeWindow) -> list[TimeWindow]:
        """See `LifecycleStore.live_windows`."""
        live = (row.window for row in self._rows.values() if _is_live(row, source_object))
        return sorted(window for window in live if window.overlaps(within))

    def planned_days(self, since: Mapping[str, date | None]) -> dict[str, list[date]]:
        """See `LifecycleStore.planned_days`."""
        return {
            name: sorted(
                {row.target_day for row in self.find(source_object=name) if row.target_day >= (day or date.min)}
            )
            for name, day in since.items()
        }

    def has_windows(self, source_object: str) -> bool:
        """See `LifecycleStore.has_windows`."""
        return any(_is_live(row, source_object) for row in self._rows.values())

    def settled_days(self, source_objects: Sequence[str]) -> dict[str, list[SettledMark]]:
        """See `LifecycleStore.settled_days`: the row that was taken out is the number of its mark."""
        return {
            name: [
                *self._settled.get(name, ()),
                *(mark for row_id, mark in self._unsettled(name) if row_id not in self._seen),
            ]
            for name in source_objects
        }

    def settle_days(self, source_object: str, terms: str, before: date, known: Sequence[SettledMark]) -> None:
        """See `LifecycleStore.settle_days`."""
        kept = [mark for mark in self._settled.get(source_object, ()) if mark not in known]
        self._seen |= {mark.id for mark in known}
        self._settled[source_object] = [*kept, SettledMark(-next(self._holders), before, terms)]

    def _unsettled(self, source_object: str) -> Iterator[tuple[int, SettledMark]]:
        for row in self._rows.values():
            if row.source_object == source_object and row.is_invalidated_flag:
                before = min(row.target_day, row.query_window_start_at.date()) - timedelta(days=2)
                yield row.id, SettledMark(row.id, before, None)

    def recent_cost(self, source_object: str, first_day: date, last_day: date) -> WindowCost | None:
        """See `LifecycleStore.recent_cost`."""
        rows = [
            row
            for row in self._rows.values()
            if _is_live(row, source_object)
            and first_day <= row.target_day <= last_day
            and row.pipeline_final_status == Status.COMPLETED
            and row.source_to_stage_ingestion_end_time
        ]
        if not rows:
            return None
        took = [row.source_to_stage_ingestion_end_time - row.source_to_stage_ingestion_start_time for row in rows]  # type: ignore[operator]
        return WindowCost(
            median_low(row.staged_count or 0 for row in rows), median_low(each.total_seconds() for each in took)
        )

    def completeness(self, scopes: Sequence[CompletenessScope]) -> list[Completeness]:
        """See `LifecycleStore.completeness`."""
        return [self._completeness(scope) for scope in scopes]

    def last_days(self, until: Mapping[str, date]) -> dict[str, date]:
        """See `LifecycleStore.last_days`."""
        days = {name: [row.target_day for row in self.find(source_object=name)] for name in until}
        found = {name: [day for day in of_source if day <= until[name]] for name, of_source in days.items()}
        return {name: max(of_source) for name, of_source in found.items() if of_source}

    def _completeness(self, scope: CompletenessScope) -> Completeness:
        rows = self.find(source_object=scope.source_object)
        counts = [
            StatusCount(
                scope.source_object,
                row.target_day,
                row.pipeline_final_status,
                1,
                int(row.window.end <= scope.settled_at),
                row.window.duration,
            )
            for row in rows
            if scope.first <= row.target_day <= scope.last
        ]
        due = [row for row in rows if row.window.end <= scope.settled_at]
        behind = [row for row in due if row.pipeline_final_status not in FINISHED]
        return completeness(scope, counts, min((row.window.start for row in behind), default=None))

    def zone_stamps(self, zones: Mapping[str, str], since: datetime, own_version: str) -> dict[str, list[DayStamp]]:
        """See `LifecycleStore.zone_stamps`."""
        others = {
            name: [row for row in self.find(source_object=name) if row.zone_rules != own_version] for name in zones
        }
        return {name: stamps_of(rows, zones[name], since) for name, rows in others.items()}

    def source_lock(self, source_object: str) -> AbstractContextManager[bool]:
        """See `LifecycleStore.source_lock`."""
        return self._held(f"source {source_object}")

    def table_lock(self, table: str) -> AbstractContextManager[bool]:
        """See `LifecycleStore.table_lock`."""
        return self._held(f"table {table}")

    def table_holder(self, table: str) -> int | None:
        """See `LifecycleStore.table_holder`."""
        return self._held_names.get(f"table {table}")

    @contextmanager
    def _held(self, name: str) -> Iterator[bool]:
        with self._lock:
            is_free = name not in self._held_names
            self._held_names.setdefault(name, next(self._holders))
        try:
            yield is_free
        finally:
            if is_free:
                self._held_names.pop(name, None)

    def state_facts(self, scopes: Sequence[StateScope]) -> dict[str, StateFacts]:
        """See `LifecycleStore.state_facts`."""
        return {
            scope.source_object: gather(scope, (row.as_record() for row in self._rows.values())) for scope in scopes
        }

    def rows_of_days(self, source_object: str, days: Sequence[LocalDay]) -> list[tuple[int, TimeWindow]]:
        """See `LifecycleStore.rows_of_days`."""
        dates = {day.date for day in days}
        rows = [row for row in self.find(source_object=source_object) if row.target_day in dates]
        return [(row.id, row.window) for row in rows]

    def get(self, record_id: int) -> LedgerRow:
        """See `LifecycleStore.get`."""
        return self._row(record_id)

    def find(
        self,
        *,
        source_object: str | None = None,
        within: Sequence[TimeWindow] | None = None,
        statuses: Sequence[str] | None = None,
        run: tuple[str, str] | None = None,
        days: tuple[date | None, date | None] = (None, None),
        include_invalidated: bool = False,
        limit: int | None = None,
        is_oldest_first: bool = False,
    ) -> list[LedgerRow]:
        """See `LifecycleStore.find`."""
        found = self._sorted(
            row
            for row in self._rows.values()
            if (source_object is None or row.source_object == source_object)
            and (include_invalidated or row.is_live)
            and (statuses is None or row.pipeline_final_status in statuses)
            and (run is None or (row.dag_id, row.dag_run_id) == run)
            and _is_within(row, within)
            and (days[0] is None or days[0] <= row.target_day)
            and (days[1] is None or days[1] >= row.target_day)
        )
        if is_oldest_first:
            found.sort(key=lambda row: (row.record_inserted_at, row.query_window_start_at, row.id))
        return found[:limit]

    def claim(
        self,
        source_object: str,
        actor: Actor,
        *,
        limit: int,
        ended_before: datetime,
        within: Sequence[TimeWindow] | None = None,
        rules: ClaimRules = NO_RULES,
    ) -> list[LedgerRow]:
        """See `LifecycleStore.claim`."""
        with self._lock:
            earlier = self.claimed_by(actor.dag_id, actor.dag_run_id)
            if earlier:
                mine = [row for row in earlier if row.source_object == source_object]
                rows = [row for row in mine if transitions.may_claim_back(row, actor)]
            else:
                rows = self.preview_claim(
                    source_object, limit=limit, ended_before=ended_before, within=within, rules=rules
                )
            return [self._apply(row, transitions.claim(row, actor, self.now()), actor) for row in rows]

    def preview_claim(
        self,
        source_object: str,
        *,
        limit: int,
        ended_before: datetime,
        within: Sequence[TimeWindow] | None = None,
        rules: ClaimRules = NO_RULES,
    ) -> list[LedgerRow]:
        """See `LifecycleStore.preview_claim`."""
        rows = self.find(source_object=source_object, within=within, statuses=[Status.PENDING])
        due = [
            row
            for row in rows
            if row.query_window_end_at <= ended_before
            and (row.not_before_at is None or row.not_before_at <= self.now())
            and row.phase_completed not in rules.not_after
        ]
        due.sort(key=lambda row: (-row.priority, row.record_inserted_at, row.query_window_start_at))
        slots = min([limit, *self.free_slots(rules.caps).values()])
        if rules.any_campaign:
            return due[:slots]
        scheduled = [row for row in due if row.campaign_id is None]
        campaigns = sorted(
            self.campaigns(source_object=source_object), key=lambda row: (-row["priority"], row["campaign_id"])
        )
        of_campaigns = [self._campaigns.claimable(campaign, due) for campaign in campaigns]
        return allot(slots, rules.scheduled_share_percent, scheduled, of_campaigns)

    def count_claimable(self, source_object: str, **options: Any) -> int:
        """See `LifecycleStore.count_claimable`."""
        return len(self.preview_claim(source_object, **options))

    def free_slots(self, caps: Sequence[Cap]) -> dict[str, int]:
        """See `LifecycleStore.free_slots`."""
        held = self.find(statuses=[Status.IN_PROGRESS])
        return {cap.name: max(0, cap.limit - sum(cap.concerns(row) for row in held)) for cap in caps}

    def create_campaign(self, campaign: Mapping[str, Any], actor: Actor) -> Record:
        """See `LifecycleStore.create_campaign`."""
        with self._lock:
            return self._campaigns.create(campaign, actor, self.now())

    def campaigns(self, *, campaign_id: int | None = None, source_object: str | None = None) -> list[Record]:
        """See `LifecycleStore.campaigns`."""
        found = self._campaigns.find(campaign_id, source_object)
        return [{**row, **figures(self.campaign_rows(row["campaign_id"])), "database_now": self.now()} for row in found]

    def change_campaign(
        self, campaign_id: int, actor: Actor, *, state: CampaignState | None = None, is_planned: bool = False
    ) -> Record:
        """See `LifecycleStore.change_campaign`."""
        with self._lock:
            return self._campaigns.change(campaign_id, actor, state, self.now(), is_planned=is_planned)

    def campaign_rows(self, campaign_id: int, *, statuses: Sequence[str] | None = None) -> list[LedgerRow]:
        """See `LifecycleStore.campaign_rows`."""
        return [row for row in self.find(statuses=statuses) if row.campaign_id == campaign_id]

    def revisit_due(self, source_object: str, finished_before: datetime) -> list[LedgerRow]:
        """See `LifecycleStore.revisit_due`."""
        return self._revisits.due(self.find(source_object=source_object), finished_before)

    def note_revisit(self, revisit: Mapping[str, Any], actor: Actor) -> bool:
        """See `LifecycleStore.note_revisit`."""
        with self._lock:
            return self._revisits.note(revisit, actor, self.now())

    def revisits(self, source_object: str, since: datetime) -> list[Record]:
        """See `LifecycleStore.revisits`."""
        return self._revisits.find(source_object, since)

    def claimed_by(self, dag_id: str, dag_run_id: str) -> list[LedgerRow]:
        """See `LifecycleStore.claimed_by`."""
        ids = {
            event["lifecycle_id"]
            for event in self._events
            if event["event"] in ("claimed", "taken") and (event["dag_id"], event["dag_run_id"]) == (dag_id, dag_run_id)
        }
        return self._sorted(self._rows[record_id] for record_id in ids)

    def take(self, record_id: int, actor: Actor, expected: RowIdentity | None = None) -> LedgerRow:
        """See `LifecycleStore.take`."""
        with self._lock:
            row = self._row(record_id)
            transition = transitions.take(row, actor, self._fence + 1, self.now(), expected)
            self._fence += 1
            return self._apply(row, transition, actor)

    def heartbeat(self, record_id: int, fence: int) -> None:
        """See `LifecycleStore.heartbeat`."""
        with self._lock:
            row = self._row(record_id)
            if row.fence != fence or row.pipeline_final_status != Status.IN_PROGRESS or row.is_invalidated_flag:
                raise FenceLostError(f"fence {fence} no longer owns the window", where=f"ledger row {record_id}")
            self._rows[record_id] = dataclasses.replace(row, heartbeat_at=self.now())

    def change(self, record_id: int, decide: Decision, actor: Actor) -> LedgerRow:
        """See `LifecycleStore.change`."""
        with self._lock:
            row = self._row(record_id)
            return self._apply(row, decide(row, self.now()), actor)

    def take_all(self, windows: Mapping[int, RowIdentity | None], actor: Actor) -> dict[int, LedgerRow | PipelineError]:
        """See `LifecycleStore.take_all`."""
        outcomes = dict[int, LedgerRow | PipelineError]()
        with self._lock:
            for record_id, expected in windows.items():
                try:
                    outcomes[record_id] = self.take(record_id, actor, expected)
                except PipelineError as error:
                    outcomes[record_id] = error
        return outcomes

    def change_all(self, decisions: Mapping[int, Decision], actor: Actor) -> dict[int, LedgerRow | PipelineError]:
        """See `LifecycleStore.change_all`."""
        outcomes = dict[int, LedgerRow | PipelineError]()
        decided = list[tuple[LedgerRow, Transition]]()
        with self._lock:
            for record_id, decide in decisions.items():
                try:
                    row = self._row(record_id)
                    decided.append((row, decide(row, self.now())))
                except PipelineError as error:
                    outcomes[record_id] = error
            return outcomes | {row.id: self._apply(row, transition, actor) for row, transition in decided}

    def note_refusal(self, record_id: int, fence: int, reason: str, actor: Actor) -> None:
        """See `LifecycleStore.note_refusal`."""
        with self._lock:
            row = self._row(record_id)
            refused = Transition("refused", reason=reason, numbers={"refused_fence": fence})
            self._write_event(row, refused, actor, row.pipeline_final_status, row.phase_completed)

    def replaced_windows(self, record_id: int) -> dict[int, TimeWindow]:
        """See `LifecycleStore.replaced_windows`."""
        owing = [i for i in self._replaced_ids(record_id) if not self._rows[i].target_deletion_done_flag]
        return {i: self._rows[i].window for i in sorted(owing)}

    def _replaced_ids(self, record_id: int) -> set[int]:
        direct = [row.id for row in self._rows.values() if row.replaced_by_id == record_id]
        return set(direct).union(*(self._replaced_ids(row_id) for row_id in direct))

    def replace(
        self,
        record_ids: Sequence[int],
        records: Sequence[Mapping[str, Any]],
        actor: Actor,
        reason: str,
        *,
        fence: int | None = None,
        only_pending: bool = False,
    ) -> list[LedgerRow]:
        """See `LifecycleStore.replace`."""
        judge = partial(transitions.invalidate, reason=reason, fence=fence, only_pending=only_pending)
        with self._all_or_nothing():
            old = [self._apply(row, judge(row, self.now()), actor) for row in map(self._row, sorted(record_ids))]
            replacements = [{**record, "is_replacement_run_flag": True} for record in records]
            outcome = self.insert_planned(replacements, actor, reason)
            transitions.require_replacements(outcome.refused)
            for row, new in transitions.pair_replacements(old, outcome.inserted):
                self._apply(row, transitions.invalidate(row, self.now(), reason, new.id), actor)
            return outcome.inserted

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        with self._lock:
            before = dict(self._rows), list(self._events)
            try:
                yield
            except Exception:
                self._rows, self._events = before
                raise

    def amend(self, record_id: int, **changes: Any) -> None:
        """Set columns as somebody's own SQL would: without a transition, an event or the table's rules."""
        self._rows[record_id] = LedgerRow.of({**self._row(record_id).as_record(), **changes})

    def events(self, record_id: int) -> list[Record]:
        """See `LifecycleStore.events`."""
        return [dict(event) for event in self._events if event["lifecycle_id"] == record_id]

    def last_fence(self) -> int:
        """See `LifecycleStore.last_fence`."""
        return max([self._fence, *(row.fence for row in self._rows.values())])

    def identity(self) -> SeenIdentity:
        """See `LifecycleStore.identity`; always right: it is in one process's memory."""
        only = LedgerIdentity(0, 0, 0)
        return SeenIdentity(only, only)

    def record_identity(self, actor: Actor, *, lift_ids: int = 0) -> None:
        """See `LifecycleStore.record_identity`."""
        del actor
        with self._lock:
            self._last_id += lift_ids

    def known_ids(self, record_ids: Sequence[int]) -> set[int]:
        """See `LifecycleStore.known_ids`."""
        return self._rows.keys() & set(record_ids)

    def raise_sequences(self, *, fence: int, record_id: int) -> None:
        """See `LifecycleStore.raise_sequences`."""
        with self._lock:
            self._fence = max(self.last_fence(), fence)
            self._last_id = max([self._last_id, record_id, *self._rows])

    def restore(self, rows: Sequence[RestoredRow], actor: Actor) -> PlanInsert:
        """See `LifecycleStore.restore`."""
        return self._insert([(row.record, Transition("rebuilt", {}, row.reason, row.numbers)) for row in rows], actor)

    def keep_plan(self, plan: Mapping[str, Any]) -> Record:
        """See `LifecycleStore.keep_plan`."""
        with self._lock:
            return self._plans.keep(plan, self.now())

    def stored_plan(self, plan_id: str) -> Record:
        """See `LifecycleStore.stored_plan`."""
        return self._plans.get(plan_id)

    def note_plan_outcome(self, plan_id: str, outcome: Mapping[str, Any], **others: Any) -> Record:
        """See `LifecycleStore.note_plan_outcome`."""
        with self._lock:
            return self._plans.note(plan_id, outcome, self.now(), **others)

    def _insert(self, given: Sequence[tuple[Mapping[str, Any], Transition]], actor: Actor) -> PlanInsert:
        outcome = PlanInsert()
        with self._lock:
            stamps = dict.fromkeys(("record_inserted_at", "record_last_updated_at"), self.now())
            for record, transition in given:
                window = TimeWindow(record["query_window_start_at"], record["query_window_end_at"])
                if self.live_windows(record["source_object"], window) or record.get("id") in self._rows:
                    outcome.refused.append(dict(record))
                    continue
                values = {key: value for key, value in record.items() if value is not None}
                row = self._checked({**self._defaults, "id": self._last_id + 1, **values, **stamps})
                self._last_id = max(self._last_id, row.id)
                self._rows[row.id] = row
                self._write_event(row, transition, actor, None, None)
                outcome.inserted.append(row)
        return outcome

    def _row(self, record_id: int) -> LedgerRow:
        if record_id not in self._rows:
            raise InvalidInputError(f"there is no ledger row {record_id}")
        return self._rows[record_id]

    def _apply(self, seen: LedgerRow, transition: Transition, actor: Actor) -> LedgerRow:
        row = self._rows[seen.id]
        if transition.changes:
            before = row.pipeline_final_status, row.phase_completed
            transitions.require_columns(transition, row)
            row = self._checked({**row.as_record(), **transition.changes, "record_last_updated_at": self.now()})
            self._rows[row.id] = row
            for record_id in transition.deletion_done_ids:
                self._rows[record_id] = dataclasses.replace(self._rows[record_id], target_deletion_done_flag=True)
            self._write_event(row, transition, actor, *before)
        return row

    @staticmethod
    def _checked(record: Record) -> LedgerRow:
        table_rules.require(record)
        return LedgerRow.of(copy.deepcopy(record))

    def _write_event(
        self, row: LedgerRow, transition: Transition, actor: Actor, from_status: str | None, from_phase: str | None
    ) -> None:
        self._events.append(
            {
                "id": len(self._events) + 1,
                "lifecycle_id": row.id,
                "event": transition.event,
                "from_status": from_status,
                "to_status": row.pipeline_final_status,
                "from_phase": from_phase,
                "to_phase": row.phase_completed,
                "fence": row.fence,
                "dag_id": actor.dag_id,
                "dag_run_id": actor.dag_run_id,
                "task_id": actor.task_id,
                "map_index": actor.map_index,
                "try_number": actor.try_number,
                "reason": transition.reason,
                "numbers": dict(transition.numbers),
                "occurred_at": self.now(),
            }
        )

    @staticmethod
    def _sorted(rows: Iterable[LedgerRow]) -> list[LedgerRow]:
        def by_window(row: LedgerRow) -> tuple[str, datetime, int]:
            return row.source_object, row.query_window_start_at, row.id

        return sorted(rows, key=by_window)


def _is_live(row: LedgerRow, source_object: str) -> bool:
    return row.source_object == source_object and row.is_live


def _is_within(row: LedgerRow, within: Sequence[TimeWindow] | None) -> bool:
    if within is None:
        return True
    window = row.window
    return any(part.start <= window.start and window.end <= part.end for part in merge(within))

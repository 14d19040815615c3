"""The ledger in Postgres: every method is one transaction, every transition and its event one statement."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from functools import cache, partial
from typing import Any, LiteralString

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from include.implementation_modules.postgres_ledger import errors as ledger_errors
from include.implementation_modules.postgres_ledger.campaigns import PostgresCampaigns
from include.implementation_modules.postgres_ledger.completeness import completeness_of
from include.implementation_modules.postgres_ledger.locks import PostgresLocks
from include.implementation_modules.postgres_ledger.planned_rows import copy_planned
from include.implementation_modules.postgres_ledger.plans import PostgresPlans
from include.implementation_modules.postgres_ledger.revisits import PostgresRevisits
from include.implementation_modules.postgres_ledger.state_facts import PostgresState
from include.implementation_modules.postgres_ledger.values import (
    actor_parameters,
    claim_parameters,
    json_text,
    ledger_rows,
    loaded_row,
    multirange_text,
    only_row,
    planned_outcome,
)
from include.pipeline_framework.core.continuity.settled_days import SettledMark
from include.pipeline_framework.core.continuity.state_facts import StateFacts, StateScope
from include.pipeline_framework.core.continuity.zone_changes import DayStamp
from include.pipeline_framework.core.lifecycle import transitions
from include.pipeline_framework.core.lifecycle.batching import WindowCost
from include.pipeline_framework.core.lifecycle.campaigns import CampaignState
from include.pipeline_framework.core.lifecycle.claiming import NO_RULES, Cap, ClaimRules
from include.pipeline_framework.core.lifecycle.transitions import Decision, Transition
from include.pipeline_framework.core.records.ledger_row import LedgerRow, RowIdentity
from include.pipeline_framework.core.records.planning import GridDay
from include.pipeline_framework.core.records.row import Actor, window_of
from include.pipeline_framework.core.restoring.ledger_identity import SeenIdentity, require_recorded
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.time.windows import TimeWindow, merge
from include.pipeline_framework.core.watching.completeness import Completeness, CompletenessScope
from include.pipeline_framework.errors import FenceLostError, PipelineError
from include.pipeline_framework.ports.ledger import PlanInsert, Record, RestoredRow
from include.postgres_server import pooler as postgres_pooler
from include.postgres_server import session
from include.postgres_server.errors import Trouble, trouble_of
from include.sql import statement
from include.sql.text import SqlFragment, fill, listed, quoted, sql_text

Cursor = psycopg.Cursor[dict[str, Any]]
_TABLES = [
    "pipeline_lifecycle",
    "pipeline_lifecycle_events",
    "pipeline_lifecycle_import",
    "state_manager_plans",
    "window_revisits",
    "lifecycle_mirrors",
    "overdue_alerts",
    "settled_days",
    "ledger_identity",
]


class PostgresLifecycleStore:
    """`LifecycleStore` on one connection, safe to share between threads (the heartbeat's and the task's).

    Each held lock has one more connection, see `PostgresLocks`. The store works through a pooler in transaction mode.

    Args:
        connect: Returns a new psycopg 3 connection to the ledger's database; called again after a connection broke.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._connect = connect
        self._connection: psycopg.Connection[Any] | None = None
        self._lock = threading.RLock()
        self._locks = PostgresLocks(connect)

    def close(self) -> None:
        """Close the connections, and with them release all locks; the store opens new ones when it is used again."""
        self._locks.close()
        self._disconnect()

    def _disconnect(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def now(self) -> datetime:
        """Return the database's clock."""
        found: datetime = only_row(self._single("now"))["database_now"]
        return found

    def insert_planned(self, records: Sequence[Mapping[str, Any]], actor: Actor, reason: str = "") -> PlanInsert:
        """See `LifecycleStore.insert_planned`."""
        with self._transaction() as cursor:
            return self._insert_planned(cursor, records, actor, reason)

    def plan(self, records: Sequence[Mapping[str, Any]], actor: Actor, reason: str = "") -> list[Record]:
        """See `LifecycleStore.plan`."""
        with self._transaction() as cursor:
            try:
                with cursor.connection.transaction():  # a savepoint
                    require_recorded(SeenIdentity.of(only_row(_run(cursor, "see_identity"))))
                    copy_planned(cursor, records, actor, reason)
            except psycopg.Error as error:
                if trouble_of(error) is not Trouble.BROKEN_RULE:
                    raise
                # another planner was faster, or records overlap each other; any other broken rule is raised again
                return self._insert_planned(cursor, records, actor, reason).refused
        return []

    def days_on_grid(self, days: Sequence[GridDay]) -> set[int]:
        """See `LifecycleStore.days_on_grid`."""
        parameters = {
            "sources": [day.source_object for day in days],
            "days": [day.day for day in days],
            "starts": [day.window.start for day in days],
            "ends": [day.window.end for day in days],
            "steps": [day.step for day in days],
            "windows": [day.windows for day in days],
        }
        return {row["number"] - 1 for row in self._single("days_on_grid", parameters)}

    def live_windows_of(self, spans: Mapping[str, Sequence[TimeWindow]]) -> dict[str, list[TimeWindow]]:
        """See `LifecycleStore.live_windows_of`."""
        flat = [(name, span) for name, of_source in spans.items() for span in merge(of_source)]
        parameters = {
            "sources": [name for name, _ in flat],
            "starts": [span.start for _, span in flat],
            "ends": [span.end for _, span in flat],
        }
        found: dict[str, list[TimeWindow]] = {name: [] for name in spans}
        for row in self._single("live_windows_of", parameters):
            found[row["source_object"]].append(window_of(row))
        return found

    def live_windows(self, source_object: str, within: TimeWindow) -> list[TimeWindow]:
        """See `LifecycleStore.live_windows`."""
        parameters = {"source_object": source_object, "start": within.start, "end": within.end}
        return [window_of(row) for row in self._single("live_windows", parameters)]

    def planned_days(self, since: Mapping[str, date | None]) -> dict[str, list[date]]:
        """See `LifecycleStore.planned_days`."""
        found: dict[str, list[date]] = {source_object: [] for source_object in since}
        for row in self._single("planned_days", {"sources": list(since), "days": list(since.values())}):
            found[row["source_object"]].append(row["target_day"])
        return found

    def has_windows(self, source_object: str) -> bool:
        """See `LifecycleStore.has_windows`."""
        return bool(only_row(self._single("has_windows", {"source_object": source_object}))["has_windows"])

    def settled_days(self, source_objects: Sequence[str]) -> dict[str, list[SettledMark]]:
        """See `LifecycleStore.settled_days`."""
        found: dict[str, list[SettledMark]] = {source_object: [] for source_object in source_objects}
        for row in self._single("settled_days", {"source_objects": list(source_objects)}):
            found[row["source_object"]].append(SettledMark(row["id"], row["settled_before"], row["terms"]))
        return found

    def settle_days(self, source_object: str, terms: str, before: date, known: Sequence[SettledMark]) -> None:
        """See `LifecycleStore.settle_days`."""
        parameters = {"source_object": source_object, "terms": terms, "settled_before": before}
        self._single("settle_days", {**parameters, "ids": [mark.id for mark in known]})

    def recent_cost(self, source_object: str, first_day: date, last_day: date) -> WindowCost | None:
        """See `LifecycleStore.recent_cost`."""
        days = {"source_object": source_object, "first_day": first_day, "last_day": last_day}
        found = only_row(self._single("recent_cost", days))
        return None if found["seconds"] is None else WindowCost(found["staged_rows"], float(found["seconds"]))

    def completeness(self, scopes: Sequence[CompletenessScope]) -> list[Completeness]:
        """See `LifecycleStore.completeness`."""
        return completeness_of(scopes, self._single)

    def last_days(self, until: Mapping[str, date]) -> dict[str, date]:
        """See `LifecycleStore.last_days`."""
        rows = self._single("last_days", {"sources": list(until), "until": list(until.values())})
        return {row["source_object"]: row["target_day"] for row in rows}

    def zone_stamps(self, zones: Mapping[str, str], since: datetime, own_version: str) -> dict[str, list[DayStamp]]:
        """See `LifecycleStore.zone_stamps`."""
        sources = {"source_objects": list(zones), "timezones": list(zones.values())}
        parameters = {**sources, "since": since, "own_version": own_version}
        found: dict[str, list[DayStamp]] = {source_object: [] for source_object in zones}
        for row in self._single("zone_stamps", parameters):
            found[row.pop("source_object")].append(DayStamp(*row.values()))
        return found

    def source_lock(self, source_object: str) -> AbstractContextManager[bool]:
        """See `LifecycleStore.source_lock`."""
        return self._held(f"source {source_object}")

    def table_lock(self, table: str) -> AbstractContextManager[bool]:
        """See `LifecycleStore.table_lock`."""
        return self._held(f"table {table}")

    def table_holder(self, table: str) -> int | None:
        """See `LifecycleStore.table_holder`."""
        holder: int | None = only_row(self._single("lock_holder", {"name": f"table {table}"}))["holder"]
        return holder

    @contextmanager
    def _held(self, name: str) -> Iterator[bool]:
        with self._locks.holding(name) as holder:
            yield holder is not None

    def state_facts(self, scopes: Sequence[StateScope]) -> dict[str, StateFacts]:
        """See `LifecycleStore.state_facts`."""
        with self._transaction("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ") as cursor:  # in one snapshot
            return self._state(cursor).facts(scopes)

    def rows_of_days(self, source_object: str, days: Sequence[LocalDay]) -> list[tuple[int, TimeWindow]]:
        """See `LifecycleStore.rows_of_days`."""
        with self._transaction() as cursor:
            return self._state(cursor).rows_of_days(source_object, days)

    def get(self, record_id: int) -> LedgerRow:
        """See `LifecycleStore.get`."""
        return LedgerRow.of(only_row(self._single("get_row", {"id": record_id}), record_id))

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
        parameters = {
            "first_day": days[0],
            "last_day": days[1],
            "source_object": source_object,
            "within": multirange_text(within),
            "statuses": list(statuses) if statuses is not None else None,
            "dag_id": run[0] if run else None,
            "dag_run_id": run[1] if run else None,
            "include_invalidated": include_invalidated,
            "is_oldest_first": is_oldest_first,
            "limit": limit,
        }
        return ledger_rows(self._single("find_rows", parameters))

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
        run = {"dag_id": actor.dag_id, "dag_run_id": actor.dag_run_id, "source_object": source_object}
        with self._pipelined() as cursor:
            locking, of_run = _sent(cursor, "lock_run", run), _sent(cursor, "rows_of_run", run)
            locked = only_row(_rows(locking))
            require_recorded(SeenIdentity.of(locked))
            earlier = ledger_rows(_rows(of_run))
            if earlier:
                mine = [row.id for row in earlier if row.source_object == source_object]
                rows = [(row, now) for row, now in _locked(cursor, mine) if transitions.may_claim_back(row, actor)]
            else:
                parameters = claim_parameters(source_object, limit, ended_before, within)
                campaigns = PostgresCampaigns(partial(_run, cursor))
                rows = campaigns.lock_claimable(parameters, rules, has_campaigns=locked["has_campaigns"])
            claimed = _written(cursor, [(row, transitions.claim(row, actor, now)) for row, now in rows], actor)
        return claimed()

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
        with self._transaction() as cursor:
            parameters = claim_parameters(source_object, limit, ended_before, within)
            return PostgresCampaigns(partial(_run, cursor)).claimable(parameters, rules)

    def count_claimable(
        self,
        source_object: str,
        *,
        limit: int,
        ended_before: datetime,
        within: Sequence[TimeWindow] | None = None,
        rules: ClaimRules = NO_RULES,
    ) -> int:
        """See `LifecycleStore.count_claimable`."""
        with self._transaction() as cursor:
            parameters = claim_parameters(source_object, limit, ended_before, within)
            return PostgresCampaigns(partial(_run, cursor)).count_claimable(parameters, rules)

    def claimed_by(self, dag_id: str, dag_run_id: str) -> list[LedgerRow]:
        """See `LifecycleStore.claimed_by`."""
        return ledger_rows(self._single("rows_of_run", {"dag_id": dag_id, "dag_run_id": dag_run_id}))

    def take(self, record_id: int, actor: Actor, expected: RowIdentity | None = None) -> LedgerRow:
        """See `LifecycleStore.take`."""
        return _only(self.take_all({record_id: expected}, actor))

    def take_all(self, windows: Mapping[int, RowIdentity | None], actor: Actor) -> dict[int, LedgerRow | PipelineError]:
        """See `LifecycleStore.take_all`."""
        with self._pipelined() as cursor:
            locking = _sent(cursor, "lock_rows", {"ids": list(windows)})
            drawing = [_sent(cursor, "next_fence") for _ in windows]
            locked = _rows(locking)
            drawn = [
                only_row(_rows(one)) for one in drawing
            ]  # after the rows were locked: later starts get greater ones
            require_recorded(SeenIdentity.of(drawn[0]))
            fences = {record_id: one["fence"] for record_id, one in zip(windows, drawn, strict=True)}

            def decide(row: LedgerRow, now: datetime) -> Transition:
                return transitions.take(row, actor, fences[row.id], now, windows[row.id])

            written = _decided(cursor, locked, dict.fromkeys(windows, decide), actor)
        return written()

    def heartbeat(self, record_id: int, fence: int) -> None:
        """See `LifecycleStore.heartbeat`."""
        if not self._single("heartbeat", {"id": record_id, "fence": fence}):
            raise FenceLostError(
                f"fence {fence} no longer owns the window",
                where=f"ledger row {record_id}",
                meaning="Its lease can't be renewed; a newer start or another run has it",
            )

    def change(self, record_id: int, decide: Decision, actor: Actor) -> LedgerRow:
        """See `LifecycleStore.change`."""
        return _only(self.change_all({record_id: decide}, actor))

    def change_all(self, decisions: Mapping[int, Decision], actor: Actor) -> dict[int, LedgerRow | PipelineError]:
        """See `LifecycleStore.change_all`."""
        with self._pipelined() as cursor:
            locked = _run(cursor, "lock_rows", {"ids": list(decisions)})
            written = _decided(cursor, locked, decisions, actor)
        return written()

    def note_refusal(self, record_id: int, fence: int, reason: str, actor: Actor) -> None:
        """See `LifecycleStore.note_refusal`."""
        parameters = {"id": record_id, "refused_fence": fence, "reason": reason, **actor_parameters(actor)}
        self._single("note_refusal", parameters)

    def replaced_windows(self, record_id: int) -> dict[int, TimeWindow]:
        """See `LifecycleStore.replaced_windows`."""
        return {row["id"]: window_of(row) for row in self._single("replaced_rows", {"id": record_id})}

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
        with self._transaction() as cursor:
            old = [_apply(cursor, row, judge(row, now), actor) for row, now in _locked(cursor, record_ids)]
            outcome = self._insert_planned(
                cursor, [{**record, "is_replacement_run_flag": True} for record in records], actor, reason
            )
            transitions.require_replacements(outcome.refused)
            for row, new in transitions.pair_replacements(old, outcome.inserted):
                _apply(cursor, row, transitions.invalidate(row, row.record_last_updated_at, reason, new.id), actor)
            return outcome.inserted

    def events(self, record_id: int) -> list[Record]:
        """See `LifecycleStore.events`."""
        return self._single("row_events", {"id": record_id})

    def last_fence(self) -> int:
        """See `LifecycleStore.last_fence`."""
        with self._transaction() as cursor:
            return int(only_row(_run(cursor, "last_fence"))["last_fence"])

    def identity(self) -> SeenIdentity:
        """See `LifecycleStore.identity`."""
        with self._transaction() as cursor:
            return SeenIdentity.of(only_row(_run(cursor, "see_identity")))

    def record_identity(self, actor: Actor, *, lift_ids: int = 0) -> None:
        """See `LifecycleStore.record_identity`."""
        with self._transaction() as cursor:
            cursor.execute(statement("ledger/lock_ledger").encode())
            if lift_ids:
                _run(cursor, "lift_ids", {"margin": lift_ids})
            _run(cursor, "record_identity", {"recorded_by": f"{actor.dag_id}/{actor.dag_run_id}"})

    def known_ids(self, record_ids: Sequence[int]) -> set[int]:
        """See `LifecycleStore.known_ids`."""
        with self._transaction() as cursor:
            return {row["id"] for row in _run(cursor, "known_ids", {"ids": list(record_ids)})}

    def raise_sequences(self, *, fence: int, record_id: int) -> None:
        """See `LifecycleStore.raise_sequences`."""
        with self._transaction() as cursor:
            cursor.execute(statement("ledger/lock_ledger").encode())
            _run(cursor, "raise_sequences", {"fence": fence, "record_id": record_id})

    def restore(self, rows: Sequence[RestoredRow], actor: Actor) -> PlanInsert:
        """See `LifecycleStore.restore`."""
        given = [{**row.record, "event_reason": row.reason, "event_numbers": dict(row.numbers)} for row in rows]
        with self._transaction() as cursor:
            restored = _run(cursor, "restore_rows", {"rows": Jsonb(given, dumps=json_text), **actor_parameters(actor)})
        return planned_outcome([row.record for row in rows], restored)

    def keep_plan(self, plan: Mapping[str, Any]) -> Record:
        """See `LifecycleStore.keep_plan`."""
        with self._transaction() as cursor:
            return PostgresPlans(partial(_run, cursor)).keep(plan)

    def stored_plan(self, plan_id: str) -> Record:
        """See `LifecycleStore.stored_plan`."""
        with self._transaction() as cursor:
            return PostgresPlans(partial(_run, cursor)).get(plan_id)

    def note_plan_outcome(self, plan_id: str, outcome: Mapping[str, Any], **others: Any) -> Record:
        """See `LifecycleStore.note_plan_outcome`."""
        with self._transaction() as cursor:
            return PostgresPlans(partial(_run, cursor)).note(plan_id, outcome, **others)

    def free_slots(self, caps: Sequence[Cap]) -> dict[str, int]:
        """See `LifecycleStore.free_slots`."""
        with self._transaction() as cursor:
            return PostgresCampaigns(partial(_run, cursor)).free_slots(caps)

    def create_campaign(self, campaign: Mapping[str, Any], actor: Actor) -> Record:
        """See `LifecycleStore.create_campaign`."""
        with self._transaction() as cursor:
            return PostgresCampaigns(partial(_run, cursor)).create(campaign, actor)

    def campaigns(self, *, campaign_id: int | None = None, source_object: str | None = None) -> list[Record]:
        """See `LifecycleStore.campaigns`."""
        with self._transaction() as cursor:
            return PostgresCampaigns(partial(_run, cursor)).find(campaign_id, source_object)

    def change_campaign(
        self, campaign_id: int, actor: Actor, *, state: CampaignState | None = None, is_planned: bool = False
    ) -> Record:
        """See `LifecycleStore.change_campaign`."""
        with self._transaction() as cursor:
            return PostgresCampaigns(partial(_run, cursor)).change(campaign_id, actor, state, is_planned=is_planned)

    def campaign_rows(self, campaign_id: int, *, statuses: Sequence[str] | None = None) -> list[LedgerRow]:
        """See `LifecycleStore.campaign_rows`."""
        with self._transaction() as cursor:
            parameters = {"campaign_id": campaign_id, "statuses": list(statuses) if statuses is not None else None}
            return ledger_rows(_run(cursor, "campaign_rows", parameters))

    def revisit_due(self, source_object: str, finished_before: datetime) -> list[LedgerRow]:
        """See `LifecycleStore.revisit_due`."""
        with self._transaction() as cursor:
            return PostgresRevisits(partial(_run, cursor)).due(source_object, finished_before)

    def note_revisit(self, revisit: Mapping[str, Any], actor: Actor) -> bool:
        """See `LifecycleStore.note_revisit`."""
        with self._transaction() as cursor:
            return PostgresRevisits(partial(_run, cursor)).note(revisit, actor)

    def revisits(self, source_object: str, since: datetime) -> list[Record]:
        """See `LifecycleStore.revisits`."""
        with self._transaction() as cursor:
            return PostgresRevisits(partial(_run, cursor)).find(source_object, since)

    def describe(self) -> list[Record]:
        """Return the columns of the ledger's tables with type and comment, from the database's catalog."""
        with self._transaction() as cursor:
            return _run(cursor, "describe_columns", {"tables": _TABLES})

    @staticmethod
    def _state(cursor: Cursor) -> PostgresState:
        def execute(sql: str, parameters: Mapping[str, Any]) -> list[Record]:
            cursor.execute(sql.encode(), parameters)
            return [loaded_row(row) for row in cursor.fetchall()]

        return PostgresState(execute)

    def _insert_planned(
        self, cursor: Cursor, records: Sequence[Mapping[str, Any]], actor: Actor, reason: str = ""
    ) -> PlanInsert:
        require_recorded(SeenIdentity.of(only_row(_run(cursor, "see_identity"))))  # ids are issued, as well
        parameters = {
            "records": Jsonb([dict(r) for r in records], dumps=json_text),
            **actor_parameters(actor),
            "reason": reason,
        }
        return planned_outcome(records, _run(cursor, "insert_planned", parameters))

    @contextmanager
    def _transaction(self, first: LiteralString | None = None) -> Iterator[Cursor]:
        with self._lock, ledger_errors.translated(), self._usable() as connection, connection.transaction():
            cursor = connection.cursor(row_factory=dict_row)
            if first:
                cursor.execute(first)
            if postgres_pooler.is_noted(connection):
                session.set_up(connection, is_local=True)
                _run(cursor, "set_up_session", {"backend_pid": connection.info.backend_pid})
            yield cursor

    @contextmanager
    def _pipelined(self) -> Iterator[Cursor]:
        """Open a transaction in which BEGIN, COMMIT and a statement wait for no answer before the next one is sent.

        An error of a statement whose rows nobody has read is raised at the end, and nothing is written. Through a
        pooler, which sets up each transaction, every statement is waited for.
        """
        with self._lock:
            with ledger_errors.translated(), self._usable() as connection:
                is_pooled = postgres_pooler.is_noted(connection)
            if is_pooled:
                with self._transaction() as cursor:
                    yield cursor
                return
            with ledger_errors.translated(), self._usable() as connection:
                try:
                    with connection.pipeline():
                        _execute(connection, "BEGIN")
                        yield connection.cursor(row_factory=dict_row)
                        _execute(connection, "COMMIT")
                finally:
                    if not connection.closed:
                        connection.rollback()  # nothing is sent when the transaction has ended

    @contextmanager
    def _usable(self) -> Iterator[psycopg.Connection[Any]]:
        """Give the connection, or a new one after it broke."""
        try:
            if self._connection is None or self._connection.closed or self._connection.broken:
                self._connection = self._connect()
                self._connection.autocommit = True
            yield self._connection
        except psycopg.Error as error:
            if trouble_of(error).needs_new_connection:
                self._disconnect()  # the next call opens a new connection, after a failover to the new primary
            raise

    def _single(self, name: str, parameters: Mapping[str, Any] | None = None) -> list[Record]:
        """Run a statement that is a transaction of its own: one round trip, more only through a pooler."""
        with self._lock:
            with ledger_errors.translated(), self._usable() as connection:
                if not postgres_pooler.is_noted(connection):
                    return _run(connection.cursor(row_factory=dict_row), name, parameters)
            with self._transaction() as cursor:
                return _run(cursor, name, parameters)


def _execute(connection: psycopg.Connection[Any], command: LiteralString) -> None:
    connection.cursor().execute(command)


def _run(cursor: Cursor, name: str, parameters: Mapping[str, Any] | None = None) -> list[Record]:
    cursor.execute(_text(name).encode(), parameters)
    return [loaded_row(row) for row in cursor.fetchall()]


@cache
def _text(name: str) -> str:
    return fill(statement(f"ledger/{name}"), {"claimable_rows": SqlFragment(sql_text("ledger/claimable_rows"))})


def _sent(cursor: Cursor, name: str, parameters: Mapping[str, Any] | None = None) -> Cursor:
    """Send a statement of an open transaction on a cursor of its own; its rows are read later, with `_rows`."""
    own: Cursor = cursor.connection.cursor(row_factory=dict_row)
    return own.execute(_text(name).encode(), parameters)


def _rows(sent: Cursor) -> list[Record]:
    return [loaded_row(row) for row in sent.fetchall()]


def _locked(cursor: Cursor, record_ids: Sequence[int]) -> list[tuple[LedgerRow, datetime]]:
    """Lock rows in the order of their ids; each comes with the database's clock."""
    return [(LedgerRow.of(row), row["database_now"]) for row in _run(cursor, "lock_rows", {"ids": list(record_ids)})]


def _decided(
    cursor: Cursor, locked: Sequence[Record], decisions: Mapping[int, Decision], actor: Actor
) -> Callable[[], dict[int, LedgerRow | PipelineError]]:
    """Send what is decided on each locked row as one statement; see `_written`."""
    found = {row["id"]: row for row in locked}
    refused: dict[int, LedgerRow | PipelineError] = {}
    steps = list[tuple[LedgerRow, Transition]]()
    for record_id, decide in decisions.items():
        try:
            record = only_row([found[record_id]] if record_id in found else [], record_id)
            row = LedgerRow.of(record)
            steps.append((row, decide(row, record["database_now"])))
        except PipelineError as refusal:
            refused[record_id] = refusal
    rows = _written(cursor, steps, actor)
    return lambda: refused | {row.id: row for row in rows()}


def _only(outcomes: Mapping[int, LedgerRow | PipelineError]) -> LedgerRow:
    (outcome,) = outcomes.values()
    if isinstance(outcome, PipelineError):
        raise outcome
    return outcome


def _apply(cursor: Cursor, row: LedgerRow, transition: Transition, actor: Actor) -> LedgerRow:
    return _written(cursor, [(row, transition)], actor)()[0]


def _written(
    cursor: Cursor, steps: Sequence[tuple[LedgerRow, Transition]], actor: Actor
) -> Callable[[], list[LedgerRow]]:
    """Send the transitions of locked rows as one statement.

    Returns:
        A function that returns the rows as they are now, in the same order; a pipeline needs it after its end only.
    """
    for row, transition in steps:
        transitions.require_columns(transition, row)
    writing = [(row, transition) for row, transition in steps if transition.changes]
    if not writing:
        return lambda: [row for row, _ in steps]
    columns = [quoted(name) for name in sorted({name for _, transition in writing for name in transition.changes})]
    lists = {"columns": listed(columns), "new_values": listed(f"new.{name}" for name in columns)}
    given = [
        {
            "id": row.id,
            "changes": dict(transition.changes),
            "event": transition.event,
            "reason": transition.reason,
            "numbers": dict(transition.numbers),
        }
        for row, transition in writing
    ]
    parameters = {
        "transitions": Jsonb(given, dumps=json_text),
        "ids": [row.id for row, _ in writing],
        "deletion_done_ids": [done for _, transition in writing for done in transition.deletion_done_ids],
        **actor_parameters(actor),
    }
    sent: Cursor = cursor.connection.cursor(row_factory=dict_row)
    sent.execute(fill(statement("ledger/apply_transitions"), lists).encode(), parameters)

    def rows() -> list[LedgerRow]:
        changed = {row["id"]: LedgerRow.of(row) for row in _rows(sent)}
        return [changed[row.id] if transition.changes else row for row, transition in steps]

    return rows

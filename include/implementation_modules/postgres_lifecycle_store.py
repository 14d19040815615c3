"""The ledger in Postgres: every method one transaction, every transition and its event one statement."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from include.implementation_modules.postgres_state import PostgresState
from include.pipeline_framework.core import lifecycle
from include.pipeline_framework.core.days import LocalDay
from include.pipeline_framework.core.lifecycle import Actor, Decision, Transition
from include.pipeline_framework.core.state_facts import StateFacts, StateScope
from include.pipeline_framework.core.windows import TimeWindow
from include.pipeline_framework.errors import FenceLostError, InvalidInputError, ServiceUnavailableError
from include.pipeline_framework.ports import PlanInsert, Record, RestoredRow
from include.sql import statement

Cursor = psycopg.Cursor[dict[str, Any]]


class PostgresLifecycleStore:
    """`LifecycleStore` on one connection, safe to share between threads (the heartbeat's and the task's).

    Args:
        connect: Returns a new psycopg 3 connection to the ledger's database; called again when a connection broke.
    """

    def __init__(self, connect: Callable[[], psycopg.Connection[Any]]) -> None:
        self._connect = connect
        self._connection: psycopg.Connection[Any] | None = None
        self._lock = threading.RLock()

    def close(self) -> None:
        """Give the connection back; the store opens a new one when it is used again."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def now(self) -> datetime:
        """The database's clock."""
        with self._transaction() as cursor:
            return _one(_run(cursor, "now"))["database_now"]

    def insert_planned(self, records: Sequence[Mapping[str, Any]], actor: Actor, reason: str = "") -> PlanInsert:
        """See `LifecycleStore.insert_planned`."""
        with self._transaction() as cursor:
            return self._insert_planned(cursor, records, actor, reason)

    def live_windows(self, source_object: str, within: TimeWindow) -> list[TimeWindow]:
        """See `LifecycleStore.live_windows`."""
        parameters = {"source_object": source_object, "start": within.start, "end": within.end}
        with self._transaction() as cursor:
            rows = _run(cursor, "live_windows", parameters)
        return [TimeWindow(row["query_window_start_at"], row["query_window_end_at"]) for row in rows]

    def covered_days(self, source_object: str) -> dict[date, timedelta]:
        """See `LifecycleStore.covered_days`."""
        with self._transaction() as cursor:
            rows = _run(cursor, "covered_days", {"source_object": source_object})
        return {row["target_day"]: row["covered"] for row in rows}

    @contextmanager
    def source_lock(self, source_object: str) -> Iterator[bool]:
        """See `LifecycleStore.source_lock`; a lock of the connection, so that it ends with it."""
        parameters = {"source_object": source_object}
        with self._transaction() as cursor:
            is_locked = bool(_one(_run(cursor, "lock_source", parameters))["is_locked"])
        try:
            yield is_locked
        finally:
            if is_locked and self._connection is not None:
                with self._transaction() as cursor:
                    _run(cursor, "unlock_source", parameters)

    def state_facts(self, scopes: Sequence[StateScope]) -> dict[str, StateFacts]:
        """See `LifecycleStore.state_facts`."""
        with self._transaction() as cursor:
            cursor.execute(statement("ledger/read_consistently").encode())
            return self._state(cursor).facts(scopes)

    def rows_of_days(self, source_object: str, days: Sequence[LocalDay]) -> list[tuple[int, TimeWindow]]:
        """See `LifecycleStore.rows_of_days`."""
        with self._transaction() as cursor:
            return self._state(cursor).rows_of_days(source_object, days)

    def get(self, record_id: int) -> Record:
        """See `LifecycleStore.get`."""
        with self._transaction() as cursor:
            rows = _run(cursor, "get_row", {"id": record_id})
        return _one(rows, record_id)

    def find(
        self,
        *,
        source_object: str | None = None,
        within: Sequence[TimeWindow] | None = None,
        statuses: Sequence[str] | None = None,
        run: tuple[str, str] | None = None,
        include_invalidated: bool = False,
    ) -> list[Record]:
        """See `LifecycleStore.find`."""
        parameters = {
            "source_object": source_object,
            "within": _multirange(within),
            "statuses": list(statuses) if statuses is not None else None,
            "dag_id": run[0] if run else None,
            "dag_run_id": run[1] if run else None,
            "include_invalidated": include_invalidated,
        }
        with self._transaction() as cursor:
            return _run(cursor, "find_rows", parameters)

    def claim(
        self,
        source_object: str,
        actor: Actor,
        *,
        limit: int,
        ended_before: datetime,
        within: Sequence[TimeWindow] | None = None,
    ) -> list[Record]:
        """See `LifecycleStore.claim`."""
        run = {"dag_id": actor.dag_id, "dag_run_id": actor.dag_run_id}
        with self._transaction() as cursor:
            _run(cursor, "lock_run", run)
            earlier = _run(cursor, "rows_of_run", run)
            if earlier:
                mine = [row["id"] for row in earlier if row["source_object"] == source_object]
                rows = [row for row in _run(cursor, "lock_rows", {"ids": mine}) if lifecycle.may_claim_back(row, actor)]
            else:
                parameters = _claimable(source_object, limit, ended_before, within)
                rows = _run(cursor, "lock_claimable_rows", parameters)
            return [_apply(cursor, row, lifecycle.claim(row, actor, row["database_now"]), actor) for row in rows]

    def preview_claim(
        self,
        source_object: str,
        *,
        limit: int,
        ended_before: datetime,
        within: Sequence[TimeWindow] | None = None,
    ) -> list[Record]:
        """See `LifecycleStore.preview_claim`."""
        with self._transaction() as cursor:
            return _run(cursor, "claimable_rows", _claimable(source_object, limit, ended_before, within))

    def claimed_by(self, dag_id: str, dag_run_id: str) -> list[Record]:
        """See `LifecycleStore.claimed_by`."""
        with self._transaction() as cursor:
            return _run(cursor, "rows_of_run", {"dag_id": dag_id, "dag_run_id": dag_run_id})

    def take(self, record_id: int, actor: Actor) -> Record:
        """See `LifecycleStore.take`."""
        with self._transaction() as cursor:
            row = _one(_run(cursor, "lock_rows", {"ids": [record_id]}), record_id)
            fence = _one(_run(cursor, "next_fence"))["fence"]
            return _apply(cursor, row, lifecycle.take(row, actor, fence, row["database_now"]), actor)

    def heartbeat(self, record_id: int, fence: int) -> None:
        """See `LifecycleStore.heartbeat`."""
        with self._transaction() as cursor:
            if not _run(cursor, "heartbeat", {"id": record_id, "fence": fence}):
                raise FenceLostError(
                    f"fence {fence} no longer owns the window",
                    where=f"ledger row {record_id}",
                    meaning="Its lease can't be renewed; a newer start or another run has it",
                )

    def change(self, record_id: int, decide: Decision, actor: Actor) -> Record:
        """See `LifecycleStore.change`."""
        with self._transaction() as cursor:
            row = _one(_run(cursor, "lock_rows", {"ids": [record_id]}), record_id)
            return _apply(cursor, row, decide(row, row["database_now"]), actor)

    def note_refusal(self, record_id: int, fence: int, reason: str, actor: Actor) -> None:
        """See `LifecycleStore.note_refusal`."""
        parameters = {"id": record_id, "refused_fence": fence, "reason": reason, **_actor(actor)}
        with self._transaction() as cursor:
            _run(cursor, "note_refusal", parameters)

    def replaced_windows(self, record_id: int) -> dict[int, TimeWindow]:
        """See `LifecycleStore.replaced_windows`."""
        with self._transaction() as cursor:
            rows = _run(cursor, "replaced_rows", {"id": record_id})
        return {row["id"]: TimeWindow(row["query_window_start_at"], row["query_window_end_at"]) for row in rows}

    def replace(
        self, record_ids: Sequence[int], records: Sequence[Mapping[str, Any]], actor: Actor, reason: str
    ) -> list[Record]:
        """See `LifecycleStore.replace`."""
        with self._transaction() as cursor:
            old = [
                _apply(cursor, row, lifecycle.invalidate(row, row["database_now"], reason), actor)
                for row in _run(cursor, "lock_rows", {"ids": list(record_ids)})
            ]
            outcome = self._insert_planned(
                cursor, [{**record, "is_replacement_run_flag": True} for record in records], actor, reason
            )
            lifecycle.require_replacements(outcome.refused)
            for row, new in lifecycle.pair_replacements(old, outcome.inserted):
                _apply(cursor, row, lifecycle.invalidate(row, row["record_last_updated_at"], reason, new["id"]), actor)
            return outcome.inserted

    def events(self, record_id: int) -> list[Record]:
        """See `LifecycleStore.events`."""
        with self._transaction() as cursor:
            return _run(cursor, "row_events", {"id": record_id})

    def last_fence(self) -> int:
        """See `LifecycleStore.last_fence`."""
        with self._transaction() as cursor:
            return int(_one(_run(cursor, "last_fence"))["last_fence"])

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
            restored = _run(cursor, "restore_rows", {"rows": Jsonb(given, dumps=_dumps), **_actor(actor)})
        return _outcome([row.record for row in rows], restored)

    def describe(self) -> list[Record]:
        """Columns of the ledger's tables with type and comment, as the database tells them."""
        with self._transaction() as cursor:
            tables = ["pipeline_lifecycle", "pipeline_lifecycle_events"]
            return _run(cursor, "describe_columns", {"tables": tables})

    @staticmethod
    def _state(cursor: Cursor) -> PostgresState:
        def execute(sql: str, parameters: Mapping[str, Any]) -> list[Record]:
            cursor.execute(sql.encode(), parameters)
            return [_loaded(row) for row in cursor.fetchall()]

        return PostgresState(execute)

    def _insert_planned(
        self, cursor: Cursor, records: Sequence[Mapping[str, Any]], actor: Actor, reason: str = ""
    ) -> PlanInsert:
        parameters = {"records": Jsonb([dict(r) for r in records], dumps=_dumps), **_actor(actor), "reason": reason}
        return _outcome(records, _run(cursor, "insert_planned", parameters))

    @contextmanager
    def _transaction(self) -> Iterator[Cursor]:
        with self._lock:
            try:
                if self._connection is None or self._connection.closed or self._connection.broken:
                    self._connection = self._connect()
                    self._connection.autocommit = True
                with self._connection.transaction(), self._connection.cursor(row_factory=dict_row) as cursor:
                    yield cursor
            except psycopg.errors.IntegrityError as error:
                detail = error.diag.constraint_name or error.diag.column_name
                raise InvalidInputError(
                    f"the ledger's rule {detail} refuses a row",
                    where=error.diag.table_name or "pipeline_lifecycle",
                    meaning="Nothing was written",
                    remedy="Correct the record; docs/ledger.md says what each column holds.",
                ) from error
            except (psycopg.DataError, UnicodeEncodeError) as error:
                raise InvalidInputError(
                    f"the ledger can't hold a value: {_brief(error)}",
                    where="pipeline_lifecycle",
                    meaning="Nothing was written",
                    remedy="Correct the value; docs/ledger.md says what each column holds.",
                ) from error
            except psycopg.OperationalError as error:
                self.close()
                raise ServiceUnavailableError(
                    "the ledger does not answer",
                    where="lifecycle_postgres",
                    meaning="Nothing was written, or a commit's answer was lost; both are safe to repeat",
                    remedy="Check that Postgres runs and that the connection lifecycle_postgres reaches it.",
                ) from error


def _run(cursor: Cursor, name: str, parameters: Mapping[str, Any] | None = None) -> list[Record]:
    cursor.execute(statement(f"ledger/{name}").encode(), parameters)
    return [_loaded(row) for row in cursor.fetchall()]


def _apply(cursor: Cursor, row: Record, transition: Transition, actor: Actor) -> Record:
    if not transition.changes:
        return {key: value for key, value in row.items() if key != "database_now"}
    parameters = {
        "id": row["id"],
        "changes": Jsonb(dict(transition.changes), dumps=_dumps),
        "event": transition.event,
        "reason": transition.reason,
        "numbers": Jsonb(dict(transition.numbers), dumps=_dumps),
        "deletion_done_ids": list(transition.deletion_done_ids),
        **_actor(actor),
    }
    return _one(_run(cursor, "apply_transition", parameters), row["id"])


def _outcome(records: Sequence[Mapping[str, Any]], inserted: list[Record]) -> PlanInsert:
    there = {(row["source_object"], row["query_window_start_at"]) for row in inserted}
    refused = [dict(r) for r in records if (r["source_object"], r["query_window_start_at"]) not in there]
    return PlanInsert(inserted, refused)


def _one(rows: list[Record], record_id: int | None = None) -> Record:
    if not rows:
        raise InvalidInputError(
            f"there is no ledger row {record_id}", remedy="List the rows with: python -m include.cli ledger show."
        )
    return rows[0]


def _loaded(row: Record) -> Record:
    """Instants in UTC whatever the session's zone; whole numerics (fingerprints) as int."""
    for name, value in row.items():
        if isinstance(value, datetime):
            row[name] = value.astimezone(UTC)
        elif isinstance(value, Decimal) and name.endswith("_fingerprint"):
            row[name] = int(value)
    return row


def _brief(error: psycopg.DataError | UnicodeEncodeError) -> str:
    """The server's first line; its DETAIL would quote the row. Errors of the client have one line."""
    said = error.diag.message_primary if isinstance(error, psycopg.DataError) else None
    return " ".join((said or str(error)).split())[:200]


def _dumps(value: Any) -> str:
    """JSON with integers of any size exact; instants as ISO text, decimals as text."""
    return json.dumps(value, default=lambda other: other.isoformat() if hasattr(other, "isoformat") else str(other))


def _actor(actor: Actor) -> dict[str, Any]:
    names = ("dag_id", "dag_run_id", "task_id", "map_index", "try_number")
    return {name: getattr(actor, name) for name in names}


def _claimable(
    source_object: str, limit: int, ended_before: datetime, within: Sequence[TimeWindow] | None
) -> dict[str, Any]:
    return {
        "source_object": source_object,
        "limit": limit,
        "ended_before": ended_before,
        "within": _multirange(within),
    }


def _multirange(windows: Sequence[TimeWindow] | None) -> str | None:
    """Text of a tstzmultirange; Postgres joins ranges that overlap or touch."""
    if windows is None:
        return None
    return "{" + ",".join(f'["{window.start.isoformat()}","{window.end.isoformat()}")' for window in windows) + "}"

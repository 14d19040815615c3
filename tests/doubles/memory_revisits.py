"""Revisits of closed windows in memory: the same rules as in Postgres."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.ports.ledger import Record


class MemoryRevisits:
    """`window_revisits` in a dictionary; its owner locks."""

    def __init__(self) -> None:
        self._revisits: dict[tuple[Any, ...], Record] = {}

    def note(self, revisit: Mapping[str, Any], actor: Actor, now: datetime) -> bool:
        """See `LifecycleStore.note_revisit`."""
        run = {"dag_id": actor.dag_id, "dag_run_id": actor.dag_run_id}
        key = (*(revisit[name] for name in ("source_object", "target_day", "days_after")), *run.values())
        if key in self._revisits:
            return False
        self._revisits[key] = {**copy.deepcopy(dict(revisit)), **run, "revisited_at": now}
        return True

    def find(self, source_object: str, since: datetime) -> list[Record]:
        """See `LifecycleStore.revisits`."""
        mine = [row for row in self._revisits.values() if row["source_object"] == source_object]
        recent = [copy.deepcopy(row) for row in mine if row["revisited_at"] >= since]
        return sorted(recent, key=lambda row: (row["revisited_at"], row["target_day"]))

    @staticmethod
    def due(rows: Iterable[LedgerRow], finished_before: datetime) -> list[LedgerRow]:
        """See `LifecycleStore.revisit_due`; of a source's live rows."""
        closed = [row for row in rows if row.is_revisit_due_flag and row.is_finished]
        return [row for row in closed if row.pipeline_end_time is None or row.pipeline_end_time <= finished_before]

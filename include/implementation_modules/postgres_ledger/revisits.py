"""Revisits of closed windows in the ledger's database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from include.implementation_modules.postgres_ledger.values import ledger_rows
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.ports.ledger import Record

Run = Callable[[str, Mapping[str, Any] | None], list[Record]]
"""Runs a statement of `include/sql/ledger` by name with its parameters, and returns rows by column."""


class PostgresRevisits:
    """The statements about `window_revisits`, on one open transaction.

    Args:
        run: Runs a statement in it.
    """

    def __init__(self, run: Run) -> None:
        self._run = run

    def note(self, revisit: Mapping[str, Any], actor: Actor) -> bool:
        """See `LifecycleStore.note_revisit`."""
        run = {"dag_id": actor.dag_id, "dag_run_id": actor.dag_run_id}
        return bool(self._run("audit_note_revisit", {**revisit, **run, "lags": Jsonb(revisit["lags"])}))

    def find(self, source_object: str, since: datetime) -> list[Record]:
        """See `LifecycleStore.revisits`."""
        return self._run("audit_revisits", {"source_object": source_object, "since": since})

    def due(self, source_object: str, finished_before: datetime) -> list[LedgerRow]:
        """See `LifecycleStore.revisit_due`."""
        parameters = {"source_object": source_object, "finished_before": finished_before}
        return ledger_rows(self._run("audit_revisit_due", parameters))

"""What is overdue in a ledger in memory: the same rules as in Postgres."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from include.pipeline_framework.core.lifecycle.campaigns import CampaignState
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.time.days import LocalDay
from include.pipeline_framework.core.watching.overdue import MAX_SHOWN, SHOWN, Overdue, OverdueScope
from tests.doubles.memory_lifecycle_store import MemoryLifecycleStore


class MemoryOverdueAlarms:
    """`OverdueAlarms` over a ledger in memory.

    Args:
        store: The ledger.
    """

    def __init__(self, store: MemoryLifecycleStore) -> None:
        self._store = store
        self._told: dict[tuple[str, str], datetime] = {}

    def now(self) -> datetime:
        """See `OverdueAlarms.now`."""
        return self._store.now()

    def find_overdue(self, scopes: Sequence[OverdueScope]) -> list[Overdue]:
        """See `OverdueAlarms.find_overdue`."""
        found = []
        for scope in scopes:
            rows, days = self._windows(scope), self._empty_days(scope)
            rows.sort(key=lambda row: (not self._is_untold(scope, f"window {row.id}"), row.query_window_start_at))
            if rows or days:
                found.append(
                    Overdue(
                        scope.source_object,
                        len(rows),
                        sum(self._is_untold(scope, f"window {row.id}") for row in rows),
                        min((row.query_window_start_at for row in rows), default=None),
                        dict(Counter(row.pipeline_final_status for row in rows)),
                        tuple({name: getattr(row, name) for name in SHOWN} for row in rows[:MAX_SHOWN]),
                        tuple(days),
                        tuple(day for day in days if self._is_untold(scope, f"day {day}")),
                    )
                )
        return found

    def note_told(self, scope: OverdueScope, at: datetime) -> None:
        """See `OverdueAlarms.note_told`."""
        subjects = [f"window {row.id}" for row in self._windows(scope)]
        subjects += [f"day {day}" for day in self._empty_days(scope)]
        for subject in subjects:
            if self._is_untold(scope, subject):
                self._told[scope.source_object, subject] = at

    def _is_untold(self, scope: OverdueScope, subject: str) -> bool:
        at = self._told.get((scope.source_object, subject))
        return at is None or at <= scope.alerted_after

    def _windows(self, scope: OverdueScope) -> list[LedgerRow]:
        return [
            row
            for row in self._store.find(source_object=scope.source_object)
            if not row.is_finished
            and row.query_window_start_at >= scope.start_at
            and row.query_window_end_at <= scope.end_at
            and self._is_wanted(scope, row)
        ]

    def _is_wanted(self, scope: OverdueScope, row: LedgerRow) -> bool:
        if row.campaign_id is None:
            return True
        (campaign,) = self._store.campaigns(campaign_id=row.campaign_id)
        is_old: bool = campaign["created_at"] <= scope.asked_before
        return campaign["state"] == CampaignState.RUNNING and is_old

    def _empty_days(self, scope: OverdueScope) -> list[LocalDay]:
        live = self._store.live_windows
        return [day for day in scope.days if day.window and not live(scope.source_object, day.window)]

"""The port to the ledger, one Protocol per role; `LifecycleStore` is the sum of them all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from include.pipeline_framework.core.continuity.settled_days import SettledMark
from include.pipeline_framework.core.continuity.state_facts import StateFacts, StateScope
from include.pipeline_framework.core.lifecycle.campaigns import CampaignState
from include.pipeline_framework.core.lifecycle.claiming import NO_RULES, Cap, ClaimRules
from include.pipeline_framework.core.records.ledger_row import LedgerRow
from include.pipeline_framework.core.records.row import Actor
from include.pipeline_framework.core.restoring.ledger_identity import SeenIdentity
from include.pipeline_framework.core.time.windows import TimeWindow
from include.pipeline_framework.ports.completeness import LedgerCompleteness
from include.pipeline_framework.ports.ledger_attempts import LedgerAttempts
from include.pipeline_framework.ports.ledger_days import LedgerDays

Record = dict[str, Any]
"""A planned window, an event, a campaign, a revisit or a plan by column name; instants are aware datetimes in UTC."""


@dataclass(frozen=True, slots=True)
class PlanInsert:
    """The outcome of inserting rows: those inserted, and those refused because live rows cover their time."""

    inserted: list[LedgerRow] = field(default_factory=list)
    refused: list[Record] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RestoredRow:
    """A row as it enters a rebuilt ledger.

    Attributes:
        record: Its columns; when `id` is None or left out, the row gets a new one.
        reason: Why it is restored, for its event.
        numbers: Figures for its event.
    """

    record: Record
    reason: str
    numbers: Mapping[str, Any] = field(default_factory=dict)


class LedgerReads(LedgerDays, Protocol):
    """The methods that read the ledger and change nothing."""

    def now(self) -> datetime:
        """Return the time of the store's clock."""
        ...

    def get(self, record_id: int) -> LedgerRow:
        """Return one row.

        Raises:
            InvalidInputError: There is no such row.
        """
        ...

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
        """Return the rows that match all given filters, ordered by source object and window start.

        `within` keeps rows that lie wholly inside one of the windows; `run` is `(dag_id, dag_run_id)` of the owner,
        `days` the first and the last `target_day` (None: any). At most `limit` rows are returned; with
        `is_oldest_first` they come in the order in which they were inserted.
        """
        ...

    def events(self, record_id: int) -> list[Record]:
        """Return the row's events, oldest first."""
        ...

    def live_windows(self, source_object: str, within: TimeWindow) -> list[TimeWindow]:
        """Return the windows of live rows that overlap `within`, in order."""
        ...

    def live_windows_of(self, spans: Mapping[str, Sequence[TimeWindow]]) -> dict[str, list[TimeWindow]]:
        """Return for each source the windows of live rows that overlap any of its spans, in order; one statement."""
        ...

    def state_facts(self, scopes: Sequence[StateScope]) -> dict[str, StateFacts]:
        """Return what the ledger says about every scope's source, by source object, from one consistent view."""
        ...

    def claimed_by(self, dag_id: str, dag_run_id: str) -> list[LedgerRow]:
        """Return every row that this run ever claimed (its claim events say which), as the row is now."""
        ...

    def replaced_windows(self, record_id: int) -> dict[int, TimeWindow]:
        """Return, by id and in order, the windows of rows that this one replaces, also indirectly, and whose deletion
        at the target is owed.
        """
        ...

    def free_slots(self, caps: Sequence[Cap]) -> dict[str, int]:
        """Return how many more windows each limit allows now, by the limit's name; never below 0."""
        ...

    def preview_claim(
        self,
        source_object: str,
        *,
        limit: int,
        ended_before: datetime,
        within: Sequence[TimeWindow] | None = None,
        rules: ClaimRules = NO_RULES,
    ) -> list[LedgerRow]:
        """Return the rows that `claim` would claim for a new run right now; nothing is claimed."""
        ...

    def count_claimable(
        self,
        source_object: str,
        *,
        limit: int,
        ended_before: datetime,
        within: Sequence[TimeWindow] | None = None,
        rules: ClaimRules = NO_RULES,
    ) -> int:
        """Return how many rows `preview_claim` would return."""
        ...

    def campaigns(self, *, campaign_id: int | None = None, source_object: str | None = None) -> list[Record]:
        """Return campaigns, newest first, with `total`, `done`, `running`, `failed`, `remaining` (live windows),
        `last_done_at` and the ledger's clock as `database_now`.
        """
        ...


class LedgerWindows(LedgerReads, LedgerAttempts, Protocol):
    """The methods that plan, take, change and replace windows, one transaction each, and the locks around them."""

    def settle_days(self, source_object: str, terms: str, before: date, known: Sequence[SettledMark]) -> None:
        """Put one mark in the place of the known ones; marks that others have left meanwhile stay.

        Args:
            source_object: The source.
            terms: What the days were judged by.
            before: The first local day that has to be looked at from now on.
            known: The marks that were read before the days were.
        """
        ...

    def insert_planned(self, records: Sequence[Mapping[str, Any]], actor: Actor, reason: str = "") -> PlanInsert:
        """Insert rows as PENDING, `reason` in their events; one that overlaps a live row of its source is refused."""
        ...

    def plan(self, records: Sequence[Mapping[str, Any]], actor: Actor, reason: str = "") -> list[Record]:
        """Do as `insert_planned` does, for many rows of many sources in one transaction; return the refused ones."""
        ...

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
        """Claim windows for the actor's DAG run, at most `limit`, in the order priority, age, window start.

        A run that claimed before gets back its own windows that are still open and no others. Otherwise PENDING live
        rows are claimed that ended at or before `ended_before`, whose `not_before_at` has passed and that lie wholly
        inside one of `within` (None: anywhere). Windows of a backfill campaign are claimed only while it runs, in its
        order and up to its concurrency; `rules` says how they share with the others, and limits what is in progress at
        once.
        """
        ...

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
        """In one transaction: invalidate rows and insert their replacements (PENDING, `is_replacement_run_flag`).

        `fence` is that of the task that holds the row; nobody else may replace a window in progress. With
        `only_pending` nothing is replaced when one of the rows is no longer PENDING.
        """
        ...

    def source_lock(self, source_object: str) -> AbstractContextManager[bool]:
        """Hold a source while its state is repaired; gives False, without waiting, when somebody else repairs it.

        It keeps two repairs from doing the same work at once; rows are protected by their own locks and constraints.
        """
        ...

    def table_lock(self, table: str) -> AbstractContextManager[bool]:
        """Hold a target table's turn to publish; gives False, without waiting, when somebody else has it. It is a
        courtesy only: rows are protected by the target's guard row.
        """
        ...

    def table_holder(self, table: str) -> int | None:
        """Return who has the table's turn, as a number that differs from holder to holder; None when nobody has it."""
        ...


class LedgerCampaigns(Protocol):
    """Backfill campaigns."""

    def create_campaign(self, campaign: Mapping[str, Any], actor: Actor) -> Record:
        """Create a backfill campaign; when this run has made one for the source before, that one is returned unchanged.

        Args:
            campaign: `source_object`, `pipeline_id`, `mode`, `ranges` (JSON), `granularity`, `window_order`,
                `concurrency`, `priority`, `reason`.
            actor: Who asks for it.
        """
        ...

    def change_campaign(
        self, campaign_id: int, actor: Actor, *, state: CampaignState | None = None, is_planned: bool = False
    ) -> Record:
        """Pause, resume or cancel a campaign, or note that all of its windows have joined it.

        Raises:
            InvalidInputError: There is no campaign of this number, or it can't get to this state.
        """
        ...

    def campaign_rows(self, campaign_id: int, *, statuses: Sequence[str] | None = None) -> list[LedgerRow]:
        """Return the live rows of a campaign, by window start."""
        ...


class LedgerRevisits(Protocol):
    """The revisits: what was found when finished windows were compared with their source again."""

    def revisit_due(self, source_object: str, finished_before: datetime) -> list[LedgerRow]:
        """Return live COMPLETED and SKIPPED rows with `is_revisit_due_flag` finished by then, by window start."""
        ...

    def note_revisit(self, revisit: Mapping[str, Any], actor: Actor) -> bool:
        """Record a revisit of a day; when the run has recorded it before, nothing is written and False is returned.

        Args:
            revisit: `source_object`, `target_day`, `days_after`, `mode`, `windows`, `changed`, `rows_before`,
                `rows_now`, `late_rows`, `gone_rows`, `lags` (see `core.late_data.lags`).
            actor: The run that revisited the day.
        """
        ...

    def revisits(self, source_object: str, since: datetime) -> list[Record]:
        """Return recorded revisits, oldest first: what `note_revisit` was given, `revisited_at`, and the run."""
        ...


class LedgerPlans(Protocol):
    """The state manager's plans."""

    def keep_plan(self, plan: Mapping[str, Any]) -> Record:
        """Store a plan of the state manager; the open plan that has the same hash is returned instead of a copy.

        Args:
            plan: `created_by`, `sources`, `items` and `findings` (JSON), `hash`, `needs_approval`.

        Returns:
            The stored plan: `plan_id`, `created_at`, and None for `approved_by`, `applied_at`, `applied_by`, `outcome`.
        """
        ...

    def stored_plan(self, plan_id: str) -> Record:
        """Return a plan of the state manager, by column.

        Raises:
            InvalidInputError: There is no such plan.
        """
        ...

    def note_plan_outcome(
        self,
        plan_id: str,
        outcome: Mapping[str, Any],
        *,
        applied_by: str,
        approved_by: str | None,
        is_complete: bool,
    ) -> Record:
        """Add the results of some of a plan's sources to its outcome; with `is_complete` the plan counts as applied.

        Raises:
            LedgerRefusedError: The plan is applied already.
        """
        ...


class LedgerRestoring(Protocol):
    """The methods that tell which ledger this is, and that rebuild a lost one."""

    def identity(self) -> SeenIdentity:
        """Return which ledger this is and which was recorded; while they differ, nothing is planned or claimed."""
        ...

    def record_identity(self, actor: Actor, *, lift_ids: int = 0) -> None:
        """Record this ledger as the one to use; new rows get ids at least `lift_ids` above the last one."""
        ...

    def last_fence(self) -> int:
        """Return the greatest fence that this ledger knows: one that its sequence issued, or that a row has."""
        ...

    def known_ids(self, record_ids: Sequence[int]) -> set[int]:
        """Return those of the ids that rows have, of any source object, invalidated rows included."""
        ...

    def raise_sequences(self, *, fence: int, record_id: int) -> None:
        """Make new fences greater than `fence` and new rows' ids greater than `record_id`; neither ever sinks."""
        ...

    def restore(self, rows: Sequence[RestoredRow], actor: Actor) -> PlanInsert:
        """Insert rows of a lost ledger with their `rebuilt` events.

        A row is refused when its window overlaps a live row of its source object, or when its id exists already.
        """
        ...


class LifecycleStore(
    LedgerWindows, LedgerCampaigns, LedgerRevisits, LedgerPlans, LedgerRestoring, LedgerCompleteness, Protocol
):
    """The ledger: the only writer of `pipeline_lifecycle` and its events. A use case asks for the role that it needs.

    Every method is one transaction. Leases, heartbeats and `not_before_at` use the store's own clock (the database's).
    """

    def close(self) -> None:
        """Give connections back, and with them all locks; when the store is used again, it opens new ones."""
        ...

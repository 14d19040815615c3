"""What the framework asks of the outside world: five Protocols and the values that cross them.

An adapter implements one of them, gets its client injected, and lets no error of its client library out: every failure
is an error of `include.pipeline_framework.errors`. Windows are half-open `[start, end)` UTC ranges everywhere; the same
`TimeWindow` object gives the source's range, the stage path, the target's delete and both counts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from include.pipeline_framework.core.campaigns import CampaignState
from include.pipeline_framework.core.claiming import NO_RULES, Cap, ClaimRules
from include.pipeline_framework.core.days import LocalDay
from include.pipeline_framework.core.fingerprints import Fingerprint
from include.pipeline_framework.core.ledger_identity import SeenIdentity
from include.pipeline_framework.core.lifecycle import Actor, Decision, RowIdentity
from include.pipeline_framework.core.mirror import LedgerMoment, MirrorColumn, MirroredState
from include.pipeline_framework.core.overdue import Overdue, OverdueScope
from include.pipeline_framework.core.receipts import HeldRows, Receipt
from include.pipeline_framework.core.state_facts import StateFacts, StateScope
from include.pipeline_framework.core.vanishing import VanishedDataLimit
from include.pipeline_framework.core.windows import TimeWindow
from include.pipeline_framework.core.zone_changes import DayStamp

Record = dict[str, Any]
"""One row of `pipeline_lifecycle`, keyed by column name; instants are aware datetimes in UTC."""


class Clock(Protocol):
    """The only way to know the time; tests pass a fixed one."""

    def now(self) -> datetime:
        """An aware instant."""
        ...


# --- source -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Document:
    """One document as the source sent it.

    Attributes:
        id: The source's own id, unique in the source object.
        event_at: The source's normalised event time (UTC, microseconds, finer parts cut off); never text parsed again.
        body: JSON text of the document, UTF-8 bytes exactly as the source sent them (line breaks between tokens may
            have been removed, so that it fits on one line).
    """

    id: str
    event_at: datetime
    body: bytes


@dataclass(frozen=True, slots=True)
class BucketCount:
    """Rows whose event time lies in `window`."""

    window: TimeWindow
    rows: int


@dataclass(frozen=True, slots=True)
class SourcePart:
    """An index, table or whatever else a source consists of.

    Attributes:
        name: As the source calls it.
        identity: What another part of the same name would not have (an index's uuid, a server's identifier).
        rows: Of the window; None: the source doesn't tell them apart.
    """

    name: str
    identity: str
    rows: int | None = None


class Extract(Protocol):
    """One complete read of one window from one consistent view of the source."""

    expected_rows: int
    """The source's own count of the window on that view, known before the first page."""

    parts: Sequence[SourcePart]
    """Every part that belonged to that view, with or without rows of the window."""

    def pages(self) -> Iterator[Sequence[Document]]:
        """Every document of the window exactly once, in pages; order is the source's choice.

        Raises:
            IncompleteExtractError: Partial results, failed shards, or fewer or more rows than `expected_rows`: raised
                at the latest after the last page, so a caller that sees the iterator end has everything.
            BadDocumentError: A document has several values in its time field; the message names it.
            ServiceUnavailableError: The source did not answer.
        """
        ...


class Source(Protocol):
    """Reads; never writes. Every answer is complete or an error: a count from half of the shards is an error.

    A source that shows less than it holds without saying so (closed indices, rows hidden by rights, documents that are
    not visible yet, a replica that lags) is refused as far as it can be asked; docs/GUARANTEES.md says how far that is.
    """

    settle: timedelta | None
    """How long windows rest after their end before they are read (`x_time_back`): what the source shows later than that
    would be missing. Set by the wiring; None: not known, so only what is never shown can be refused."""

    def parts(self) -> Mapping[str, str]:
        """Name and identity of every part of the source, now; see `SourcePart`."""
        ...

    def count(self, window: TimeWindow) -> int:
        """Rows whose event time lies in the window, now."""
        ...

    def count_undated(self) -> int:
        """Documents without a usable event time: they belong to no window and are only reported."""
        ...

    def fingerprint(self, window: TimeWindow) -> Fingerprint:
        """Count and id-hash sum of the window, now; reads every id of the window."""
        ...

    def histogram(self, window: TimeWindow, buckets: Sequence[TimeWindow]) -> list[BucketCount]:
        """Rows per bucket with one request; the buckets tile (a part of) the window."""
        ...

    def extract(self, window: TimeWindow) -> AbstractContextManager[Extract]:
        """Open a consistent view of the window; leaving the context releases it at the source."""
        ...


# --- stage ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class StagedFile:
    """One file of a manifest.

    Attributes:
        key: Object key, relative to the stage's root.
        rows: Lines in the file.
        bytes: Size as stored (compressed).
        sha256: Hex digest of the stored bytes.
    """

    key: str
    rows: int
    bytes: int
    sha256: str


MOST_PARTS_IN_LEDGER = 100
"""A row of the ledger names so many parts of its source at most; its manifest names all."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What one fence staged for one window; written last, so that its presence proves that all files are complete.

    Attributes:
        location: Key prefix of the files, ends with the fence; the manifest's own key is `<location>/manifest.json`.
        lifecycle_id: The ledger row.
        source_object: The ledger's key of the pipeline.
        window: The window that was read.
        fence: The fence under which it was staged.
        source_rows: The source's own count on the view that was read.
        fingerprint: Rows and hash sum of the staged lines.
        files: The list to load; never a prefix.
        quarantined: Documents put beside the stage: `fingerprint.rows + quarantined == source_rows`.
        parts: What the source consisted of.
    """

    location: str
    lifecycle_id: int
    source_object: str
    window: TimeWindow
    fence: int
    source_rows: int
    fingerprint: Fingerprint
    files: tuple[StagedFile, ...]
    quarantined: int = 0
    parts: tuple[SourcePart, ...] = ()

    @property
    def bytes(self) -> int:
        """Bytes as stored, all files together."""
        return sum(file.bytes for file in self.files)

    def columns(self) -> dict[str, Any]:
        """The ledger's columns of a window that is staged."""
        return {
            "stage_location": self.location,
            "stage_file_count": len(self.files),
            "stage_byte_count": self.bytes,
            "staged_count": self.fingerprint.rows,
            "staged_fingerprint": self.fingerprint.hash_sum,
            "quarantined_count": self.quarantined,
            "source_count": self.source_rows,
            "source_parts": self._parts_with_rows(),
        }

    def _parts_with_rows(self) -> dict[str, str] | None:
        """Name and identity of those that rows came from: a part without any may come and go."""
        found = {part.name: part.identity for part in self.parts if part.rows != 0}
        return found if len(found) <= MOST_PARTS_IN_LEDGER else None


@dataclass(frozen=True, slots=True)
class StageRequest:
    """What to stage, and under which authority."""

    lifecycle_id: int
    source_object: str
    target_day: str
    window: TimeWindow
    fence: int


class Stage(Protocol):
    """Object storage between source and target: gzip-compressed NDJSON, one line per document.

    A staged line is `{"_id": str, "_id_hash": int, "_event_at": text, "_lifecycle_id": int, "doc": document}` with the
    event time as ISO 8601 UTC with six digits of a second and a `Z`, and the document's bytes as the source sent them.
    """

    def write(self, request: StageRequest, extract: Extract, *, on_bad_document: str = "fail") -> Manifest:
        """Write every document of the extract, then the manifest, under a path that contains the fence.

        Args:
            request: Names the window and the fence.
            extract: Read to its end; nothing counts as staged before it ended without an error.
            on_bad_document: `fail`: a document that targets can't hold raises; `quarantine`: it goes to
                `<location>/quarantine.ndjson` and is counted.

        Raises:
            BadDocumentError: With `fail`; the message names the document's id.
            ServiceUnavailableError: The storage did not answer.
        """
        ...

    def read_manifest(self, location: str, *, is_checked: bool = True) -> Manifest:
        """The manifest at a location, after checking that every file is there with its size and checksum.

        Args:
            location: As a manifest or `locations` names it.
            is_checked: False: the manifest alone, as it was written; no file is looked at.

        Raises:
            TornStageError: No manifest, or a file is missing or differs.
        """
        ...

    def locations(self, source_object: str) -> list[str]:
        """Every location of the source object that has a manifest, in order of the names."""
        ...

    def delete(self, location: str) -> int:
        """Delete everything under a location; returns the number of objects. Deleting nothing is fine."""
        ...

    def uri(self, key: str) -> str:
        """Absolute address of a key, as a target's loader needs it (`s3://bucket/prefix/key`, `file:///…`)."""
        ...

    def open(self, key: str) -> AbstractContextManager[Any]:
        """A binary file object of the stored bytes, for targets that can't read the storage themselves."""
        ...


# --- target -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PublishResult:
    """What a publish did.

    Attributes:
        receipt: The receipt as it stands now.
        loaded: Rows and hash sum counted in the window after the insert, in the same transaction.
        deleted_rows: Rows removed from the window (and of replaced rows) before the insert.
        already_received: True when an earlier, lost answer had committed this manifest; nothing was loaded again.
    """

    receipt: Receipt
    loaded: Fingerprint
    deleted_rows: int = 0
    already_received: bool = False


@dataclass(frozen=True, slots=True)
class ColumnSpec:
    """One typed column of a target table.

    Attributes:
        name: Column name as written in the YAML; validated as an identifier and always quoted.
        type: One of `text`, `integer`, `number`, `boolean`, `timestamp`, `date`.
        path: Where the value lives in the document: keys from the root. `{"a": {"b": 7}}` and `{"a.b": 7}` are the
            same value, as Elasticsearch has it.
        format: What a number in a `timestamp` or `date` column counts: `epoch_second` or `epoch_millis`; empty:
            milliseconds, and numbers that look like seconds are refused.
    """

    name: str
    type: str
    path: tuple[str, ...]
    format: str = ""


class Target(Protocol):
    """Loads each window exactly once. Every delete, count and fingerprint is by source object *and* event time, so two
    pipelines may share one table.

    Columns of a target row: the YAML's typed columns, `_source_object`, `_id`, `_id_hash`, `_event_at` (UTC whatever
    the session's time zone), `_lifecycle_id`, `_fence`, `_file`, `doc`.
    """

    locks_table: bool
    """Whether a publish locks the whole table, so that publishes had better take turns."""

    def prepare(self, source_object: str) -> None:
        """Create what is missing (table, receipts table, this source object's guard row); safe to call again."""
        ...

    def fingerprint(self, source_object: str, window: TimeWindow) -> Fingerprint:
        """Count and id-hash sum of the window in the table, now."""
        ...

    def receipt(self, source_object: str, window: TimeWindow) -> Receipt | None:
        """The receipt of exactly this window; None, too, when a later load or delete touched a part of the window."""
        ...

    def confirm(self, source_object: str, window: TimeWindow, *, fence: int) -> Receipt | None:
        """The live load receipt of exactly this window, raised to this fence, if the table still holds its rows.

        One transaction under the guard row: afterwards no publish or delete of an older start can touch the window.
        None, and nothing changed, when there is no such receipt or the rows differ from it.

        Raises:
            FenceLostError: As in `publish`.
        """
        ...

    def publish(
        self,
        manifest: Manifest,
        stage: Stage,
        *,
        fence: int,
        lifecycle_id: int,
        replaced: Mapping[int, TimeWindow] | None = None,
        turn: Callable[[], AbstractContextManager[None]] = nullcontext,
        ids_repeat: bool = False,
        removable: VanishedDataLimit | None = None,
    ) -> PublishResult:
        """Load the manifest's files in one transaction under the fence.

        Two rows with one id are refused unless `ids_repeat` says that the source's ids do repeat. `removable` limits
        how many of the rows that earlier loads left in the window may go because the manifest lacks their ids; None:
        any number.

        Whatever touches nothing shared (the load into a private table, its checks) comes before the transaction, which
        runs inside `turn()`; an error that `turn` raises leaves the table as it was.

        Delete the window, and outside it only what the ledger rows of `replaced` (id → its window) have loaded: rows
        with such a `_lifecycle_id` within the span of those windows; insert; check rows and
        fingerprint; write the receipt; commit. A manifest that was received already is not loaded again: its receipt is
        raised to this fence.

        Raises:
            FenceLostError: A receipt that overlaps the window carries a greater fence; nothing was changed.
            PublishConflictError: The guard row stayed locked.
            TornStageError: Files and manifest disagree; nothing was changed.
            BadDocumentError: A value can't be cast to its typed column, or an id comes twice; nothing was changed.
            RowsWouldVanishError: More rows would be gone than `removable` allows; nothing was changed.
            ServiceUnavailableError: The target did not answer, before or (after reading the receipt) during commit.
        """
        ...

    def delete(self, source_object: str, window: TimeWindow, *, fence: int, lifecycle_id: int) -> int:
        """Fenced delete of the window; leaves a `delete` receipt; returns the rows deleted.

        Raises:
            FenceLostError: As in `publish`.
        """
        ...

    def receipts(self, source_object: str) -> list[Receipt]:
        """Every receipt of the source object, superseded ones too, by window; none when it was never prepared."""
        ...

    def held_rows(self, source_object: str) -> list[HeldRows]:
        """Every row of the source object in the table, counted from one consistent view.

        Once per ledger row as a total, and once per ledger row and window of a load receipt (live or not) for those
        inside; where receipts overlap, a row is inside of each. Nothing when the source object was never prepared.
        """
        ...

    def fence_floor(self, source_object: str) -> int:
        """Fences below it are refused; 0 when it was never raised, or the source object was never prepared."""
        ...

    def raise_floor(self, source_object: str, floor: int) -> None:
        """From now on refuse every publish, confirmation and delete under a fence below `floor`; a floor never sinks.

        It waits for a publish that holds the guard row: what that commits is in `receipts` afterwards.

        Raises:
            ConfigurationError: The source object was never prepared.
            PublishConflictError: The guard row stayed locked.
        """
        ...


# --- ledger -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class PlanInsert:
    """Outcome of inserting planned rows: what went in, and what the database refused because live rows cover it."""

    inserted: list[Record] = field(default_factory=list)
    refused: list[Record] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class RestoredRow:
    """A row as it enters a rebuilt ledger.

    Attributes:
        record: Its columns; `id` None or left out: a new one.
        reason: Why, for its event.
        numbers: Figures for its event.
    """

    record: Record
    reason: str
    numbers: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class LifecycleStore(Protocol):
    """The ledger: the only writer of `pipeline_lifecycle` and its events.

    Every method is one transaction. Leases, heartbeats and `not_before_at` use the store's own clock (the database's).
    """

    def now(self) -> datetime:
        """The store's clock."""
        ...

    def insert_planned(self, records: Sequence[Mapping[str, Any]], actor: Actor, reason: str = "") -> PlanInsert:
        """Insert planned rows, all PENDING; a row whose window overlaps a live row of its source object is refused.

        `reason` is kept in their events.
        """
        ...

    def live_windows(self, source_object: str, within: TimeWindow) -> list[TimeWindow]:
        """Windows of live rows that overlap `within`, in order."""
        ...

    def covered_days(self, source_object: str) -> dict[date, timedelta]:
        """Every local day that has live rows, with the elapsed time that they cover; in order."""
        ...

    def zone_stamps(self, zones: Mapping[str, str], since: datetime) -> dict[str, list[DayStamp]]:
        """With which time zone rules the days of sources were planned: live rows that start at or after an instant.

        By source object, each in order of day and version.

        Args:
            zones: Time zone by source object; rows that were planned in another zone are left out.
            since: An aware instant.
        """
        ...

    def source_lock(self, source_object: str) -> AbstractContextManager[bool]:
        """Hold a source while its state is repaired; False: somebody else is at it. Nobody waits.

        It keeps repairs from doing the same work at once; what protects rows are their own locks and constraints.
        """
        ...

    def table_lock(self, table: str) -> AbstractContextManager[bool]:
        """Hold a target table's turn to publish; False: somebody else has it. Nobody waits, and it is a courtesy only:
        what protects rows is the target's guard row.
        """
        ...

    def table_holder(self, table: str) -> int | None:
        """Who has the table's turn, as a number that differs from holder to holder; None: nobody."""
        ...

    def state_facts(self, scopes: Sequence[StateScope]) -> dict[str, StateFacts]:
        """What the ledger says about every scope's source, by source object, from one consistent view."""
        ...

    def rows_of_days(self, source_object: str, days: Sequence[LocalDay]) -> list[tuple[int, TimeWindow]]:
        """Id and window of every live row of the local days, in order."""
        ...

    def get(self, record_id: int) -> Record:
        """One row.

        Raises:
            InvalidInputError: No such row.
        """
        ...

    def find(
        self,
        *,
        source_object: str | None = None,
        within: Sequence[TimeWindow] | None = None,
        statuses: Sequence[str] | None = None,
        run: tuple[str, str] | None = None,
        include_invalidated: bool = False,
        limit: int | None = None,
        is_oldest_first: bool = False,
    ) -> list[Record]:
        """Rows that match all given filters, ordered by source object and window start.

        `within` keeps rows that lie wholly inside one of the windows; `run` is `(dag_id, dag_run_id)` of the owner. Not
        more than `limit` of them; with `is_oldest_first` in the order in which they were inserted.
        """
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
    ) -> list[Record]:
        """Claim windows for the actor's DAG run, at most `limit`, in the order priority, age, window start.

        A run that claimed before gets back its own windows that are still open and no others. Otherwise PENDING live
        rows are claimed that ended at or before `ended_before`, whose `not_before_at` has passed and that lie wholly
        inside one of `within` (None: anywhere). Windows of a backfill campaign only while it runs, in its order and up
        to its concurrency; `rules` says how they share with the others, and limits what is in progress at once.
        """
        ...

    def preview_claim(
        self,
        source_object: str,
        *,
        limit: int,
        ended_before: datetime,
        within: Sequence[TimeWindow] | None = None,
        rules: ClaimRules = NO_RULES,
    ) -> list[Record]:
        """The rows that `claim` would take for a new run right now; takes nothing."""
        ...

    def free_slots(self, caps: Sequence[Cap]) -> dict[str, int]:
        """How many more windows each limit allows now, by its name; never below 0."""
        ...

    def create_campaign(self, campaign: Mapping[str, Any], actor: Actor) -> Record:
        """A backfill campaign; the one that this run has made for the source before is returned as it is.

        Args:
            campaign: `source_object`, `pipeline_id`, `mode`, `ranges` (JSON), `granularity`, `window_order`,
                `concurrency`, `priority`, `reason`.
            actor: Who asks for it.
        """
        ...

    def campaigns(self, *, campaign_id: int | None = None, source_object: str | None = None) -> list[Record]:
        """Campaigns, newest first, with `total`, `done`, `running`, `failed`, `remaining` (live windows),
        `last_done_at` and the ledger's clock as `database_now`.
        """
        ...

    def change_campaign(
        self, campaign_id: int, actor: Actor, *, state: CampaignState | None = None, is_planned: bool = False
    ) -> Record:
        """Pause, resume or cancel a campaign, or note that all of its windows have joined it.

        Raises:
            InvalidInputError: There is none of this number, or it can't get to this state.
        """
        ...

    def campaign_rows(self, campaign_id: int, *, statuses: Sequence[str] | None = None) -> list[Record]:
        """Live rows of a campaign, by window start."""
        ...

    def claimed_by(self, dag_id: str, dag_run_id: str) -> list[Record]:
        """Every row that this run ever claimed, by its claim events, as it stands now."""
        ...

    def revisit_due(self, source_object: str, finished_before: datetime) -> list[Record]:
        """Live COMPLETED and SKIPPED rows with `is_revisit_due_flag` that were finished by then, by window start."""
        ...

    def note_revisit(self, revisit: Mapping[str, Any], actor: Actor) -> bool:
        """Record a revisit of a day; False, and nothing is written, when the run has recorded it before.

        Args:
            revisit: `source_object`, `target_day`, `days_after`, `mode`, `windows`, `changed`, `rows_before`,
                `rows_now`, `late_rows`, `gone_rows`, `lags` (see `core.late_data.lags`).
            actor: Whose run it is.
        """
        ...

    def revisits(self, source_object: str, since: datetime) -> list[Record]:
        """Recorded revisits, oldest first: what `note_revisit` was given, `revisited_at`, and the run."""
        ...

    def take(self, record_id: int, actor: Actor, expected: RowIdentity | None = None) -> Record:
        """Start a task on a window: check that the actor's run may have it, and give it a new, greatest fence.

        With `expected` the row is compared with what the actor means by its number.

        Raises:
            RowMistakenError: It is another window's row by now.
            WindowHeldError, WindowFinishedError, WindowInvalidatedError: See `core.lifecycle.take`.
        """
        ...

    def heartbeat(self, record_id: int, fence: int) -> None:
        """Renew the lease.

        Raises:
            FenceLostError: Another start of a task owns the window.
        """
        ...

    def change(self, record_id: int, decide: Decision, actor: Actor) -> Record:
        """Lock the row, let `decide` (a function of `core.lifecycle`) judge it, and write its transition and event.

        Returns the row as it is afterwards. What `decide` raises passes through; then nothing was written.
        """
        ...

    def note_refusal(self, record_id: int, fence: int, reason: str, actor: Actor) -> None:
        """Append an event `refused`: the actor's start, under this fence, wanted to write after a newer one. The row
        stays as it is.
        """
        ...

    def replaced_windows(self, record_id: int) -> dict[int, TimeWindow]:
        """Invalidated rows that this one replaces, also indirectly, and that still owe their deletion at the target.

        By id, in order, each with its window.
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
    ) -> list[Record]:
        """In one transaction: invalidate rows and insert their replacements (PENDING, `is_replacement_run_flag`).

        `fence`: of the task that holds the row; nobody else may replace a window in progress. `only_pending`: nothing
        is replaced when one of the rows is anything else by now.
        """
        ...

    def events(self, record_id: int) -> list[Record]:
        """The row's history, oldest first."""
        ...

    def last_fence(self) -> int:
        """The greatest fence that this ledger knows of: ever issued by its sequence, or written in a row."""
        ...

    def identity(self) -> SeenIdentity:
        """Which ledger this is, beside the one that was recorded; while they differ, nothing is planned or claimed."""
        ...

    def record_identity(self, actor: Actor, *, lift_ids: int = 0) -> None:
        """From now on this is the ledger; new rows get ids at least `lift_ids` above the last one."""
        ...

    def known_ids(self, record_ids: Sequence[int]) -> set[int]:
        """Those of the ids that rows have, whatever their source object; invalidated rows, too."""
        ...

    def raise_sequences(self, *, fence: int, record_id: int) -> None:
        """From now on every new fence is greater than `fence`, every new row's id than `record_id`; none ever sinks."""
        ...

    def restore(self, rows: Sequence[RestoredRow], actor: Actor) -> PlanInsert:
        """Insert rows of a lost ledger with their `rebuilt` events.

        A row whose window overlaps a live row of its source object, or whose id is there, is refused.
        """
        ...

    def keep_plan(self, plan: Mapping[str, Any]) -> Record:
        """Store a plan of the state manager; the open plan that has the same hash is returned instead of a copy.

        Args:
            plan: `created_by`, `sources`, `items` and `findings` (JSON), `hash`, `needs_approval`.

        Returns:
            It as stored: `plan_id`, `created_at`, and None for `approved_by`, `applied_at`, `applied_by`, `outcome`.
        """
        ...

    def stored_plan(self, plan_id: str) -> Record:
        """A plan of the state manager, by column.

        Raises:
            InvalidInputError: No such plan.
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
        """Add what came of some of a plan's sources to its outcome; `is_complete`: from now on it is applied.

        Raises:
            LedgerRefusedError: It is applied already.
        """
        ...


# --- mirrors of the ledger --------------------------------------------------------------------------------------------


class ChangedRows(Protocol):
    """Rows of one moment, spooled: the ledger's transaction is over."""

    @property
    def moment(self) -> LedgerMoment:
        """When, and of which ledger."""
        ...

    @property
    def full_because(self) -> str | None:
        """Why these are all rows; None: changed ones only."""
        ...

    @property
    def row_count(self) -> int:
        """How many."""
        ...

    def lines(self) -> Iterator[str]:
        """Each row once, a JSON array of texts and nulls in the order of the columns; instants are UTC."""
        ...


class LifecycleFeed(Protocol):
    """The ledger's side of a mirror."""

    def lock(self, mirror: str) -> AbstractContextManager[bool]:
        """Keep other cycles of the mirror out; False: one is running."""
        ...

    def last(self, mirror: str) -> MirroredState | None:
        """What the last cycle left."""
        ...

    def read(
        self, last: MirroredState | None, pipelines: Sequence[str], full_because: str | None = None
    ) -> AbstractContextManager[ChangedRows]:
        """Rows of the pipelines that were changed since; all of them for that reason, or when changed ones can't do."""
        ...

    def remember(self, mirror: str, pipelines: Sequence[str], rows: ChangedRows) -> None:
        """Note that the warehouse has committed these rows."""
        ...


class LifecycleMirror(Protocol):
    """The warehouse's side."""

    def prepare(self, columns: Sequence[MirrorColumn]) -> bool:
        """Create the table, or add columns that it lacks; whether it was created, and so is empty.

        Raises:
            ConfigurationError: Another table has its name.
        """
        ...

    def replace(
        self,
        columns: Sequence[MirrorColumn],
        lines: Iterable[str],
        *,
        mirrored_at: datetime,
        all_of: Sequence[str] | None,
    ) -> int:
        """Put the rows in the place of those with their ids, in one transaction; how many.

        Args:
            columns: What the lines hold.
            lines: See `ChangedRows.lines`.
            mirrored_at: When the ledger was read.
            all_of: Pipelines whose other rows go: these are all that the ledger has. None: changed rows only.

        Raises:
            PublishConflictError: Another session writes the table, or a later cycle has written it already.
        """
        ...


class OverdueAlarms(Protocol):
    """What of the ledger is overdue, and what of it people were told."""

    def now(self) -> datetime:
        """The ledger's clock."""
        ...

    def find_overdue(self, scopes: Sequence[OverdueScope]) -> list[Overdue]:
        """What is overdue, for every source that has something; as many statements for a thousand as for one.

        Live rows inside a scope that are neither COMPLETED nor SKIPPED: of no backfill campaign, or of a running one
        that was started before `asked_before`. And the scope's days without any live row.
        """
        ...

    def note_told(self, scope: OverdueScope, at: datetime) -> None:
        """Everything of the scope that is overdue was told at this moment; what was told long ago is forgotten."""
        ...


def fingerprint_of_documents(pages: Iterable[Sequence[Document]]) -> Fingerprint:
    """Fingerprint of everything in the pages."""
    total = Fingerprint()
    for page in pages:
        total = total + Fingerprint.of(document.id for document in page)
    return total

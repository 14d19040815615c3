"""The typed row of the ledger: one field per column of `pipeline_lifecycle`, and what a row says about its window.

Rows are made where a store reads them. Plain dictionaries with the same names are used where the requirement documents
hand records in and out: `LedgerRow.of` and `LedgerRow.as_record` are the doors.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Self

from include.pipeline_framework.core.records.row import FINISHED, Actor, Phase, Status
from include.pipeline_framework.core.time.windows import TimeWindow, iso_utc
from include.pipeline_framework.errors import ConfigurationError, RowMistakenError


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerRow:
    """One row of `pipeline_lifecycle` as it was read: it never changes, the store returns a new one.

    Instants are aware datetimes in UTC; counts are whole numbers of rows, files or bytes; durations are minutes.
    """

    # identity and configuration
    id: int
    """Identity of the row; target rows carry it as _lifecycle_id."""
    pipeline_id: str
    """Pipeline file that planned the row (include/pipelines/<id>.yaml)."""
    source_name: str
    """Name of the source system."""
    source_object: str
    """The ledger's key of one pipeline; with query_window_start_at it identifies a window."""
    stage_name: str | None = None
    """Name of the stage between source and target."""
    target_name: str
    """Name of the target system."""
    target_object: str | None = None
    """Table that is loaded."""
    data_domain: str | None = None
    """Business domain, from the pipeline file."""
    timezone: str
    """IANA zone in which target_day is a calendar day."""
    granularity: str
    """Length of a window as configured when the row was planned (`query_window_delta_label`)."""
    config_hash: str | None = None
    """SHA-256 of the configuration that planned the row."""
    static_metadata: Mapping[str, Any] = field(default_factory=dict)
    """Other static values of the pipeline's default_record."""

    # window
    target_day: date
    """Local calendar day (in timezone) to which the window belongs."""
    query_window_start_at: datetime
    """Inclusive start of the window, an instant."""
    query_window_end_at: datetime
    """Exclusive end of the window, an instant; never beyond the first instant of the next local day."""
    time_interval: str
    """Elapsed length of the window as text, such as 1h."""
    source_query_window_duration_minutes: Decimal
    """Elapsed length of the window in minutes."""

    # ids and categories
    source_id: str | None = None
    """Derived id of the window at the source."""
    stage_id: str | None = None
    """Derived id of the window at the stage."""
    target_id: str | None = None
    """Derived id of the window at the target."""
    source_category: str | None = None
    """Derived category of the source."""
    stage_category: str | None = None
    """Derived category of the stage."""
    target_category: str | None = None
    """Derived category of the target."""
    key_x: str | None = None
    """Derived business key (function_x)."""
    key_y: str | None = None
    """Derived business key (function_y)."""
    key_z: str | None = None
    """Derived business key (function_z)."""

    # plan
    collection_frequency: str | None = None
    """How often the pipeline collects, from the pipeline file."""
    source_data_frequency: str | None = None
    """How often the source gets new data, from the pipeline file."""
    expected_source_to_stage_duration_mins: Decimal | None = None
    """Expected minutes from source to stage."""
    expected_stage_to_target_duration_mins: Decimal | None = None
    """Expected minutes from stage to target."""
    expected_audit_duration_mins: Decimal | None = None
    """Expected minutes of the audit."""
    expected_pipeline_duration_mins: Decimal | None = None
    """Expected minutes of the whole window."""
    priority: int = 0
    """Claim order: higher first."""

    # owner and fence
    dag_id: str | None = None
    """DAG of the owning run; kept after the window has finished."""
    dag_run_id: str | None = None
    """Run that owns the window (up to 250 characters); kept after the window has finished."""
    job_id: str | None = None
    """Job of another system that moved the window, from that system's report or an adopted table; else None."""
    fence: int = 0
    """Number of the newest task start on this window; a write under any other is refused."""
    heartbeat_at: datetime | None = None
    """Last sign of life of a running task; None while none runs. The lease is this plus stale_threshold_hours."""
    pipeline_locked_at: datetime | None = None
    """When the owning run claimed the window."""
    not_before_at: datetime | None = None
    """Not claimed before this instant (database clock); grows with every spent attempt."""
    retry_attempt: int = 0
    """Attempts spent: tasks ended failed, owners taken over, audits failed."""
    last_error: str | None = None
    """Reasons of the spent attempts."""

    # source to stage
    source_to_stage_ingestion_start_time: datetime | None = None
    """When the extract began."""
    source_to_stage_ingestion_end_time: datetime | None = None
    """When its manifest was written."""
    source_to_stage_ingestion_status: Status = Status.PENDING
    """PENDING, IN_PROGRESS, COMPLETED, FAILED or SKIPPED."""
    stage_location: str | None = None
    """Key prefix of the staged files; contains the fence; a manifest there proves that it is complete."""
    stage_file_count: int | None = None
    """Files in the manifest."""
    stage_byte_count: int | None = None
    """Bytes as stored."""
    staged_count: int | None = None
    """Rows in the manifest."""
    staged_fingerprint: int | None = None
    """Sum of id hashes in the manifest."""
    quarantined_count: int | None = None
    """Documents put beside the stage because no target can hold them."""

    # stage to target
    stage_to_target_ingestion_start_time: datetime | None = None
    """When the load began."""
    stage_to_target_ingestion_end_time: datetime | None = None
    """When its receipt was known to be committed."""
    stage_to_target_ingestion_status: Status = Status.PENDING
    """PENDING, IN_PROGRESS, COMPLETED, FAILED or SKIPPED."""
    loaded_count: int | None = None
    """Rows that the publish counted in its own transaction."""
    loaded_fingerprint: int | None = None
    """Sum of the id hashes of the loaded rows."""

    # audit
    audit_start_time: datetime | None = None
    """When the audit began."""
    audit_end_time: datetime | None = None
    """When the audit ended."""
    audit_process_status: Status = Status.PENDING
    """Whether the audit itself ran: PENDING, IN_PROGRESS, COMPLETED, FAILED or SKIPPED."""
    audit_result_status: str | None = None
    """Result of the audit: PASSED or FAILED; None before the audit."""
    source_count: int | None = None
    """Rows at the source at the last count."""
    target_count: int | None = None
    """Rows at the target at the last count."""
    target_fingerprint: int | None = None
    """Sum of the id hashes of the rows at the target."""
    count_difference: int | None = None
    """source_count - target_count - quarantined_count."""
    percentage_difference: Decimal | None = None
    """count_difference in percent of source_count; None when the source has no rows."""
    undated_count: int | None = None
    """Documents of the source without a usable event time; they belong to no window."""

    # pipeline status
    elt_process_status: Status = Status.PENDING
    """Source to stage to target as one: PENDING, IN_PROGRESS, COMPLETED, FAILED or SKIPPED."""
    pipeline_final_status: Status = Status.PENDING
    """PENDING, IN_PROGRESS, COMPLETED, SKIPPED (loaded already, with proof) or FAILED."""
    phase_completed: Phase | None = None
    """None, SOURCE_TO_STAGE, STAGE_TO_TARGET or AUDIT: where the next attempt resumes."""
    pipeline_start_time: datetime | None = None
    """When the present owner claimed the window."""
    pipeline_end_time: datetime | None = None
    """When the window became COMPLETED, SKIPPED or FAILED."""

    # flags
    is_invalidated_flag: bool = False
    """TRUE: the row was replaced. It is no longer live and is never claimed again."""
    is_replacement_run_flag: bool = False
    """TRUE: the row replaces an invalidated one."""
    target_deletion_done_flag: bool = False
    """TRUE: the rows that this invalidated row had loaded are deleted from the target."""
    is_revisit_due_flag: bool = False
    """TRUE: the source changed between extract and audit, so audit_windows compares the window again."""
    replaced_by_id: int | None = None
    """Row that replaces this invalidated one."""

    # record times
    record_inserted_at: datetime
    """When the row was planned."""
    record_last_updated_at: datetime
    """When the row last changed."""

    # added later
    campaign_id: int | None = None
    """Backfill that the window belongs to, finished or not; None: none."""
    changed_in: str | None = None
    """Transaction that last changed the row, kept by a trigger; `publish_lifecycle` reads by it."""
    source_parts: Mapping[str, str] | None = None
    """What the rows were read from: index names and UUIDs, or table and server; None: not read yet, or above 100."""
    removable_count: int | None = None
    """How many rows of the window its load may remove from the target. None: `vanished_data_limit` decides."""
    is_removal_approved_flag: bool = False
    """TRUE: a person asked for this load, so it may remove any number of rows."""
    kept_source_count: int | None = None
    """Rows at the source when a person decided to keep what is loaded."""
    zone_rules: str | None = None
    """IANA version of the rules that gave the day its bounds, such as 2026f; None: not kept then, or adopted."""

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Self:
        """Return the row of a record that has every column; other keys are left out.

        Raises:
            ConfigurationError: A column is missing: the ledger's tables are of another version.
        """
        try:
            values = {name: record[name] for name in COLUMNS}
        except KeyError as error:
            raise ConfigurationError(
                f"the ledger has no column {error.args[0]}",
                where="pipeline_lifecycle",
                meaning="Its tables are older than this code; nothing was changed",
                remedy="Run: python -m include.cli ledger migrate.",
            ) from error
        values |= {name: Status(values[name]) for name in _STATUSES}
        if values["phase_completed"] is not None:
            values["phase_completed"] = Phase(values["phase_completed"])
        return cls(**values)

    def as_record(self) -> dict[str, Any]:
        """Return the row as a plain dictionary by column name, as the requirement documents hand records around."""
        record = {name: getattr(self, name) for name in COLUMNS}
        return record | {name: str(record[name]) for name in (*_STATUSES, "phase_completed") if record[name]}

    @property
    def window(self) -> TimeWindow:
        """Return the query window."""
        return TimeWindow(self.query_window_start_at, self.query_window_end_at)

    @property
    def identity(self) -> RowIdentity:
        """Return which window this is, whatever its number."""
        return RowIdentity(self.source_object, self.query_window_start_at, self.query_window_end_at)

    @property
    def where(self) -> str:
        """Return source object, window and row number, as errors name them."""
        return f"{self.source_object} {self.identity.bounds} id {self.id}"

    @property
    def owner(self) -> tuple[str, str] | None:
        """Return DAG and run that own the row, or finished it; None: nobody does."""
        return (self.dag_id, self.dag_run_id) if self.dag_id and self.dag_run_id else None

    @property
    def is_live(self) -> bool:
        """True unless the row was replaced."""
        return not self.is_invalidated_flag

    @property
    def is_finished(self) -> bool:
        """True when the window is COMPLETED or SKIPPED."""
        return self.pipeline_final_status in FINISHED

    def is_held_by(self, actor: Actor) -> bool:
        """True when the actor's DAG run owns the row, whatever its task or try."""
        return self.owner == (actor.dag_id, actor.dag_run_id)

    def is_completed_by(self, actor: Actor) -> bool:
        """True when the actor's run has completed the row: its process died after writing, or its task was cleared."""
        return self.pipeline_final_status is Status.COMPLETED and self.is_held_by(actor)


@dataclass(frozen=True, slots=True)
class RowIdentity:
    """The window that a row's number means; a ledger that was lost, restored or failed over may reuse the number."""

    source_object: str
    start: datetime
    end: datetime

    @property
    def bounds(self) -> str:
        """Return the window as text, in UTC."""
        return f"{iso_utc(self.start)}/{iso_utc(self.end)}"

    def require(self, row: LedgerRow) -> None:
        """Refuse a row that is another window's.

        Raises:
            RowMistakenError: The message names both windows.
        """
        if row.identity != self:
            raise RowMistakenError(
                f"row {row.id} is not {self.source_object} {self.bounds}",
                where=row.where,
                meaning="The ledger has given this number to another window since the task got it: it was lost, "
                "restored or failed over. The other window's data would be moved under this name; nothing was changed",
                remedy="Trigger the pipeline again: a new run claims what the ledger knows now. "
                "Rebuild the ledger if that was not done yet.",
            )


COLUMNS = tuple(column.name for column in fields(LedgerRow))
"""The columns of `pipeline_lifecycle`, in the order of the table."""

_STATUSES = (
    *("source_to_stage_ingestion_status", "stage_to_target_ingestion_status", "audit_process_status"),
    *("elt_process_status", "pipeline_final_status"),
)

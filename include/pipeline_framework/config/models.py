"""Define what a pipeline's YAML file may say, as frozen models; editors show every field's description.

A value is checked at its own field; combinations are checked at the later of the two fields, so that all problems of
a file come in one report. Nothing here reads a file, a variable, a connection or the time.
"""

from __future__ import annotations

import hashlib
import json
import re
from datetime import date, timedelta
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    PrivateAttr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from include.pipeline_framework.config.derived_columns import DerivedColumns
from include.pipeline_framework.config.limits import LateDataTolerance, VanishedData, WindowsInProgress
from include.pipeline_framework.config.values import (
    Cron,
    Duration,
    Email,
    FieldName,
    LocalDate,
    Minutes,
    Text,
    TimeBack,
    TimeZone,
    WindowLength,
)
from include.pipeline_framework.config.variables import PLACEHOLDER_SECTIONS, has_placeholder
from include.pipeline_framework.core.lifecycle.claiming import Cap, ClaimRules
from include.pipeline_framework.core.lifecycle.leases import (
    DEFAULT_DAGRUN_TIMEOUT,
    DEFAULT_MAX_RETRY,
    DEFAULT_STALE_THRESHOLD,
)
from include.pipeline_framework.core.proof.vanishing import VanishedDataLimit
from include.pipeline_framework.core.records.fields import GENERATED_NAMES, unknown_fields
from include.pipeline_framework.core.records.planning import DERIVED_COLUMNS, PLAN_COLUMNS
from include.pipeline_framework.core.time.durations import Granularity, parse_granularity, parse_time_back
from include.pipeline_framework.core.time.horizon import Horizon

EXTERNAL = "external"
"""Value of `moved_by`, and type of the sections that such a pipeline leaves out."""

PIPELINE_ID = r"[a-z][a-z0-9_]{0,63}"
TUNING_OPTIONS = frozenset({"page_size", "slices", "keep_alive", "request_timeout_seconds", "guard_wait_seconds"})
"""Options, of any adapter, that change how fast data moves and not which data: they don't enter `config_hash`."""

_STRICT = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _alias_in_schema(schema: dict[str, Any]) -> None:
    schema["properties"]["query_window_delta_label"] = {"type": "string", "description": "Another name of granularity."}


class AdapterSection(BaseModel):
    """An adapter in its role: its type, its Airflow connection and its own options.

    The type is `external` where another system moves the data and the file says nothing about the role.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    type: str = Field(
        pattern=r"^([a-z][a-z0-9_]*|[A-Za-z_][\w.]*:[A-Za-z_]\w*)$",
        description="A registered adapter, or package.module:Class.",
    )
    connection_id: str | None = Field(None, description="Airflow connection; credentials live there, never here.")

    @field_validator("connection_id")
    @classmethod
    def _connection_id_is_plain(cls, value: str | None) -> str | None:
        if value is not None and not has_placeholder(value) and not re.fullmatch(r"[\w.\-]{1,250}", value, re.ASCII):
            raise ValueError("a connection id has letters, digits, '_', '-' and '.' only")
        return value

    @property
    def options(self) -> dict[str, Any]:
        """The adapter's own options, as written; placeholders are replaced by `loader.resolve_variables`."""
        return dict(self.__pydantic_extra__ or {})


class PipelineConfig(BaseModel):
    """One pipeline: the values of its own file, else those of `defaults.yaml`, else the defaults below."""

    model_config = ConfigDict(**_STRICT, json_schema_extra=_alias_in_schema)

    # what it is
    pipeline_id: str = Field(
        pattern=f"^{PIPELINE_ID}$",
        description="The file's name without .yaml. An entry of a `sources` list has its own; default: source_object.",
    )
    description: str = Field("", description="Shown on the DAG's page.")
    source_object: str = Field(
        pattern=r"^[A-Za-z][A-Za-z0-9_.\-]{0,127}$",
        description="The ledger's key: one pipeline, one source_object. What it reads is an option of `source`.",
    )
    source_name: Text = Field(description="Default: source.type.")
    stage_name: Text = Field(description="Default: stage.type.")
    target_name: Text = Field(description="Default: target.type.")
    target_object: Text | None = Field(None, description="Default: target.table.")
    data_domain: Text | None = Field(None, description="Business domain; kept with every row.")
    metadata: dict[FieldName, JsonValue] = Field(
        default_factory=dict, description="Free static values; kept with every row in static_metadata."
    )

    # which windows
    timezone: TimeZone = Field("UTC", description="IANA name; the days are local to it.")
    granularity: WindowLength = Field(
        description="Length of a window: 1h, 30m, '1 hour' elapsed; 1d is a local day. Alias: query_window_delta_label."
    )
    x_time_back: TimeBack = Field(
        description="A window is loaded no earlier than this after its end; 0d: at once. It also picks the target day."
    )
    start_date: LocalDate = Field(description="First local day.")
    end_date: LocalDate | None = Field(None, description="First local day after the last one: exclusive.")
    enabled: bool = Field(True, description="false: nothing is planned or claimed; rows stay as they are.")
    fill_missing_days: bool = Field(True, description="Plan days without any row since start_date without being asked.")
    moved_by: Literal["pipeline", "external"] = Field(
        "pipeline",
        description="external: another system moves the data and reports it (ledger report). Windows are planned and "
        "watched here, never claimed; source, stage and target may be left out, and there is no DAG file.",
    )

    # when, and how much at once
    cron_schedule: Cron | None = Field(None, description="None: manual runs only.")
    max_windows_per_run: int = Field(default=24, ge=1, le=1_024, description="Windows that one DAG run claims.")
    max_active_windows: int = Field(
        default=4, ge=1, le=1_024, description="Windows of a run that move at the same time."
    )
    windows_per_task: Annotated[int, Field(ge=1, le=1_024)] | Literal["auto"] = Field(
        default="auto",
        description="Windows that one task instance carries through a phase, and publishes together: fewer process "
        "starts, log-ins and transactions for small windows. auto: many small ones or one large one, by what windows "
        "around these days took.",
    )
    max_rows_per_window: int | None = Field(
        default=None,
        ge=1,
        description="A window with more rows is cut into finer ones before it is extracted; None: never.",
    )
    max_windows_in_progress: WindowsInProgress = WindowsInProgress()
    scheduled_share_percent: int = Field(
        default=50,
        ge=1,
        le=100,
        description="Share of every claim that is kept for scheduled windows while backfills run.",
    )
    state_manager_window_limit: int = Field(
        default=200,
        ge=0,
        description="Most windows of one repair; a plan with more waits for a person's approval.",
    )
    dagrun_timeout: Duration = Field(
        f"{DEFAULT_DAGRUN_TIMEOUT // timedelta(hours=1)}h", description="Airflow ends a DAG run that takes longer."
    )
    max_retry_task: int = Field(
        default=DEFAULT_MAX_RETRY,
        ge=0,
        le=100,
        description="Retries of a task, and attempts of a window after its first.",
    )
    stale_threshold_hours: float = Field(
        default=DEFAULT_STALE_THRESHOLD // timedelta(hours=1),
        gt=0,
        le=8_784,
        description="A running task without a sign of life for this long has lost its window.",
    )
    priority: int = Field(default=0, ge=-1_000_000, le=1_000_000, description="Higher is claimed first.")

    # who hears of it
    email_list: list[Email] = Field(default_factory=list, description="Recipients of every mail about the pipeline.")
    email_on_failure: bool = Field(False, description="Mail when a task has failed for good.")
    email_on_retry: bool = Field(False, description="Mail before each retry of a task.")
    overdue_after: Duration | None = Field(
        None, description="A window that is unfinished this long after it could have run raises an alarm; None: never."
    )
    overdue_repeat: Duration = Field("1d", description="An alarm about the same window is repeated after this.")

    # what is expected
    collection_frequency: Text | None = Field(None, description="How often data is collected; for people.")
    source_data_frequency: Text | None = Field(None, description="How often the source gets data; for people.")
    expected_source_to_stage_duration_mins: Minutes | None = Field(None, description="Expected minutes of an extract.")
    expected_stage_to_target_duration_mins: Minutes | None = Field(None, description="Expected minutes of a load.")
    expected_audit_duration_mins: Minutes | None = Field(None, description="Expected minutes of an audit.")
    expected_pipeline_duration_mins: Minutes | None = Field(None, description="Expected minutes of a whole window.")

    # how strict
    check_fields: list[FieldName] = Field(
        default_factory=lambda: ["key_x", "key_y", "key_z"],
        description="Fields that a complete record must have: planned columns of the ledger, or keys of metadata.",
    )
    late_data_tolerance: LateDataTolerance = LateDataTolerance()
    vanished_data_limit: VanishedData = VanishedData()
    ids_repeat: bool = Field(
        False,
        description="true: several rows may have one id, and each counts. false: such a load is refused.",
    )
    revisit_days: list[Annotated[int, Field(ge=1, le=3_650)]] = Field(
        default_factory=lambda: [1, 3, 7],
        description="Days after loading at which audit_windows compares a day with its source again; []: never.",
    )
    late_share_percent: float = Field(
        default=0.1,
        gt=0,
        le=100,
        description="Percent of all rows that may still arrive after the x_time_back that audit_windows recommends.",
    )
    pre_validation_mode: Literal["count", "fingerprint"] = Field(
        "count", description="What is compared before a window is skipped as loaded already."
    )
    on_bad_document: Literal["fail", "quarantine"] = Field(
        "fail", description="fail: a document that no target can hold fails its window. quarantine: it is put aside."
    )

    # from where to where
    source: AdapterSection = Field(description="The system that is read.")
    stage: AdapterSection = Field(description="The object storage between both.")
    target: AdapterSection = Field(description="The table that is loaded.")
    derived: DerivedColumns = DerivedColumns()

    _config_hash: str = PrivateAttr("")

    @model_validator(mode="before")
    @classmethod
    def _names_follow_the_sections(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        if data.get("moved_by") == EXTERNAL:
            data = {**{role: {"type": EXTERNAL} for role in PLACEHOLDER_SECTIONS}, **data}
        written = {role: data.get(role) for role in PLACEHOLDER_SECTIONS}
        sections = {role: section if isinstance(section, dict) else {} for role, section in written.items()}
        types = {role: section.get("type") for role, section in sections.items()}
        names = {f"{role}_name": name if isinstance(name, str) else "unknown" for role, name in types.items()}
        table = sections["target"].get("table")
        return {**names, **({"target_object": table} if isinstance(table, str) else {}), **data}

    @field_validator("metadata")
    @classmethod
    def _metadata_is_no_column(cls, value: dict[str, Any]) -> dict[str, Any]:
        taken = sorted(value.keys() & {*PLAN_COLUMNS, *DERIVED_COLUMNS, *GENERATED_NAMES})
        if taken:
            raise ValueError(f"{', '.join(taken)}: give it at the top level or under derived, not as metadata")
        return value

    @field_validator("check_fields")
    @classmethod
    def _fields_are_known(cls, value: list[str], info: ValidationInfo) -> list[str]:
        unknown = unknown_fields(value, info.data["metadata"]) if "metadata" in info.data else ""
        if unknown:
            raise ValueError(unknown)
        return value

    @field_validator("end_date")
    @classmethod
    def _end_follows_start(cls, value: date | None, info: ValidationInfo) -> date | None:
        start = info.data.get("start_date")
        if value is not None and start is not None and value <= start:
            raise ValueError(f"end_date is exclusive and must be after start_date {start}")
        return value

    @field_validator("email_on_failure", "email_on_retry")
    @classmethod
    def _somebody_gets_it(cls, value: bool, info: ValidationInfo) -> bool:
        if value and info.data.get("email_list") == []:
            raise ValueError("email_list has no address")
        return value

    def model_post_init(self, context: Any, /) -> None:
        """Take the hash of the file as written, before placeholders are replaced."""
        self._config_hash = self._hash()

    @property
    def is_external(self) -> bool:
        """True when another system moves the data."""
        return self.moved_by == EXTERNAL

    @property
    def dag_id(self) -> str:
        """Return the id of the pipeline's DAG; there is no DAG when another system moves the data."""
        return f"data_pipeline_{self.pipeline_id}"

    @property
    def config_hash(self) -> str:
        """Return sha256 of the settings that decide which rows reach the target and how they look.

        Schedule, limits, e-mail, stage and tuning options don't enter. It covers the file as written, placeholders
        included: the same in every environment, before and after `loader.resolve_variables`.
        """
        return self._config_hash

    @property
    def window_granularity(self) -> Granularity:
        """Return the parsed granularity."""
        return parse_granularity(self.granularity)

    @property
    def expected_phase_minutes(self) -> float | None:
        """Return the minutes that the longest phase of a window is expected to take; None: the file doesn't say."""
        phases = (
            self.expected_source_to_stage_duration_mins,
            self.expected_stage_to_target_duration_mins,
            self.expected_audit_duration_mins,
        )
        return max((float(minutes) for minutes in phases if minutes is not None), default=None)

    @property
    def dagrun_timeout_delta(self) -> timedelta:
        """Return `dagrun_timeout`, a day counted as 24 hours."""
        return timedelta(seconds=parse_granularity(self.dagrun_timeout).total_seconds)

    @property
    def horizon(self) -> Horizon:
        """Return the days in which the pipeline exists."""
        return Horizon(self.timezone, self.start_date, self.end_date, self.enabled, self.fill_missing_days)

    @property
    def settle(self) -> timedelta:
        """Return `x_time_back`, a day counted as 24 hours."""
        return timedelta(seconds=parse_time_back(self.x_time_back).total_seconds)

    @property
    def removable(self) -> VanishedDataLimit:
        """Return `vanished_data_limit` as the core's type."""
        return VanishedDataLimit(self.vanished_data_limit.rows, self.vanished_data_limit.percent)

    def claim_rules(self, *, any_campaign: bool = False, not_after: tuple[str, ...] = ()) -> ClaimRules:
        """Return the rules that every claim of the pipeline's windows respects."""
        limits = self.max_windows_in_progress
        caps = (
            (limits.pipeline, {"source_object": self.source_object}),
            (limits.source, {"source_name": self.source_name}),
            (limits.target, {"target_name": self.target_name, "target_object": self.target_object}),
        )
        return ClaimRules(
            tuple(Cap(limit, **columns) for limit, columns in caps if limit is not None),
            self.scheduled_share_percent,
            any_campaign,
            not_after,
        )

    def default_record(self) -> dict[str, Any]:
        """Return what all planned rows of the pipeline have in common: ledger columns, and the metadata beside them."""
        return {**self.metadata, **{column: getattr(self, column) for column in PLAN_COLUMNS}}

    def final_config(self) -> dict[str, Any]:
        """Return requirement 3's plain dict: every setting, `default_record`, `dag_id` and `config_hash`.

        Dates are `datetime.date`, durations are text as written, sections are flat (`final_config["source"]["index"]`).
        """
        return {
            **self.model_dump(),
            "query_window_delta_label": self.granularity,
            "default_record": self.default_record(),
            "dag_id": self.dag_id,
            "config_hash": self.config_hash,
        }

    def with_hash_of(self, written: PipelineConfig) -> PipelineConfig:
        """Return the same pipeline with the hash of the file as written."""
        copy: PipelineConfig = self.model_copy()
        copy._config_hash = written._config_hash
        return copy

    def _hash(self) -> str:
        def data_options(section: AdapterSection) -> dict[str, Any]:
            return {name: value for name, value in section.model_dump().items() if name not in TUNING_OPTIONS}

        matters = {
            "source_object": self.source_object,
            "timezone": self.timezone,
            "granularity": str(self.window_granularity),
            "on_bad_document": self.on_bad_document,
            "source": data_options(self.source),
            "target": data_options(self.target),
        }
        return hashlib.sha256(json.dumps(matters, sort_keys=True, default=str).encode()).hexdigest()

"""Generate records from a pipeline's continuation point, without moving data (requirement 2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from include.pipeline_framework.config.derived import derive, deriving
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core.records import planning
from include.pipeline_framework.core.records.fields import unknown_fields
from include.pipeline_framework.core.records.generation import build_complete_pipeline_record
from include.pipeline_framework.core.records.run_requests import RunRequest, parse_request
from include.pipeline_framework.core.records.validation import reasons_text, validate_record
from include.pipeline_framework.core.time.days import LocalDay, local_day_of
from include.pipeline_framework.core.time.horizon import Horizon
from include.pipeline_framework.core.time.timestamps import calculate_day_from_timestamp, convert_to_pendulum
from include.pipeline_framework.core.time.windows import TimeWindow, gapless_prefix_end, iso_utc
from include.pipeline_framework.errors import ConfigurationError, InvalidInputError
from include.pipeline_framework.ports.ledger import LedgerReads
from include.pipeline_framework.tasks import zone_changes
from include.pipeline_framework.tasks.observing import log_execution
from include.pipeline_framework.tasks.single_window import window_of_record

_IDENTITY = ("pipeline_id", "source_name", "source_object", "target_name")
"""The keys that `default_record` must have before a record can become a row of the ledger."""


def latest_timestamp_available(source_object: str, target_day: LocalDay, store: LedgerReads) -> datetime | None:
    """Return the day's continuation point, the end of its live rows' gapless prefix; None when it starts with a gap."""
    if target_day.window is None:
        return None
    return gapless_prefix_end(target_day.window, store.live_windows(source_object, target_day.window))


def ledger_row(final_config: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ledger row of a record of `build_complete_pipeline_record`, or of one that has ledger names."""
    start, end = (
        convert_to_pendulum(record.get(ours) or record[theirs], "UTC")
        for ours, theirs in (
            ("query_window_start_at", "WINDOW_START_TIME"),
            ("query_window_end_at", "WINDOW_END_TIME"),
        )
    )
    row = planning.planned_row(final_config, TimeWindow(start, end), deriving)
    return row | {key: record[key] for key in ("key_x", "key_y", "key_z") if record.get(key) is not None}


def storable_row(
    final_config: Mapping[str, Any], record: Mapping[str, Any], horizon: Horizon
) -> tuple[dict[str, Any], RunRequest]:
    """Return the ledger row of a complete record inside the horizon, and its window as a run would ask for it.

    Raises:
        ConfigurationError: `default_record` lacks a name that identifies the row, or `check_fields` has unknown ones.
        InvalidInputError: The window crosses a day or the horizon, or a field of `check_fields` is missing.
    """
    template, fields = final_config.get("default_record") or {}, final_config.get("check_fields") or ()
    missing = [name for name in _IDENTITY if not template.get(name)]
    if missing:
        raise ConfigurationError(
            f"default_record lacks {', '.join(missing)}",
            meaning="A row of the ledger is identified by them",
            remedy="Use the configuration of load_final_config, or add them.",
        )
    window = window_of_record(record)
    where = f"{template['source_object']} {window}"
    if unknown := unknown_fields(fields, template):
        raise ConfigurationError(
            f"check_fields: {unknown}", where=where, meaning="Nothing was stored", remedy="Correct check_fields."
        )
    asked = {"windows": [[iso_utc(window.start), iso_utc(window.end)]]}
    request = parse_request(asked, horizon, template["source_object"])
    bounds = {"query_window_start_at": window.start, "query_window_end_at": window.end}
    row = ledger_row(final_config, {**record, **bounds})
    checked = validate_record(row, check_fields=fields, now=window.end, x_time_back=None, timezone="UTC")
    if checked.reasons:
        raise InvalidInputError(
            f"the {reasons_text(checked.reasons)}",
            where=where,
            meaning="Nothing was stored",
            remedy="Fill the fields, or correct check_fields and derived in the pipeline's file.",
        )
    return row, request


@dataclass(frozen=True, slots=True)
class Generated:
    """The next windows of a day.

    Attributes:
        day: The local day, `YYYY-MM-DD`.
        windows: The windows in order, at most as many as were asked for.
        note: `<day> is complete` when fewer than that are left of it.
    """

    day: str
    windows: list[TimeWindow]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Validated:
    """The generated windows that can be stored, and why others can't.

    Attributes:
        rows: Ledger rows of the complete records, in order.
        reasons: For a window (local text), why it and those after it have to wait: it is future data.
    """

    rows: list[dict[str, Any]]
    reasons: dict[str, str]


@log_execution("records generated", source_object="config.source_object")
def next_windows(
    config: PipelineConfig,
    store: LedgerReads,
    *,
    now: datetime,
    target_date: date | None = None,
    max_records: int = 1,
    allow_future: bool = False,
) -> Generated:
    """Generate the next windows of a day from its continuation point; nothing is validated or stored.

    Args:
        config: The pipeline.
        store: The ledger; its live rows show where to continue.
        now: Gives the day (`now - x_time_back`) when there is no `target_date`.
        target_date: A local day inside the horizon.
        max_records: The most windows to generate.
        allow_future: When True, `target_date` may lie after local tomorrow.

    Raises:
        InvalidInputError: The day is outside the horizon, or after tomorrow without `allow_future`.
        LedgerRefusedError: The day was planned with newer time zone rules, which give it other bounds.
    """
    if target_date is None:
        day_start = calculate_day_from_timestamp(now, config.x_time_back, config.timezone)
        target_date = local_day_of(day_start, config.timezone).date
    day = LocalDay(target_date, config.timezone)
    config.horizon.require(day, config.source_object)
    if day.window and not allow_future:
        config.horizon.require_not_future(day.window, now, config.source_object)
    zone_changes.require_plannable(config, store, now, [day])
    final_config = config.final_config()
    continuation = latest_timestamp_available(config.source_object, day, store)
    windows: list[TimeWindow] = []
    while len(windows) < max_records:
        record = build_complete_pipeline_record(
            final_config, now=now, derive=derive, continuation_timestamp=continuation, target_day=target_date
        )
        if record is None:
            return Generated(str(day), windows, f"{day} is complete")
        continuation = record["WINDOW_END_TIME"]
        windows.append(TimeWindow(record["WINDOW_START_TIME"], continuation))
    return Generated(str(day), windows)


@log_execution("records validated", source_object="config.source_object")
def validate_windows(
    config: PipelineConfig, windows: Sequence[TimeWindow], *, now: datetime, allow_future: bool = False
) -> Validated:
    """Validate the records of generated windows as a claim will; the first that has not settled ends the list.

    Args:
        config: The pipeline.
        windows: The generated windows, in order.
        now: Decides what is future data.
        allow_future: When True, records of time that has not settled also pass: they wait until it has.

    Raises:
        InvalidInputError: A record is not complete; the reasons are those of the first one.
    """
    final_config = config.final_config()
    rows: list[dict[str, Any]] = []
    for window in windows:
        bounds = {"query_window_start_at": window.start, "query_window_end_at": window.end}
        row = ledger_row(final_config, bounds)
        result = validate_record(
            row, check_fields=config.check_fields, now=now, x_time_back=config.x_time_back, timezone=config.timezone
        )
        if result.reasons:
            raise InvalidInputError(
                f"the {reasons_text(result.reasons)}",
                where=f"{config.source_object} {window}",
                meaning="Nothing was stored",
                remedy="Correct check_fields, metadata or derived in the pipeline's file.",
            )
        if result.is_future_data and not allow_future:
            return Validated(rows, {window.local_label(config.timezone): "future data: it has not settled yet"})
        rows.append(row)
    return Validated(rows, {})

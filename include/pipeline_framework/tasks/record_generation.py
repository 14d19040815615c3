"""Generating records from a pipeline's continuation point, without moving data (requirement 2)."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from include.pipeline_framework.config.derived import derive
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.core import planning
from include.pipeline_framework.core.days import LocalDay, local_day_of
from include.pipeline_framework.core.lifecycle import Actor
from include.pipeline_framework.core.record_generation import build_complete_pipeline_record
from include.pipeline_framework.core.record_validation import validate_record
from include.pipeline_framework.core.timestamps import calculate_day_from_timestamp, convert_to_pendulum
from include.pipeline_framework.core.windows import TimeWindow, gapless_prefix_end
from include.pipeline_framework.ports import LifecycleStore

_log = logging.getLogger(__name__)


def latest_timestamp_available(source_object: str, target_day: LocalDay, store: LifecycleStore) -> datetime | None:
    """The day's continuation point: end of the gapless prefix of its live rows; None when the day starts with a gap."""
    if target_day.window is None:
        return None
    return gapless_prefix_end(target_day.window, store.live_windows(source_object, target_day.window))


def ledger_row(final_config: Mapping[str, Any], record: Mapping[str, Any]) -> dict[str, Any]:
    """The ledger row of a record of `build_complete_pipeline_record`, or of one that has ledger names already."""
    start, end = (
        convert_to_pendulum(record.get(ours) or record[theirs], "UTC")
        for ours, theirs in (
            ("query_window_start_at", "WINDOW_START_TIME"),
            ("query_window_end_at", "WINDOW_END_TIME"),
        )
    )
    row = planning.planned_row(final_config, TimeWindow(start, end), derive)
    return row | {key: record[key] for key in ("key_x", "key_y", "key_z") if record.get(key) is not None}


def generate_records(
    config: PipelineConfig,
    store: LifecycleStore,
    actor: Actor,
    *,
    now: datetime,
    target_date: date | None = None,
    max_records: int = 1,
    dry_run: bool = False,
    allow_future: bool = False,
) -> dict[str, Any]:
    """Generate, validate and (unless `dry_run`) store the next records of a day, up to its end or to future data.

    Args:
        config: The pipeline.
        store: The ledger; its live rows tell where to continue.
        actor: Who asks.
        now: Picks the day (`now - x_time_back`) when no `target_date` is given, and tells future data.
        target_date: A local day inside the horizon.
        max_records: At most so many.
        dry_run: Store nothing.
        allow_future: `target_date` may lie after local tomorrow, and records of time that has not settled are stored,
            too: they wait until it has.

    Returns:
        `target_day`, `records` (local windows), `stored` (how many), `reasons` (per invalid record) and `note`.

    Raises:
        InvalidInputError: The day is outside the horizon, or after tomorrow without `allow_future`.
    """
    final_config = config.final_config()
    if target_date is None:
        day_start = calculate_day_from_timestamp(now, config.x_time_back, config.timezone)
        target_date = local_day_of(day_start, config.timezone).date
    day = LocalDay(target_date, config.timezone)
    config.horizon.require(day, config.source_object)
    if day.window and not allow_future:
        config.horizon.require_not_future(day.window, now, config.source_object)
    continuation = latest_timestamp_available(config.source_object, day, store)
    rows: list[dict[str, Any]] = []
    reasons: dict[str, Any] = {}
    note = f"{len(rows)} records"
    while len(rows) < max_records:
        record = build_complete_pipeline_record(
            final_config, now=now, derive=derive, continuation_timestamp=continuation, target_day=target_date
        )
        if record is None:
            note = f"{day} is complete"
            break
        label = TimeWindow(record["WINDOW_START_TIME"], record["WINDOW_END_TIME"]).local_label(config.timezone)
        result = validate_record(
            record, check_fields=config.check_fields, now=now, x_time_back=config.x_time_back, timezone=config.timezone
        )
        if result.reasons or (result.is_future_data and not allow_future):
            reasons[label] = dict(result.reasons) or "future data: it has not settled yet"
            note = "stopped at a record that is not valid"
            break
        rows.append(ledger_row(final_config, record))
        continuation = record["WINDOW_END_TIME"]
    stored = 0 if dry_run or not rows else len(store.insert_planned(rows, actor).inserted)
    windows = [TimeWindow(row["query_window_start_at"], row["query_window_end_at"]) for row in rows]
    report = {
        "target_day": str(day),
        "records": [window.local_label(config.timezone) for window in windows],
        "stored": stored,
        "reasons": reasons,
        "note": note if note != "0 records" else f"{len(rows)} records",
    }
    _log.info("generated %s", report)
    return report

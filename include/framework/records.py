"""Requirement functions that need at most the ledger: configuration, planning, record generation, rows, locks."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pendulum

from include.framework import session
from include.implementation_modules.registry import options_model
from include.pipeline_framework.config import loader
from include.pipeline_framework.config.derived import derive
from include.pipeline_framework.config.models import PipelineConfig
from include.pipeline_framework.config.variables import Variables
from include.pipeline_framework.core.records import generation as record_generation
from include.pipeline_framework.core.records.row import Actor, Status
from include.pipeline_framework.core.records.run_requests import parse_date
from include.pipeline_framework.core.time.days import LocalDay, is_zone, local_day_of
from include.pipeline_framework.core.time.offsets import name_of
from include.pipeline_framework.core.time.timestamps import calculate_day_from_timestamp, convert_to_pendulum, local_day
from include.pipeline_framework.errors import InvalidInputError
from include.pipeline_framework.ports.ledger import LifecycleStore, Record
from include.pipeline_framework.tasks import plan_outcomes, single_window
from include.pipeline_framework.tasks import record_generation as generating
from include.pipeline_framework.tasks.cleanup_stale_locks import RunStates
from include.wiring import assembly, run_context
from include.wiring.workspace import Workspace

_log = logging.getLogger(__name__)
Config = Mapping[str, Any]
Configs = Mapping[str, PipelineConfig]


def load_final_config(
    pipeline_id: str = "main", *, directory: Path | None = None, variables: Variables | None = None
) -> dict[str, Any]:
    """Return a pipeline's settings as a plain dict with Airflow Variables filled in: for run time, not for parsing.

    Raises:
        ConfigurationError: All problems of the pipeline's file.
    """
    return loader.load_final_config(
        pipeline_id, directory, options_model=options_model, variables=variables or assembly.airflow_variable
    )


def plan_target_date(
    target_date: str | date,
    dry_run: bool = False,
    *,
    pipelines: Sequence[str] | None = None,
    allow_future: bool = False,
    yes: bool = False,
    configs: Configs | None = None,
    store: LifecycleStore | None = None,
    actor: Actor | None = None,
) -> list[dict[str, Any]]:
    """Insert the windows that a day lacks, for every source or the named `pipelines`; return one report per source.

    Raises:
        InvalidInputError: The day is after local tomorrow, and `allow_future` was not given; nothing was planned.
        TerminalError: A file is broken, a source's function raised, or a first plan needs a `yes`; all others are done.
    """
    with Workspace("plan_target_date", actor=actor, store=store, configs=configs) as workspace:
        planned = workspace.plan(
            parse_date(str(target_date), "target_date", "plan_target_date"),
            pipelines,
            dry_run=dry_run,
            allow_future=allow_future,
            yes=yes,
        )
    loaded = planned.loaded
    plan_outcomes.conclude(planned.reports, loaded.configs, loaded.errors, planned.broken, _log.info)
    return [report.as_dict() for report in planned.reports]


def latest_timestamp_available(
    source_object: str, target_day: Any, *, timezone: str | None = None, store: LifecycleStore | None = None
) -> pendulum.DateTime | None:
    """Return where a day continues: the end of the gapless prefix of its live rows; None if it starts with a gap.

    Args:
        source_object: The ledger's key of the pipeline.
        target_day: An instant of the day, or a date, or either as text.
        timezone: The day's zone; by default the instant's own IANA zone, else that of the pipeline with this
            source object.
        store: The ledger.

    Raises:
        InvalidInputError: Not a day, or one without a zone of an unknown source object.
    """
    day = _local_day(source_object, target_day, timezone)
    with Workspace(store=store) as workspace:
        found = generating.latest_timestamp_available(source_object, day, workspace.store)
    return None if found is None else convert_to_pendulum(found, day.timezone)


def generate_pipeline_time_window_record(
    final_config: Config,
    *,
    now: Any = None,
    target_day: Any = None,
    continuation_timestamp: Any = None,
    store: LifecycleStore | None = None,
) -> dict[str, Any] | None:
    """Return the next window of the target day; None if the day is complete or outside the pipeline's horizon.

    The window starts at `continuation_timestamp`, else where the day's gapless rows in the ledger end. The ledger is
    read if a `store` is given or the configuration comes from `load_final_config`, and only for a `default_record` with
    a `source_object`; a dict of `{timezone, x_time_back, granularity, default_record}` written by hand needs no ledger
    and starts with its day.

    Args:
        final_config: The configuration.
        now: An instant; by default the ledger's clock, or the wall clock if no ledger is read.
        target_day: A local day, instead of that of `now - x_time_back`: a date, text, or an instant of it.
        continuation_timestamp: Exclusive end of the last window.
        store: The ledger.

    Raises:
        ConfigurationError: A required key is missing.
        InvalidInputError: A value can't be read, or the given `target_day` is outside the horizon.
    """
    place = _next_place(final_config, now, target_day, continuation_timestamp, store)
    return place and record_generation.generate_pipeline_time_window_record(final_config, **place)


def build_complete_pipeline_record(
    final_config: Config,
    *,
    now: Any = None,
    target_day: Any = None,
    continuation_timestamp: Any = None,
    store: LifecycleStore | None = None,
) -> dict[str, Any] | None:
    """Return the default record with the next window's UPPERCASE time fields and `key_x`, `key_y`, `key_z`; else None.

    Arguments and errors are those of `generate_pipeline_time_window_record`.
    """
    place = _next_place(final_config, now, target_day, continuation_timestamp, store)
    return place and record_generation.build_complete_pipeline_record(final_config, derive=derive, **place)


def upload_record_to_database(
    final_config: Config,
    record: Mapping[str, Any],
    *,
    allow_future: bool = False,
    store: LifecycleStore | None = None,
    actor: Actor | None = None,
) -> bool:
    """Store a generated record as a PENDING row, or update the row whose `id` it has.

    Returns:
        True when the ledger has the window (from now on, or since before: storing again changes nothing). False when
        live rows of another grid cover a part of it, and for a temporary run of `airflow tasks test`; then nothing was
        written.

    Raises:
        ConfigurationError: `default_record` lacks a name that identifies the row, or `check_fields` has unknown ones.
        InvalidInputError: The window crosses a day, the horizon or tomorrow, or a field of `check_fields` is missing.
        LedgerRefusedError: As `update_record_in_database`.
    """
    with Workspace("upload_record_to_database", actor=actor, store=store) as workspace:
        who = workspace.actor
        if record.get("id") is not None:
            config = session.pipeline_config(final_config)
            single_window.find_row(workspace.store, config.source_object, record)
            single_window.update_record(workspace.store, record, who, config, run_context.run_state)
            return True
        row, asked = generating.storable_row(final_config, record, session.horizon(final_config))
        window = single_window.window_of_record(row)
        for told in asked.hints:
            _log.warning("%s: %s", row["source_object"], told)
        if not allow_future:
            asked.require_not_future(session.horizon(final_config), workspace.store.now(), row["source_object"])
        if who.is_temporary:
            _log.info("a temporary test run stores nothing; it would store %s", window)
            return False
        inserted = workspace.store.insert_planned([row], who).inserted
        return bool(inserted) or window in workspace.store.live_windows(row["source_object"], window)


def download_oldest_pending_record(
    *, source_object: str | None = None, store: LifecycleStore | None = None
) -> Record | None:
    """Return the PENDING row that was planned first, of all sources or one, without changing it; None if there is none.

    It is not claimed: `store_and_validate` is how a run gets windows, in claim order.
    """
    with Workspace(store=store) as workspace:
        rows = workspace.store.find(
            source_object=source_object, statuses=[Status.PENDING], limit=1, is_oldest_first=True
        )
    return single_window.with_both_names(rows[0]) if rows else None


def get_all_in_progress_records(*, store: LifecycleStore | None = None) -> list[Record]:
    """Return every live IN_PROGRESS row, whether its run still exists or not."""
    with Workspace(store=store) as workspace:
        return [single_window.with_both_names(row) for row in workspace.store.find(statuses=[Status.IN_PROGRESS])]


def update_record_in_database(
    record: Mapping[str, Any],
    *,
    store: LifecycleStore | None = None,
    actor: Actor | None = None,
    configs: Configs | None = None,
    run_state: RunStates | None = None,
) -> bool:
    """Make the legal transition that a changed status means; return True if it is written, or nothing was different.

    IN_PROGRESS → PENDING or FAILED releases a window (by its holder, or if its owner has ended) and counts an attempt;
    the ledger decides which of the two it becomes. PENDING or FAILED → IN_PROGRESS takes it for the actor's run.

    Raises:
        InvalidInputError: A value besides the status was changed, or a name is unknown.
        LedgerRefusedError: The transition is not legal, or not this actor's; nothing was written.
    """
    with Workspace("update_record_in_database", actor=actor, store=store, configs=configs) as workspace:
        workspace.update_record(record, run_state)
    return True


def store_and_validate(
    final_config: Config,
    *,
    conf: Mapping[str, Any] | None = None,
    now: datetime | None = None,
    store: LifecycleStore | None = None,
    actor: Actor | None = None,
) -> list[dict[str, Any]]:
    """Claim windows for the actor's run and return the complete ones; none if no window is due.

    Args:
        final_config: The pipeline.
        conf: What `airflow dags trigger --conf` takes: `target_date`, `windows`, `max_windows`, …
        now: For the settle time; by default the ledger's clock.
        store: The ledger.
        actor: The actor whose run claims. A run that claimed before gets only its own open windows again.
    """
    config = session.pipeline_config(final_config)
    with Workspace("store_and_validate", actor=actor, store=store) as workspace:
        report = workspace.claim(config, conf or {}, now=now)
    if report["note"]:
        _log.info("%s: %s", config.source_object, report["note"])
    claimed: list[dict[str, Any]] = report["claimed"]
    return claimed


def invalidate_and_replace(
    final_config: Config,
    windows: Sequence[Sequence[str]],
    reason: str,
    *,
    dry_run: bool = False,
    allow_future: bool = False,
    store: LifecycleStore | None = None,
    actor: Actor | None = None,
) -> dict[str, Any]:
    """Replace windows as the conf `{"windows": …, "replace": true}` of a pipeline run does; the next run loads them.

    Rows that overlap them are invalidated (`is_invalidated_flag`) and get replacements (`is_replacement_run_flag`) at
    once; the replacement's publish deletes the data that they loaded (`target_deletion_done_flag`).

    Args:
        final_config: The pipeline.
        windows: `[start, end)` pairs of ISO instants with their offset.
        reason: Why; kept in the ledger.
        dry_run: Only report.
        allow_future: Allow windows after local tomorrow.
        store: The ledger.
        actor: Who asks.

    Returns: `inserted`, `replaced` (windows as local text), `finished`, `dry_run`.

    Raises:
        InvalidInputError: A window is invalid, or would leave a part of a replaced window uncovered.
        WindowHeldError: A window to replace is being moved; nothing of its transaction was written.
    """
    config = session.pipeline_config(final_config)
    conf = {"windows": [list(pair) for pair in windows], "replace": True, "reason": reason, "dry_run": dry_run}
    with Workspace("invalidate_and_replace", actor=actor, store=store) as workspace:
        return workspace.populate(config, conf | {"allow_future": allow_future})


def cleanup_stale_locks(
    *,
    store: LifecycleStore | None = None,
    actor: Actor | None = None,
    configs: Configs | None = None,
    run_state: RunStates | None = None,
) -> list[dict[str, Any]]:
    """Release every window whose owner has ended; outside Airflow, leases and the claim's age decide."""
    with Workspace("cleanup_stale_locks", actor=actor, store=store, configs=configs) as workspace:
        return workspace.release_stale(run_state)


def _next_place(
    final_config: Config, now: Any, target_day: Any, continuation: Any, store: LifecycleStore | None
) -> dict[str, Any] | None:
    """Return arguments of the core's record generation; None for a day outside the horizon that was not given."""
    if any(final_config.get(key) is None for key in record_generation.REQUIRED_KEYS):
        return {"now": now}  # the core names what is missing
    source_object = final_config["default_record"].get("source_object")
    asks_ledger = bool(source_object) and (store is not None or "config_hash" in final_config)
    if asks_ledger and (continuation is None or now is None):
        with Workspace(store=store) as workspace:
            now = workspace.store.now() if now is None else now
            day = _target_day(final_config, now, target_day)
            if continuation is None:
                continuation = generating.latest_timestamp_available(source_object, day, workspace.store)
    now = datetime.now(UTC) if now is None else now  # noqa: TID251 - the clock that a caller may leave out
    day = _target_day(final_config, now, target_day)
    horizon = session.horizon(final_config)
    if target_day is not None:
        horizon.require(day, str(source_object))
    elif refusal := horizon.refusal(day):
        _log.info("nothing to generate for %s of %s: %s", day, source_object, refusal)
        return None
    return {"now": now, "target_day": day.date, "continuation_timestamp": continuation}


def _target_day(final_config: Config, now: Any, target_day: Any) -> LocalDay:
    timezone = final_config["timezone"]
    if target_day is not None:
        return local_day(target_day, timezone)
    return local_day_of(calculate_day_from_timestamp(now, final_config["x_time_back"], timezone), timezone)


def _local_day(source_object: str, target_day: Any, timezone: str | None) -> LocalDay:
    if isinstance(target_day, LocalDay):
        return target_day
    if timezone is None and isinstance(target_day, datetime) and target_day.tzinfo is not None:
        own = name_of(target_day.tzinfo)
        timezone = own if is_zone(own) and own != "UTC" else None
    return local_day(target_day, timezone or _zone_of(source_object))


def _zone_of(source_object: str) -> str:
    configs = assembly.all_configs().configs.values()
    zones = [config.timezone for config in configs if config.source_object == source_object]
    if not zones:
        raise InvalidInputError(
            f"no pipeline has the source object {source_object!r}",
            meaning="So the time zone of its days is not known",
            remedy="Pass timezone=, or an instant of the day that knows its IANA zone.",
        )
    return zones[0]

"""Every function of the requirement documents, with its defaults wired, for import in a notebook or a script.

The positional parameters are the documents'; anything else that a function needs is keyword-only and has a default: the
project's ledger, the pipeline's own systems, the clock, and as the actor the present Airflow task, or outside of tasks
this Python session as one run of its own. Rules are in `core`, steps in `tasks`, and only the ledger writes rows.
Importing this module imports neither Airflow nor a client library.

Records are plain dicts by ledger column, which also have requirement 3's names (`pipeline_status`, `window_start_time`,
…); a record that is passed in may use either. A refusal is an error that says what to do.
"""

from __future__ import annotations

from include.framework.completeness import completeness
from include.framework.explain import why
from include.framework.records import (
    build_complete_pipeline_record,
    cleanup_stale_locks,
    download_oldest_pending_record,
    generate_pipeline_time_window_record,
    get_all_in_progress_records,
    invalidate_and_replace,
    latest_timestamp_available,
    load_final_config,
    plan_target_date,
    store_and_validate,
    update_record_in_database,
    upload_record_to_database,
)
from include.framework.reports import report_external_window
from include.framework.state import ConcurrencyManager, PipelineStateManager
from include.framework.windows import (
    audit,
    clean_stage_location,
    clean_target_location,
    get_source_count,
    get_target_count,
    pre_validation,
    source_to_stage,
    stage_to_target,
    transfer_source_to_stage,
    transfer_stage_to_target,
)
from include.pipeline_framework.config.derived import function_x, function_y, function_z
from include.pipeline_framework.core.records.generation import calculate_time_window
from include.pipeline_framework.core.time.durations import parse_time_to_seconds, seconds_to_time_string
from include.pipeline_framework.core.time.timestamps import calculate_day_from_timestamp, convert_to_pendulum
from include.pipeline_framework.tasks.observing import log_execution, retry_with_backoff

__all__ = [
    "ConcurrencyManager", "PipelineStateManager", "audit", "build_complete_pipeline_record",
    "calculate_day_from_timestamp", "calculate_time_window", "clean_stage_location", "clean_target_location",
    "cleanup_stale_locks", "completeness", "convert_to_pendulum",
    "download_oldest_pending_record", "function_x", "function_y",
    "function_z", "generate_pipeline_time_window_record", "get_all_in_progress_records", "get_source_count",
    "get_target_count", "invalidate_and_replace", "latest_timestamp_available", "load_final_config",
    "log_execution", "parse_time_to_seconds", "plan_target_date", "pre_validation", "report_external_window",
    "retry_with_backoff", "seconds_to_time_string", "source_to_stage", "stage_to_target", "store_and_validate",
    "transfer_source_to_stage", "transfer_stage_to_target", "update_record_in_database",
    "upload_record_to_database", "why",
]  # fmt: skip

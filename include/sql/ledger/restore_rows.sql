-- Insert rows of a lost ledger, all PENDING, with their events. A row whose window overlaps a live row, or whose id
-- exists, is skipped without an error. The sequences were raised before, so new ids are free.
WITH given AS (
    SELECT
        lost.*,
        element ->> 'event_reason' AS event_reason,
        element -> 'event_numbers' AS event_numbers
    FROM JSONB_ARRAY_ELEMENTS(%(rows)s::jsonb) AS element
    CROSS JOIN LATERAL JSONB_POPULATE_RECORD(NULL::pipeline_lifecycle, element) AS lost
),

restored AS (
    INSERT INTO pipeline_lifecycle (
        id,
        pipeline_id, source_name, source_object, stage_name, target_name, target_object, data_domain,
        timezone, granularity, config_hash, static_metadata, target_day, query_window_start_at,
        query_window_end_at, time_interval, source_query_window_duration_minutes, source_id, stage_id,
        target_id, source_category, stage_category, target_category, key_x, key_y, key_z,
        collection_frequency, source_data_frequency, expected_source_to_stage_duration_mins,
        expected_stage_to_target_duration_mins, expected_audit_duration_mins, expected_pipeline_duration_mins,
        priority, fence,
        source_to_stage_ingestion_end_time, source_to_stage_ingestion_status, stage_location, stage_file_count,
        stage_byte_count, staged_count, staged_fingerprint, quarantined_count,
        stage_to_target_ingestion_end_time, stage_to_target_ingestion_status, loaded_count, loaded_fingerprint,
        source_count, elt_process_status, phase_completed, is_replacement_run_flag, source_parts, removable_count, zone_rules
    )
    OVERRIDING SYSTEM VALUE
    SELECT
        COALESCE(id, NEXTVAL('pipeline_lifecycle_id_seq')),
        pipeline_id, source_name, source_object, stage_name, target_name, target_object, data_domain,
        timezone, granularity, config_hash, COALESCE(static_metadata, '{}'), target_day, query_window_start_at,
        query_window_end_at, time_interval, source_query_window_duration_minutes, source_id, stage_id,
        target_id, source_category, stage_category, target_category, key_x, key_y, key_z,
        collection_frequency, source_data_frequency, expected_source_to_stage_duration_mins,
        expected_stage_to_target_duration_mins, expected_audit_duration_mins, expected_pipeline_duration_mins,
        COALESCE(priority, 0), COALESCE(fence, 0),
        source_to_stage_ingestion_end_time, COALESCE(source_to_stage_ingestion_status, 'PENDING'), stage_location, stage_file_count,
        stage_byte_count, staged_count, staged_fingerprint, quarantined_count,
        stage_to_target_ingestion_end_time, COALESCE(stage_to_target_ingestion_status, 'PENDING'), loaded_count, loaded_fingerprint,
        source_count, COALESCE(elt_process_status, 'PENDING'), phase_completed, COALESCE(is_replacement_run_flag, FALSE), source_parts, removable_count, zone_rules
    FROM given
    ON CONFLICT DO NOTHING
    RETURNING *
),

event AS (
    INSERT INTO pipeline_lifecycle_events (
        lifecycle_id, event, to_status, to_phase, fence,
        dag_id, dag_run_id, task_id, map_index, try_number, reason, numbers
    )
    SELECT
        restored.id, 'rebuilt', restored.pipeline_final_status, restored.phase_completed, restored.fence,
        %(dag_id)s, %(dag_run_id)s, %(task_id)s, %(map_index)s, %(try_number)s, given.event_reason, given.event_numbers
    FROM restored
    INNER JOIN given
        ON
            restored.source_object = given.source_object
            AND restored.query_window_start_at = given.query_window_start_at
)

SELECT * FROM restored
ORDER BY source_object, query_window_start_at

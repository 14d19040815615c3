-- Insert planned rows with their events; a row whose window overlaps a live row is skipped without an error.
WITH planned AS (
    INSERT INTO pipeline_lifecycle (
        pipeline_id, source_name, source_object, stage_name, target_name, target_object, data_domain,
        timezone, granularity, config_hash, static_metadata, target_day, query_window_start_at,
        query_window_end_at, time_interval, source_query_window_duration_minutes, source_id, stage_id,
        target_id, source_category, stage_category, target_category, key_x, key_y, key_z,
        collection_frequency, source_data_frequency, expected_source_to_stage_duration_mins,
        expected_stage_to_target_duration_mins, expected_audit_duration_mins, expected_pipeline_duration_mins,
        priority, is_replacement_run_flag, campaign_id, removable_count, is_removal_approved_flag, zone_rules
    )
    SELECT
        pipeline_id, source_name, source_object, stage_name, target_name, target_object, data_domain,
        timezone, granularity, config_hash, COALESCE(static_metadata, '{}'), target_day,
        query_window_start_at, query_window_end_at, time_interval, source_query_window_duration_minutes,
        source_id, stage_id, target_id, source_category, stage_category, target_category, key_x, key_y, key_z,
        collection_frequency, source_data_frequency, expected_source_to_stage_duration_mins,
        expected_stage_to_target_duration_mins, expected_audit_duration_mins, expected_pipeline_duration_mins,
        COALESCE(priority, 0), COALESCE(is_replacement_run_flag, FALSE), campaign_id, removable_count,
        COALESCE(is_removal_approved_flag, FALSE), zone_rules
    FROM JSONB_POPULATE_RECORDSET(NULL::pipeline_lifecycle, %(records)s::jsonb)
    ON CONFLICT DO NOTHING
    RETURNING *
),

event AS (
    INSERT INTO pipeline_lifecycle_events (
        lifecycle_id, event, to_status, fence, dag_id, dag_run_id, task_id, map_index, try_number, reason
    )
    SELECT
        id, 'planned', pipeline_final_status, fence,
        %(dag_id)s, %(dag_run_id)s, %(task_id)s, %(map_index)s, %(try_number)s, %(reason)s
    FROM planned
)

SELECT * FROM planned
ORDER BY source_object, query_window_start_at

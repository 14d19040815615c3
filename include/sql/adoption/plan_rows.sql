-- Plan the windows that no row covers, each with the reason in its event. There is no ON CONFLICT: the transaction has
-- just seen that no row is there, so a conflict comes from another session, and stops the whole adoption.
WITH given AS (
    SELECT
        planned.*,
        element ->> 'event_reason' AS event_reason
    FROM JSONB_ARRAY_ELEMENTS(%(rows)s::jsonb) AS element
    CROSS JOIN LATERAL JSONB_POPULATE_RECORD(NULL::pipeline_lifecycle, element) AS planned
),

planned AS (
    INSERT INTO pipeline_lifecycle (
        pipeline_id, source_name, source_object, stage_name, target_name, target_object, data_domain,
        timezone, granularity, config_hash, static_metadata, target_day, query_window_start_at,
        query_window_end_at, time_interval, source_query_window_duration_minutes, source_id, stage_id,
        target_id, source_category, stage_category, target_category, key_x, key_y, key_z,
        collection_frequency, source_data_frequency, expected_source_to_stage_duration_mins,
        expected_stage_to_target_duration_mins, expected_audit_duration_mins, expected_pipeline_duration_mins,
        priority, is_replacement_run_flag, zone_rules
    )
    SELECT
        pipeline_id, source_name, source_object, stage_name, target_name, target_object, data_domain,
        timezone, granularity, config_hash, COALESCE(static_metadata, '{}'), target_day,
        query_window_start_at, query_window_end_at, time_interval, source_query_window_duration_minutes,
        source_id, stage_id, target_id, source_category, stage_category, target_category, key_x, key_y, key_z,
        collection_frequency, source_data_frequency, expected_source_to_stage_duration_mins,
        expected_stage_to_target_duration_mins, expected_audit_duration_mins, expected_pipeline_duration_mins,
        COALESCE(priority, 0), COALESCE(is_replacement_run_flag, FALSE), zone_rules
    FROM given
    RETURNING *
)

INSERT INTO pipeline_lifecycle_events (
    lifecycle_id, event, to_status, fence, dag_id, dag_run_id, task_id, map_index, try_number, reason
)
SELECT
    planned.id, 'planned', planned.pipeline_final_status, planned.fence,
    %(dag_id)s, %(dag_run_id)s, %(task_id)s, %(map_index)s, %(try_number)s, given.event_reason
FROM planned
INNER JOIN given
    ON planned.source_object = given.source_object AND planned.query_window_start_at = given.query_window_start_at

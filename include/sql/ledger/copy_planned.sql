-- Insert planned rows from text, one line each; a row whose window overlaps a live row makes the whole COPY fail.
COPY pipeline_lifecycle (
    pipeline_id, source_name, source_object, stage_name, target_name, target_object, data_domain,
    timezone, granularity, config_hash, target_day, query_window_start_at,
    query_window_end_at, time_interval, source_query_window_duration_minutes, source_id, stage_id,
    target_id, source_category, stage_category, target_category, key_x, key_y, key_z,
    collection_frequency, source_data_frequency, expected_source_to_stage_duration_mins,
    expected_stage_to_target_duration_mins, expected_audit_duration_mins, expected_pipeline_duration_mins,
    priority, is_replacement_run_flag, campaign_id, removable_count, is_removal_approved_flag, zone_rules, static_metadata
) FROM STDIN

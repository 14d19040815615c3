-- All of phase 1: count the live rows of each length on each local day and those that are done, and read their extent.
SELECT
    source_object,
    target_day,
    query_window_end_at - query_window_start_at AS duration,
    COUNT(*) AS windows,
    COUNT(*) FILTER (WHERE pipeline_final_status IN ('COMPLETED', 'SKIPPED')) AS completed,
    MIN(query_window_start_at) AS first_start_at,
    MAX(query_window_end_at) AS last_end_at
FROM {state_table}
WHERE source_object = ANY(%(source_objects)s) AND NOT is_invalidated_flag
GROUP BY source_object, target_day, duration

-- Phase 1: first and last planned day of each source, and the ends of its live rows.
SELECT
    source_object,
    MIN(target_day) AS first_day,
    MAX(target_day) AS last_day,
    MIN(query_window_start_at) AS first_window_start_at,
    MAX(query_window_end_at) AS last_window_end_at
FROM {state_table}
WHERE source_object = ANY(%(source_objects)s) AND NOT is_invalidated_flag
GROUP BY source_object

-- Read the days that have live rows, and how much time those rows cover.
SELECT
    target_day,
    SUM(query_window_end_at - query_window_start_at) AS covered
FROM pipeline_lifecycle
WHERE source_object = %(source_object)s AND NOT is_invalidated_flag
GROUP BY target_day
ORDER BY target_day

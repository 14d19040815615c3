-- Read the windows of live rows that overlap a range, in order.
SELECT
    query_window_start_at,
    query_window_end_at
FROM pipeline_lifecycle
WHERE
    HASHTEXTEXTENDED(source_object, 0) = HASHTEXTEXTENDED(%(source_object)s, 0)
    AND source_object = %(source_object)s
    AND NOT is_invalidated_flag
    AND TSTZRANGE(query_window_start_at, query_window_end_at) && TSTZRANGE(%(start)s, %(end)s)
ORDER BY query_window_start_at

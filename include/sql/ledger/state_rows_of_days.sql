-- Live rows of some local days of a source, in order.
SELECT
    id,
    query_window_start_at,
    query_window_end_at
FROM {state_table}
WHERE source_object = %(source_object)s AND target_day = ANY(%(days)s::date[]) AND NOT is_invalidated_flag
ORDER BY query_window_start_at, id

-- Find the rows that match all given filters (NULL: not given), by source object and window start, or oldest first; at
-- most as many as the limit (NULL: all). Live rows of a source within some time are found by the index of live windows.
SELECT * FROM pipeline_lifecycle
WHERE
    (
        %(source_object)s::text IS NULL
        OR (source_object = %(source_object)s AND HASHTEXTEXTENDED(source_object, 0) = HASHTEXTEXTENDED(%(source_object)s, 0))
    )
    AND (%(statuses)s::text[] IS NULL OR pipeline_final_status = ANY(%(statuses)s))
    AND (%(dag_id)s::text IS NULL OR (dag_id = %(dag_id)s AND dag_run_id = %(dag_run_id)s))
    AND (%(within)s::tstzmultirange IS NULL OR TSTZRANGE(query_window_start_at, query_window_end_at) <@ %(within)s)
    AND (%(first_day)s::date IS NULL OR %(first_day)s <= target_day)
    AND (%(last_day)s::date IS NULL OR %(last_day)s >= target_day)
    AND (%(include_invalidated)s OR NOT is_invalidated_flag)
ORDER BY
    CASE WHEN %(is_oldest_first)s THEN record_inserted_at END,
    CASE WHEN NOT %(is_oldest_first)s THEN source_object END,
    query_window_start_at,
    id
LIMIT %(limit)s

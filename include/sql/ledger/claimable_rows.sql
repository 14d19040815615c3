-- Read the windows to claim, of one campaign or (NULL) of none, in the order in which they are claimed; lock nothing. Each
-- row comes with the database's clock. `IS TRUE` keeps the search in the index of waiting windows: Postgres takes every
-- range for a narrow one, and would read all finished windows of a horizon in the index of live ones.
SELECT
    *,
    CLOCK_TIMESTAMP() AS database_now
FROM pipeline_lifecycle
WHERE
    source_object = %(source_object)s
    AND pipeline_final_status = 'PENDING'
    AND NOT is_invalidated_flag
    AND query_window_end_at <= %(ended_before)s
    AND (not_before_at IS NULL OR not_before_at <= CLOCK_TIMESTAMP())
    AND (%(within)s::tstzmultirange IS NULL OR (TSTZRANGE(query_window_start_at, query_window_end_at) <@ %(within)s) IS TRUE)
    AND (phase_completed IS NULL OR phase_completed != ALL(%(not_after)s::text[]))
    AND (%(any_campaign)s OR campaign_id IS NOT DISTINCT FROM %(campaign_id)s::bigint)
ORDER BY
    priority DESC,
    CASE WHEN %(window_order)s = 'newest_first' THEN query_window_start_at END DESC,
    CASE WHEN %(window_order)s = 'oldest_planned_first' THEN record_inserted_at END,
    query_window_start_at
LIMIT %(limit)s

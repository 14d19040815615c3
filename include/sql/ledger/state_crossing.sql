-- Phase 2: live rows that don't lie inside their own local day; a row of another time zone is judged by nobody.
WITH days AS (
    SELECT *
    FROM UNNEST(
        %(sources)s::text[], %(zones)s::text[], %(days)s::date[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]
    ) AS day (source_object, timezone, target_day, start_at, end_at)
)

SELECT state.*
FROM days
INNER JOIN {state_table} AS state ON days.source_object = state.source_object AND days.target_day = state.target_day
WHERE
    NOT state.is_invalidated_flag
    AND state.timezone = days.timezone
    AND (state.query_window_start_at < days.start_at OR state.query_window_end_at > days.end_at)
ORDER BY state.source_object, state.query_window_start_at, state.query_window_end_at, state.id

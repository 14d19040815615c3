-- Phase 1: how many live rows of which length each local day has. Rows that don't lie inside their day are left out.
WITH days AS (
    SELECT *
    FROM UNNEST(
        %(sources)s::text[], %(zones)s::text[], %(days)s::date[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]
    ) AS day (source_object, timezone, target_day, start_at, end_at)
)

SELECT
    days.source_object,
    days.target_day,
    state.query_window_end_at - state.query_window_start_at AS duration,
    state.query_window_end_at = days.end_at AS ends_day,
    COUNT(*) AS windows
FROM days
INNER JOIN {state_table} AS state ON days.source_object = state.source_object AND days.target_day = state.target_day
WHERE
    NOT state.is_invalidated_flag
    AND state.query_window_start_at >= days.start_at
    AND state.query_window_end_at <= days.end_at
GROUP BY days.source_object, days.target_day, duration, ends_day
ORDER BY days.source_object, days.target_day, duration, ends_day

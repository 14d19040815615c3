-- Read the live rows of some local days, in order.
WITH days AS (
    SELECT *
    FROM UNNEST(%(sources)s::text[], %(days)s::date[]) AS day (source_object, target_day)
)

SELECT state.*
FROM days
INNER JOIN {state_table} AS state ON days.source_object = state.source_object AND days.target_day = state.target_day
WHERE NOT state.is_invalidated_flag
ORDER BY state.source_object, state.query_window_start_at, state.query_window_end_at, state.id

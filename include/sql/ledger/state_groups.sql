-- All of phase 1: count the live rows of each length on each local day and those that are done, and read their extent;
-- of each source from a day on.
SELECT
    state.source_object,
    state.target_day,
    state.query_window_end_at - state.query_window_start_at AS duration,
    COUNT(*) AS windows,
    COUNT(*) FILTER (WHERE state.pipeline_final_status IN ('COMPLETED', 'SKIPPED')) AS completed,
    MIN(state.query_window_start_at) AS first_start_at,
    MAX(state.query_window_end_at) AS last_end_at
FROM UNNEST(%(sources)s::text[], %(days)s::date[]) AS wanted (source_object, since)
INNER JOIN {state_table} AS state
    ON
        wanted.source_object = state.source_object
        AND COALESCE(wanted.since, '-infinity'::date) <= state.target_day
WHERE NOT state.is_invalidated_flag
GROUP BY state.source_object, state.target_day, duration

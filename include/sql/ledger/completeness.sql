-- Count the live rows of each source's days by status, those that are due among them, and the time that they cover. All
-- of it is in an index.
SELECT
    state.source_object,
    state.target_day,
    state.pipeline_final_status AS status,
    COUNT(*) AS windows,
    COUNT(*) FILTER (WHERE state.query_window_end_at <= wanted.settled_at) AS due,
    SUM(state.query_window_end_at - state.query_window_start_at) AS covered
FROM
    UNNEST(%(sources)s::text[], %(first_days)s::date[], %(last_days)s::date[], %(settled)s::timestamptz[])
        AS wanted (source_object, first_day, last_day, settled_at)
INNER JOIN pipeline_lifecycle AS state
    ON
        wanted.source_object = state.source_object
        AND wanted.first_day <= state.target_day
        AND wanted.last_day >= state.target_day
WHERE NOT state.is_invalidated_flag
GROUP BY state.source_object, state.target_day, state.pipeline_final_status

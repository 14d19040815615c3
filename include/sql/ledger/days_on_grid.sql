-- Return the numbers of those days whose live rows are exactly the windows of the day's grid, of all sources at once.
-- Live rows never overlap, so their number, their lengths and the sum of these prove it; the index holds all of it.
SELECT day.number
FROM
    UNNEST(
        %(sources)s::text[], %(days)s::date[], %(starts)s::timestamptz[], %(ends)s::timestamptz[], %(steps)s::interval[],
        %(windows)s::bigint[]
    ) WITH ORDINALITY AS day (source_object, target_day, start_at, end_at, step, windows, number)
WHERE (day.windows, day.end_at - day.start_at) = (
    SELECT
        COUNT(*),
        SUM(state.query_window_end_at - state.query_window_start_at)
    FROM pipeline_lifecycle AS state
    WHERE
        state.source_object = day.source_object
        AND state.target_day = day.target_day
        AND NOT state.is_invalidated_flag
        AND state.query_window_start_at >= day.start_at
        AND state.query_window_end_at = LEAST(state.query_window_start_at + day.step, day.end_at)
)

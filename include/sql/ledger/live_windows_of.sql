-- Read the windows of live rows that overlap the given spans, of all sources at once, in order; each window once.
SELECT DISTINCT
    state.source_object,
    state.query_window_start_at,
    state.query_window_end_at
FROM
    UNNEST(%(sources)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
    AS span (source_object, start_at, end_at)
INNER JOIN pipeline_lifecycle AS state
    ON
        HASHTEXTEXTENDED(span.source_object, 0) = HASHTEXTEXTENDED(state.source_object, 0)
        AND span.source_object = state.source_object
        AND NOT state.is_invalidated_flag
        AND TSTZRANGE(state.query_window_start_at, state.query_window_end_at) && TSTZRANGE(span.start_at, span.end_at)
ORDER BY state.source_object, state.query_window_start_at

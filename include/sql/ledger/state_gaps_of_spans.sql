-- Phase 2: read the parts of a few stretches of days that no live row touches, in order, through the index of live
-- windows. A stretch without any row costs one look-up, however long it is.
WITH spans AS (
    SELECT *
    FROM UNNEST(%(sources)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
    AS span (source_object, start_at, end_at)
),

gaps AS (
    SELECT
        spans.source_object,
        UNNEST(
            TSTZMULTIRANGE(TSTZRANGE(spans.start_at, spans.end_at)) - COALESCE(
                RANGE_AGG(TSTZRANGE(state.query_window_start_at, state.query_window_end_at))
                FILTER (WHERE state.id IS NOT NULL),
                '{}'
            )
        ) AS gap
    FROM spans
    LEFT JOIN {state_table} AS state
        ON
            HASHTEXTEXTENDED(spans.source_object, 0) = HASHTEXTEXTENDED(state.source_object, 0)
            AND spans.source_object = state.source_object
            AND NOT state.is_invalidated_flag
            AND TSTZRANGE(state.query_window_start_at, state.query_window_end_at) && TSTZRANGE(spans.start_at, spans.end_at)
    GROUP BY spans.source_object, spans.start_at, spans.end_at
)

SELECT
    source_object,
    LOWER(gap) AS start_at,
    UPPER(gap) AS end_at
FROM gaps
ORDER BY source_object, gap

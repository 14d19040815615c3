-- Phase 2: time of a few days that no live row touches, day by day, in order; through the index of live windows.
WITH days AS (
    SELECT *
    FROM UNNEST(%(sources)s::text[], %(days)s::date[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
    AS day (source_object, target_day, start_at, end_at)
),

gaps AS (
    SELECT
        days.source_object,
        UNNEST(
            TSTZMULTIRANGE(TSTZRANGE(days.start_at, days.end_at)) - COALESCE(
                RANGE_AGG(TSTZRANGE(state.query_window_start_at, state.query_window_end_at))
                FILTER (WHERE state.id IS NOT NULL),
                '{}'
            )
        ) AS gap
    FROM days
    LEFT JOIN {state_table} AS state
        ON
            days.source_object = state.source_object
            AND NOT state.is_invalidated_flag
            AND TSTZRANGE(state.query_window_start_at, state.query_window_end_at) && TSTZRANGE(days.start_at, days.end_at)
    GROUP BY days.source_object, days.start_at, days.end_at
)

SELECT
    source_object,
    LOWER(gap) AS start_at,
    UPPER(gap) AS end_at
FROM gaps
ORDER BY source_object, gap

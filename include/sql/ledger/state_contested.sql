-- Phase 2: read the live rows of every stretch of time in which rows overlap each other.
WITH reaching AS (
    SELECT
        id,
        source_object,
        query_window_start_at,
        query_window_end_at,
        MAX(query_window_end_at) OVER (
            PARTITION BY source_object ORDER BY query_window_start_at, query_window_end_at, id
            ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING
        ) AS reach
    FROM {state_table}
    WHERE source_object = ANY(%(source_objects)s) AND NOT is_invalidated_flag
),

stretches AS (
    SELECT
        id,
        source_object,
        COUNT(*) FILTER (WHERE reach IS NULL OR query_window_start_at >= reach) OVER (
            PARTITION BY source_object ORDER BY query_window_start_at, query_window_end_at, id
        ) AS stretch
    FROM reaching
),

counted AS (
    SELECT
        id,
        COUNT(*) OVER (PARTITION BY source_object, stretch) AS rows_in_stretch
    FROM stretches
)

SELECT state.*
FROM counted
INNER JOIN {state_table} AS state ON counted.id = state.id
WHERE counted.rows_in_stretch > 1
ORDER BY state.source_object, state.query_window_start_at, state.query_window_end_at, state.id

-- Phase 2: read the parts of the given stretches of days that no live row touches, in order; a gap may cover several
-- days.
WITH given AS (
    SELECT *
    FROM UNNEST(%(sources)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[])
    AS span (source_object, start_at, end_at)
),

spans AS (
    SELECT
        source_object,
        RANGE_AGG(TSTZRANGE(start_at, end_at)) AS span
    FROM given
    GROUP BY source_object
),

covered AS (
    SELECT
        source_object,
        RANGE_AGG(TSTZRANGE(query_window_start_at, query_window_end_at)) AS span
    FROM {state_table}
    WHERE NOT is_invalidated_flag AND source_object IN (SELECT spans.source_object FROM spans)
    GROUP BY source_object
),

gaps AS (
    SELECT
        spans.source_object,
        UNNEST(spans.span - COALESCE(covered.span, '{}')) AS gap
    FROM spans
    LEFT JOIN covered ON spans.source_object = covered.source_object
)

SELECT
    source_object,
    LOWER(gap) AS start_at,
    UPPER(gap) AS end_at
FROM gaps
ORDER BY source_object, gap

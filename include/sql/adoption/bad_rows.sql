-- Read the rows that are no window of a source, grouped by their error.
WITH theirs AS (
    SELECT
        {their_id} AS own_id,
        {their_source} AS source_object,
        {their_start} AS start_at,
        {their_end} AS end_at
    FROM {their_rows} AS theirs
),

judged AS (
    SELECT
        *,
        CASE
            WHEN source_object IS NULL THEN 'no source_object'
            WHEN start_at IS NULL THEN 'no start'
            WHEN end_at IS NULL THEN 'no end'
            WHEN end_at <= start_at THEN 'an end that is not after the start'
            WHEN start_at < '1900-01-01' OR end_at > '2200-01-01' THEN 'a bound outside the years 1900 to 2199'
            WHEN end_at > start_at + '366 days'::interval THEN 'more than 366 days'
        END AS problem
    FROM theirs
)

SELECT
    problem,
    COUNT(*) AS bad,
    (ARRAY_AGG(COALESCE(own_id::text, FORMAT('%%s/%%s of %%s', start_at, end_at, source_object))))[1:5] AS examples
FROM judged
WHERE problem IS NOT NULL
GROUP BY problem
ORDER BY problem

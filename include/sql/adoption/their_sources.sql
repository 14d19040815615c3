-- Read the sources of the older table: their number of rows, and what the rows say about zone and granularity.
SELECT
    source_object,
    COUNT(*) AS total,
    MIN(start_at) AS first_start_at,
    MAX(start_at) AS last_start_at,
    MIN(timezone) AS timezone,
    COALESCE(MIN(timezone) != MAX(timezone), FALSE) AS has_two_timezones,
    MODE() WITHIN GROUP (ORDER BY granularity) AS granularity
FROM (
    SELECT
        {their_source} AS source_object,
        {their_start} AS start_at,
        {their_timezone} AS timezone,
        {their_granularity} AS granularity
    FROM {their_rows} AS theirs
) AS said
GROUP BY source_object
ORDER BY source_object

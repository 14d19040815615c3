-- Read the rows whose end looks inclusive: a fraction of a second before a full second, or the last second of a minute.
WITH said AS (
    SELECT
        {their_id} AS own_id,
        {said_end} AS end_at
    FROM {their_table} AS theirs
),

judged AS (
    SELECT
        *,
        MOD(EXTRACT(MICROSECONDS FROM end_at)::bigint, 1000000) IN (999000, 999999)
        OR EXTRACT(SECOND FROM end_at) = 59 AS looks_inclusive
    FROM said
)

SELECT
    COUNT(*) AS total,
    COUNT(*) FILTER (WHERE looks_inclusive) AS looking_inclusive,
    COUNT(*) FILTER (WHERE EXTRACT(SECOND FROM end_at) = 0 AND EXTRACT(MINUTE FROM end_at) != 59) AS on_a_minute,
    (
        ARRAY_AGG(CONCAT(end_at, CASE WHEN own_id IS NULL THEN '' ELSE FORMAT(' (row %%s)', own_id) END))
        FILTER (WHERE looks_inclusive)
    )[1:3] AS examples
FROM judged

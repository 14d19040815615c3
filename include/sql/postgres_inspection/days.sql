-- Count the rows of each local day, NULL for those without a usable event time.
SELECT
    CASE WHEN ISFINITE(t.{time_column}) THEN (t.{time_column} AT TIME ZONE %(timezone)s)::date END AS local_day,
    COUNT(*) AS row_count
FROM {source_table} AS t
GROUP BY 1
ORDER BY 1

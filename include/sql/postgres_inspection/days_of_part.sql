-- Count the rows of each local day as `days` does, in a part of a large table: whole pages from everywhere.
SELECT
    CASE WHEN ISFINITE(t.{time_column}) THEN (t.{time_column} AT TIME ZONE %(timezone)s)::date END AS local_day,
    COUNT(*) AS row_count
FROM {source_table} AS t TABLESAMPLE SYSTEM (%(percent)s) -- noqa: PRS
GROUP BY 1
ORDER BY 1

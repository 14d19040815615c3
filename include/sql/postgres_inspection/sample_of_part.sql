-- Return event time and document of some rows of a part of a large table: whole pages from everywhere.
SELECT
    t.{time_column} AS event_at,
    ROW_TO_JSON(t)::text AS document
FROM {source_table} AS t TABLESAMPLE SYSTEM (%(percent)s) -- noqa: PRS
WHERE ISFINITE(t.{time_column})
ORDER BY RANDOM()
LIMIT %(limit)s

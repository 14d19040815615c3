-- Return event time and document of the first rows of a window.
SELECT
    t.{time_column} AS event_at,
    ROW_TO_JSON(t)::text AS document
FROM {source_table} AS t
WHERE t.{time_column} >= %(start)s AND t.{time_column} < %(end)s
ORDER BY t.{time_column}
LIMIT %(limit)s

-- Count the rows of a source's table that belong to no window: their event time is NULL or infinite.
SELECT COUNT(*) AS row_count
FROM {source_table} AS t
WHERE t.{time_column} IS NULL OR NOT ISFINITE(t.{time_column})

-- Count the rows of a source's table whose event time lies in the window.
SELECT COUNT(*) AS row_count
FROM {source_table} AS t
WHERE t.{time_column} >= %(start)s AND t.{time_column} < %(end)s

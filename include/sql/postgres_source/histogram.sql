-- Count the rows of the window by the bucket in which their event time lies: 1 is from the first bound to the second.
SELECT
    WIDTH_BUCKET(t.{time_column}, %(bounds)s::timestamptz[]) AS bucket,
    COUNT(*) AS row_count
FROM {source_table} AS t
WHERE t.{time_column} >= %(start)s AND t.{time_column} < %(end)s
GROUP BY 1

-- Return id, event time and document of each row of the window, in the table's own order.
SELECT
    t.{id_column}::text AS row_id,
    t.{time_column} AS event_at,
    CONVERT_TO(ROW_TO_JSON({document})::text, 'UTF8') AS body
FROM {source_table} AS t
WHERE t.{time_column} >= %(start)s AND t.{time_column} < %(end)s

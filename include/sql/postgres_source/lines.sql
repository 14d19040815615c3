-- Return each row of the window as a staged line without its line break, in the table's own order: id, document, and
-- event time in microseconds since 1970. A row without an id has null there.
SELECT
    CONVERT_TO(
        '{{"_id":' || COALESCE(TO_JSON(t.{id_column}::text), 'null') || ',"_source":' || ROW_TO_JSON({document})
        || ',"sort":[0,' || (EXTRACT(EPOCH FROM t.{time_column}) * 1000000)::bigint || ']}}',
        'UTF8'
    ) AS line
FROM {source_table} AS t
WHERE t.{time_column} >= %(start)s AND t.{time_column} < %(end)s

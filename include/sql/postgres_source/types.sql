-- Return no row, only the types of the columns that tell event time and id.
SELECT
    t.{time_column},
    t.{id_column}
FROM {source_table} AS t
WHERE FALSE

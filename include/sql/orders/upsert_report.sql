-- Upsert the rows of a report by their business key: new rows are inserted, changed rows are updated, and a row that
-- had vanished loses its flag; an unchanged row is not touched. Return the numbers of new and of all changed rows.
WITH written AS (
    INSERT INTO {table} AS t (store_code, {fields}, run_id)
    SELECT %(store_code)s, {fields}, %(run_id)s FROM {pulled}
    ON CONFLICT (store_code, {key}) DO UPDATE SET
        {assignments}, run_id = excluded.run_id, updated_at = clock_timestamp(), is_vanished_flag = FALSE, vanished_at = NULL
    WHERE t.is_vanished_flag OR ({old}) IS DISTINCT FROM ({new})
    RETURNING t.inserted_at = now() AS is_new
)

SELECT count(*) FILTER (WHERE is_new), count(*) FROM written

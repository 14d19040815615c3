-- Read the first and last days of what was pulled after it was over, of one store and pipeline, to decide under its
-- lock; without the days that this start of this run has pulled itself.
SELECT LOWER(r) AS first_day, UPPER(r) - 1 AS last_day
FROM UNNEST(ORDERS_SYNC_WHOLE(%(pipeline_id)s, %(store_code)s, %(timezone)s, %(run_id)s)) AS r

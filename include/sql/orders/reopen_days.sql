-- Reopen days that have to be pulled again: successes that began before this moment no longer count for them.
INSERT INTO orders_sync_reopened (pipeline_id, store_code, from_date, to_date, reopened_at, reason)
SELECT l.pipeline_id, l.store_code, d.from_date, d.to_date, CLOCK_TIMESTAMP(), %(reason)s
FROM orders_sync_log AS l
CROSS JOIN UNNEST(%(first_days)s::DATE[], %(last_days)s::DATE[]) AS d (from_date, to_date)
WHERE l.id = %(id)s

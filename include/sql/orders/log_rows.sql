-- Read the successes of one store and pipeline, to decide under its lock; `is_own` marks those of this start of this
-- run.
SELECT
    l.from_date, l.to_date,
    COALESCE(l.run_id = %(run_id)s AND l.updated_at >= s.started_at, FALSE) AS is_own
FROM orders_sync_log AS l
LEFT JOIN pipeline_run_summaries AS s ON l.run_id = s.run_id
WHERE l.pipeline_id = %(pipeline_id)s AND l.store_code = %(store_code)s AND l.status = 'success'
    AND l.from_date <= l.to_date

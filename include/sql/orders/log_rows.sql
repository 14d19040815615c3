-- The log of one store and pipeline, for deciding under its lock; `is_own` is a success of this start of this run, and
-- `pulled_at` the instant of its first report (GST has one only).
SELECT
    l.from_date, l.to_date, l.status,
    LEAST(l.orders_pulled_at, l.sales_pulled_at) AS pulled_at,
    COALESCE(l.run_id = %(run_id)s AND l.updated_at >= s.started_at, FALSE) AS is_own
FROM orders_sync_log AS l
LEFT JOIN pipeline_run_summaries AS s ON l.run_id = s.run_id
WHERE l.pipeline_id = %(pipeline_id)s AND l.store_code = %(store_code)s AND l.status = 'success'
    AND l.from_date <= l.to_date

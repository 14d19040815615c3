-- Write the running row of a window (requirement 5, C), or reuse the same row when the run repeats the window.
-- attempt_no is one more than in any earlier try of the same dates.
INSERT INTO orders_sync_log AS l (
    pipeline_id, run_id, run_env, cost_center, store_code, from_date, to_date, status, attempt_no
)
SELECT
    %(pipeline_id)s, %(run_id)s, %(run_env)s, %(cost_center)s, %(store_code)s::VARCHAR, %(from_date)s::DATE, %(to_date)s::DATE, 'running',
    1 + COALESCE(MAX(e.attempt_no), 0)
FROM orders_sync_log AS e
WHERE e.pipeline_id = %(pipeline_id)s AND e.store_code = %(store_code)s::VARCHAR
    AND e.from_date = %(from_date)s::DATE AND e.to_date = %(to_date)s::DATE
ON CONFLICT (pipeline_id, store_code, from_date, to_date, run_id) DO UPDATE SET
    run_env = excluded.run_env, cost_center = excluded.cost_center, status = 'running',
    attempt_no = excluded.attempt_no, orders_pulled_at = NULL, sales_pulled_at = NULL, error_message = NULL
RETURNING l.id

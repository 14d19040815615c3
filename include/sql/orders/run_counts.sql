-- Count what a run did since it started, per pipeline, store and status. A failure whose dates another run has pulled
-- since doesn't count, in those stores that then had nothing left to do (because their task was cleared).
SELECT p.code, l.store_code, l.status, COUNT(*) AS windows
FROM orders_sync_log AS l
INNER JOIN pipelines AS p ON l.pipeline_id = p.id
INNER JOIN pipeline_run_summaries AS s ON l.run_id = s.run_id
WHERE l.run_id = %(run_id)s AND l.updated_at >= s.started_at
    AND (
        l.status NOT IN ('failed', 'partial') OR NOT l.store_code = ANY(%(clean_stores)s) OR NOT EXISTS (
            SELECT FROM orders_sync_log AS o
            WHERE o.pipeline_id = l.pipeline_id AND o.store_code = l.store_code AND o.status = 'success'
                AND o.run_id <> l.run_id AND o.updated_at > l.updated_at
                AND o.from_date <= l.from_date AND o.to_date >= l.to_date
        )
    )
GROUP BY p.code, l.store_code, l.status

-- What a run did since it started, per pipeline, store and status.
SELECT p.code, l.store_code, l.status, COUNT(*) AS windows
FROM orders_sync_log AS l
INNER JOIN pipelines AS p ON l.pipeline_id = p.id
INNER JOIN pipeline_run_summaries AS s ON l.run_id = s.run_id
WHERE l.run_id = %(run_id)s AND l.updated_at >= s.started_at
GROUP BY p.code, l.store_code, l.status

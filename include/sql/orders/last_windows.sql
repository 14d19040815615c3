-- Read the newest row of the log, per pipeline and store.
SELECT p.code, s.store_code, l.from_date, l.to_date, l.status, l.run_id, l.error_message
FROM UNNEST(%(store_codes)s::TEXT[]) AS s (store_code)
CROSS JOIN pipelines AS p
CROSS JOIN LATERAL (
    SELECT n.from_date, n.to_date, n.status, n.run_id, n.error_message
    FROM orders_sync_log AS n
    WHERE n.store_code = s.store_code AND n.pipeline_id = p.id
    ORDER BY n.created_at DESC, n.id DESC
    LIMIT 1
) AS l
WHERE p.code = ANY(%(codes)s)

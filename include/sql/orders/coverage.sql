-- What is covered, per store and pipeline: first and last days of every covered run of days, and whether exactly `today`
-- has a success. One statement, however many stores there are.
SELECT
    c.pipeline_id, c.store_code,
    (SELECT ARRAY_AGG(LOWER(r)) FROM UNNEST(c.covered) AS r) AS first_days,
    (SELECT ARRAY_AGG(UPPER(r) - 1) FROM UNNEST(c.covered) AS r) AS last_days,
    (
        SELECT COUNT(*) > 0 FROM orders_sync_log AS l
        WHERE l.pipeline_id = c.pipeline_id AND l.store_code = c.store_code
            AND l.from_date = %(today)s AND l.to_date = %(today)s AND l.status = 'success'
    ) AS has_today
FROM orders_sync_coverage AS c
WHERE c.pipeline_id = ANY(%(pipeline_ids)s) AND c.store_code = ANY(%(store_codes)s)

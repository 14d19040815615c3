-- Read the covered days per store and pipeline: first and last day of every run of covered days; the same for the days
-- that were over when they were pulled; and whether exactly the store's today has a success. It is one statement for
-- any number of stores. The whole days are computed from the log only if the time zone has changed since the last run.
SELECT
    c.pipeline_id, c.store_code,
    (SELECT ARRAY_AGG(LOWER(r)) FROM UNNEST(c.covered) AS r) AS first_days,
    (SELECT ARRAY_AGG(UPPER(r) - 1) FROM UNNEST(c.covered) AS r) AS last_days,
    (SELECT ARRAY_AGG(LOWER(r)) FROM UNNEST(w.whole) AS r) AS first_whole_days,
    (SELECT ARRAY_AGG(UPPER(r) - 1) FROM UNNEST(w.whole) AS r) AS last_whole_days,
    (
        SELECT COUNT(*) > 0 FROM orders_sync_log AS l
        WHERE l.pipeline_id = c.pipeline_id AND l.store_code = c.store_code
            AND l.from_date = s.today AND l.to_date = s.today AND l.status = 'success'
    ) AS has_today
FROM UNNEST(%(store_codes)s::TEXT[], %(todays)s::DATE[]) AS s (store_code, today)
INNER JOIN orders_sync_coverage AS c ON s.store_code = c.store_code
CROSS JOIN LATERAL (
    SELECT
        CASE
            WHEN EXISTS (SELECT FROM orders_sync_settings AS z WHERE z.timezone = %(timezone)s) THEN c.whole
            ELSE ORDERS_SYNC_WHOLE(c.pipeline_id, c.store_code, %(timezone)s)
        END AS whole
) AS w
WHERE c.pipeline_id = ANY(%(pipeline_ids)s)

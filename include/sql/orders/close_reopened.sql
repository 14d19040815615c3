-- Mark the reopened days of a window's store and pipeline that successes have covered since as done.
DELETE FROM orders_sync_reopened AS r
USING orders_sync_log AS w
WHERE w.id = %(id)s AND r.pipeline_id = w.pipeline_id AND r.store_code = w.store_code
    AND DATEMULTIRANGE(DATERANGE(r.from_date, r.to_date, '[]')) <@ (
        SELECT RANGE_AGG(DATERANGE(l.from_date, l.to_date, '[]')) FROM orders_sync_log AS l
        WHERE l.pipeline_id = r.pipeline_id AND l.store_code = r.store_code AND l.status = 'success'
            AND l.from_date <= l.to_date AND l.created_at > r.reopened_at
    )

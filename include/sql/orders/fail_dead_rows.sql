-- Mark the running rows of a store whose lock this session holds as failed: no session works on the store, so the
-- process that wrote them has died.
UPDATE orders_sync_log AS l
SET
    status = 'failed',
    error_message = 'run ' || l.run_id || ' died in this window: nobody held the lock of store ' || l.store_code
    || ' when ' || %(found_by)s || ' came by'
WHERE l.store_code = %(store_code)s AND l.status = 'running'
RETURNING l.run_id, l.from_date, l.to_date

-- Read the stores for which a run left running rows.
SELECT DISTINCT l.store_code FROM orders_sync_log AS l WHERE l.run_id = %(run_id)s AND l.status = 'running' ORDER BY 1

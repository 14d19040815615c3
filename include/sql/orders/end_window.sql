-- Write how a window ended: success, partial or failed, and why.
UPDATE orders_sync_log SET status = %(status)s, error_message = %(error_message)s WHERE id = %(id)s

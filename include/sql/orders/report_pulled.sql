-- Write the instant into the report's column of the window's log row, in the transaction that fills the report's table.
UPDATE orders_sync_log SET {pulled_at} = clock_timestamp() WHERE id = %(id)s

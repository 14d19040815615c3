-- A report of a window is in its table: the instant stands in the column of the report, in the same transaction.
UPDATE orders_sync_log SET {pulled_at} = clock_timestamp() WHERE id = %(id)s

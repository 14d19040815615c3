-- Store the time zone of all dates; if it has changed, triggers recompute which days are whole.
UPDATE orders_sync_settings SET timezone = %(timezone)s WHERE timezone <> %(timezone)s

-- The time zone of all dates; where it has changed, the triggers compute again which days are whole.
UPDATE orders_sync_settings SET timezone = %(timezone)s WHERE timezone <> %(timezone)s

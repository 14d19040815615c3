-- Read the names of the target's columns.
SELECT attname::text FROM pg_attribute WHERE attrelid = TO_REGCLASS(%(target_name)s) AND attnum > 0 AND NOT attisdropped

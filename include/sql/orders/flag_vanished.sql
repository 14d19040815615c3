-- Flag the rows of these dates that the report no longer has; they are never deleted.
UPDATE {table} AS t
SET is_vanished_flag = TRUE, vanished_at = clock_timestamp(), updated_at = clock_timestamp(), run_id = %(run_id)s
WHERE t.store_code = %(store_code)s AND t.{date_column} BETWEEN %(from_date)s AND %(to_date)s
    AND NOT t.is_vanished_flag
    AND NOT EXISTS (SELECT FROM {pulled} AS p WHERE p.{key} = t.{key})

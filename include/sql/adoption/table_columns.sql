-- Read the columns of a table with their types (without lengths), in order.
SELECT
    attname AS column_name,
    FORMAT_TYPE(atttypid, NULL) AS column_type
FROM pg_attribute
WHERE attrelid = %(oid)s AND attnum > 0 AND NOT attisdropped
ORDER BY attnum

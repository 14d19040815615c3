-- Find the columns whose type was changed since they were created, in order of their names.
SELECT
    there.attname,
    FORMAT_TYPE(there.atttypid, there.atttypmod) AS is_now,
    FORMAT_TYPE(meant.atttypid, meant.atttypmod) AS was_meant
FROM pg_attribute AS there
INNER JOIN pg_attribute AS meant ON there.attname = meant.attname
WHERE
    there.attrelid = TO_REGCLASS(%(target_name)s)
    AND meant.attrelid = TO_REGCLASS(%(landed_name)s)
    AND there.attnum > 0
    AND meant.attnum > 0
    AND (there.atttypid, there.atttypmod) <> (meant.atttypid, meant.atttypmod)
ORDER BY there.attname

-- Return a number for the transaction that holds a name of try_lock: behind a pooler the next holder may have the same
-- process. NULL: nobody holds it. Postgres keeps the two halves of the key in two columns.
SELECT MAX(HASHTEXTEXTENDED(CONCAT_WS('/', held.pid, held.virtualtransaction), 0)) AS holder
FROM pg_locks AS held
CROSS JOIN (SELECT HASHTEXTEXTENDED('pipeline_lifecycle ' || %(name)s, 0) AS key) AS wanted
WHERE
    held.locktype = 'advisory'
    AND held.granted
    AND held.objsubid = 1
    AND held.database = (SELECT oid FROM pg_database WHERE datname = CURRENT_DATABASE())
    AND held.classid::bigint = (wanted.key >> 32) & 4294967295
    AND held.objid::bigint = wanted.key & 4294967295

-- The server process whose connection holds a name of `try_lock`; NULL: nobody. Postgres keeps the key's two halves apart.
SELECT MAX(held.pid) AS holder
FROM pg_locks AS held
CROSS JOIN (SELECT HASHTEXTEXTENDED('pipeline_lifecycle ' || %(name)s, 0) AS key) AS wanted
WHERE
    held.locktype = 'advisory'
    AND held.granted
    AND held.objsubid = 1
    AND held.database = (SELECT oid FROM pg_database WHERE datname = CURRENT_DATABASE())
    AND held.classid::bigint = (wanted.key >> 32) & 4294967295
    AND held.objid::bigint = wanted.key & 4294967295

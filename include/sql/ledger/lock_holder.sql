-- The server process of the connection that holds a name of `try_lock`; NULL: nobody. Postgres keeps the two halves of the key apart.
SELECT MAX(held.pid) AS holder
FROM PG_LOCKS AS held
CROSS JOIN (SELECT HASHTEXTEXTENDED('pipeline_lifecycle ' || %(name)s, 0) AS key) AS wanted
WHERE
    held.locktype = 'advisory'
    AND held.granted
    AND held.objsubid = 1
    AND held.database = (SELECT oid FROM PG_DATABASE WHERE datname = CURRENT_DATABASE())
    AND held.classid::bigint = (wanted.key >> 32) & 4294967295
    AND held.objid::bigint = wanted.key & 4294967295

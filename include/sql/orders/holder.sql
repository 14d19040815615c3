-- Return who holds a lock: the name of the session, which is the id of its run.
SELECT a.application_name, a.pid
FROM pg_locks AS l
INNER JOIN pg_stat_activity AS a ON l.pid = a.pid
CROSS JOIN (SELECT hashtextextended(%(name)s, 0) AS key) AS k
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT d.oid FROM pg_database AS d WHERE d.datname = current_database())
    AND l.classid::BIGINT = ((k.key >> 32) & 4294967295) AND l.objid::BIGINT = (k.key & 4294967295)

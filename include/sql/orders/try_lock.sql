-- Take a lock for this session if no other session holds it; the end of the session, for any reason, releases it.
SELECT pg_try_advisory_lock(hashtextextended(%(name)s, 0))

-- Give a lock of this session back.
SELECT pg_advisory_unlock(hashtextextended(%(name)s, 0))

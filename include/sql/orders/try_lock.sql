-- A lock of this session, if nobody else has it; it goes with the session, however that ends.
SELECT pg_try_advisory_lock(hashtextextended(%(name)s, 0))

-- One repair of a source at a time, until the connection gives the lock back or ends; false: somebody else is at it.
SELECT PG_TRY_ADVISORY_LOCK(HASHTEXTEXTENDED('pipeline_lifecycle source ' || %(source_object)s, 0)) AS is_locked

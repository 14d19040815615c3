-- Give the lock of `lock_source` back.
SELECT PG_ADVISORY_UNLOCK(HASHTEXTEXTENDED('pipeline_lifecycle source ' || %(source_object)s, 0))

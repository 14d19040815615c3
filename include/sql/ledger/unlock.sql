-- Give the name of `try_lock` back.
SELECT PG_ADVISORY_UNLOCK(HASHTEXTEXTENDED('pipeline_lifecycle ' || %(name)s, 0))

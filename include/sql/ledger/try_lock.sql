-- Hold a name until the connection gives it back or ends; false: somebody else holds it.
SELECT PG_TRY_ADVISORY_LOCK(HASHTEXTEXTENDED('pipeline_lifecycle ' || %(name)s, 0)) AS is_locked

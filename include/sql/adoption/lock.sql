-- One adoption at a time, until the connection ends; false: another one is at it.
SELECT PG_TRY_ADVISORY_LOCK(HASHTEXTEXTENDED('pipeline_lifecycle adoption', 0)) AS is_locked

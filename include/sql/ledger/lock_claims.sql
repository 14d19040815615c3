-- Allow one claim at a time under this name; the lock is released when the transaction ends.
SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED('pipeline_lifecycle claim ' || %(name)s, 0))

-- One claim of a DAG run at a time: the lock is released with the transaction.
SELECT PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED(%(dag_id)s || '/' || %(dag_run_id)s, 0))

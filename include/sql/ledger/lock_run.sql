-- Allow one claim of a DAG run at a time: the lock is released when the transaction ends. Also return whether this
-- ledger is the recorded one.
SELECT
    PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED(%(dag_id)s || '/' || %(dag_run_id)s, 0)) AS locked,
    seen.*
FROM ledger_identity_seen AS seen

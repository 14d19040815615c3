-- Allow one claim of a DAG run at a time: the lock is released when the transaction ends. Also return whether this
-- ledger is the recorded one, and whether any campaign of the source is running.
SELECT
    PG_ADVISORY_XACT_LOCK(HASHTEXTEXTENDED(%(dag_id)s || '/' || %(dag_run_id)s, 0)) AS locked,
    campaigns.running > 0 AS has_campaigns,
    seen.*
FROM ledger_identity_seen AS seen
CROSS JOIN (
    SELECT COUNT(*) AS running
    FROM backfill_campaigns
    WHERE source_object = %(source_object)s AND state = 'RUNNING'
) AS campaigns

-- Write the events of the rows that this transaction has copied into the ledger, before it changes any other row: they
-- are among those that came after the row that was the newest one before.
INSERT INTO pipeline_lifecycle_events (
    lifecycle_id, event, to_status, fence, dag_id, dag_run_id, task_id, map_index, try_number, reason
)
SELECT
    id,
    'planned',
    pipeline_final_status,
    fence,
    %(dag_id)s,
    %(dag_run_id)s,
    %(task_id)s,
    %(map_index)s,
    %(try_number)s,
    %(reason)s
FROM pipeline_lifecycle
WHERE id > %(newest_id)s AND changed_in = PG_CURRENT_XACT_ID()
ORDER BY id

-- Lock the windows to claim; rows that another claim is looking at are passed over.
SELECT
    ledger.*,
    CLOCK_TIMESTAMP() AS database_now
FROM pipeline_lifecycle AS ledger
WHERE
    source_object = %(source_object)s
    AND pipeline_final_status = 'PENDING'
    AND NOT is_invalidated_flag
    AND query_window_end_at <= %(ended_before)s
    AND (not_before_at IS NULL OR not_before_at <= CLOCK_TIMESTAMP())
    AND (%(within)s::tstzmultirange IS NULL OR TSTZRANGE(query_window_start_at, query_window_end_at) <@ %(within)s)
ORDER BY priority DESC, record_inserted_at, query_window_start_at
LIMIT %(limit)s
FOR UPDATE SKIP LOCKED

-- Count the rows that lock_claimable_rows would lock at this moment, up to the limit; lock nothing.
SELECT COUNT(*) AS windows
FROM (
    SELECT FROM pipeline_lifecycle
    WHERE
        source_object = %(source_object)s
        AND pipeline_final_status = 'PENDING'
        AND NOT is_invalidated_flag
        AND query_window_end_at <= %(ended_before)s
        AND (not_before_at IS NULL OR not_before_at <= CLOCK_TIMESTAMP())
        AND (%(within)s::tstzmultirange IS NULL OR TSTZRANGE(query_window_start_at, query_window_end_at) <@ %(within)s)
        AND (phase_completed IS NULL OR phase_completed != ALL(%(not_after)s::text[]))
        AND (%(any_campaign)s OR campaign_id IS NOT DISTINCT FROM %(campaign_id)s::bigint)
    ORDER BY priority DESC, record_inserted_at, query_window_start_at
    LIMIT %(limit)s
) AS claimable

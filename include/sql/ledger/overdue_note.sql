-- Store that the overdue windows (see overdue_windows) and some days of a source were reported.
INSERT INTO overdue_alerts (source_object, subject, alerted_at)
SELECT
    state.source_object,
    'window ' || state.id,
    %(at)s
FROM pipeline_lifecycle AS state
LEFT JOIN backfill_campaigns AS campaign ON state.campaign_id = campaign.campaign_id
WHERE
    state.source_object = %(source_object)s
    AND NOT state.is_invalidated_flag
    AND state.pipeline_final_status IN ('PENDING', 'IN_PROGRESS', 'FAILED')
    AND state.query_window_start_at >= %(start_at)s
    AND state.query_window_end_at <= %(end_at)s
    AND (
        state.campaign_id IS NULL
        OR (campaign.state = 'RUNNING' AND campaign.created_at <= %(asked_before)s)
    )
UNION ALL
SELECT
    %(source_object)s,
    'day ' || TO_CHAR(told.target_day, 'YYYY-MM-DD'),
    %(at)s
FROM UNNEST(%(days)s::date[]) AS told (target_day)
ON CONFLICT (source_object, subject) DO NOTHING
RETURNING subject

-- Read unfinished live windows whose time has passed, of all sources at once: the first ones, with the figures of all.
WITH scopes AS (
    SELECT *
    FROM UNNEST(
        %(sources)s::text[], %(starts)s::timestamptz[], %(ends)s::timestamptz[],
        %(asked_before)s::timestamptz[], %(alerted_after)s::timestamptz[]
    ) AS scope (source_object, start_at, end_at, asked_before, alerted_after)
),

overdue AS (
    SELECT
        state.source_object,
        state.id,
        state.query_window_start_at,
        state.query_window_end_at,
        state.pipeline_final_status,
        state.retry_attempt,
        state.dag_run_id,
        state.last_error,
        COALESCE(alert.alerted_at <= scopes.alerted_after, TRUE) AS is_untold
    FROM scopes
    INNER JOIN pipeline_lifecycle AS state
        ON
            scopes.source_object = state.source_object
            AND NOT state.is_invalidated_flag
            AND state.pipeline_final_status IN ('PENDING', 'IN_PROGRESS', 'FAILED')
            AND scopes.start_at <= state.query_window_start_at
            AND scopes.end_at >= state.query_window_end_at
    LEFT JOIN backfill_campaigns AS campaign ON state.campaign_id = campaign.campaign_id
    LEFT JOIN overdue_alerts AS alert
        ON state.source_object = alert.source_object AND 'window ' || state.id = alert.subject
    WHERE
        state.campaign_id IS NULL
        OR (campaign.state = 'RUNNING' AND campaign.created_at <= scopes.asked_before)
),

counted AS (
    SELECT
        overdue.*,
        ROW_NUMBER() OVER (PARTITION BY source_object ORDER BY is_untold DESC, query_window_start_at) AS position,
        COUNT(*) FILTER (WHERE is_untold) OVER (PARTITION BY source_object) AS untold,
        COUNT(*) FILTER (WHERE pipeline_final_status = 'PENDING') OVER (PARTITION BY source_object) AS pending,
        COUNT(*) FILTER (WHERE pipeline_final_status = 'IN_PROGRESS') OVER (PARTITION BY source_object) AS in_progress,
        COUNT(*) FILTER (WHERE pipeline_final_status = 'FAILED') OVER (PARTITION BY source_object) AS failed,
        MIN(query_window_start_at) OVER (PARTITION BY source_object) AS oldest_at
    FROM overdue
)

SELECT * FROM counted
WHERE position <= %(most)s
ORDER BY source_object, position

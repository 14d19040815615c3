-- Read campaigns with the figures of their live windows, newest first (NULL: not filtered).
SELECT
    campaign.*,
    windows.total,
    windows.done,
    windows.running,
    windows.failed,
    windows.remaining,
    windows.last_done_at,
    CLOCK_TIMESTAMP() AS database_now
FROM backfill_campaigns AS campaign
CROSS JOIN LATERAL (
    SELECT
        COUNT(*) AS total,
        COUNT(*) FILTER (WHERE pipeline_final_status IN ('COMPLETED', 'SKIPPED')) AS done,
        COUNT(*) FILTER (WHERE pipeline_final_status = 'IN_PROGRESS') AS running,
        COUNT(*) FILTER (WHERE pipeline_final_status = 'FAILED') AS failed,
        COUNT(*) FILTER (WHERE pipeline_final_status = 'PENDING') AS remaining,
        MAX(pipeline_end_time) FILTER (WHERE pipeline_final_status IN ('COMPLETED', 'SKIPPED')) AS last_done_at
    FROM pipeline_lifecycle
    WHERE pipeline_lifecycle.campaign_id = campaign.campaign_id AND NOT is_invalidated_flag
) AS windows
WHERE
    (%(campaign_id)s::bigint IS NULL OR campaign.campaign_id = %(campaign_id)s)
    AND (%(source_object)s::text IS NULL OR campaign.source_object = %(source_object)s)
ORDER BY campaign.campaign_id DESC

-- Read the campaigns of a source whose windows may be claimed, most important first, with their windows in progress.
-- Campaigns without waiting windows are skipped, so that old campaigns cost a claim nothing.
SELECT
    campaign.campaign_id,
    campaign.window_order,
    campaign.concurrency,
    (
        SELECT COUNT(*) FROM pipeline_lifecycle
        WHERE
            pipeline_lifecycle.campaign_id = campaign.campaign_id
            AND pipeline_final_status = 'IN_PROGRESS'
            AND NOT is_invalidated_flag
    ) AS running
FROM backfill_campaigns AS campaign
WHERE
    campaign.source_object = %(source_object)s
    AND campaign.state = 'RUNNING'
    AND EXISTS (
        SELECT 1 FROM pipeline_lifecycle
        WHERE
            pipeline_lifecycle.campaign_id = campaign.campaign_id
            AND pipeline_final_status = 'PENDING'
            AND NOT is_invalidated_flag
    )
ORDER BY campaign.priority DESC, campaign.campaign_id
